//! Which pages differ from the last checkpoint, and what they were when the one that is written began.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Bytes of a page: what a checkpoint writes or leaves out.
pub(crate) const PAGE_BYTES: usize = 4_096;

/// Bytes that a checkpoint writes, those pages of them that differ.
pub(crate) trait PagedBytes {
    fn len_bytes(&self) -> usize;
    fn changes(&self) -> &PageChanges;
    /// A page as it is on a disk.
    fn copy_page(&self, offset: usize, page: &mut [u8]);
}

/// One bit per page.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageSet {
    words: Vec<u64>,
    count: usize,
}

impl PageSet {
    #[inline]
    fn insert(&mut self, page: usize) {
        if page / 64 >= self.words.len() {
            self.words.resize(page / 64 + 1, 0);
        }
        let word = &mut self.words[page / 64];
        self.count += usize::from(*word >> (page % 64) & 1 == 0);
        *word |= 1 << (page % 64);
    }

    /// Says whether it was there.
    #[inline]
    fn remove(&mut self, page: usize) -> bool {
        let Some(word) = self.words.get_mut(page / 64) else { return false };
        let is_there = *word >> (page % 64) & 1 == 1;
        *word &= !(1 << (page % 64));
        self.count -= usize::from(is_there);
        is_there
    }

    /// All of them, in order.
    pub(crate) fn pages(&self) -> Vec<usize> {
        let pages =
            self.words.iter().enumerate().flat_map(|(index, word)| {
                (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * 64 + bit)
            });
        pages.collect()
    }
}

/// What changes, page by page: since the last checkpoint, and while the next one is written.
#[derive(Debug, Default)]
pub(crate) struct PageChanges(Mutex<Sets>);

#[derive(Debug, Default)]
struct Sets {
    /// Pages that differ from the last checkpoint, or from the one that is written.
    dirty: PageSet,
    /// Pages that are part of the checkpoint that is written, and still what they were when it began.
    frozen: PageSet,
    /// Those of them that have changed meanwhile, as they were.
    saved: HashMap<usize, Box<[u8]>>,
}

impl PageChanges {
    /// The page with this byte is about to change; `copy` fills in what it still is, from an offset on.
    #[inline]
    pub(crate) fn touch(&mut self, offset: usize, copy: impl FnOnce(usize, &mut [u8])) {
        let page = offset / PAGE_BYTES;
        let sets = self.0.get_mut();
        sets.dirty.insert(page);
        if sets.frozen.remove(page) {
            let mut bytes = vec![0; PAGE_BYTES].into_boxed_slice();
            copy(page * PAGE_BYTES, &mut bytes);
            sets.saved.insert(page, bytes);
        }
    }

    /// The next checkpoint writes these pages, whether they change or not.
    pub(crate) fn mark(&self, pages: impl IntoIterator<Item = usize>) {
        let sets = &mut *self.0.lock();
        pages.into_iter().for_each(|page| sets.dirty.insert(page));
    }

    /// How many pages have changed.
    pub(crate) fn count(&self) -> usize {
        self.0.lock().dirty.count
    }

    /// A checkpoint begins: what differs is part of it, and stays to be had as it is now, until [`Self::thaw`].
    pub(crate) fn freeze(&self) -> PageSet {
        let sets = &mut *self.0.lock();
        sets.frozen = std::mem::take(&mut sets.dirty);
        sets.frozen.clone()
    }

    /// Adds pages to `out` as they were when the checkpoint began; each is to be had once.
    pub(crate) fn copy_frozen(part: &dyn PagedBytes, pages: &[usize], out: &mut Vec<u8>) {
        let sets = &mut *part.changes().0.lock();
        for page in pages {
            if sets.frozen.remove(*page) {
                let start = out.len();
                out.resize(start + PAGE_BYTES, 0);
                part.copy_page(page * PAGE_BYTES, &mut out[start..]);
            } else if let Some(bytes) = sets.saved.remove(page) {
                out.extend_from_slice(&bytes);
            }
        }
    }

    /// No checkpoint is written any more.
    pub(crate) fn thaw(&self) {
        let sets = &mut *self.0.lock();
        (sets.frozen, sets.saved) = (PageSet::default(), HashMap::new());
    }
}
