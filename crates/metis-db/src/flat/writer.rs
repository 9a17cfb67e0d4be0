//! The one writer of a table.

use std::sync::{
    Arc,
    atomic::{
        Ordering::{Acquire, Relaxed, Release},
        fence,
    },
};

use super::{
    arena::Arena,
    layout::{ENTRY_WORDS, KEY_WORD, KIND_ABSENT, KIND_EMPTY, Layout, Seed, Stated},
    pages::{PageChanges, PagedBytes},
    table::{DEPTH_MAX, SEGMENT_COUNT_MAX, Table},
};
use crate::StoreError;

/// Bytes of an entry.
pub(crate) const ENTRY_BYTES: usize = ENTRY_WORDS * 8;

/// What only the writer knows of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Segment {
    /// Upper bits of the hash that all its keys share.
    depth: u32,
    /// Entries that are not empty.
    used: usize,
    /// Entries of deleted keys among them.
    absent: usize,
}

/// How full an index is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableLoad {
    /// Segments that are looked into.
    pub segment_count: u64,
    /// Entries of them, of 128 bytes each.
    pub entry_count: u64,
    /// Entries that are not empty.
    pub used_count: u64,
    /// Entries of deleted keys among them.
    pub deleted_count: u64,
}

/// Changes a table. There is one per table.
#[derive(Debug)]
pub(crate) struct TableWriter<L> {
    table: Arc<Table<L>>,
    segments: Vec<Segment>,
    /// Segments that the directory no longer names.
    free: Vec<usize>,
    /// Pages of entries that changed.
    changes: PageChanges,
}

impl<L: Layout> TableWriter<L> {
    /// An empty table.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub(crate) fn new(seed: Seed, segment_log2: u32) -> Result<Self, StoreError> {
        Table::new(seed, segment_log2).map(Self::of)
    }

    fn of(table: Table<L>) -> Self {
        let segments = vec![Segment::default()];
        Self { table: Arc::new(table), segments, free: Vec::new(), changes: PageChanges::default() }
    }

    /// What readers share.
    pub(crate) const fn table(&self) -> &Arc<Table<L>> {
        &self.table
    }

    fn capacity(&self) -> usize {
        1 << self.table.segment_log2
    }

    /// Refuses more keys than there is room for, before anything has changed.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub(crate) fn reserve(&self, key_count: usize) -> Result<(), StoreError> {
        // Each replacement frees one segment and takes two; a quarter of a segment is always room.
        let needed = self.segments.len() * 2 + 2 + key_count / (self.capacity() / 4).max(1);
        if needed < SEGMENT_COUNT_MAX && self.table.depth.load(Relaxed) + 2 < DEPTH_MAX {
            return Ok(());
        }
        let len_bytes = needed * self.capacity() * ENTRY_BYTES;
        Err(StoreError::Memory { len_bytes, kind: std::io::ErrorKind::OutOfMemory })
    }

    /// Sets or deletes the value of a key, as changed by `version`. What `is_dead` says is in
    /// nobody's way: such entries are left out when a segment is replaced.
    pub(crate) fn set(
        &mut self,
        key: &L::Key,
        value: Option<&L::Value>,
        version: u64,
        is_dead: &impl Fn(&L::Key) -> bool,
    ) {
        let words = L::key_words(key);
        let hash = self.table.hash(&words);
        // BOUND: a replaced segment has room, unless all its keys share the next bit of their hash
        // too, which `DEPTH_MAX` bounds.
        loop {
            let segment = self.table.segment_of(hash);
            if self.segments[segment].used * 10 <= self.capacity() * 7 {
                self.set_in(segment, hash, &words, value, version);
                return;
            }
            self.replace(segment, hash, is_dead);
        }
    }

    fn set_in(&mut self, segment: usize, hash: u64, words: &[u64; 5], value: Option<&L::Value>, version: u64) {
        let mask = self.capacity() - 1;
        let mut position = hash as usize & mask;
        // BOUND: a segment is never full.
        loop {
            let first = self.table.first_word(segment, position);
            let entry = &self.table.entries.words()[first..first + ENTRY_WORDS];
            let kind = entry[1].load(Relaxed) & 0xff;
            if kind != KIND_EMPTY && !Table::<L>::has_key(entry, words) {
                position = (position + 1) & mask;
                continue;
            }
            let counts = &mut self.segments[segment];
            counts.used += usize::from(kind == KIND_EMPTY);
            counts.absent -= usize::from(kind == KIND_ABSENT);
            counts.absent += usize::from(value.is_none());
            self.write(first, words, value, version);
            return;
        }
    }

    fn write(&mut self, first: usize, words: &[u64; 5], value: Option<&L::Value>, version: u64) {
        self.changes.touch(first * 8, |offset, page| copy_words(&self.table.entries, offset, page));
        let entry = &self.table.entries.words()[first..first + ENTRY_WORDS];
        let sequence = entry[0].load(Relaxed);
        entry[0].store(sequence + 1, Relaxed);
        // ORDER: who sees any of the words below also sees that the sequence is odd.
        fence(Release);
        let mut words = *words;
        let kind = value
            .map_or(KIND_ABSENT, |value| L::store(value, &mut words, |index, word| entry[index].store(word, Relaxed)));
        entry[1].store(version << 8 | kind, Relaxed);
        for (index, word) in words[..L::KEY_WORDS].iter().enumerate() {
            entry[KEY_WORD + index].store(*word, Relaxed);
        }
        // ORDER: releases the words to who sees the even sequence.
        entry[0].store(sequence + 2, Release);
    }

    /// Puts one or two new segments in the place of a full one.
    fn replace(&mut self, old: usize, hash: u64, is_dead: &impl Fn(&L::Key) -> bool) {
        let Segment { depth, .. } = self.segments[old];
        let mut kept: Vec<(u64, [u64; 5], Stated<L::Value>)> = Vec::with_capacity(self.capacity());
        self.each_in(old, |words, stated| {
            if stated.value.is_some() && !is_dead(&L::key(words)) {
                kept.push((self.table.hash(words), *words, stated));
            }
        });
        let is_split = kept.len() * 2 > self.capacity();
        let new_depth = depth + u32::from(is_split);
        let new: Vec<usize> = (0..=usize::from(is_split)).map(|_| self.take_segment(new_depth)).collect();
        for (hash, words, stated) in &kept {
            let half = if is_split { (hash >> 1 >> (62 - depth)) as usize & 1 } else { 0 };
            self.set_in(new[half], *hash, words, stated.value.as_ref(), stated.version);
        }
        self.publish(hash, depth, &new);
        self.clear(old);
        self.free.push(old);
    }

    fn take_segment(&mut self, depth: u32) -> usize {
        let segment = self.free.pop().unwrap_or(self.segments.len());
        if segment == self.segments.len() {
            self.segments.push(Segment::default());
        }
        self.segments[segment] = Segment { depth, ..Segment::default() };
        segment
    }

    /// Names the new segments where the directory named the old one.
    fn publish(&self, hash: u64, depth: u32, new: &[usize]) {
        let table = &self.table;
        let replacements = table.replacements.load(Relaxed);
        table.replacements.store(replacements + 1, Relaxed);
        // ORDER: who sees any of the stores below also sees that the count has changed.
        fence(Release);
        let directory = table.directory.words();
        let mut all_depth = table.depth.load(Relaxed);
        if new.len() == 2 && depth == all_depth {
            for index in (0..1usize << all_depth).rev() {
                let segment = directory[index].load(Relaxed);
                directory[2 * index].store(segment, Release);
                directory[2 * index + 1].store(segment, Release);
            }
            all_depth += 1;
            table.depth.store(all_depth, Release);
        }
        // All entries whose upper `depth` bits are those of the hash.
        let span = 1usize << (all_depth - depth);
        let start = Table::<L>::directory_index(hash, all_depth) & !(span - 1);
        for index in 0..span {
            let segment = new[index * new.len() / span];
            // ORDER: releases what was written into the segment.
            directory[start + index].store(segment as u64, Release);
        }
        table.replacements.store(replacements + 2, Release);
    }

    /// Empties a segment that the directory no longer names. Readers that are still in it see each
    /// entry as it was or as empty, and then that the directory has changed.
    fn clear(&mut self, segment: usize) {
        for position in 0..self.capacity() {
            let first = self.table.first_word(segment, position);
            let entry = &self.table.entries.words()[first..first + ENTRY_WORDS];
            let sequence = entry[0].load(Relaxed);
            // One that a disk had has no sequence yet.
            if sequence == 0 && entry[1].load(Relaxed) & 0xff == KIND_EMPTY {
                continue;
            }
            self.changes.touch(first * 8, |offset, page| copy_words(&self.table.entries, offset, page));
            entry[0].store(sequence + 1, Relaxed);
            // ORDER: as in `write`.
            fence(Release);
            for word in &entry[1..] {
                word.store(0, Relaxed);
            }
            entry[0].store(sequence + 2, Release);
        }
        self.segments[segment] = Segment::default();
    }

    fn each_in(&self, segment: usize, mut visit: impl FnMut(&[u64; 5], Stated<L::Value>)) {
        for position in 0..self.capacity() {
            let first = self.table.first_word(segment, position);
            let entry = &self.table.entries.words()[first..first + ENTRY_WORDS];
            let state = entry[1].load(Relaxed);
            if state & 0xff == KIND_EMPTY {
                continue;
            }
            let kind = state & 0xff;
            let value = (kind != KIND_ABSENT).then(|| L::load(kind, |index| entry[index].load(Relaxed)));
            visit(&Table::<L>::key_of(entry), Stated { version: state >> 8, value });
        }
    }

    /// Every key with its value, in no particular order.
    pub(crate) fn each(&self, mut visit: impl FnMut(L::Key, L::Value)) {
        for segment in self.named_segments() {
            self.each_in(segment, |words, stated| {
                if let Some(value) = stated.value {
                    visit(L::key(words), value);
                }
            });
        }
    }

    /// How full it is.
    pub(crate) fn load(&self) -> TableLoad {
        let segments = self.named_segments();
        let (mut used, mut deleted) = (0, 0);
        for segment in &segments {
            used += self.segments[*segment].used as u64;
            deleted += self.segments[*segment].absent as u64;
        }
        let entry_count = (segments.len() * self.capacity()) as u64;
        TableLoad { segment_count: segments.len() as u64, entry_count, used_count: used, deleted_count: deleted }
    }

    /// Segments that the directory names, each once, in its order.
    fn named_segments(&self) -> Vec<usize> {
        // ORDER: its own stores; the writer is one.
        let count = 1usize << self.table.depth.load(Acquire);
        let mut named: Vec<usize> =
            self.table.directory.words()[..count].iter().map(|word| word.load(Relaxed) as usize).collect();
        named.dedup();
        named
    }

    /// The directory, and how many segments there are memory for.
    pub(crate) fn shape(&self) -> (Vec<u32>, usize) {
        let count = 1usize << self.table.depth.load(Relaxed);
        let directory = self.table.directory.words()[..count].iter().map(|word| word.load(Relaxed) as u32).collect();
        (directory, self.segments.len())
    }

    /// A table as it was, from its directory and what `fill` puts into the memory of its entries, of which it is told
    /// how many bytes there are.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for what no table can have written, [`StoreError::Memory`].
    pub(crate) fn restore(
        seed: Seed,
        segment_log2: u32,
        directory: &[u32],
        segment_count: usize,
        fill: impl FnOnce(&mut Arena, usize) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let corrupt = |problem| StoreError::Corrupt { part: "index of the state", offset: 0, problem };
        let depth = directory.len().checked_ilog2().unwrap_or(0);
        if !directory.len().is_power_of_two() || depth > DEPTH_MAX || segment_count > SEGMENT_COUNT_MAX {
            return Err(corrupt("a directory of impossible size"));
        }
        let mut table = Table::new(seed, segment_log2)?;
        fill(&mut table.entries, (segment_count << segment_log2) * ENTRY_BYTES)?;
        let mut writer = Self::of(table);
        let table = Arc::clone(&writer.table);
        writer.segments = vec![Segment::default(); segment_count];
        writer.name_segments(directory, depth).ok_or(corrupt("a directory that names no tree"))?;
        table.depth.store(depth, Release);
        writer.count_entries().ok_or(corrupt("an entry where its key does not belong"))?;
        Ok(writer)
    }

    /// Takes over a directory: each segment must own one aligned run of it.
    fn name_segments(&mut self, directory: &[u32], depth: u32) -> Option<()> {
        let mut is_named = vec![false; self.segments.len()];
        let mut start = 0;
        while start < directory.len() {
            let segment = directory[start];
            let run = directory[start..].iter().take_while(|other| **other == segment).count();
            let is_aligned = run.is_power_of_two() && start % run == 0;
            let named = is_named.get_mut(segment as usize)?;
            if !is_aligned || std::mem::replace(named, true) {
                return None;
            }
            self.segments[segment as usize].depth = depth - run.ilog2();
            for index in start..start + run {
                self.table.directory.words()[index].store(u64::from(segment), Relaxed);
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
            if !is_right || used * 10 > self.capacity() * 7 + 10 {
                return None;
            }
            let depth = self.segments[segment].depth;
            self.segments[segment] = Segment { depth, used, absent };
        }
        Some(())
    }
}

impl<L: Layout> PagedBytes for TableWriter<L> {
    fn len_bytes(&self) -> usize {
        self.segments.len() * self.capacity() * ENTRY_BYTES
    }

    fn changes(&self) -> &PageChanges {
        &self.changes
    }

    fn copy_page(&self, offset: usize, page: &mut [u8]) {
        copy_words(&self.table.entries, offset, page);
    }
}

/// A page of entries as it is on a disk: sequences are zero there.
fn copy_words(entries: &Arena, offset: usize, page: &mut [u8]) {
    let words = &entries.words()[offset / 8..(offset + page.len()) / 8];
    for (index, (bytes, word)) in page.chunks_exact_mut(8).zip(words).enumerate() {
        let word = if index % ENTRY_WORDS == 0 { 0 } else { word.load(Relaxed) };
        bytes.copy_from_slice(&word.to_le_bytes());
    }
}
