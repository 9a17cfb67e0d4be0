//! The lines of the cache that entries are made of.
//!
//! An entry is two of them. In memory the first lines of all segments lie together, and the second ones behind them: what
//! is read most takes half of the pages, and the line that a processor brings beside one is the neighbour's first. On a
//! disk a segment is one piece, its first lines and then its second ones.

use std::{
    os::fd::BorrowedFd,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use super::{arena::Arena, pages::PAGE_BYTES};
use crate::{StoreError, mapped::PageTarget};

/// Words of a line.
pub(super) const LINE_WORDS: usize = 8;
/// Bytes of a line.
pub(super) const LINE_BYTES: usize = LINE_WORDS * size_of::<u64>();
/// Bytes of an entry.
pub(super) const ENTRY_BYTES: usize = 2 * LINE_BYTES;
/// log2 of the entries of the smallest segments: their first lines are one page.
pub(crate) const SEGMENT_LOG2_MIN: u32 = 6;

const _: () = assert!(LINE_BYTES == 64 && LINE_BYTES << SEGMENT_LOG2_MIN == PAGE_BYTES);

/// A line of an entry.
pub(super) type Line = [AtomicU64; LINE_WORDS];

/// The lines of all entries that a table may have.
#[derive(Debug)]
pub(crate) struct Lines {
    arena: Arena,
    segment_log2: u32,
    /// Entries that there is room for: so many lines lie before the second ones.
    entry_count: usize,
}

impl Lines {
    /// Of so many segments. Where they are large, first lines are in huge pages; second ones in small ones, so that the few
    /// that are taken take little.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub(super) fn new(segment_count: usize, segment_log2: u32, is_large: bool) -> Result<Self, StoreError> {
        let entry_count = segment_count << segment_log2;
        let large_word_count = if is_large { entry_count * LINE_WORDS } else { 0 };
        Ok(Self { arena: Arena::new(2 * entry_count * LINE_WORDS, large_word_count)?, segment_log2, entry_count })
    }

    #[inline(always)]
    fn all(&self) -> &[Line] {
        self.arena.words().as_chunks().0
    }

    /// The line of an entry that says whose it is.
    #[inline(always)]
    pub(super) fn first(&self, entry: usize) -> &Line {
        &self.all()[entry]
    }

    /// The line of an entry that only long values take.
    #[inline(always)]
    pub(super) fn second(&self, entry: usize) -> &Line {
        &self.all()[self.entry_count + entry]
    }

    /// Asks for the first line of an entry.
    #[inline(always)]
    pub(super) fn prefetch(&self, entry: usize) {
        self.arena.prefetch(entry * LINE_WORDS);
    }

    /// Where the first line of an entry is on a disk, in bytes, and where the second one is.
    pub(super) const fn disk_offsets(&self, entry: usize) -> [usize; 2] {
        let segment = entry >> self.segment_log2;
        let first = (entry + (segment << self.segment_log2)) * LINE_BYTES;
        [first, first + (LINE_BYTES << self.segment_log2)]
    }

    /// Where a byte of the disk is in memory, and how many follow it there as they do on the disk.
    const fn memory_run(&self, disk_offset: usize) -> (usize, usize) {
        let half_bytes = LINE_BYTES << self.segment_log2;
        let (half, rest) = (disk_offset / half_bytes, disk_offset % half_bytes);
        let before = if half.is_multiple_of(2) { 0 } else { self.entry_count * LINE_BYTES };
        (before + half / 2 * half_bytes + rest, half_bytes - rest)
    }

    /// A page as it is on a disk: sequences are zero there.
    pub(super) fn copy_page(&self, disk_offset: usize, page: &mut [u8]) {
        let (start, _) = self.memory_run(disk_offset);
        let is_first = start < self.entry_count * LINE_BYTES;
        let words = &self.arena.words()[start / 8..(start + page.len()) / 8];
        for (index, (bytes, word)) in page.chunks_exact_mut(8).zip(words).enumerate() {
            let is_sequence = is_first && index.is_multiple_of(LINE_WORDS);
            let word = if is_sequence { 0 } else { word.load(Relaxed) };
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
}

impl PageTarget for Lines {
    fn copy(&mut self, offset: usize, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let (start, run) = self.memory_run(offset + done);
            let count = run.min(bytes.len() - done);
            self.arena.copy(start, &bytes[done..done + count]);
            done += count;
        }
    }

    fn map(
        &mut self,
        offset: usize,
        len_bytes: usize,
        file: BorrowedFd<'_>,
        file_offset: u64,
    ) -> Result<(), StoreError> {
        let mut done = 0;
        while done < len_bytes {
            let (start, run) = self.memory_run(offset + done);
            let count = run.min(len_bytes - done);
            self.arena.map(start, count, file, file_offset + done as u64)?;
            done += count;
        }
        Ok(())
    }
}
