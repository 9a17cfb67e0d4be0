//! States that left the window: what was before each, in history files on the disk.
//!
//! In: at each checkpoint of an archive, the states that it forgets. Out: what an account or a slot was in one of them;
//! what it takes to get back there. A state has a value if it is the first that the files have from its version on, else
//! the oldest state that is still kept whole says it.
//!
//! Invariants: files never change; a generation's document names those that count, so history and state are of one
//! instant after any crash. In memory are only the top page of each file's index and its first and last state.

mod entry;
mod gather;
mod merge;
mod page;
mod segment;
mod write;

use std::sync::Arc;

use alloy_primitives::{Address, U256};
use metis_disk::Disk;

use self::{
    entry::{Key, Subject, read_account, read_number, read_owner},
    page::{FileId, corrupt},
    segment::{OldState, Segment},
    write::write_segment,
};
use super::{
    meta::{ArchiveMeta, SegmentMeta},
    versions::Before,
};
use crate::{StoreError, flat::AccountRecord};

pub(super) use self::{
    gather::Leaving,
    page::{history_name, history_number},
};

/// What an archive has on the disk, and what it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArchiveReport {
    /// States that left the window.
    pub state_count: u64,
    /// Values that they have and later ones have not, with whose each storage is. Some may be of states that were undone.
    pub value_count: u64,
    /// History files.
    pub file_count: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// The history files that count, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    segments: Vec<Arc<Segment>>,
    /// Of the next file: a number is never given twice.
    next_number: u64,
    salt: u64,
}

impl Archive {
    /// No history yet.
    pub(super) const fn new(salt: u64) -> Self {
        Self { segments: Vec::new(), next_number: 0, salt }
    }

    /// The files that a generation names.
    ///
    /// # Errors
    /// [`StoreError`], where one of them is missing or another one.
    pub(super) fn open(disk: &dyn Disk, meta: &ArchiveMeta, salt: u64) -> Result<Self, StoreError> {
        let open = |meta: &SegmentMeta| Segment::open(disk, *meta, salt).map(Arc::new);
        let segments = meta.segments.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        if !segments.is_sorted_by(|older, newer| older.last.version < newer.first.version) {
            return Err(corrupt(0, "files are not in order"));
        }
        Ok(Self { segments, next_number: meta.next_number, salt })
    }

    /// What the next generation's document says of it.
    pub(super) fn meta(&self) -> ArchiveMeta {
        let segments = self.segments.iter().map(|segment| segment.meta).collect();
        ArchiveMeta { next_number: self.next_number, segments }
    }

    /// The same without any history.
    pub(super) const fn emptied(&self) -> Self {
        Self { segments: Vec::new(), next_number: self.next_number, salt: self.salt }
    }

    /// States that it has.
    pub(super) fn state_count(&self) -> u64 {
        self.segments.iter().map(|segment| segment.meta.state_count).sum()
    }

    /// What it has, and what it takes.
    pub(super) fn report(&self) -> ArchiveReport {
        ArchiveReport {
            state_count: self.state_count(),
            value_count: self.segments.iter().map(|segment| segment.footer.entry_count).sum(),
            file_count: self.segments.len() as u64,
            bytes: self.len_bytes(),
        }
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len_bytes()).sum()
    }

    /// The block of the oldest state.
    pub(super) fn first_block_number(&self) -> Option<u64> {
        self.segments.first().map(|segment| segment.first.block.number)
    }

    /// How many states have a block up to this one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn count_up_to(&self, block_number: u64) -> Result<u64, StoreError> {
        let mut count = 0;
        for segment in &self.segments {
            if segment.last.block.number > block_number {
                return Ok(count + segment.count_up_to(block_number)?);
            }
            count += segment.meta.state_count;
        }
        Ok(count)
    }

    /// A state, counted from the oldest.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn state(&self, mut index: u64) -> Result<Option<OldState>, StoreError> {
        for segment in &self.segments {
            if index < segment.meta.state_count {
                return segment.state(index).map(Some);
            }
            index -= segment.meta.state_count;
        }
        Ok(None)
    }

    /// Files that have anything of a version or later ones.
    fn from(&self, version: u64) -> &[Arc<Segment>] {
        &self.segments[self.segments.partition_point(|segment| segment.last.version < version)..]
    }

    fn find<T>(&self, key: &Key, version: u64, read: fn(&[u8]) -> Option<T>) -> Result<Option<T>, StoreError> {
        for segment in self.from(version) {
            if let Some(found) = segment.find(key, version, read)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What an account was in a version, if it changed before the states that are kept whole.
    pub(super) fn account(&self, address: &Address, version: u64) -> Result<Option<Option<AccountRecord>>, StoreError> {
        self.find(&Key::account(address), version, read_account)
    }

    /// What a slot was in a version, if it changed before the states that are kept whole.
    pub(super) fn slot(&self, key: &(u32, U256), version: u64) -> Result<Option<U256>, StoreError> {
        self.find(&Key::slot(key), version, read_number)
    }

    /// At most so many values lie between a version and the states that are kept whole.
    pub(super) fn entry_count_from(&self, version: u64) -> u64 {
        self.from(version).iter().map(|segment| segment.footer.entry_count).sum()
    }

    /// All that changed after a version, as it was then.
    pub(super) fn before(&self, version: u64) -> Result<Before, StoreError> {
        let mut before = Before::default();
        for segment in self.from(version) {
            for entry in segment.entries() {
                let entry = entry?;
                let problem = corrupt(0, "a value makes no sense");
                match entry.key.subject() {
                    Subject::Owner(storage_id) => {
                        before.owners.insert(storage_id, read_owner(&entry.value).ok_or(problem)?);
                    }
                    _ if entry.until < version => {}
                    Subject::Account(address) => {
                        before.accounts.entry(address).or_insert(read_account(&entry.value).ok_or(problem)?);
                    }
                    Subject::Slot(storage_id, slot) => {
                        before.slots.entry((storage_id, slot)).or_insert(read_number(&entry.value).ok_or(problem)?);
                    }
                }
            }
        }
        Ok(before)
    }

    /// Checks every byte.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.segments.iter().try_for_each(|segment| segment.check())
    }

    /// The same with the states that leave the window. Nothing names the new file yet.
    ///
    /// # Errors
    /// [`StoreError`]; a file may be left that nothing names.
    pub(super) fn with(&self, disk: &dyn Disk, leaving: &Leaving) -> Result<Self, StoreError> {
        let mut entries = leaving.entries()?;
        entries.sort_unstable();
        let states = leaving.states().map(Ok);
        let mut grown = self.clone();
        let id = FileId { number: self.next_number, salt: self.salt };
        let segment = write_segment(disk, id, 0, entries.into_iter().map(Ok), states)?;
        grown.segments.push(Arc::new(segment));
        grown.next_number += 1;
        Ok(grown)
    }

    /// The oldest `count` states only.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn cut_to(&self, mut count: u64) -> Result<Self, StoreError> {
        let mut cut = self.emptied();
        for segment in &self.segments {
            let state_count = segment.meta.state_count.min(count);
            if state_count == 0 {
                break;
            }
            let is_whole = state_count == segment.meta.state_count;
            cut.segments.push(if is_whole { Arc::clone(segment) } else { Arc::new(segment.cut_to(state_count)?) });
            count -= state_count;
        }
        Ok(cut)
    }
}
