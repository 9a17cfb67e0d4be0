//! Fewer, larger files: so a look for a value that changed long after is into few of them.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use metis_disk::Disk;

use super::{
    Archive,
    entry::{Entry, Key},
    page::FileId,
    segment::Segment,
    write::write_segment,
};
use crate::StoreError;

/// Files of one level that become one of the next.
const MERGED_COUNT: usize = 4;
/// BOUND: a file of this size is merged with none, so that a checkpoint never takes longer than writing it.
const MERGED_BYTES_MAX: u64 = 4 << 30;

impl Archive {
    /// The same in fewer files, where there is something to merge. Nothing names the new one yet.
    ///
    /// # Errors
    /// [`StoreError`]; a file may be left that nothing names.
    pub(in crate::metis) fn merged(&self, disk: &dyn Disk) -> Result<Self, StoreError> {
        let mut merged = self.clone();
        if let Some((first, level)) = self.mergeable() {
            let segment = self.rewritten(disk, &self.segments[first..], level, 0)?;
            merged.next_number += 1;
            merged.segments.truncate(first);
            merged.segments.push(Arc::new(segment));
        }
        Ok(merged)
    }

    /// The first of the newest files that become one, and its level: four of a level make one of the next, which may be
    /// the fourth of that.
    fn mergeable(&self) -> Option<(usize, u32)> {
        let mut found = None;
        let mut level = self.segments.last()?.meta.level;
        let mut first = self.segments.len();
        loop {
            // What was found so far is one of this level.
            let more = MERGED_COUNT - usize::from(found.is_some());
            let Some(next) = first.checked_sub(more) else { return found };
            let is_of_level = self.segments[next..first].iter().all(|segment| segment.meta.level == level);
            let len_bytes: u64 = self.segments[next..].iter().map(|segment| segment.len_bytes()).sum();
            if !is_of_level || len_bytes > MERGED_BYTES_MAX {
                return found;
            }
            (first, level) = (next, level + 1);
            found = Some((first, level));
        }
    }

    /// The same without states of blocks before one.
    ///
    /// # Errors
    /// As [`Self::merged`].
    pub(in crate::metis) fn cut_before(&self, disk: &dyn Disk, block_number: u64) -> Result<Self, StoreError> {
        let mut cut = self.clone();
        cut.segments.retain(|segment| segment.last.block.number >= block_number);
        if let Some(first) = cut.segments.first().filter(|first| first.first.block.number < block_number) {
            let skipped = first.count_up_to(block_number.saturating_sub(1))?;
            let segment = cut.rewritten(disk, &cut.segments[..1], first.meta.level, skipped)?;
            cut.next_number += 1;
            cut.segments[0] = Arc::new(segment);
        }
        Ok(cut)
    }

    /// One file of neighbours, without the first `skipped` states and what only they have.
    fn rewritten(
        &self,
        disk: &dyn Disk,
        segments: &[Arc<Segment>],
        level: u32,
        skipped: u64,
    ) -> Result<Segment, StoreError> {
        let first_version = segments[0].state(skipped)?.version;
        let owner = Key::owner(0).kind();
        let entries = Merged::new(segments)?.filter(|entry| {
            entry.as_ref().map_or(true, |entry| entry.until >= first_version || entry.key.kind() == owner)
        });
        let states =
            segments.iter().flat_map(|segment| (0..segment.meta.state_count).map(move |index| (segment, index)));
        let states = states.skip(skipped as usize).map(|(segment, index)| segment.state(index));
        let id = FileId { number: self.next_number, salt: self.salt };
        write_segment(disk, id, level, entries, states)
    }
}

/// The entries of several files in order.
struct Merged<I> {
    sources: Vec<I>,
    next: BinaryHeap<Reverse<(Entry, usize)>>,
    failed: Option<StoreError>,
}

impl<'a> Merged<Box<dyn Iterator<Item = Result<Entry, StoreError>> + 'a>> {
    fn new(segments: &'a [Arc<Segment>]) -> Result<Self, StoreError> {
        let sources = segments.iter().map(|segment| Box::new(segment.entries()) as Box<dyn Iterator<Item = _>>);
        let mut merged = Self { sources: sources.collect(), next: BinaryHeap::new(), failed: None };
        (0..segments.len()).try_for_each(|index| merged.pull(index))?;
        Ok(merged)
    }
}

impl<I: Iterator<Item = Result<Entry, StoreError>>> Merged<I> {
    fn pull(&mut self, index: usize) -> Result<(), StoreError> {
        if let Some(entry) = self.sources[index].next() {
            self.next.push(Reverse((entry?, index)));
        }
        Ok(())
    }
}

impl<I: Iterator<Item = Result<Entry, StoreError>>> Iterator for Merged<I> {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            return Some(Err(error));
        }
        let Reverse((entry, index)) = self.next.pop()?;
        // Who writes ends with the first error.
        self.failed = self.pull(index).err();
        Some(Ok(entry))
    }
}
