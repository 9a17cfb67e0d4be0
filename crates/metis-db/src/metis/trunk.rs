//! The tries of the newest version, in pages that checkpoints write.

use std::{ops::Range, sync::Arc};

use metis_state_transition::ChangeSet;

use super::{cores::Cores, versions::Version};
use crate::{
    HeapRegion, Region, StoreError, TrieOverlay, Tries,
    flat::{PAGE_BYTES, PageChanges, PagedBytes},
};

/// Address space of the tries: what their ids reach.
const RESERVED_BYTES: usize = 64 << 30;

/// A region that knows which pages changed.
#[derive(Debug)]
pub(super) struct PagedRegion {
    region: HeapRegion,
    changes: PageChanges,
}

impl Region for PagedRegion {
    fn bytes(&self) -> &[u8] {
        self.region.bytes()
    }

    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        for page in range.start / PAGE_BYTES..range.end.div_ceil(PAGE_BYTES) {
            self.changes.touch(page * PAGE_BYTES, |offset, bytes| copy_bytes(&self.region, offset, bytes));
        }
        self.region.bytes_mut(range)
    }

    fn grow(&mut self, len_min: usize) -> Result<(), StoreError> {
        self.region.grow(len_min)
    }
}

impl PagedBytes for PagedRegion {
    fn len_bytes(&self) -> usize {
        self.region.bytes().len()
    }

    fn changes(&self) -> &PageChanges {
        &self.changes
    }

    fn copy_page(&self, offset: usize, page: &mut [u8]) {
        copy_bytes(&self.region, offset, page);
    }
}

fn copy_bytes(region: &HeapRegion, offset: usize, bytes: &mut [u8]) {
    bytes.copy_from_slice(&region.bytes()[offset..offset + bytes.len()]);
}

/// The tries, and the version that they commit to.
#[derive(Debug)]
pub(super) struct Trunk {
    pub(super) tries: Tries<PagedRegion>,
    pub(super) version: Arc<Version>,
}

impl Trunk {
    /// Empty tries.
    pub(super) fn new(version: &Arc<Version>) -> Result<Self, StoreError> {
        let region = PagedRegion { region: HeapRegion::new(RESERVED_BYTES)?, changes: PageChanges::default() };
        Ok(Self { tries: Tries::create(region)?, version: Arc::clone(version) })
    }

    /// Tries as they were: `fill` puts so many bytes into their memory.
    pub(super) fn restore_tries(
        len_bytes: usize,
        fill: impl FnOnce(&mut HeapRegion) -> Result<(), StoreError>,
    ) -> Result<Tries<PagedRegion>, StoreError> {
        let mut region = HeapRegion::new(RESERVED_BYTES)?;
        region.grow(len_bytes)?;
        fill(&mut region)?;
        Tries::open(PagedRegion { region, changes: PageChanges::default() })
    }

    /// The tries after changes to the version of an overlay, or to the newest. On as many threads as
    /// the changes are worth.
    pub(super) fn after(&self, below: Option<&TrieOverlay>, changes: &ChangeSet) -> Result<TrieOverlay, StoreError> {
        let cores = Cores::get();
        match below {
            None => self.tries.after(changes, &cores, cores.count()),
            Some(below) => self.tries.after_overlay(below, changes, &cores, cores.count()),
        }
    }
}
