//! The header of a region of tries, and who uses which bytes.
//!
//! All numbers are little-endian.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `METISTRI` |
//! | 8 | 4 | version of the layout: 1 |
//! | 12 | 4 | id of the root; 0 where the trie is empty |
//! | 16 | 32 | root hash |
//! | 48 | 4 | first unit that was never used |
//! | 52 | 4 | first node that waits to be freed with all below it; 0 for none |
//! | 56 | 8 | accounts |
//! | 64 | 4 × 38 | first free node of each size in units |
//! | 4096 | | nodes |

use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;

use super::layout::{
    self, NODE_UNITS_MAX, TAG_BRANCH, TAG_EXTENSION, TAG_FREE, TAG_SLOT, UNIT_BYTES, corrupt, u16_at, u32_at,
};
use crate::{Region, StoreError};

const MAGIC: &[u8; 8] = b"METISTRI";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 4096;
const FREE_AT: usize = 64;
const UNITS_MAX: usize = 1 << 32;

const _: () = assert!(FREE_AT + 4 * (NODE_UNITS_MAX + 1) <= HEADER_BYTES);
const _: () = assert!(HEADER_BYTES.is_multiple_of(UNIT_BYTES));

/// The header, while it is being worked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Space {
    pub(super) root: u32,
    pub(super) root_hash: B256,
    pub(super) account_count: u64,
    unused: u32,
    waiting: u32,
    free: [u32; NODE_UNITS_MAX + 1],
}

impl Space {
    /// Of empty tries.
    pub(super) const fn new() -> Self {
        Self {
            root: 0,
            root_hash: EMPTY_ROOT_HASH,
            account_count: 0,
            unused: (HEADER_BYTES / UNIT_BYTES) as u32,
            waiting: 0,
            free: [0; NODE_UNITS_MAX + 1],
        }
    }

    pub(super) fn read(bytes: &[u8]) -> Result<Self, StoreError> {
        if bytes.len() < HEADER_BYTES {
            return Err(corrupt(0, "no room for the header"));
        }
        if &bytes[..8] != MAGIC {
            return Err(corrupt(0, "not a region of tries"));
        }
        if u32_at(bytes, 8) != VERSION {
            return Err(corrupt(8, "a version of the layout that is not known"));
        }
        let mut space = Self {
            root: u32_at(bytes, 12),
            root_hash: B256::from_slice(&bytes[16..48]),
            unused: u32_at(bytes, 48),
            waiting: u32_at(bytes, 52),
            account_count: u64::from(u32_at(bytes, 56)) | u64::from(u32_at(bytes, 60)) << 32,
            free: [0; NODE_UNITS_MAX + 1],
        };
        for (units, first) in space.free.iter_mut().enumerate() {
            *first = u32_at(bytes, FREE_AT + 4 * units);
        }
        let end = space.unused as usize * UNIT_BYTES;
        if end < HEADER_BYTES || end > bytes.len() {
            return Err(corrupt(48, "nodes outside the region"));
        }
        if (space.root == 0) != (space.root_hash == EMPTY_ROOT_HASH) {
            return Err(corrupt(12, "a root without its hash"));
        }
        Ok(space)
    }

    pub(super) fn write(&self, region: &mut impl Region) {
        let bytes = region.bytes_mut(0..FREE_AT + 4 * (NODE_UNITS_MAX + 1));
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.root.to_le_bytes());
        bytes[16..48].copy_from_slice(self.root_hash.as_slice());
        bytes[48..52].copy_from_slice(&self.unused.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.waiting.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.account_count.to_le_bytes());
        for (units, first) in self.free.iter().enumerate() {
            bytes[FREE_AT + 4 * units..][..4].copy_from_slice(&first.to_le_bytes());
        }
    }

    /// Bytes up to the first that was never used.
    pub(super) const fn used_bytes(&self) -> usize {
        self.unused as usize * UNIT_BYTES
    }

    /// Makes room for the header and for nodes of so many units.
    pub(super) fn reserve(&self, region: &mut impl Region, units: usize) -> Result<(), StoreError> {
        let end = self.unused as usize + units;
        if end > UNITS_MAX {
            let kind = std::io::ErrorKind::FileTooLarge;
            return Err(StoreError::Memory { len_bytes: end.saturating_mul(UNIT_BYTES), kind });
        }
        region.grow(end * UNIT_BYTES)
    }

    /// A place for a node of this size, after [`Self::reserve`].
    pub(super) fn take(&mut self, region: &impl Region, units: usize) -> u32 {
        let id = self.free[units];
        if id != 0 {
            let offset = id as usize * UNIT_BYTES;
            match region.bytes().get(offset..offset + units * UNIT_BYTES) {
                Some(bytes) if bytes[0] == TAG_FREE && usize::from(u16_at(bytes, 2)) == units => {
                    self.free[units] = u32_at(bytes, 4);
                    return id;
                }
                // A list that leads to what is not free: what is behind it is lost, nothing else.
                _ => self.free[units] = 0,
            }
        }
        let id = self.unused;
        self.unused += units as u32;
        id
    }

    /// Gives a node's place back. What cannot be a node is left alone.
    pub(super) fn give_back(&mut self, region: &mut impl Region, id: u32) {
        let Ok(bytes) = layout::node_bytes(region.bytes(), id) else { return };
        if id == 0 || bytes[0] == TAG_FREE {
            return;
        }
        let units = bytes.len().div_ceil(UNIT_BYTES);
        let offset = id as usize * UNIT_BYTES;
        let bytes = region.bytes_mut(offset..offset + 8);
        bytes[..2].copy_from_slice(&[TAG_FREE, 0]);
        bytes[2..4].copy_from_slice(&(units as u16).to_le_bytes());
        bytes[4..8].copy_from_slice(&self.free[units].to_le_bytes());
        self.free[units] = id;
    }

    /// Has a node wait to be freed with all below it: a trie of storage can be large.
    pub(super) fn cut(&mut self, region: &mut impl Region, id: u32) {
        let Ok(bytes) = layout::node_bytes(region.bytes(), id) else { return };
        if id == 0 || !matches!(bytes[0], TAG_BRANCH | TAG_EXTENSION | TAG_SLOT) {
            return;
        }
        let offset = id as usize * UNIT_BYTES;
        region.bytes_mut(offset + 4..offset + 8).copy_from_slice(&self.waiting.to_le_bytes());
        self.waiting = id;
    }

    /// Frees up to so many of the nodes that wait.
    pub(super) fn reclaim(&mut self, region: &mut impl Region, node_count_max: usize) {
        for _ in 0..node_count_max {
            let id = self.waiting;
            if id == 0 {
                return;
            }
            let Some((next, children)) = waiting_node(region.bytes(), id) else {
                // Not a node that was cut off: what waits behind it is lost, nothing else.
                self.waiting = 0;
                return;
            };
            self.waiting = next;
            for child in children.into_iter().take_while(|child| *child != 0) {
                self.cut(region, child);
            }
            self.give_back(region, id);
        }
    }
}

/// The next node that waits, and a node's children with zeros behind them.
fn waiting_node(region: &[u8], id: u32) -> Option<(u32, [u32; 16])> {
    let bytes = layout::node_bytes(region, id).ok()?;
    let mut children = [0; 16];
    match bytes[0] {
        TAG_BRANCH => {
            let count = u16_at(bytes, 2).count_ones() as usize;
            for (place, child) in children.iter_mut().enumerate().take(count) {
                *child = u32_at(bytes, 8 + 4 * place);
            }
        }
        TAG_EXTENSION => children[0] = u32_at(bytes, 8),
        TAG_SLOT => {}
        _ => return None,
    }
    Some((u32_at(bytes, 4), children))
}
