//! The index that readers look into: extendible hashing over segments of entries.
//!
//! The upper bits of a key's hash choose a segment through the directory, the lower ones a place in
//! it; from there entries are probed two by two, as they share a pair of cache lines. Readers take no lock. An entry is read
//! between two looks at its sequence, so no value is torn. An entry that is found is right for every
//! version from its last change on. One that is not found is only missing when no segment was
//! replaced meanwhile, which the count of replacements tells. What belongs to a segment never moves
//! inside it; a full one is replaced by two new ones.

use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed},
    fence,
};

use super::{
    arena::Arena,
    layout::{KEY_WORD, KIND_ABSENT, KIND_EMPTY, KIND_PRESENT, KIND_SHORT, Layout, Seed, Stated},
    lines::{LINE_WORDS, Line, Lines},
};
use crate::StoreError;

/// Entries of a segment that nobody asked to be smaller: half a huge page of first lines.
pub(crate) const SEGMENT_LOG2: u32 = 14;
/// BOUND: segments that one table may have; 2³⁴ entries of the usual size.
pub(super) const SEGMENT_COUNT_MAX: usize = 1 << 17;
/// BOUND: upper bits of a hash that the directory may use.
pub(super) const DEPTH_MAX: u32 = 20;

/// An index from the keys of a layout to their values.
#[derive(Debug)]
pub(crate) struct Table<L> {
    pub(super) entries: Lines,
    /// Entries before each segment.
    pub(super) directory: Arena,
    pub(super) depth: AtomicU32,
    /// Odd while the directory is written; another number after each time it was.
    pub(super) replacements: AtomicU64,
    pub(super) seed: Seed,
    pub(super) segment_log2: u32,
    layout: core::marker::PhantomData<fn() -> L>,
}

impl<L: Layout> Table<L> {
    /// An empty table of one segment.
    pub(super) fn new(seed: Seed, segment_log2: u32) -> Result<Self, StoreError> {
        Ok(Self {
            entries: Lines::new(SEGMENT_COUNT_MAX, segment_log2, segment_log2 == SEGMENT_LOG2)?,
            directory: Arena::new(1 << DEPTH_MAX, 0)?,
            depth: AtomicU32::new(0),
            replacements: AtomicU64::new(0),
            seed,
            segment_log2,
            layout: core::marker::PhantomData,
        })
    }

    #[inline(always)]
    pub(super) fn hash(&self, words: &[u64; 5]) -> u64 {
        L::hash(&self.seed, words)
    }

    #[inline(always)]
    pub(super) const fn directory_index(hash: u64, depth: u32) -> usize {
        (hash >> 1 >> (63 - depth)) as usize
    }

    /// How many entries lie before the segment of a hash.
    #[inline(always)]
    fn start_of(&self, hash: u64) -> usize {
        // ORDER: acquires what was written into a segment before the directory named it.
        self.directory.words()[Self::directory_index(hash, self.depth.load(Acquire))].load(Acquire) as usize
    }

    pub(super) fn segment_of(&self, hash: u64) -> usize {
        self.start_of(hash) >> self.segment_log2
    }

    /// Segments as the directory names them.
    pub(super) fn directory_segments(&self) -> impl Iterator<Item = usize> {
        // ORDER: acquires the directory that has this depth, and what was written into its segments.
        let count = 1usize << self.depth.load(Acquire);
        self.directory.words()[..count].iter().map(|start| start.load(Acquire) as usize >> self.segment_log2)
    }

    /// Where a key is looked for first in its segment.
    #[inline(always)]
    pub(super) const fn home(&self, hash: u64) -> usize {
        hash as usize & ((1 << self.segment_log2) - 1)
    }

    /// Where a key is looked for after a position: in the other of a pair, then in the next pair.
    #[inline(always)]
    pub(super) const fn after(&self, position: usize, home: usize) -> usize {
        let other = position ^ 1;
        let is_pair_done = (position ^ home) & 1 == 1;
        if is_pair_done { (other + 2) & ((1 << self.segment_log2) - 1) } else { other }
    }

    /// Brings what a later [`Self::get`] reads nearer.
    #[inline(always)]
    pub(crate) fn prefetch(&self, key: &L::Key) {
        let hash = self.hash(&L::key_words(key));
        // Most values are short: the second line is seldom looked at.
        self.entries.prefetch(self.start_of(hash) + self.home(hash));
    }

    /// What the newest entry of a key says; `None` where there is none.
    // Always a part of who calls it: the value then goes to where it is wanted word by word. As a
    // function it would be copied twice on its way there, and each copy waits for the one before.
    #[inline(always)]
    pub(crate) fn get(&self, key: &L::Key) -> Option<Stated<L::Value>> {
        let words = L::key_words(key);
        let hash = self.hash(&words);
        let home = self.home(hash);
        // BOUND: once more for each time a segment is replaced while it is looked into.
        loop {
            // ORDER: acquires the directory that this count stands for.
            let before = self.replacements.load(Acquire);
            let start = self.start_of(hash);
            let mut position = home;
            // BOUND: segments are never full, so an empty entry comes; one that is written at this
            // moment is looked at again, for the time of sixteen stores.
            loop {
                let line = self.entries.first(start + position);
                // ORDER: acquires the words that belong to this sequence.
                let sequence = line[0].load(Acquire);
                let state = line[1].load(Relaxed);
                let kind = state & 0xff;
                let is_whole = || {
                    // ORDER: the looks at the words come before the second one at the sequence.
                    fence(Acquire);
                    sequence.is_multiple_of(2) && line[0].load(Relaxed) == sequence
                };
                if Self::has_key(line, &words) && kind != KIND_EMPTY {
                    // Each kind on a way of its own: what short ones have then fits into registers.
                    let (version, word) = (state >> 8, |index| self.word(start + position, index));
                    if kind == KIND_SHORT {
                        let value = Some(L::load(KIND_SHORT, word));
                        if is_whole() {
                            return Some(Stated { version, value });
                        }
                    } else {
                        // A deleted one's value is not looked at.
                        let value = (kind != KIND_ABSENT).then(|| L::load(KIND_PRESENT, word));
                        if is_whole() {
                            return Some(Stated { version, value });
                        }
                    }
                } else if is_whole() {
                    if kind == KIND_EMPTY {
                        break;
                    }
                    position = self.after(position, home);
                    continue;
                }
                core::hint::spin_loop();
            }
            // ORDER: the looks at the entries come before this one at the count.
            fence(Acquire);
            if before.is_multiple_of(2) && self.replacements.load(Relaxed) == before {
                return None;
            }
            core::hint::spin_loop();
        }
    }

    /// A word of an entry.
    #[inline(always)]
    pub(super) fn word(&self, entry: usize, index: usize) -> u64 {
        let word = if index < LINE_WORDS {
            &self.entries.first(entry)[index]
        } else {
            &self.entries.second(entry)[index - LINE_WORDS]
        };
        word.load(Relaxed)
    }

    #[inline(always)]
    pub(super) fn has_key(line: &Line, words: &[u64; 5]) -> bool {
        (0..L::KEY_WORDS).all(|index| L::key_word(index, line[KEY_WORD + index].load(Relaxed)) == words[index])
    }

    /// The words of an entry's key; the others are zero.
    pub(super) fn key_of(line: &Line) -> [u64; 5] {
        let mut words = [0; 5];
        for (index, word) in words[..L::KEY_WORDS].iter_mut().enumerate() {
            *word = L::key_word(index, line[KEY_WORD + index].load(Relaxed));
        }
        words
    }

    /// Keys that a condition holds for, deleted ones too. Looks at every entry.
    pub(crate) fn keys_where(&self, is_wanted: impl Fn(&L::Key) -> bool) -> Vec<L::Key> {
        // BOUND: once more for each time a segment is replaced meanwhile.
        loop {
            let before = self.replacements.load(Acquire);
            let mut segments: Vec<usize> = self.directory_segments().collect();
            segments.dedup();
            let entries = segments.into_iter().flat_map(|segment| self.entries_of(segment));
            let keys = entries.filter_map(|entry| self.key_at(entry));
            let keys = keys.filter(&is_wanted).collect();
            // ORDER: as in `get`.
            fence(Acquire);
            if before.is_multiple_of(2) && self.replacements.load(Relaxed) == before {
                return keys;
            }
        }
    }

    /// Entries of a segment.
    pub(super) const fn entries_of(&self, segment: usize) -> core::ops::Range<usize> {
        segment << self.segment_log2..(segment + 1) << self.segment_log2
    }

    fn key_at(&self, entry: usize) -> Option<L::Key> {
        let line = self.entries.first(entry);
        // BOUND: an entry is odd for the time of sixteen stores.
        loop {
            // ORDER: as in `get`.
            let before = line[0].load(Acquire);
            let kind = line[1].load(Relaxed) & 0xff;
            let words = Self::key_of(line);
            fence(Acquire);
            if before.is_multiple_of(2) && line[0].load(Relaxed) == before {
                return (kind != KIND_EMPTY).then(|| L::key(&words));
            }
            core::hint::spin_loop();
        }
    }
}
