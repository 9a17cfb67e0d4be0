//! The one writer of a table.

use std::sync::{
    Arc,
    atomic::{
        Ordering::{Relaxed, Release},
        fence,
    },
};

use super::{
    layout::{ENTRY_WORDS, KEY_WORD, KIND_ABSENT, KIND_EMPTY, KIND_PRESENT, Layout, Seed, Stated},
    lines::{ENTRY_BYTES, LINE_WORDS, Line},
    pages::{PageChanges, PagedBytes},
    table::{DEPTH_MAX, SEGMENT_COUNT_MAX, Table},
};
use crate::StoreError;

/// What only the writer knows of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segment {
    /// Upper bits of the hash that all its keys share.
    pub(super) depth: u32,
    /// Entries that are not empty.
    pub(super) used: usize,
    /// Entries of deleted keys among them.
    pub(super) absent: usize,
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
    pub(super) table: Arc<Table<L>>,
    pub(super) segments: Vec<Segment>,
    /// Segments that the directory no longer names.
    pub(super) free: Vec<usize>,
    /// Pages of entries that changed.
    pub(super) changes: PageChanges,
}

impl<L: Layout> TableWriter<L> {
    /// An empty table.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub(crate) fn new(seed: Seed, segment_log2: u32) -> Result<Self, StoreError> {
        Table::new(seed, segment_log2).map(Self::of)
    }

    pub(super) fn of(table: Table<L>) -> Self {
        let segments = vec![Segment::default()];
        Self { table: Arc::new(table), segments, free: Vec::new(), changes: PageChanges::default() }
    }

    /// What readers share.
    pub(crate) const fn table(&self) -> &Arc<Table<L>> {
        &self.table
    }

    pub(super) fn capacity(&self) -> usize {
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

    pub(super) fn set_in(
        &mut self,
        segment: usize,
        hash: u64,
        words: &[u64; 5],
        value: Option<&L::Value>,
        version: u64,
    ) {
        let home = self.table.home(hash);
        let mut position = home;
        // BOUND: a segment is never full.
        loop {
            let entry = self.table.entries_of(segment).start + position;
            let line = self.table.entries.first(entry);
            let kind = line[1].load(Relaxed) & 0xff;
            if kind != KIND_EMPTY && !Table::<L>::has_key(line, words) {
                position = self.table.after(position, home);
                continue;
            }
            let counts = &mut self.segments[segment];
            counts.used += usize::from(kind == KIND_EMPTY);
            counts.absent -= usize::from(kind == KIND_ABSENT);
            counts.absent += usize::from(value.is_none());
            let mut all = [0; ENTRY_WORDS];
            all[KEY_WORD..KEY_WORD + words.len()].copy_from_slice(words);
            let kind = value.map_or(KIND_ABSENT, |value| L::store(value, &mut all));
            all[1] = version << 8 | kind;
            self.write(entry, &all);
            return;
        }
    }

    /// Writes an entry of which word 1 says what it is; word 0 is the sequence, and left out.
    fn write(&mut self, entry: usize, words: &[u64; ENTRY_WORDS]) {
        let (first, second) = self.lines_to_write(entry, words[1] & 0xff);
        let sequence = first[0].load(Relaxed);
        first[0].store(sequence + 1, Relaxed);
        // ORDER: who sees any of the words below also sees that the sequence is odd.
        fence(Release);
        for (place, word) in first[1..].iter().zip(&words[1..]) {
            place.store(*word, Relaxed);
        }
        for (place, word) in second.into_iter().flatten().zip(&words[LINE_WORDS..]) {
            place.store(*word, Relaxed);
        }
        // ORDER: releases the words to who sees the even sequence.
        first[0].store(sequence + 2, Release);
    }

    /// The lines of an entry that change when it becomes one of another kind; they count as changed. The second one is
    /// zero unless a long value is there.
    fn lines_to_write(&mut self, entry: usize, kind: u64) -> (&Line, Option<&Line>) {
        let entries = &self.table.entries;
        let [first_offset, second_offset] = entries.disk_offsets(entry);
        self.changes.touch(first_offset, |offset, page| entries.copy_page(offset, page));
        let line = entries.first(entry);
        let has_second = kind == KIND_PRESENT || line[1].load(Relaxed) & 0xff == KIND_PRESENT;
        if has_second {
            self.changes.touch(second_offset, |offset, page| entries.copy_page(offset, page));
        }
        (line, has_second.then(|| entries.second(entry)))
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
            directory[start + index].store(table.entries_of(segment).start as u64, Release);
        }
        table.replacements.store(replacements + 2, Release);
    }

    /// Empties a segment that the directory no longer names. Readers that are still in it see each
    /// entry as it was or as empty, and then that the directory has changed.
    fn clear(&mut self, segment: usize) {
        for entry in self.table.entries_of(segment) {
            let line = self.table.entries.first(entry);
            // One that a disk had has no sequence yet.
            if line[0].load(Relaxed) != 0 || line[1].load(Relaxed) & 0xff != KIND_EMPTY {
                self.write(entry, &[0; ENTRY_WORDS]);
            }
        }
        self.segments[segment] = Segment::default();
    }

    pub(super) fn each_in(&self, segment: usize, mut visit: impl FnMut(&[u64; 5], Stated<L::Value>)) {
        for entry in self.table.entries_of(segment) {
            let line = self.table.entries.first(entry);
            let state = line[1].load(Relaxed);
            let kind = state & 0xff;
            if kind == KIND_EMPTY {
                continue;
            }
            let value = (kind != KIND_ABSENT).then(|| L::load(kind, |index| self.table.word(entry, index)));
            visit(&Table::<L>::key_of(line), Stated { version: state >> 8, value });
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
    pub(super) fn named_segments(&self) -> Vec<usize> {
        let mut named: Vec<usize> = self.table.directory_segments().collect();
        named.dedup();
        named
    }

    /// The directory, and how many segments there are memory for.
    pub(crate) fn shape(&self) -> (Vec<u32>, usize) {
        (self.table.directory_segments().map(|segment| segment as u32).collect(), self.segments.len())
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
        self.table.entries.copy_page(offset, page);
    }
}
