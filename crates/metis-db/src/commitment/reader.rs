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
                Ok(self.layers[layer - 1].parts[link.part()].node(kind, index))
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

    /// Asks for the rest of a branch, whose first bytes are here by now.
    #[inline]
    pub(super) fn prefetch_rest(&self, link: Link) {
        let Some(id) = link.stored_id() else { return };
        if let Ok(bytes) = layout::node_bytes(self.region, id) {
            let offset = id as usize * layout::UNIT_BYTES;
            for line in (offset + 128..offset + bytes.len() + 63).step_by(64) {
                prefetch(self.region, line);
            }
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
