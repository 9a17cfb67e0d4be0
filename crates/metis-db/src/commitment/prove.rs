//! Reading the tries: single keys, proofs, and everything.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::EMPTY_ROOT_HASH;
use metis_keccak::Lanes;
use metis_state_transition::Account;

use super::{
    encode::{EMPTY, encode, pad},
    layout::{UNIT_BYTES, corrupt},
    node::{Leaf, Link, Node, Reference, Value, nibbles_of},
    path::{KEY_NIBBLE_COUNT, nibble},
    reader::Reader,
};
use crate::{AccountProof, StorageProof, StoreError};

const WRONG_HASH: StoreError = corrupt(0, "a node that is not what its parent's hash says");
const WRONG_KEY: StoreError = corrupt(0, "a leaf that its key does not lead to");
pub(super) const TOO_MANY: StoreError = corrupt(0, "more nodes than fit: some are below themselves");

/// One trie of a version.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) reader: Reader<'a>,
    pub(super) root: Link,
    pub(super) root_hash: B256,
}

/// What is in the tries, when all of it was checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrieContents {
    /// Accounts.
    pub account_count: u64,
    /// Slots of all accounts.
    pub slot_count: u64,
    /// Nodes of all tries.
    pub node_count: u64,
}

impl<'a> View<'a> {
    /// The leaf of a key. `pass` sees the nodes on the way whose hash their parent holds, with their
    /// depths: a proof of the leaf or of its absence.
    fn find(&self, key: &B256, mut pass: impl FnMut(&Node<'_>, usize)) -> Result<Option<Leaf>, StoreError> {
        let (mut link, mut depth, mut is_embedded) = (self.root, 0, false);
        if link.is_none() {
            return Ok(None);
        }
        // BOUND: every step takes at least one nibble.
        while depth <= KEY_NIBBLE_COUNT {
            let node = self.reader.node(link)?;
            if !is_embedded {
                pass(&node, depth);
            }
            match node {
                Node::Leaf(leaf) => return Ok((leaf.key == *key).then_some(leaf)),
                Node::Extension(extension) => {
                    if extension.path.shared_with(key, depth) < extension.path.len() {
                        return Ok(None);
                    }
                    depth += extension.path.len();
                    (link, is_embedded) = (extension.child, extension.reference.is_embedded);
                }
                Node::Branch(branch) => {
                    if depth >= KEY_NIBBLE_COUNT {
                        break;
                    }
                    let nibble = nibble(key, depth);
                    if branch.mask >> nibble & 1 == 0 {
                        return Ok(None);
                    }
                    depth += 1;
                    (link, is_embedded) = (branch.link(nibble), branch.reference(nibble).is_embedded);
                }
            }
        }
        Err(WRONG_KEY)
    }

    fn prove_key(&self, key: &B256) -> Result<(Option<Leaf>, Vec<Bytes>), StoreError> {
        let mut proof = Vec::new();
        let mut scratch = EMPTY;
        let leaf = self.find(key, |node, depth| {
            let len = encode(node, depth, &mut scratch);
            proof.push(Bytes::copy_from_slice(&scratch.as_flattened()[..len]));
        })?;
        Ok((leaf, proof))
    }

    /// An account with the view of its storage.
    pub(super) fn account(&self, address_hash: &B256) -> Result<Option<(Account, Self)>, StoreError> {
        self.find(address_hash, |_, _| {})?.map(|leaf| self.account_of(&leaf)).transpose()
    }

    fn account_of(&self, leaf: &Leaf) -> Result<(Account, Self), StoreError> {
        match leaf.value {
            Value::Account { account, storage, storage_root } => {
                Ok((account, Self { root: storage, root_hash: storage_root, ..*self }))
            }
            Value::Slot(_) => Err(WRONG_KEY),
        }
    }

    /// EIP-1186 proof of an account and some of its slots.
    pub(super) fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, StoreError> {
        let (leaf, proof) = self.prove_key(&keccak256(address))?;
        let account = leaf.map(|leaf| self.account_of(&leaf)).transpose()?;
        let nothing = Self { root: Link::NONE, root_hash: EMPTY_ROOT_HASH, ..*self };
        let storage_trie = account.map_or(nothing, |(_, storage)| storage);
        let storage = slots.iter().map(|slot| {
            let (leaf, proof) = storage_trie.prove_key(&keccak256(slot.to_be_bytes::<32>()))?;
            let value = match leaf.map(|leaf| leaf.value) {
                Some(Value::Slot(value)) => value,
                Some(Value::Account { .. }) => return Err(WRONG_KEY),
                None => U256::ZERO,
            };
            Ok(StorageProof { slot: *slot, value, proof })
        });
        let storage = storage.collect::<Result<_, _>>()?;
        Ok(AccountProof { address, account: account.map(|(account, view)| (account, view.root_hash)), proof, storage })
    }

    /// Every leaf, by key.
    pub(super) fn for_each(&self, mut see: impl FnMut(&Leaf) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut stack: Vec<Link> = if self.root.is_none() { Vec::new() } else { vec![self.root] };
        let mut left = self.node_count_max();
        while let Some(link) = stack.pop() {
            left = left.checked_sub(1).ok_or(TOO_MANY)?;
            match self.reader.node(link)? {
                Node::Leaf(leaf) => see(&leaf)?,
                Node::Extension(extension) => stack.push(extension.child),
                Node::Branch(branch) => {
                    stack.extend(nibbles_of(branch.mask).map(|nibble| branch.link(nibble)));
                    let count = branch.mask.count_ones() as usize;
                    let first = stack.len() - count;
                    stack[first..].reverse();
                }
            }
        }
        Ok(())
    }

    /// Nodes of one version, at most.
    pub(super) fn node_count_max(&self) -> usize {
        let records = |layer: &super::layer::Layer| {
            layer
                .parts
                .iter()
                .map(|part| part.branches.len() + part.extensions.len() + part.leaves.len())
                .sum::<usize>()
        };
        // The smallest node, a slot of one byte, takes 41 bytes.
        self.reader.region.len() / (UNIT_BYTES * 3)
            + self.reader.layers.iter().map(|layer| records(layer)).sum::<usize>()
    }

    /// Makes every hash again and compares, and checks that every key leads to its leaf.
    pub(super) fn check(&self, lanes: Lanes) -> Result<TrieContents, StoreError> {
        let mut contents = TrieContents::default();
        let mut tries = Vec::from([(*self, true)]);
        while let Some((view, is_accounts)) = tries.pop() {
            if view.root.is_none() {
                if view.root_hash != EMPTY_ROOT_HASH {
                    return Err(WRONG_HASH);
                }
                continue;
            }
            let root =
                Pending { link: view.root, reference: Reference::hash(view.root_hash.0), above: Above::default() };
            let mut stack = Vec::from([Vec::from([root])]);
            while let Some(siblings) = stack.pop() {
                contents.node_count += siblings.len() as u64;
                if contents.node_count > self.node_count_max() as u64 {
                    return Err(TOO_MANY);
                }
                check_hashes(&view.reader, &siblings, lanes)?;
                for pending in siblings {
                    match view.reader.node(pending.link)? {
                        Node::Leaf(leaf) => {
                            if !pending.above.leads_to(&leaf.key) {
                                return Err(WRONG_KEY);
                            }
                            match leaf.value {
                                Value::Slot(_) if !is_accounts => contents.slot_count += 1,
                                Value::Account { storage, .. } if is_accounts => {
                                    contents.account_count += 1;
                                    if !storage.is_none() {
                                        tries.push((view.account_of(&leaf)?.1, false));
                                    }
                                }
                                _ => return Err(WRONG_KEY),
                            }
                        }
                        node => stack.push(children(&node, &pending.above)?),
                    }
                }
            }
        }
        Ok(contents)
    }
}

/// Nibbles above a node.
#[derive(Clone, Copy)]
struct Above {
    key: [u8; KEY_NIBBLE_COUNT],
    depth: usize,
}

impl Default for Above {
    fn default() -> Self {
        Self { key: [0; KEY_NIBBLE_COUNT], depth: 0 }
    }
}

impl Above {
    fn then(mut self, nibbles: &[u8]) -> Result<Self, StoreError> {
        let place = self.key.get_mut(self.depth..self.depth + nibbles.len()).ok_or(WRONG_KEY)?;
        place.copy_from_slice(nibbles);
        self.depth += nibbles.len();
        Ok(self)
    }

    fn leads_to(&self, key: &B256) -> bool {
        (0..self.depth).all(|index| nibble(key, index) == self.key[index])
    }
}

/// A node that is to be checked.
struct Pending {
    link: Link,
    reference: Reference,
    above: Above,
}

fn children(node: &Node<'_>, above: &Above) -> Result<Vec<Pending>, StoreError> {
    match node {
        Node::Branch(branch) => nibbles_of(branch.mask)
            .map(|nibble| {
                let (link, reference) = (branch.link(nibble), branch.reference(nibble));
                Ok(Pending { link, reference, above: above.then(&[nibble])? })
            })
            .collect(),
        Node::Extension(extension) => {
            let (link, reference) = (extension.child, extension.reference);
            Ok(Vec::from([Pending { link, reference, above: above.then(extension.path.nibbles())? }]))
        }
        Node::Leaf(_) => Ok(Vec::new()),
    }
}

fn check_hashes(reader: &Reader<'_>, siblings: &[Pending], lanes: Lanes) -> Result<(), StoreError> {
    let mut blocks = vec![EMPTY; siblings.len()];
    let (mut messages, mut hashed) = (Vec::with_capacity(siblings.len()), Vec::with_capacity(siblings.len()));
    for (pending, scratch) in siblings.iter().zip(&mut blocks) {
        let len = encode(&reader.node(pending.link)?, pending.above.depth, scratch);
        if pending.reference.is_embedded {
            if pending.reference.encoding() != Some(&scratch.as_flattened()[..len]) {
                return Err(WRONG_HASH);
            }
        } else {
            hashed.push(pending.reference.bytes);
            messages.push(pad(scratch, len));
        }
    }
    let mut hashes = vec![[0; 32]; messages.len()];
    for (messages, hashes) in messages.chunks(lanes.width()).zip(hashes.chunks_mut(lanes.width())) {
        lanes.hash_padded(messages, hashes);
    }
    if hashes == hashed { Ok(()) } else { Err(WRONG_HASH) }
}
