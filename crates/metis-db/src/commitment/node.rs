//! What a node is, wherever it lies.

use alloy_primitives::{B256, U256};
use metis_state_transition::Account;

use super::path::Path;

/// Where a node lies: in the region, or in a layer over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link(u64);

/// The kind of a record in a layer, as its link tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordKind {
    Branch,
    Extension,
    Leaf,
}

/// Records of one kind in one part of a layer, at most.
pub(super) const RECORD_COUNT_MAX: usize = 1 << 30;

impl Link {
    /// No node: an empty trie.
    pub(super) const NONE: Self = Self(0);

    /// A node in the region.
    #[inline]
    pub(super) const fn stored(id: u32) -> Self {
        Self(id as u64)
    }

    /// A record. Layers are counted from 1.
    #[inline]
    pub(super) const fn record(layer: u16, part: u16, kind: RecordKind, index: usize) -> Self {
        let kind = match kind {
            RecordKind::Branch => 0,
            RecordKind::Extension => 1,
            RecordKind::Leaf => 2,
        };
        Self((layer as u64) << 48 | (part as u64) << 32 | kind << 30 | index as u64)
    }

    #[inline]
    pub(super) const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Layer; 0 is the region.
    #[inline]
    pub(super) const fn layer(self) -> usize {
        (self.0 >> 48) as usize
    }

    /// Part of its layer.
    #[inline]
    pub(super) const fn part(self) -> usize {
        (self.0 >> 32 & 0xffff) as usize
    }

    /// Kind and index of a record.
    #[inline]
    pub(super) const fn record_place(self) -> (RecordKind, usize) {
        let kind = match self.0 >> 30 & 3 {
            0 => RecordKind::Branch,
            1 => RecordKind::Extension,
            _ => RecordKind::Leaf,
        };
        (kind, (self.0 & (RECORD_COUNT_MAX as u64 - 1)) as usize)
    }

    /// Id of a node in the region.
    #[inline]
    pub(super) const fn stored_id(self) -> Option<u32> {
        if self.layer() == 0 && self.0 != 0 { Some(self.0 as u32) } else { None }
    }
}

/// What a parent has of a child: its hash, or its encoding where that is shorter than a hash
/// (Yellow Paper appendix D).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// A hash, or a list's encoding with zeros behind it.
    pub(super) bytes: [u8; 32],
    pub(super) is_embedded: bool,
}

impl Reference {
    #[inline]
    pub(super) const fn hash(bytes: [u8; 32]) -> Self {
        Self { bytes, is_embedded: false }
    }

    /// Of an encoding that is shorter than a hash.
    pub(super) fn embedded(encoding: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes[..encoding.len()].copy_from_slice(encoding);
        Self { bytes, is_embedded: true }
    }

    /// The embedded encoding; `None` where the bytes are no list shorter than a hash.
    #[inline]
    pub(super) fn encoding(&self) -> Option<&[u8]> {
        let payload = usize::from(self.bytes[0].checked_sub(0xc0)?);
        (payload <= 30).then(|| &self.bytes[..=payload])
    }
}

/// A node with its children.
#[derive(Clone, Copy, Debug)]
pub(super) enum Node<'a> {
    Branch(Branch<'a>),
    Extension(Extension),
    Leaf(Leaf),
}

/// At least two children, one per next nibble.
#[derive(Clone, Copy, Debug)]
pub(super) struct Branch<'a> {
    /// Nibbles that have a child.
    pub(super) mask: u16,
    /// Nibbles whose child is embedded.
    pub(super) embedded: u16,
    /// Nibbles that have a place in the arrays: these and maybe others.
    pub(super) places: u16,
    pub(super) links: Links<'a>,
    pub(super) references: &'a [[u8; 32]],
    /// Children that are others than the arrays say.
    pub(super) changes: Changes<'a>,
}

/// Children in the place of those of a node that lies elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Changes<'a> {
    /// Nibbles whose child counts.
    pub(super) nibbles: u16,
    /// Nibbles that have a place in the arrays: these and maybe more.
    pub(super) places: u16,
    pub(super) links: &'a [Link],
    pub(super) references: &'a [[u8; 32]],
}

/// Links of children.
#[derive(Clone, Copy, Debug)]
pub(super) enum Links<'a> {
    Stored(&'a [[u8; 4]]),
    Record(&'a [Link]),
}

/// Where a nibble's child is in arrays that hold one place per set bit.
#[inline]
pub(super) const fn rank(places: u16, nibble: u8) -> usize {
    (places & ((1 << nibble) - 1)).count_ones() as usize
}

/// The set bits of a mask, lowest first.
#[inline]
pub(super) fn nibbles_of(mut mask: u16) -> impl Iterator<Item = u8> {
    core::iter::from_fn(move || {
        (mask != 0).then(|| {
            let nibble = mask.trailing_zeros() as u8;
            mask &= mask - 1;
            nibble
        })
    })
}

impl Branch<'_> {
    #[inline]
    pub(super) fn link(&self, nibble: u8) -> Link {
        if self.changes.nibbles >> nibble & 1 != 0 {
            return self.changes.links[rank(self.changes.places, nibble)];
        }
        let rank = rank(self.places, nibble);
        match self.links {
            Links::Stored(ids) => Link::stored(u32::from_le_bytes(ids[rank])),
            Links::Record(links) => links[rank],
        }
    }

    #[inline]
    pub(super) fn reference(&self, nibble: u8) -> Reference {
        let bytes = if self.changes.nibbles >> nibble & 1 != 0 {
            self.changes.references[rank(self.changes.places, nibble)]
        } else {
            self.references[rank(self.places, nibble)]
        };
        Reference { bytes, is_embedded: self.embedded >> nibble & 1 != 0 }
    }
}

/// A path that all keys below share; the child is a branch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension {
    pub(super) path: Path,
    pub(super) child: Link,
    pub(super) reference: Reference,
}

/// A whole key and its value. Where in the trie it hangs does not matter to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) key: B256,
    pub(super) value: Value,
}

/// What a leaf holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// In the trie of accounts.
    Account { account: Account, storage: Link, storage_root: B256 },
    /// In an account's trie of storage; not zero.
    Slot(U256),
}
