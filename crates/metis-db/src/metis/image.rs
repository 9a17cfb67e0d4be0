//! What a checkpoint writes, copied out of the state while nothing changes: writing it takes time, and blocks go on.

use super::meta::Document;
use crate::flat::{DirtyPages, PAGE_BYTES, PagedBytes};

/// Pages of one part that differ from the last generation.
#[derive(Debug)]
pub(super) struct PartImage {
    dirty: DirtyPages,
    /// Length of the whole part.
    pub(super) len_bytes: usize,
    /// Positions, in order, each with a page of `bytes`.
    positions: Vec<usize>,
    bytes: Vec<u8>,
}

impl PartImage {
    /// Copies what differs. From here on it does not.
    pub(super) fn take(part: &mut dyn PagedBytes) -> Self {
        let positions = part.dirty().pages();
        let mut bytes = vec![0; positions.len() * PAGE_BYTES];
        for (position, page) in positions.iter().zip(bytes.chunks_exact_mut(PAGE_BYTES)) {
            part.copy_page(position * PAGE_BYTES, page);
        }
        let len_bytes = part.len_bytes();
        Self { dirty: std::mem::take(part.dirty_mut()), len_bytes, positions, bytes }
    }

    /// No generation has it: it differs again.
    pub(super) fn give_back(&self, part: &mut dyn PagedBytes) {
        self.dirty.pages().into_iter().for_each(|page| part.dirty_mut().mark(page * PAGE_BYTES));
    }

    /// Positions of pages with their bytes.
    pub(super) fn pages(&self) -> impl Iterator<Item = (usize, &[u8])> {
        self.positions.iter().copied().zip(self.bytes.chunks_exact(PAGE_BYTES))
    }
}

/// A state as a checkpoint writes it.
#[derive(Debug)]
pub(super) struct Image {
    /// All but where pages will be.
    pub(super) document: Document,
    /// Accounts, slots and tries.
    pub(super) parts: [PartImage; 3],
    /// Code that no generation has, encoded, and how much of it there is.
    pub(super) codes: Vec<u8>,
    pub(super) code_count: usize,
    /// Versions that it has and the last generation has not.
    pub(super) state_count: u64,
}
