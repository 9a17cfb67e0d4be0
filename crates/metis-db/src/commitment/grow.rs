//! New leaves, and the branches and extensions that new keys need.

use alloy_primitives::B256;
use alloy_trie::EMPTY_ROOT_HASH;

use super::{
    layer::{Head, LeafRecord, Parent},
    node::{Extension, Leaf, Link, RecordKind, Reference, Value},
    path::{Path, nibble, shared},
    walk::{Builder, Item},
};

/// What a leaf is made of: a write, the leaf that was there, or both.
#[derive(Clone, Copy)]
struct Source<'s> {
    key: B256,
    write: Option<u32>,
    old: Option<(Link, &'s Leaf)>,
}

impl Builder<'_> {
    /// Makes the part of a trie that holds what the writes leave, and a leaf that was there.
    pub(super) fn build(&mut self, item: Item, old: Option<(Link, &Leaf)>) {
        if item.to - item.from == 1 {
            // Most leaves: one write, to what is there or to nothing.
            let key = *self.key(item.from);
            if self.batch.is_kept(item.from) && old.is_none_or(|(_, leaf)| leaf.key == key) {
                let head = Head { old: Link::NONE, parent: item.parent, depth: item.depth, is_dead: false };
                return self.add_leaf(&Source { key, write: Some(item.from), old }, item.base, head);
            }
        }
        let mut sources = Vec::with_capacity((item.to - item.from) as usize + 1);
        let mut old = old;
        for index in item.from..item.to {
            let key = *self.key(index);
            if let Some((link, leaf)) = old.filter(|(_, leaf)| leaf.key <= key) {
                old = None;
                if leaf.key == key {
                    sources.push(Source { key, write: Some(index), old: Some((link, leaf)) });
                    continue;
                }
                sources.push(Source { key: leaf.key, write: None, old: Some((link, leaf)) });
            }
            if self.batch.is_kept(index) {
                sources.push(Source { key, write: Some(index), old: None });
            }
        }
        if let Some((link, leaf)) = old {
            sources.push(Source { key: leaf.key, write: None, old: Some((link, leaf)) });
        }
        if !sources.is_empty() {
            self.build_from(&sources, item.base, item.depth, item.parent);
        }
    }

    fn build_from(&mut self, sources: &[Source<'_>], base: u8, depth: u8, parent: Parent) {
        let (first, last) = (&sources[0], &sources[sources.len() - 1]);
        let mut head = Head { old: Link::NONE, parent, depth, is_dead: false };
        if sources.len() == 1 {
            return self.add_leaf(first, base, head);
        }
        // Sorted: what the first and the last share, all share. Two keys differ before their end.
        let shared = shared(&first.key, &last.key);
        if shared > usize::from(depth) {
            let path = Path::of_key(&first.key, usize::from(depth), shared);
            let extension = Extension { path, child: Link::NONE, reference: Reference::hash([0; 32]) };
            let record = self.add_extension(base, head, extension);
            head = Head { parent: Parent::Extension(record), depth: shared as u8, ..head };
        }
        let places = sources.iter().fold(0, |places, source| places | 1 << nibble(&source.key, shared));
        let record = self.add_branch(base, head, places);
        for children in sources.chunk_by(|left, right| nibble(&left.key, shared) == nibble(&right.key, shared)) {
            let parent = Parent::Branch(record, nibble(&children[0].key, shared));
            self.build_from(children, base, shared as u8 + 1, parent);
        }
    }

    fn add_leaf(&mut self, source: &Source<'_>, base: u8, head: Head) {
        let record = self.part.leaves.len() as u32;
        let old = source.old.map(|(_, leaf)| &leaf.value);
        let value = match (source.write, old) {
            (None, Some(value)) => *value,
            (Some(write), _) if !self.batch.is_account(write) => Value::Slot(self.batch.value(write)),
            (Some(write), old) => self.written_account(write, old, base + head.depth + 1, record),
            (None, None) => return,
        };
        let head = Head { old: source.old.map_or(Link::NONE, |(link, _)| link), ..head };
        self.part.leaves.push(LeafRecord { head, leaf: Leaf { key: source.key, value } });
        self.register(base, head.depth, RecordKind::Leaf, record);
    }

    /// What a write makes of an account, and the way to its storage.
    fn written_account(&mut self, index: u32, old: Option<&Value>, base: u8, record: u32) -> Value {
        let write = &self.batch.accounts[index as usize];
        let (mut storage, mut storage_root) = (Link::NONE, EMPTY_ROOT_HASH);
        match old {
            Some(Value::Account { storage: cut, .. }) if write.storage_cleared => self.cut(*cut),
            Some(Value::Account { storage: old, storage_root: root, .. }) => (storage, storage_root) = (*old, *root),
            _ => self.part.account_delta += 1,
        }
        self.push_slots(index, storage, base, record);
        // UNWRAP: only writes that leave an account get a leaf.
        Value::Account { account: write.account.unwrap(), storage, storage_root }
    }

    pub(super) fn cut(&mut self, storage: Link) {
        if !storage.is_none() {
            self.part.cut.push(storage);
        }
    }
}
