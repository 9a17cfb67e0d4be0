//! The states that a store keeps, and the hashes of the blocks that led to them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use alloy_primitives::B256;

use super::{
    archive::{Archive, Leaving},
    snapshot::MetisSnapshot,
    versions::{Archived, Version},
};
use crate::{CommittedBlock, StateSnapshot, StoreError};

/// How many ancestors BLOCKHASH reaches (Yellow Paper appendix H.2).
const ANCESTOR_COUNT: usize = 256;

/// Kept states, oldest first, newest last; never empty.
#[derive(Debug)]
pub(super) struct History {
    pub(super) states: VecDeque<Arc<MetisSnapshot>>,
    /// Hashes of the newest blocks, by number.
    pub(super) block_hashes: BTreeMap<u64, B256>,
    /// States before these, where none is forgotten and there is a disk.
    pub(super) archive: Option<Arc<Archive>>,
}

/// Where a kept state is, counted from the oldest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Archive(u64),
    Window(usize),
}

impl History {
    pub(super) fn newest(&self) -> &Arc<MetisSnapshot> {
        // UNWRAP: never empty.
        self.states.back().unwrap()
    }

    pub(super) fn oldest_number(&self) -> u64 {
        let archived = self.archive.as_ref().and_then(|archive| archive.first_block_number());
        // UNWRAP: never empty.
        archived.unwrap_or_else(|| self.states.front().unwrap().block().number)
    }

    pub(super) fn unavailable(&self, block_number: u64) -> StoreError {
        let (oldest, newest) = (self.oldest_number(), self.newest().block().number);
        StoreError::Unavailable { block_number, oldest, newest }
    }

    pub(super) fn require_newest(&self, parent: &MetisSnapshot, got: u64) -> Result<(), StoreError> {
        if self.newest().is_same_state(parent) {
            return Ok(());
        }
        Err(StoreError::OutOfOrder { got, newest: self.newest().block().number })
    }

    /// A block must be higher than the newest state's.
    pub(super) fn require_higher(&self, got: u64) -> Result<(), StoreError> {
        let newest = self.newest().block().number;
        if got > newest { Ok(()) } else { Err(StoreError::OutOfOrder { got, newest }) }
    }

    pub(super) fn push(&mut self, snapshot: Arc<MetisSnapshot>, kept_block_count: usize) {
        self.states.push_back(snapshot);
        self.keep_newest(kept_block_count);
    }

    /// Forgets all but the newest state and so many before it.
    pub(super) fn keep_newest(&mut self, kept_block_count: usize) {
        while self.states.len() > kept_block_count.saturating_add(1) {
            self.states.pop_front();
        }
    }

    /// The states before the newest one and so many before it, for the archive.
    pub(super) fn leaving(&self, kept_block_count: usize) -> Option<Leaving> {
        self.archive.as_ref()?;
        let count = self.states.len().checked_sub(kept_block_count.saturating_add(1))?;
        Leaving::new(self.states.range(..=count).cloned().collect())
    }

    pub(super) fn push_hashes(&mut self, block: &CommittedBlock) {
        // The parent too: the hash of block 0 is not known before its state root is.
        self.block_hashes.insert(block.number.saturating_sub(1), block.parent_hash);
        self.block_hashes.insert(block.number, block.hash);
        while self.block_hashes.len() > ANCESTOR_COUNT {
            self.block_hashes.pop_first();
        }
    }

    /// Keeps the states up to `place`, the newest of them as `newest` gives it, and of older ones what `archive` has.
    pub(super) fn truncate(&mut self, place: Place, newest: MetisSnapshot, archive: Option<Arc<Archive>>) {
        let number = newest.block().number;
        self.states.truncate(if let Place::Window(position) = place { position } else { 0 });
        self.states.push_back(Arc::new(newest));
        self.block_hashes.split_off(&(number + 1));
        self.archive = archive;
    }

    /// States that are kept, the newest among them.
    pub(super) fn state_count(&self) -> u64 {
        self.states.len() as u64 + self.archived_count()
    }

    fn archived_count(&self) -> u64 {
        self.archive.as_ref().map_or(0, |archive| archive.state_count())
    }

    /// States that were made after the one at a place.
    pub(super) fn count_after(&self, place: Place) -> u64 {
        let window = self.states.len() as u64;
        match place {
            Place::Window(position) => window - 1 - position as u64,
            Place::Archive(index) => self.state_count() - 1 - index,
        }
    }

    /// The state so many before the newest one.
    pub(super) fn place_before(&self, count: usize) -> Result<Place, StoreError> {
        if count < self.states.len() {
            return Ok(Place::Window(self.states.len() - 1 - count));
        }
        let index = self.state_count().checked_sub(count as u64 + 1);
        let newest = self.newest().block().number;
        index.map(Place::Archive).ok_or_else(|| self.unavailable(newest.saturating_sub(count as u64)))
    }

    /// The state of a block as it was before the last `patch_count` patches on it.
    pub(super) fn place(&self, block_number: u64, patch_count: usize) -> Result<Place, StoreError> {
        // Heights may be left out, and a block has one more state per patch: its newest counts.
        let after = self.states.partition_point(|snapshot| snapshot.block().number <= block_number);
        if let Some(position) = after.checked_sub(patch_count + 1) {
            let is_of_it = self.states[position].block().number == block_number;
            return if is_of_it { Ok(Place::Window(position)) } else { Err(self.unavailable(block_number)) };
        }
        let unavailable = || self.unavailable(block_number);
        let archive = self.archive.as_ref().ok_or_else(unavailable)?;
        let count = if after > 0 { archive.state_count() } else { archive.count_up_to(block_number)? };
        let index = (count + after as u64).checked_sub(patch_count as u64 + 1).ok_or_else(unavailable)?;
        let found = archive.state(index)?.filter(|state| state.block.number == block_number);
        found.map(|_| Place::Archive(index)).ok_or_else(unavailable)
    }

    /// The state at a place.
    pub(super) fn state(&self, place: Place) -> Result<Arc<MetisSnapshot>, StoreError> {
        let index = match place {
            Place::Window(position) => return Ok(Arc::clone(&self.states[position])),
            Place::Archive(index) => index,
        };
        let archive = self.archive.as_ref().ok_or_else(|| self.unavailable(0))?;
        let state = archive.state(index)?.ok_or_else(|| self.unavailable(0))?;
        // UNWRAP: never empty.
        let oldest = self.states.front().unwrap();
        let archived = Archived { archive: Arc::clone(archive), base: Arc::clone(oldest.version()) };
        let version = Version::of_archive(state.version, archived);
        Ok(Arc::new(MetisSnapshot::new(state.block, oldest.shared(), version, state.identity)))
    }

    /// States left for the archive.
    pub(super) fn left(&mut self, leaving: Option<&Leaving>, archive: Archive) {
        self.states.drain(..leaving.map_or(0, Leaving::count));
        self.archive = Some(Arc::new(archive));
    }
}
