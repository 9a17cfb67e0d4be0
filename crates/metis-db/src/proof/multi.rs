//! One proof of many accounts and slots, whose nodes are there once.

use alloy_primitives::{
    Address, B256, Bytes, U256, keccak256,
    map::{B256Map, HashSet},
};
use alloy_rlp::Decodable;
use alloy_trie::{
    EMPTY_ROOT_HASH, Nibbles,
    nodes::{RlpNode, TrieNode},
};
use metis_state_transition::Account;

use super::{AccountProof, account_leaf};

/// What a state root says about several accounts and slots, and the nodes that prove it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiProof {
    /// What is claimed.
    pub accounts: Vec<ProvenAccount>,
    /// Node encodings, each once, in no order that matters.
    pub nodes: Vec<Bytes>,
}

/// A claim about an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenAccount {
    /// Whose.
    pub address: Address,
    /// The account and its storage root; `None` where it does not exist.
    pub account: Option<(Account, B256)>,
    /// Slots with their values; zero where they hold nothing.
    pub slots: Vec<(U256, U256)>,
}

/// Why a proof of many does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MultiProofError {
    /// A node that a claim needs is not there.
    #[error("no node has the hash {0}")]
    MissingNode(B256),
    /// A node that no claim needs, or that is there twice.
    #[error("node {index} is not needed")]
    UnneededNode {
        /// Its position.
        index: usize,
    },
    /// A node that is not RLP of a node of a trie.
    #[error("the node with the hash {0} is not a trie's")]
    Malformed(B256),
    /// The nodes show another account.
    #[error("the claim about account {0} does not hold")]
    Account(Address),
    /// The nodes show another value.
    #[error("the claim about slot {slot} of account {address} does not hold")]
    Slot {
        /// Whose.
        address: Address,
        /// Which.
        slot: U256,
    },
}

impl MultiProof {
    /// Puts proofs of one state together.
    pub fn of(proofs: &[AccountProof]) -> Self {
        let mut multi = Self::default();
        let mut seen = HashSet::<&Bytes>::default();
        for proof in proofs {
            let slots = proof.storage.iter().map(|entry| (entry.slot, entry.value)).collect();
            multi.accounts.push(ProvenAccount { address: proof.address, account: proof.account, slots });
            for node in proof.proof.iter().chain(proof.storage.iter().flat_map(|entry| &entry.proof)) {
                if seen.insert(node) {
                    multi.nodes.push(node.clone());
                }
            }
        }
        multi
    }

    /// Checks all that is claimed against a state root, and that no node is there in vain.
    ///
    /// # Errors
    /// [`MultiProofError`] naming the first part that does not hold.
    pub fn verify(&self, state_root: B256) -> Result<(), MultiProofError> {
        let mut nodes = Nodes::new(&self.nodes)?;
        for claim in &self.accounts {
            let value = claim.account.map(|(account, storage_root)| account_leaf(&account, storage_root));
            if nodes.find(state_root, keccak256(claim.address))? != value {
                return Err(MultiProofError::Account(claim.address));
            }
            let storage_root = claim.account.map_or(EMPTY_ROOT_HASH, |(_, root)| root);
            for (slot, value) in &claim.slots {
                let encoded = (!value.is_zero()).then(|| alloy_rlp::encode(value));
                if nodes.find(storage_root, keccak256(slot.to_be_bytes::<32>()))? != encoded {
                    return Err(MultiProofError::Slot { address: claim.address, slot: *slot });
                }
            }
        }
        nodes.require_all_used()
    }
}

/// The nodes of a proof, by their hashes.
struct Nodes<'a> {
    by_hash: B256Map<(usize, &'a Bytes)>,
    is_used: Vec<bool>,
}

impl<'a> Nodes<'a> {
    fn new(nodes: &'a [Bytes]) -> Result<Self, MultiProofError> {
        let messages: Vec<&[u8]> = nodes.iter().map(|node| node.as_ref()).collect();
        let mut hashes = vec![[0; 32]; nodes.len()];
        metis_keccak::keccak256_each(&messages, &mut hashes);
        let mut by_hash = B256Map::default();
        for (index, (node, hash)) in nodes.iter().zip(hashes).enumerate() {
            if by_hash.insert(B256::from(hash), (index, node)).is_some() {
                return Err(MultiProofError::UnneededNode { index });
            }
        }
        Ok(Self { by_hash, is_used: vec![false; nodes.len()] })
    }

    /// The value of a key in the trie with a root; `None` where the nodes show that it has none.
    fn find(&mut self, root: B256, key: B256) -> Result<Option<Vec<u8>>, MultiProofError> {
        if root == EMPTY_ROOT_HASH {
            return Ok(None);
        }
        let mut path = Nibbles::unpack(key);
        let mut hash = root;
        let mut node = self.open(hash)?;
        // BOUND: every step takes at least one of 64 nibbles, or ends.
        loop {
            let child: RlpNode = match node {
                TrieNode::EmptyRoot => return Ok(None),
                TrieNode::Leaf(leaf) => return Ok((leaf.key == path).then_some(leaf.value)),
                TrieNode::Extension(extension) => {
                    if extension.key.is_empty() {
                        return Err(MultiProofError::Malformed(hash));
                    }
                    if !path.starts_with(&extension.key) {
                        return Ok(None);
                    }
                    path = path.slice(extension.key.len()..);
                    extension.child
                }
                TrieNode::Branch(branch) => {
                    let nibble = path.first().ok_or(MultiProofError::Malformed(hash))?;
                    let children = branch.as_ref();
                    let child = children.children().find(|(index, _)| *index == nibble).and_then(|(_, child)| child);
                    let Some(child) = child.cloned() else { return Ok(None) };
                    path = path.slice(1..);
                    child
                }
            };
            node = match child.as_hash() {
                Some(child) => {
                    hash = child;
                    self.open(hash)?
                }
                None => decode(&child, hash)?,
            };
        }
    }

    fn open(&mut self, hash: B256) -> Result<TrieNode, MultiProofError> {
        let (index, node) = self.by_hash.get(&hash).ok_or(MultiProofError::MissingNode(hash))?;
        self.is_used[*index] = true;
        decode(node, hash)
    }

    fn require_all_used(&self) -> Result<(), MultiProofError> {
        match self.is_used.iter().position(|is_used| !is_used) {
            Some(index) => Err(MultiProofError::UnneededNode { index }),
            None => Ok(()),
        }
    }
}

fn decode(mut encoding: &[u8], hash: B256) -> Result<TrieNode, MultiProofError> {
    let node = TrieNode::decode(&mut encoding).map_err(|_| MultiProofError::Malformed(hash))?;
    if encoding.is_empty() { Ok(node) } else { Err(MultiProofError::Malformed(hash)) }
}
