//! Tables as a disk has them.

use std::sync::{
    Arc,
    atomic::Ordering::{Relaxed, Release},
};

use super::{
    layout::{ENTRY_WORDS, KEY_WORD, KIND_ABSENT, KIND_EMPTY, Layout, Seed},
    lines::ENTRY_BYTES,
    pages::PAGE_BYTES,
    table::{DEPTH_MAX, SEGMENT_COUNT_MAX, Table},
    writer::{Segment, TableWriter},
};
use crate::{Region, StoreError, mapped::PageTarget, region::HeapRegion};

/// What a table was like on a disk, but for its entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape<'a> {
    pub(crate) seed: Seed,
    pub(crate) segment_log2: u32,
    /// The segment for each value of the upper bits of a hash.
    pub(crate) directory: &'a [u32],
    pub(crate) segment_count: usize,
    /// Whether entries lie as the format's versions before 4 have them: both lines of an entry one after the other, and
    /// one entry probed after the other.
    pub(crate) is_old: bool,
}

const fn corrupt(problem: &'static str) -> StoreError {
    StoreError::Corrupt { part: "index of the state", offset: 0, problem }
}

impl Shape<'_> {
    fn depth(&self) -> Result<u32, StoreError> {
        let depth = self.directory.len().checked_ilog2().unwrap_or(0);
        let is_possible = self.directory.len().is_power_of_two() && depth <= DEPTH_MAX;
        if is_possible && self.segment_count <= SEGMENT_COUNT_MAX {
            return Ok(depth);
        }
        Err(corrupt("a directory of impossible size"))
    }
}

impl<L: Layout> TableWriter<L> {
    /// A table as it was, from its shape and what `fill` puts into the memory of its entries, of which it is told how many
    /// bytes there are.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for what no table can have written, [`StoreError::Memory`].
    pub(crate) fn restore(
        shape: &Shape<'_>,
        fill: impl FnOnce(&mut dyn PageTarget, usize) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let depth = shape.depth()?;
        let mut table = Table::new(shape.seed, shape.segment_log2)?;
        let len_bytes = (shape.segment_count << shape.segment_log2) * ENTRY_BYTES;
        let mut old = None;
        if shape.is_old {
            let region = old.insert(HeapRegion::new(len_bytes)?);
            region.grow(len_bytes)?;
            fill(region, len_bytes)?;
        } else {
            fill(&mut table.entries, len_bytes)?;
        }
        let mut writer = Self::of(table);
        let table = Arc::clone(&writer.table);
        writer.segments = vec![Segment::default(); shape.segment_count];
        writer.name_segments(shape.directory, depth).ok_or(corrupt("a directory that names no tree"))?;
        table.depth.store(depth, Release);
        let are_right = match &old {
            Some(old) => writer.enter(old.bytes()),
            None => writer.count_entries(),
        };
        are_right.ok_or(corrupt("an entry where its key does not belong"))?;
        Ok(writer)
    }

    /// Takes over a directory: each segment must own one aligned run of it.
    fn name_segments(&mut self, directory: &[u32], depth: u32) -> Option<()> {
        let mut is_named = vec![false; self.segments.len()];
        let mut start = 0;
        while start < directory.len() {
            let segment = directory[start];
            let run = directory[start..].iter().take_while(|other| **other == segment).count();
            let is_aligned = run.is_power_of_two() && start.is_multiple_of(run);
            let named = is_named.get_mut(segment as usize)?;
            if !is_aligned || std::mem::replace(named, true) {
                return None;
            }
            self.segments[segment as usize].depth = depth - run.ilog2();
            let first_entry = self.table.entries_of(segment as usize).start as u64;
            for index in start..start + run {
                self.table.directory.words()[index].store(first_entry, Relaxed);
            }
            start += run;
        }
        self.free = (0..is_named.len()).filter(|segment| !is_named[*segment]).collect();
        Some(())
    }

    /// Counts what segments hold, and checks that each key is where readers look for it.
    fn count_entries(&mut self) -> Option<()> {
        for segment in self.named_segments() {
            let (mut used, mut absent, mut is_right) = (0, 0, true);
            self.each_in(segment, |words, stated| {
                used += 1;
                absent += usize::from(stated.value.is_none());
                is_right &= self.table.segment_of(self.table.hash(words)) == segment;
            });
            if !is_right || used > self.used_max() {
                return None;
            }
            let depth = self.segments[segment].depth;
            self.segments[segment] = Segment { depth, used, absent };
        }
        Some(())
    }

    /// Enters what segments of an old version hold, each where it was. All of it is new to a disk.
    fn enter(&mut self, bytes: &[u8]) -> Option<()> {
        for segment in self.named_segments() {
            let entries = self.table.entries_of(segment);
            let bytes = bytes.get(entries.start * ENTRY_BYTES..entries.end * ENTRY_BYTES)?;
            for entry in bytes.chunks_exact(ENTRY_BYTES) {
                let mut words = [0; ENTRY_WORDS];
                for (word, bytes) in words.iter_mut().zip(entry.as_chunks().0) {
                    *word = u64::from_le_bytes(*bytes);
                }
                let (kind, version) = (words[1] & 0xff, words[1] >> 8);
                if kind == KIND_EMPTY {
                    continue;
                }
                let mut key = [0; 5];
                for (index, word) in key[..L::KEY_WORDS].iter_mut().enumerate() {
                    *word = L::key_word(index, words[KEY_WORD + index]);
                }
                let hash = self.table.hash(&key);
                if self.table.segment_of(hash) != segment || self.segments[segment].used == self.used_max() {
                    return None;
                }
                let value = (kind != KIND_ABSENT).then(|| L::load(kind, |index| words[index]));
                self.set_in(segment, hash, &key, value.as_ref(), version);
            }
        }
        self.changes.mark(0..self.segments.len() * self.capacity() * ENTRY_BYTES / PAGE_BYTES);
        Some(())
    }

    /// BOUND: entries of a segment that a disk may have: readers need an empty one.
    fn used_max(&self) -> usize {
        self.capacity() * 7 / 10 + 1
    }
}
