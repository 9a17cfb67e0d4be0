//! One version of the tries, to be read.

use std::sync::Arc;

use super::{
    layer::Layer,
    layout,
    node::{Link, Node},
};
use crate::StoreError;

/// The region and the layers over it, lowest first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) region: &'a [u8],
    pub(super) layers: &'a [Arc<Layer>],
}

impl<'a> Reader<'a> {
    /// The node that a link names.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], where the region has none there.
    #[inline]
    pub(super) fn node(&self, link: Link) -> Result<Node<'a>, StoreError> {
        match link.layer() {
            0 => layout::read(self.region, link.stored_id().unwrap_or(0)),
            layer => {
                let (kind, index) = link.record_place();
                self.layers[layer - 1].parts[link.part()].node(kind, index, self.region)
            }
        }
    }

    /// Asks for the first bytes of a node that will be read soon: the mask of a branch and the ids of
    /// its children, or a whole leaf.
    #[inline]
    pub(super) fn prefetch(&self, link: Link) {
        if let Some(id) = link.stored_id() {
            let offset = id as usize * layout::UNIT_BYTES;
            prefetch(self.region, offset);
            prefetch(self.region, offset + 64);
        }
    }

    /// Asks for all of a branch with so many children.
    #[inline]
    pub(super) fn prefetch_branch(&self, id: u32, child_count: usize) {
        let offset = id as usize * layout::UNIT_BYTES;
        for line in (offset..offset + layout::branch_bytes(child_count) + 63).step_by(64) {
            prefetch(self.region, line);
        }
    }
}

#[inline]
fn prefetch(bytes: &[u8], offset: usize) {
    #[cfg(target_arch = "x86_64")]
    if offset < bytes.len() {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the address is inside the slice, and a prefetch has no effect that a program sees.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().add(offset).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, offset);
}
