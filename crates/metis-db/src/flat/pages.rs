//! Which pages differ from the last checkpoint.

/// Bytes of a page: what a checkpoint writes or leaves out.
pub(crate) const PAGE_BYTES: usize = 4_096;

const _: () = assert!(PAGE_BYTES.is_multiple_of(super::writer::ENTRY_BYTES));

/// Bytes that a checkpoint writes, those pages of them that differ.
pub(crate) trait PagedBytes {
    fn len_bytes(&self) -> usize;
    fn dirty(&self) -> &DirtyPages;
    /// A page as it is on a disk.
    fn copy_page(&self, offset: usize, page: &mut [u8]);
    fn dirty_mut(&mut self) -> &mut DirtyPages;
}

/// One bit per page.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirtyPages {
    words: Vec<u64>,
    count: usize,
}

impl DirtyPages {
    /// The page with this byte has changed.
    #[inline]
    pub(crate) fn mark(&mut self, offset: usize) {
        let page = offset / PAGE_BYTES;
        if page / 64 >= self.words.len() {
            self.words.resize(page / 64 + 1, 0);
        }
        let word = &mut self.words[page / 64];
        self.count += usize::from(*word >> (page % 64) & 1 == 0);
        *word |= 1 << (page % 64);
    }

    /// How many pages have changed.
    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Pages that have changed, in order.
    pub(crate) fn pages(&self) -> Vec<usize> {
        let pages =
            self.words.iter().enumerate().flat_map(|(index, word)| {
                (0..64).filter(move |bit| word >> bit & 1 == 1).map(move |bit| index * 64 + bit)
            });
        pages.collect()
    }
}
