//! What a version has that the one below it has not: nodes as records, in memory.

use std::sync::{Arc, OnceLock};

use alloy_primitives::B256;
use parking_lot::Mutex;

use super::{
    layout,
    node::{Branch, Changes, Extension, Leaf, Link, Links, Node, RecordKind, Reference, nibbles_of, rank},
};
use crate::StoreError;

/// Where a record's reference goes once it is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parent {
    /// A nibble of a branch.
    Branch(u32, u8),
    Extension(u32),
    /// The storage root of an account's leaf.
    Account(u32),
    /// Out of the part: to whoever gave it this place.
    Output(u32),
}

/// What every record has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    /// The node of the version below that this one stands in for.
    pub(super) old: Link,
    pub(super) parent: Parent,
    /// Nibbles above it in its trie.
    pub(super) depth: u8,
    /// Nothing is left of it, or another record took its place.
    pub(super) is_dead: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct BranchRecord {
    pub(super) head: Head,
    pub(super) mask: u16,
    pub(super) embedded: u16,
    /// Nibbles that have a place in the arrays.
    pub(super) places: u16,
    /// Nibbles whose child differs from the old node's.
    pub(super) changed: u16,
    /// Children that did not change are those of the old node: it lies in the region, and has the
    /// same nibbles. It is overwritten by nothing else than this record.
    pub(super) is_partial: bool,
    /// Where its places begin.
    pub(super) at: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ExtensionRecord {
    pub(super) head: Head,
    pub(super) extension: Extension,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct LeafRecord {
    pub(super) head: Head,
    pub(super) leaf: Leaf,
}

/// Records that one thread made.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) branches: Vec<BranchRecord>,
    /// Children of all branches: one place per set bit of [`BranchRecord::places`].
    pub(super) links: Vec<Link>,
    pub(super) references: Vec<[u8; 32]>,
    pub(super) extensions: Vec<ExtensionRecord>,
    pub(super) leaves: Vec<LeafRecord>,
    /// Nodes of the version below that are no more.
    pub(super) freed: Vec<Link>,
    /// Roots of storage that is no more, with all below them.
    pub(super) cut: Vec<Link>,
    /// Accounts that came to exist, less those that ceased to.
    pub(super) account_delta: i64,
    pub(super) work: TrieWork,
}

/// What hashing a version took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrieWork {
    /// Nodes that were encoded.
    pub node_count: usize,
    /// Permutations of Keccak for their encodings, those of the keys aside.
    pub permutation_count: usize,
}

impl Part {
    /// A branch, with what it has of its old node in the region.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    #[inline(always)]
    pub(super) fn branch<'a>(&'a self, index: usize, region: &'a [u8]) -> Result<Branch<'a>, StoreError> {
        let record = &self.branches[index];
        let (mask, embedded, places) = (record.mask, record.embedded, record.places);
        let range = record.at as usize..record.at as usize + places.count_ones() as usize;
        let (links, references) = (&self.links[range.clone()], &self.references[range]);
        if !record.is_partial {
            let links = Links::Record(links);
            return Ok(Branch { mask, embedded, places, links, references, changes: Changes::default() });
        }
        let old = layout::branch(region, record.head.old.stored_id().unwrap_or(0))?;
        let changes = Changes { nibbles: record.changed, places, links, references };
        Ok(Branch { mask, embedded, changes, ..old })
    }

    /// A node, as [`Self::branch`].
    #[inline]
    pub(super) fn node<'a>(&'a self, kind: RecordKind, index: usize, region: &'a [u8]) -> Result<Node<'a>, StoreError> {
        Ok(match kind {
            RecordKind::Branch => Node::Branch(self.branch(index, region)?),
            RecordKind::Extension => Node::Extension(self.extensions[index].extension),
            RecordKind::Leaf => Node::Leaf(self.leaves[index].leaf),
        })
    }

    /// The size of a node's bytes in the region.
    #[inline]
    pub(super) fn stored_size(&self, kind: RecordKind, index: usize) -> usize {
        match kind {
            RecordKind::Branch => layout::branch_bytes(self.branches[index].mask.count_ones() as usize),
            RecordKind::Extension => layout::EXTENSION_BYTES,
            RecordKind::Leaf => layout::size_of_leaf(&self.leaves[index].leaf),
        }
    }

    /// A record of all children of a branch, with places for more.
    pub(super) fn add_whole_branch(&mut self, head: Head, branch: &Branch<'_>, added: u16) -> u32 {
        let places = branch.mask | added;
        let index = self.add_places(head, places, false);
        let record = &mut self.branches[index as usize];
        (record.mask, record.embedded) = (branch.mask, branch.embedded & branch.mask);
        let at = record.at as usize;
        for nibble in nibbles_of(branch.mask) {
            let place = at + rank(places, nibble);
            self.links[place] = branch.link(nibble);
            self.references[place] = branch.reference(nibble).bytes;
        }
        index
    }

    /// Has a record of a part of a branch hold all of its children.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub(super) fn complete(&mut self, index: usize, region: &[u8]) -> Result<(), StoreError> {
        let branch = self.branch(index, region)?;
        let children: Vec<_> =
            nibbles_of(branch.mask).map(|nibble| (branch.link(nibble), branch.reference(nibble).bytes)).collect();
        let record = &mut self.branches[index];
        (record.places, record.is_partial, record.at) = (record.mask, false, self.links.len() as u32);
        self.links.extend(children.iter().map(|(link, _)| *link));
        self.references.extend(children.iter().map(|(_, reference)| *reference));
        Ok(())
    }

    /// A record of a branch without children, with places for some.
    #[inline]
    pub(super) fn add_places(&mut self, head: Head, places: u16, is_partial: bool) -> u32 {
        let (index, at) = (self.branches.len() as u32, self.links.len() as u32);
        for _ in 0..places.count_ones() {
            self.links.push(Link::NONE);
            self.references.push([0; 32]);
        }
        self.branches.push(BranchRecord { head, mask: 0, embedded: 0, places, changed: 0, is_partial, at });
        index
    }

    #[inline]
    pub(super) fn head(&self, kind: RecordKind, index: usize) -> &Head {
        match kind {
            RecordKind::Branch => &self.branches[index].head,
            RecordKind::Extension => &self.extensions[index].head,
            RecordKind::Leaf => &self.leaves[index].head,
        }
    }

    /// Another record takes its place, or none.
    pub(super) fn bury(&mut self, kind: RecordKind, index: usize) {
        let head = match kind {
            RecordKind::Branch => &mut self.branches[index].head,
            RecordKind::Extension => &mut self.extensions[index].head,
            RecordKind::Leaf => &mut self.leaves[index].head,
        };
        head.is_dead = true;
    }

    /// Sets a child of a branch.
    #[inline]
    pub(super) fn set_child(&mut self, branch: usize, nibble: u8, link: Link, reference: Reference) {
        let record = &mut self.branches[branch];
        let bit = 1 << nibble;
        let place = record.at as usize + rank(record.places, nibble);
        record.mask |= bit;
        record.changed |= bit;
        record.embedded = record.embedded & !bit | u16::from(reference.is_embedded) << nibble;
        self.links[place] = link;
        self.references[place] = reference.bytes;
    }

    fn clear(&mut self) {
        self.branches.clear();
        self.links.clear();
        self.references.clear();
        self.extensions.clear();
        self.leaves.clear();
        self.freed.clear();
        self.cut.clear();
        self.account_delta = 0;
        self.work = TrieWork::default();
    }
}

/// One version over another.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) parts: Vec<Part>,
    pub(super) root: Link,
    pub(super) root_hash: B256,
    /// Names the version.
    pub(super) token: u64,
    /// Where each record lies in the region, once it is there: by part, then by kind.
    pub(super) placed: OnceLock<Vec<[Vec<u32>; 3]>>,
    pub(super) pool: Arc<Pool>,
}

impl Drop for Layer {
    fn drop(&mut self) {
        self.pool.put_back(core::mem::take(&mut self.parts));
    }
}

/// BOUND: parts that wait for use.
const POOLED_PART_COUNT_MAX: usize = 64;

/// Memory of dropped layers, for the next ones: fresh memory costs a fault per page.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Part>>);

impl Pool {
    pub(super) fn take(&self) -> Part {
        self.0.lock().pop().unwrap_or_default()
    }

    fn put_back(&self, parts: Vec<Part>) {
        let mut pool = self.0.lock();
        for mut part in parts {
            if pool.len() < POOLED_PART_COUNT_MAX {
                part.clear();
                pool.push(part);
            }
        }
    }
}
