//! From the root down: which nodes a batch of writes changes.
//!
//! All writes go down together, one level at a time, so that the loads of a level do not wait for
//! each other. Storage tries begin one level below the leaf of their account: they go down, and
//! later are hashed, among the nodes of the trie of accounts.

use alloy_primitives::B256;
use metis_keccak::Lanes;

use super::{
    batch::Batch,
    layer::{ExtensionRecord, Head, LeafRecord, Parent, Part},
    layout::{self, TAG_ACCOUNT, TAG_BRANCH},
    node::{Branch, Extension, Leaf, Link, Node, RecordKind, Reference, Value, nibbles_of},
    path::{KEY_NIBBLE_COUNT, nibble, shared},
    reader::Reader,
};
use crate::StoreError;

/// Levels at most: an account's leaf hangs at depth 64 at most, and so does a slot's below it.
const LEVEL_COUNT: usize = 2 * (KEY_NIBBLE_COUNT + 1);

/// How many nodes ahead the first bytes of a node are asked for.
const PREFETCH_DISTANCE: usize = 20;

/// Part of a trie and the writes that go into it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item {
    pub(super) start: Start,
    /// Writes, by their place in the batch.
    pub(super) from: u32,
    pub(super) to: u32,
    /// Levels above the root of its trie.
    pub(super) base: u8,
    /// Nibbles above it in its trie.
    pub(super) depth: u8,
    pub(super) parent: Parent,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// A node; [`Link::NONE`] for nothing.
    Node(Link),
    /// What hangs below the place where an extension was split: see [`Builder::splits`].
    Split(u32),
}

/// What became of an item.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    /// Nothing changed.
    Same,
    /// Nothing is left.
    Gone,
    Node(Link, Reference),
}

/// Nodes and items of one distance from the root.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) items: Vec<Item>,
    pub(super) records: Vec<(RecordKind, u32)>,
}

/// Makes the records of one part of a layer.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    /// The version below.
    pub(super) reader: Reader<'a>,
    pub(super) batch: &'a Batch,
    pub(super) lanes: Lanes,
    pub(super) part: Part,
    /// Place of the part in its layer, and of the layer.
    pub(super) place: (u16, u16),
    pub(super) levels: Vec<Level>,
    pub(super) splits: Vec<Extension>,
    pub(super) outcomes: Vec<Outcome>,
    /// Outputs that are roots of tries: they are hashed however short.
    pub(super) is_root: Vec<bool>,
    /// Other parts of the layer, done.
    pub(super) siblings: Vec<Part>,
}

const WRONG_PLACE: StoreError = layout::corrupt(0, "a leaf below nodes that its key does not lead to");
const TOO_DEEP: StoreError = layout::corrupt(0, "a node deeper than keys are long");

impl<'a> Builder<'a> {
    pub(super) fn new(reader: Reader<'a>, batch: &'a Batch, lanes: Lanes, part: Part, place: (u16, u16)) -> Self {
        let levels = (0..LEVEL_COUNT).map(|_| Level::default()).collect();
        let (splits, outcomes, is_root, siblings) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { reader, batch, lanes, part, place, levels, splits, outcomes, is_root, siblings }
    }

    /// Adds a place where something begins, and what goes into it.
    pub(super) fn begin(&mut self, item: Item, is_root: bool) {
        let parent = Parent::Output(self.outcomes.len() as u32);
        self.outcomes.push(Outcome::Same);
        self.is_root.push(is_root);
        self.push(Item { parent, ..item });
    }

    /// Goes down, and stops at a level with `item_count_max` items or more: these are given back.
    pub(super) fn walk(&mut self, item_count_max: usize) -> Result<Vec<Item>, StoreError> {
        for level in 0..self.levels.len() {
            let mut items = core::mem::take(&mut self.levels[level].items);
            if items.len() >= item_count_max {
                // What is deeper already is little: it stays here.
                for deeper in level + 1..self.levels.len() {
                    items.append(&mut self.levels[deeper].items);
                }
                return Ok(items);
            }
            let link = |index: usize| match items.get(index)?.start {
                Start::Node(link) => Some(link),
                Start::Split(_) => None,
            };
            (0..PREFETCH_DISTANCE).filter_map(link).for_each(|link| self.reader.prefetch(link));
            for (index, item) in items.iter().enumerate() {
                if let Some(link) = link(index + PREFETCH_DISTANCE) {
                    self.reader.prefetch(link);
                }
                self.visit(*item)?;
            }
        }
        Ok(Vec::new())
    }

    pub(super) fn push(&mut self, item: Item) {
        self.levels[usize::from(item.base) + usize::from(item.depth)].items.push(item);
    }

    pub(super) fn key(&self, index: u32) -> &'a B256 {
        &self.batch.keys[index as usize]
    }

    fn visit(&mut self, item: Item) -> Result<(), StoreError> {
        if let Start::Node(link) = item.start
            && let Some(id) = link.stored_id()
        {
            // Branches and accounts that were there are nearly all there is.
            match layout::tag(self.reader.region, id) {
                Some(TAG_BRANCH) if usize::from(item.depth) < KEY_NIBBLE_COUNT => {
                    let branch = layout::branch(self.reader.region, id)?;
                    self.visit_branch(item, &branch, link);
                    return Ok(());
                }
                Some(TAG_ACCOUNT) if self.rewrite_account(&item, link, id) => return Ok(()),
                _ => {}
            }
        }
        let link = match item.start {
            Start::Node(link) if link.is_none() => {
                self.build(item, None);
                return Ok(());
            }
            Start::Node(link) => link,
            Start::Split(index) => return self.visit_extension(item, self.splits[index as usize], Link::NONE),
        };
        match self.reader.node(link)? {
            Node::Branch(_) if usize::from(item.depth) >= KEY_NIBBLE_COUNT => Err(TOO_DEEP),
            Node::Branch(branch) => {
                self.visit_branch(item, &branch, link);
                Ok(())
            }
            Node::Extension(extension) => self.visit_extension(item, extension, link),
            Node::Leaf(leaf) => self.visit_leaf(item, &leaf, link),
        }
    }

    /// Makes the leaf of an account that was there and stays, where that is all there is to do: the
    /// most frequent change of all.
    fn rewrite_account(&mut self, item: &Item, link: Link, id: u32) -> bool {
        if item.to - item.from != 1 || !self.batch.is_account(item.from) {
            return false;
        }
        let write = &self.batch.accounts[item.from as usize];
        let Some(account) = write.account.filter(|_| !write.storage_cleared) else { return false };
        let key = self.key(item.from);
        let Some((storage, storage_root)) = layout::storage_of_account(self.reader.region, id, key) else {
            return false;
        };
        let record = self.part.leaves.len() as u32;
        let head = Head { old: link, parent: item.parent, depth: item.depth, is_dead: false };
        let value = Value::Account { account, storage, storage_root };
        self.part.leaves.push(LeafRecord { head, leaf: Leaf { key: *key, value } });
        self.register(item.base, item.depth, RecordKind::Leaf, record);
        self.push_slots(item.from, storage, item.base + item.depth + 1, record);
        true
    }

    /// Sends the slots of a written account into its storage.
    pub(super) fn push_slots(&mut self, write: u32, storage: Link, base: u8, record: u32) {
        let slots = &self.batch.accounts[write as usize].slots;
        if !slots.is_empty() {
            let (from, to) = (slots.start, slots.end);
            self.push(Item { start: Start::Node(storage), from, to, base, depth: 0, parent: Parent::Account(record) });
        }
    }

    /// Writes from `from` that have the same nibble at `depth`, and the nibble.
    #[inline]
    fn run(&self, from: u32, to: u32, depth: usize) -> (u8, u32) {
        let first = nibble(self.key(from), depth);
        let same = (from + 1..to).take_while(|index| nibble(self.key(*index), depth) == first).count();
        (first, from + 1 + same as u32)
    }

    #[inline]
    fn visit_branch(&mut self, item: Item, branch: &Branch<'a>, link: Link) {
        let depth = usize::from(item.depth);
        let (mut written, mut added) = (0_u16, 0_u16);
        let mut ends = [0_u32; 16];
        let mut from = item.from;
        while from < item.to {
            let (nibble, to) = self.run(from, item.to, depth);
            if branch.mask >> nibble & 1 == 0 && (from..to).any(|index| self.batch.is_kept(index)) {
                added |= 1 << nibble;
            }
            // Sorted, so there is one run for a nibble.
            written |= 1 << nibble;
            ends[usize::from(nibble)] = to;
            from = to;
        }
        let head = Head { old: link, parent: item.parent, depth: item.depth, is_dead: false };
        let record = self.copy_branch(item.base, head, branch, written, added);
        let mut from = item.from;
        for nibble in nibbles_of(written) {
            let to = ends[usize::from(nibble)];
            let parent = Parent::Branch(record, nibble);
            let below = Item { from, to, depth: item.depth + 1, parent, ..item };
            if branch.mask >> nibble & 1 != 0 {
                self.push(Item { start: Start::Node(branch.link(nibble)), ..below });
            } else if added >> nibble & 1 != 0 {
                self.build(below, None);
            }
            from = to;
        }
    }

    fn visit_extension(&mut self, item: Item, extension: Extension, link: Link) -> Result<(), StoreError> {
        let depth = usize::from(item.depth);
        let Extension { path, child, reference } = extension;
        if depth + path.len() >= KEY_NIBBLE_COUNT {
            return Err(TOO_DEEP);
        }
        let shared_with = |index: u32| path.shared_with(self.key(index), depth);
        let kept = (item.from..item.to).filter(|index| self.batch.is_kept(*index));
        let shared = kept.map(shared_with).min().unwrap_or(path.len()).min(path.len());
        // The writes that lead so far; others delete what is not there. Sorted, so they are neighbours.
        let from = (item.from..item.to).find(|index| shared_with(*index) >= shared).unwrap_or(item.to);
        let to = (from..item.to).take_while(|index| shared_with(*index) >= shared).count() as u32 + from;
        let item = Item { from, to, ..item };
        let head = Head { old: link, parent: item.parent, depth: item.depth, is_dead: false };
        if shared == path.len() {
            let record = self.add_extension(item.base, head, extension);
            if from < to {
                let (start, parent) = (Start::Node(child), Parent::Extension(record));
                self.push(Item { start, depth: (depth + shared) as u8, parent, ..item });
            }
            return Ok(());
        }
        let mut branch_head = Head { depth: (depth + shared) as u8, ..head };
        if shared > 0 {
            // Its child is known once the branch below is.
            let upper = Extension { path: path.slice(0, shared), child: Link::NONE, reference };
            let record = self.add_extension(item.base, head, upper);
            branch_head = Head { old: Link::NONE, parent: Parent::Extension(record), ..branch_head };
        }
        self.split(item, &extension, shared, branch_head);
        Ok(())
    }

    /// A branch in the middle of an extension.
    fn split(&mut self, item: Item, extension: &Extension, shared: usize, head: Head) {
        let Extension { path, child, reference } = *extension;
        let at = usize::from(head.depth);
        let own = path.nibbles()[shared];
        let mut places = 1_u16 << own;
        let mut from = item.from;
        while from < item.to {
            let (nibble, to) = self.run(from, item.to, at);
            places |= u16::from((from..to).any(|index| self.batch.is_kept(index))) << nibble;
            from = to;
        }
        let record = self.add_branch(item.base, head, places);
        let rest = path.slice(shared + 1, path.len());
        let mut is_own_pending = rest.len() > 0;
        if !is_own_pending {
            self.part.set_child(record as usize, own, child, reference);
        }
        let below = |from, to, nibble| Item {
            start: Start::Node(child),
            from,
            to,
            depth: head.depth + 1,
            parent: Parent::Branch(record, nibble),
            ..item
        };
        let split = Start::Split(self.splits.len() as u32);
        if is_own_pending {
            self.splits.push(Extension { path: rest, child, reference });
        }
        let mut from = item.from;
        while from < item.to {
            let (nibble, to) = self.run(from, item.to, at);
            let item = below(from, to, nibble);
            if nibble != own {
                self.build(item, None);
            } else if is_own_pending {
                self.push(Item { start: split, ..item });
                is_own_pending = false;
            } else {
                self.push(item);
            }
            from = to;
        }
        if is_own_pending {
            // Nothing is written below it, but it has become shorter.
            self.push(Item { start: split, ..below(item.to, item.to, own) });
        }
    }

    fn visit_leaf(&mut self, item: Item, leaf: &Leaf, link: Link) -> Result<(), StoreError> {
        if item.from == item.to {
            return Ok(());
        }
        let is_account = matches!(leaf.value, Value::Account { .. });
        if shared(&leaf.key, self.key(item.from)) < usize::from(item.depth)
            || is_account != self.batch.is_account(item.from)
        {
            return Err(WRONG_PLACE);
        }
        let own = (item.from..item.to).find(|index| *self.key(*index) == leaf.key);
        let is_deleted = own.is_some_and(|own| !self.batch.is_kept(own));
        if is_deleted {
            self.part.freed.push(link);
            if let Value::Account { storage, .. } = leaf.value {
                self.cut(storage);
                self.part.account_delta -= 1;
            }
        } else if own.is_none() && !(item.from..item.to).any(|index| self.batch.is_kept(index)) {
            return Ok(());
        }
        self.build(item, (!is_deleted).then_some((link, leaf)));
        if is_deleted && !(item.from..item.to).any(|index| self.batch.is_kept(index)) {
            self.deliver(item.parent, Outcome::Gone);
        }
        Ok(())
    }

    pub(super) fn add_branch(&mut self, base: u8, head: Head, places: u16) -> u32 {
        let record = self.part.add_places(head, places, false);
        self.register(base, head.depth, RecordKind::Branch, record);
        record
    }

    /// A record of a branch as it is, with places for children that are written to.
    fn copy_branch(&mut self, base: u8, head: Head, branch: &Branch<'a>, written: u16, added: u16) -> u32 {
        let record = if added == 0 && head.old.stored_id().is_some() {
            let index = self.part.add_places(head, written & branch.mask, true);
            let record = &mut self.part.branches[index as usize];
            (record.mask, record.embedded) = (branch.mask, branch.embedded);
            index
        } else {
            self.part.add_whole_branch(head, branch, added)
        };
        self.register(base, head.depth, RecordKind::Branch, record);
        record
    }

    pub(super) fn add_extension(&mut self, base: u8, head: Head, extension: Extension) -> u32 {
        let record = self.part.extensions.len() as u32;
        self.part.extensions.push(ExtensionRecord { head, extension });
        self.register(base, head.depth, RecordKind::Extension, record);
        record
    }

    pub(super) fn register(&mut self, base: u8, depth: u8, kind: RecordKind, record: u32) {
        self.levels[usize::from(base) + usize::from(depth)].records.push((kind, record));
    }
}
