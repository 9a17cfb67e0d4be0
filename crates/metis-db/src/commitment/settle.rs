//! From the deepest level up: the shape that deletions leave, encodings, hashes.

use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;
use metis_keccak::{BLOCK_BYTES, Block, LANE_COUNT_MAX};

use super::{
    encode::{
        BLOCK_COUNT_MAX, EMPTY, Scratch, encode_branch, encode_extension, encode_leaf, encoded_len, hashes_len,
        leaf_len, pad,
    },
    layer::{ExtensionRecord, Head, LeafRecord, Parent, Part},
    node::{Extension, Leaf, Link, Node, RecordKind, Reference, Value, nibbles_of},
    path::Path,
    reader::Reader,
    walk::{Builder, Outcome},
};
use crate::StoreError;

/// How many records ahead the nodes that they stand in for are asked for at least.
const PREFETCH_DISTANCE_MIN: usize = 2;
/// And at most.
const PREFETCH_DISTANCE_MAX: usize = 2 * LANE_COUNT_MAX;
/// For how many records that is done with each permutation: the memory of two branches can be on
/// its way at once, and four permutations hash eight of them.
const PREFETCH_COUNT: usize = 2;

/// Which records of a level have been asked for.
struct Ahead<'a> {
    records: &'a [(RecordKind, u32)],
    /// The one that is being worked on.
    place: usize,
    /// The first that was not asked for.
    next: usize,
}

impl Ahead<'_> {
    /// Asks for what some records will be encoded of, up to one that is so far ahead.
    #[inline]
    fn ask(&mut self, part: &Part, reader: &Reader<'_>, count: usize, distance: usize) {
        let end = (self.next + count).min(self.place + distance).min(self.records.len());
        for (kind, index) in &self.records[self.next.min(end)..end] {
            if *kind == RecordKind::Branch {
                let record = &part.branches[*index as usize];
                if record.is_partial {
                    let id = record.head.old.stored_id().unwrap_or(0);
                    reader.prefetch_branch(id, record.mask.count_ones() as usize);
                }
            }
        }
        self.next = self.next.max(end);
    }
}

/// Records of a level whose encodings wait for a hash, by blocks.
#[derive(Debug, Default)]
struct Waiting([Vec<(RecordKind, u32)>; BLOCK_COUNT_MAX]);

/// What a node turned out to be when its parent's other children had gone.
enum Single {
    Leaf(Leaf, Link),
    Extension(Extension, Link),
    Branch,
}

impl Builder<'_> {
    /// Hashes all records; the outcomes are known afterwards.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        let mut waiting = Waiting::default();
        let mut scratch = [EMPTY; LANE_COUNT_MAX];
        for level in (0..self.levels.len()).rev() {
            let records = core::mem::take(&mut self.levels[level].records);
            let mut ahead = Ahead { records: &records, place: 0, next: 0 };
            for (place, (kind, index)) in records.iter().enumerate() {
                ahead.place = place;
                ahead.ask(&self.part, &self.reader, usize::MAX / 2, PREFETCH_DISTANCE_MIN);
                if let Some((kind, index)) = self.settle_record(*kind, *index)? {
                    self.submit(kind, index, &mut waiting, &mut scratch, &mut ahead)?;
                }
            }
            self.flush(&mut waiting, &mut scratch, &mut ahead)?;
        }
        Ok(())
    }

    /// Gives a record its final shape. `None` where nothing is left of it.
    fn settle_record(&mut self, kind: RecordKind, index: u32) -> Result<Option<(RecordKind, u32)>, StoreError> {
        match kind {
            RecordKind::Leaf => Ok(Some((kind, index))),
            RecordKind::Extension => {
                let ExtensionRecord { head, extension } = self.part.extensions[index as usize];
                let is_merged =
                    |link: Link| link.layer() == self.layer() && link.record_place().0 != RecordKind::Branch;
                if extension.child.is_none() {
                    self.part.bury(kind, index as usize);
                    self.retire(head);
                    Ok(None)
                } else if is_merged(extension.child) {
                    self.part.bury(kind, index as usize);
                    let single = self.single(extension.child)?;
                    Ok(Some(self.merge(head, extension.path, extension.child, extension.reference, single)))
                } else {
                    Ok(Some((kind, index)))
                }
            }
            RecordKind::Branch => {
                let record = self.part.branches[index as usize];
                if record.is_partial && record.changed & !record.mask != 0 {
                    // With fewer children it will lie elsewhere, and its old node will be gone.
                    self.part.complete(index as usize, self.reader.region)?;
                }
                let mut children = nibbles_of(record.mask);
                match (children.next(), children.next()) {
                    (None, _) => {
                        self.part.bury(kind, index as usize);
                        self.retire(record.head);
                        Ok(None)
                    }
                    (Some(nibble), None) => {
                        let branch = self.part.branch(index as usize, self.reader.region)?;
                        let (child, reference) = (branch.link(nibble), branch.reference(nibble));
                        self.part.bury(kind, index as usize);
                        let single = self.single(child)?;
                        let path = Path::from_iter([nibble]);
                        Ok(Some(self.merge(record.head, path, child, reference, single)))
                    }
                    _ => Ok(Some((kind, index))),
                }
            }
        }
    }

    /// Nothing is left of a record.
    fn retire(&mut self, head: Head) {
        self.part.freed.push(head.old);
        self.deliver(head.parent, Outcome::Gone);
    }

    /// A node that is to be merged with what is above it. If it is a record, another one will take
    /// its place.
    fn single(&mut self, link: Link) -> Result<Single, StoreError> {
        let (kind, index) = link.record_place();
        let mut old = link;
        let node = if link.layer() == self.layer() {
            // The first part is the one that has siblings.
            let own = usize::from(self.place.1);
            let part = if link.part() == own { &mut self.part } else { &mut self.siblings[link.part() - 1] };
            if kind != RecordKind::Branch {
                part.bury(kind, index);
            }
            // What a record stood in for, the merged one stands in for.
            old = part.head(kind, index).old;
            part.node(kind, index, self.reader.region)?
        } else {
            self.reader.node(link)?
        };
        Ok(match node {
            Node::Leaf(leaf) => Single::Leaf(leaf, old),
            Node::Extension(extension) => Single::Extension(extension, old),
            Node::Branch(_) => Single::Branch,
        })
    }

    /// A record for `child` with `path` before it, in the place of the record with `head`.
    fn merge(
        &mut self,
        head: Head,
        path: Path,
        child: Link,
        reference: Reference,
        single: Single,
    ) -> (RecordKind, u32) {
        self.part.freed.push(head.old);
        let (extension, old) = match single {
            Single::Leaf(leaf, old) => {
                self.part.leaves.push(LeafRecord { head: Head { old, is_dead: false, ..head }, leaf });
                return (RecordKind::Leaf, self.part.leaves.len() as u32 - 1);
            }
            Single::Extension(lower, old) => (Extension { path: path.join(&lower.path), ..lower }, old),
            Single::Branch => (Extension { path, child, reference }, Link::NONE),
        };
        self.part.extensions.push(ExtensionRecord { head: Head { old, is_dead: false, ..head }, extension });
        (RecordKind::Extension, self.part.extensions.len() as u32 - 1)
    }

    /// Hashes a record, together with others of its level once there are enough.
    fn submit(
        &mut self,
        kind: RecordKind,
        index: u32,
        waiting: &mut Waiting,
        scratch: &mut [Scratch; LANE_COUNT_MAX],
        ahead: &mut Ahead<'_>,
    ) -> Result<(), StoreError> {
        let len = self.encoded_len(kind, index as usize)?;
        self.part.work.node_count += 1;
        if len < 32 {
            let head = *self.part.head(kind, index as usize);
            if !self.is_root(head.parent) {
                self.encode(kind, index as usize, &mut scratch[0])?;
                let reference = Reference::embedded(&scratch[0].as_flattened()[..len]);
                self.deliver(head.parent, Outcome::Node(self.link(kind, index), reference));
                return Ok(());
            }
        }
        self.part.work.permutation_count += len / BLOCK_BYTES + 1;
        let group = &mut waiting.0[len / BLOCK_BYTES];
        group.push((kind, index));
        if group.len() == self.lanes.width() {
            let mut group = core::mem::take(group);
            self.hash(&group, scratch, ahead)?;
            group.clear();
            waiting.0[len / BLOCK_BYTES] = group;
        }
        Ok(())
    }

    /// Hashes what is left of a level, long and short ones together.
    fn flush(
        &mut self,
        waiting: &mut Waiting,
        scratch: &mut [Scratch; LANE_COUNT_MAX],
        ahead: &mut Ahead<'_>,
    ) -> Result<(), StoreError> {
        let mut rest = core::mem::take(&mut waiting.0[BLOCK_COUNT_MAX - 1]);
        for group in waiting.0.iter_mut().rev() {
            rest.append(group);
        }
        for group in rest.chunks(self.lanes.width()) {
            self.hash(group, scratch, ahead)?;
        }
        Ok(())
    }

    fn hash(
        &mut self,
        group: &[(RecordKind, u32)],
        scratch: &mut [Scratch; LANE_COUNT_MAX],
        ahead: &mut Ahead<'_>,
    ) -> Result<(), StoreError> {
        let mut messages: [&[Block]; LANE_COUNT_MAX] = [&[]; LANE_COUNT_MAX];
        for (((kind, index), scratch), message) in group.iter().zip(scratch.iter_mut()).zip(&mut messages) {
            let len = self.encode(*kind, *index as usize, scratch)?;
            *message = pad(scratch, len);
        }
        let mut hashes = [[0; 32]; LANE_COUNT_MAX];
        let ask = || ahead.ask(&self.part, &self.reader, PREFETCH_COUNT, PREFETCH_DISTANCE_MAX);
        self.lanes.hash_padded_with(&messages[..group.len()], &mut hashes[..group.len()], ask);
        for ((kind, index), hash) in group.iter().zip(hashes) {
            let parent = self.part.head(*kind, *index as usize).parent;
            self.deliver(parent, Outcome::Node(self.link(*kind, *index), Reference::hash(hash)));
        }
        Ok(())
    }

    #[inline]
    fn encoded_len(&self, kind: RecordKind, index: usize) -> Result<usize, StoreError> {
        match kind {
            RecordKind::Branch => {
                let record = &self.part.branches[index];
                if record.embedded & record.mask == 0 {
                    return Ok(hashes_len(record.mask));
                }
            }
            RecordKind::Leaf => {
                let record = &self.part.leaves[index];
                return Ok(leaf_len(&record.leaf, usize::from(record.head.depth)));
            }
            RecordKind::Extension => {}
        }
        let depth = usize::from(self.part.head(kind, index).depth);
        Ok(encoded_len(&self.part.node(kind, index, self.reader.region)?, depth))
    }

    #[inline]
    fn encode(&self, kind: RecordKind, index: usize, scratch: &mut Scratch) -> Result<usize, StoreError> {
        match kind {
            RecordKind::Branch => Ok(encode_branch(&self.part.branch(index, self.reader.region)?, scratch)),
            RecordKind::Leaf => {
                let record = &self.part.leaves[index];
                Ok(encode_leaf(&record.leaf, usize::from(record.head.depth), scratch))
            }
            RecordKind::Extension => Ok(encode_extension(&self.part.extensions[index].extension, scratch)),
        }
    }

    /// Tells a parent what became of its child.
    pub(super) fn deliver(&mut self, parent: Parent, outcome: Outcome) {
        match (parent, outcome) {
            (_, Outcome::Same) => {}
            (Parent::Output(index), outcome) => self.outcomes[index as usize] = outcome,
            (Parent::Branch(index, nibble), Outcome::Gone) => {
                let record = &mut self.part.branches[index as usize];
                record.mask &= !(1 << nibble);
                record.changed |= 1 << nibble;
            }
            (Parent::Branch(index, nibble), Outcome::Node(link, reference)) => {
                self.part.set_child(index as usize, nibble, link, reference);
            }
            (Parent::Extension(index), outcome) => {
                let extension = &mut self.part.extensions[index as usize].extension;
                match outcome {
                    Outcome::Node(link, reference) => (extension.child, extension.reference) = (link, reference),
                    _ => extension.child = Link::NONE,
                }
            }
            (Parent::Account(index), outcome) => {
                let (link, root) = match outcome {
                    Outcome::Node(link, reference) => (link, B256::from(reference.bytes)),
                    _ => (Link::NONE, EMPTY_ROOT_HASH),
                };
                if let Value::Account { storage, storage_root, .. } = &mut self.part.leaves[index as usize].leaf.value {
                    (*storage, *storage_root) = (link, root);
                }
            }
        }
    }

    /// Whether a parent wants a hash, however short the encoding is.
    pub(super) fn is_root(&self, parent: Parent) -> bool {
        match parent {
            Parent::Account(_) => true,
            Parent::Output(index) => self.is_root[index as usize],
            Parent::Branch(..) | Parent::Extension(_) => false,
        }
    }

    fn layer(&self) -> usize {
        self.place.0 as usize
    }

    fn link(&self, kind: RecordKind, index: u32) -> Link {
        Link::record(self.place.0, self.place.1, kind, index as usize)
    }
}
