//! A Merkle Patricia trie that shares structure between versions (Yellow Paper appendix D).
//!
//! Keys are 32-byte hashes (the "secure" trie), so no value ever sits in a branch. Nodes are
//! reference-counted and copied only where two versions differ: cloning a trie takes constant
//! time, an update copies one path. A node's reference (its hash, or its encoding when shorter
//! than 32 bytes) is computed once, when it is first asked for.

mod node;
mod update;

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use node::Node;

/// A trie from 32-byte keys to non-empty byte strings.
#[derive(Clone, Debug, Default)]
pub struct Trie {
    root: Option<Arc<Node>>,
}

impl Trie {
    /// Sets the value of a key.
    pub fn insert(&mut self, key: B256, value: Vec<u8>) {
        debug_assert!(!value.is_empty(), "an empty value is a removal");
        let path = Nibbles::unpack(key);
        match &mut self.root {
            Some(root) => update::insert(root, path, value),
            None => self.root = Some(Arc::new(Node::leaf(path, value))),
        }
    }

    /// Removes a key; nothing happens where it is absent.
    pub fn remove(&mut self, key: B256) {
        if let Some(root) = self.root.take() {
            self.root = update::remove(root, Nibbles::unpack(key));
        }
    }

    /// Root hash.
    pub fn root_hash(&self) -> B256 {
        self.root.as_ref().map_or(EMPTY_ROOT_HASH, |root| root.hash())
    }

    /// Computes the hashes that [`Self::root_hash`] needs, on all cores. Worth it after many changes.
    pub fn hash_ahead(&self) {
        if let Some(root) = &self.root {
            root.hash_ahead();
        }
    }

    /// Encodings of the nodes on the way to a key, root first: a proof of its value or absence.
    pub fn prove(&self, key: B256) -> Vec<Bytes> {
        let mut proof = Vec::new();
        if let Some(root) = &self.root {
            node::collect_proof(root, Nibbles::unpack(key), &mut proof);
        }
        proof
    }
}
