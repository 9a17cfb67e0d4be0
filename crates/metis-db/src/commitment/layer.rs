//! What a version has that the one below it has not: nodes as records, in memory.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, U256};
use metis_keccak::Lanes;
use metis_state_transition::{Account, ChangeSet};
use parking_lot::Mutex;

use super::node::{Branch, Extension, Leaf, Link, Links, Node, RecordKind, Reference, rank};

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
}

impl Part {
    #[inline]
    pub(super) fn branch(&self, index: usize) -> Branch<'_> {
        let record = &self.branches[index];
        let places = record.at as usize..record.at as usize + record.places.count_ones() as usize;
        Branch {
            mask: record.mask,
            embedded: record.embedded,
            places: record.places,
            links: Links::Record(&self.links[places.clone()]),
            references: &self.references[places],
        }
    }

    #[inline]
    pub(super) fn node(&self, kind: RecordKind, index: usize) -> Node<'_> {
        match kind {
            RecordKind::Branch => Node::Branch(self.branch(index)),
            RecordKind::Extension => Node::Extension(self.extensions[index].extension),
            RecordKind::Leaf => Node::Leaf(self.leaves[index].leaf),
        }
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
const POOLED_PART_COUNT_MAX: usize = 16;

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

/// What is to be written, sorted by hashed key.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Of the accounts first, then of the slots, account by account.
    pub(super) keys: Vec<B256>,
    pub(super) accounts: Vec<AccountWrite>,
    /// Of the slots.
    pub(super) values: Vec<U256>,
    /// Writes before each account and behind the last one, its slots counted with it.
    pub(super) weights: Vec<u32>,
}

/// The write of one account.
#[derive(Clone, Debug)]
pub(super) struct AccountWrite {
    /// `None` deletes.
    pub(super) account: Option<Account>,
    pub(super) storage_cleared: bool,
    /// Its slots among the keys.
    pub(super) slots: core::ops::Range<u32>,
}

/// A hash in a form that is quickly compared, and in the same order.
#[inline]
fn as_number(hash: &[u8; 32]) -> [u64; 4] {
    let (words, _) = hash.as_chunks::<8>();
    core::array::from_fn(|index| u64::from_be_bytes(words[index]))
}

impl Batch {
    pub(super) fn new(changes: &ChangeSet, lanes: Lanes) -> Self {
        // The map is walked once: its nodes are large and far from each other.
        let entries: Vec<_> = changes.accounts.iter().collect();
        let slot_count = entries.iter().map(|(_, change)| change.storage.len()).sum::<usize>();
        let mut slots = Vec::with_capacity(slot_count);
        for (_, change) in entries.iter().filter(|(_, change)| !change.storage.is_empty()) {
            slots.extend(change.storage.keys().map(|slot| slot.to_be_bytes::<32>()));
        }
        let messages = entries.iter().map(|(address, _)| address.as_slice());
        let messages: Vec<&[u8]> = messages.chain(slots.iter().map(<[u8; 32]>::as_slice)).collect();
        let mut hashes = vec![[0; 32]; messages.len()];
        lanes.hash_each(&messages, &mut hashes);

        let (address_hashes, slot_hashes) = hashes.split_at(entries.len());
        let mut accounts = Vec::with_capacity(entries.len());
        let mut slot_at = 0;
        for ((_, change), hash) in entries.iter().zip(address_hashes) {
            // What does not exist has no storage, whatever was written to it before it ceased to.
            let slots = if change.account.is_some() { slot_at..slot_at + change.storage.len() } else { 0..0 };
            slot_at += change.storage.len();
            accounts.push((hash, change, slots));
        }
        accounts.sort_unstable_by_key(|(hash, ..)| as_number(hash));

        let mut batch = Self::default();
        batch.keys.reserve(hashes.len());
        batch.keys.extend(accounts.iter().map(|(hash, ..)| B256::from(**hash)));
        let mut sorted = Vec::new();
        let mut weight = 0;
        for (_, change, slots) in accounts {
            sorted.clear();
            if !slots.is_empty() {
                sorted.extend(slot_hashes[slots].iter().zip(change.storage.values()));
                sorted.sort_unstable_by_key(|(hash, _)| as_number(hash));
            }
            let first = batch.keys.len() as u32;
            batch.keys.extend(sorted.iter().map(|(hash, _)| B256::from(**hash)));
            batch.values.extend(sorted.iter().map(|(_, value)| **value));
            let (account, storage_cleared) = (change.account, change.storage_cleared);
            batch.accounts.push(AccountWrite { account, storage_cleared, slots: first..batch.keys.len() as u32 });
            batch.weights.push(weight);
            weight += 1 + sorted.len() as u32;
        }
        batch.weights.push(weight);
        batch
    }

    /// Whether a write is of an account, and not of a slot.
    #[inline]
    pub(super) const fn is_account(&self, index: u32) -> bool {
        (index as usize) < self.accounts.len()
    }

    /// Whether a write leaves something.
    #[inline]
    pub(super) fn is_kept(&self, index: u32) -> bool {
        if self.is_account(index) {
            self.accounts[index as usize].account.is_some()
        } else {
            !self.value(index).is_zero()
        }
    }

    #[inline]
    pub(super) fn value(&self, index: u32) -> U256 {
        self.values[index as usize - self.accounts.len()]
    }

    pub(super) fn total_weight(&self) -> u32 {
        self.weight(0..self.accounts.len() as u32)
    }

    /// Writes in a range of keys, those to the storage of its accounts with them.
    pub(super) fn weight(&self, range: core::ops::Range<u32>) -> u32 {
        if !range.is_empty() && self.is_account(range.start) {
            self.weights[range.end as usize] - self.weights[range.start as usize]
        } else {
            range.len() as u32
        }
    }
}
