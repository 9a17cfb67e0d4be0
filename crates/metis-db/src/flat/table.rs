//! The index that readers look into: extendible hashing over segments of entries.
//!
//! The upper bits of a key's hash choose a segment through the directory, the lower ones a place in
//! it; from there entries are probed one after the other. Readers take no lock. An entry is read
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
    layout::{ENTRY_WORDS, KEY_WORD, KIND_ABSENT, KIND_EMPTY, Layout, Seed, Stated},
};
use crate::StoreError;

/// Entries of a segment that nobody asked to be smaller: one huge page.
pub(crate) const SEGMENT_LOG2: u32 = 14;
/// BOUND: segments that one table may have; 2³⁴ entries of the usual size.
pub(super) const SEGMENT_COUNT_MAX: usize = 1 << 17;
/// BOUND: upper bits of a hash that the directory may use.
pub(super) const DEPTH_MAX: u32 = 20;

/// An index from the keys of a layout to their values.
#[derive(Debug)]
pub(crate) struct Table<L> {
    pub(super) entries: Arena,
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
            entries: Arena::new((SEGMENT_COUNT_MAX << segment_log2) * ENTRY_WORDS, segment_log2 == SEGMENT_LOG2)?,
            directory: Arena::new(1 << DEPTH_MAX, false)?,
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

    #[inline(always)]
    pub(super) fn segment_of(&self, hash: u64) -> usize {
        // ORDER: acquires what was written into a segment before the directory named it.
        self.directory.words()[Self::directory_index(hash, self.depth.load(Acquire))].load(Acquire) as usize
    }

    #[inline(always)]
    pub(super) fn first_word(&self, segment: usize, position: usize) -> usize {
        ((segment << self.segment_log2) + position) * ENTRY_WORDS
    }

    /// Brings what a later [`Self::get`] reads nearer.
    #[inline(always)]
    pub(crate) fn prefetch(&self, key: &L::Key) {
        let hash = self.hash(&L::key_words(key));
        let mask = (1usize << self.segment_log2) - 1;
        let word = self.first_word(self.segment_of(hash), hash as usize & mask);
        // Most values are short: the second line is seldom looked at.
        self.entries.prefetch(word);
    }

    /// What the newest entry of a key says; `None` where there is none.
    // Always a part of who calls it: the value then goes to where it is wanted word by word. As a
    // function it would be copied twice on its way there, and each copy waits for the one before.
    #[inline(always)]
    pub(crate) fn get(&self, key: &L::Key) -> Option<Stated<L::Value>> {
        let words = L::key_words(key);
        let hash = self.hash(&words);
        let mask = (1usize << self.segment_log2) - 1;
        // BOUND: once more for each time a segment is replaced while it is looked into.
        loop {
            // ORDER: acquires the directory that this count stands for.
            let before = self.replacements.load(Acquire);
            let segment = self.segment_of(hash);
            let mut position = hash as usize & mask;
            // BOUND: segments are never full, so an empty entry comes; one that is written at this
            // moment is looked at again, for the time of sixteen stores.
            loop {
                let entry = self.entry(self.first_word(segment, position));
                // ORDER: acquires the words that belong to this sequence.
                let sequence = entry[0].load(Acquire);
                let state = entry[1].load(Relaxed);
                let kind = state & 0xff;
                let is_same = Self::has_key(entry, &words);
                let is_found = is_same && kind != KIND_EMPTY;
                // Only what is found has a value, and a deleted one's is not looked at.
                let value = is_found.then(|| L::load(kind, |index| entry[index].load(Relaxed)));
                // ORDER: the looks at the words come before the second one at the sequence.
                fence(Acquire);
                if !sequence.is_multiple_of(2) || entry[0].load(Relaxed) != sequence {
                    core::hint::spin_loop();
                } else if is_found {
                    return Some(Stated { version: state >> 8, value: value.filter(|_| kind != KIND_ABSENT) });
                } else if kind == KIND_EMPTY {
                    break;
                } else {
                    position = (position + 1) & mask;
                }
            }
            // ORDER: the looks at the entries come before this one at the count.
            fence(Acquire);
            if before.is_multiple_of(2) && self.replacements.load(Relaxed) == before {
                return None;
            }
            core::hint::spin_loop();
        }
    }

    #[inline(always)]
    pub(super) fn has_key(entry: &[AtomicU64], words: &[u64; 5]) -> bool {
        (0..L::KEY_WORDS).all(|index| L::key_word(index, entry[KEY_WORD + index].load(Relaxed)) == words[index])
    }

    /// The words of an entry's key; the others are zero.
    pub(super) fn key_of(entry: &[AtomicU64]) -> [u64; 5] {
        let mut words = [0; 5];
        for (index, word) in words[..L::KEY_WORDS].iter_mut().enumerate() {
            *word = L::key_word(index, entry[KEY_WORD + index].load(Relaxed));
        }
        words
    }

    /// The words of an entry, after one check of the bounds.
    #[inline(always)]
    fn entry(&self, first: usize) -> &[AtomicU64; ENTRY_WORDS] {
        // UNWRAP: as many words as the array has.
        self.entries.words()[first..first + ENTRY_WORDS].try_into().unwrap()
    }

    /// Keys that a condition holds for, deleted ones too. Looks at every entry.
    pub(crate) fn keys_where(&self, is_wanted: impl Fn(&L::Key) -> bool) -> Vec<L::Key> {
        // BOUND: once more for each time a segment is replaced meanwhile.
        loop {
            let before = self.replacements.load(Acquire);
            let count = 1usize << self.depth.load(Acquire);
            let mut segments: Vec<usize> =
                self.directory.words()[..count].iter().map(|word| word.load(Acquire) as usize).collect();
            segments.dedup();
            let positions =
                segments.into_iter().flat_map(|segment| (0..1 << self.segment_log2).map(move |p| (segment, p)));
            let keys = positions.filter_map(|(segment, position)| self.key_at(self.first_word(segment, position)));
            let keys = keys.filter(&is_wanted).collect();
            // ORDER: as in `get`.
            fence(Acquire);
            if before.is_multiple_of(2) && self.replacements.load(Relaxed) == before {
                return keys;
            }
        }
    }

    fn key_at(&self, first: usize) -> Option<L::Key> {
        let entry = self.entry(first);
        // BOUND: an entry is odd for the time of sixteen stores.
        loop {
            // ORDER: as in `get`.
            let before = entry[0].load(Acquire);
            let kind = entry[1].load(Relaxed) & 0xff;
            let words = Self::key_of(entry);
            fence(Acquire);
            if before.is_multiple_of(2) && entry[0].load(Relaxed) == before {
                return (kind != KIND_EMPTY).then(|| L::key(&words));
            }
            core::hint::spin_loop();
        }
    }
}
