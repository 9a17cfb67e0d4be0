//! Nodes, their encodings and references.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::{
    Nibbles, TrieMask,
    nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode},
};
use rayon::prelude::*;

/// A node and, once computed, what its parent holds of it.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    reference: OnceLock<RlpNode>,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// The rest of the key, and its value.
    Leaf { path: Nibbles, value: Vec<u8> },
    /// A shared part of keys; the child is a branch.
    Extension { path: Nibbles, child: Arc<Node> },
    /// One child per next nibble, at least two of them.
    Branch { children: Box<[Option<Arc<Node>>; 16]> },
}

impl Node {
    pub(super) const fn new(kind: Kind) -> Self {
        Self { kind, reference: OnceLock::new() }
    }

    pub(super) const fn leaf(path: Nibbles, value: Vec<u8>) -> Self {
        Self::new(Kind::Leaf { path, value })
    }

    /// `child` below `path`; no node in between where the path is empty.
    pub(super) fn extension(path: Nibbles, child: Arc<Self>) -> Arc<Self> {
        if path.is_empty() { child } else { Arc::new(Self::new(Kind::Extension { path, child })) }
    }

    /// Forgets the reference, because the node is about to change.
    pub(super) fn invalidate(&mut self) {
        self.reference = OnceLock::new();
    }

    /// Hash of the encoding, however short it is: what a root is known by.
    pub(super) fn hash(&self) -> B256 {
        self.reference().as_hash().unwrap_or_else(|| keccak256(self.encode()))
    }

    /// Computes the references of everything below, on all cores; asking for them later costs nothing.
    pub(super) fn hash_ahead(&self) {
        if let Kind::Branch { children } = &self.kind {
            children.par_iter().flatten().for_each(|child| {
                child.reference();
            });
        }
    }

    fn reference(&self) -> &RlpNode {
        self.reference.get_or_init(|| RlpNode::from_rlp(&self.encode()))
    }

    fn encode(&self) -> Vec<u8> {
        let mut encoded = Vec::new();
        match &self.kind {
            Kind::Leaf { path, value } => {
                LeafNodeRef::new(path, value).rlp(&mut encoded);
            }
            Kind::Extension { path, child } => {
                ExtensionNodeRef::new(path, child.reference()).rlp(&mut encoded);
            }
            Kind::Branch { children } => {
                let mut mask = TrieMask::default();
                let mut stack = Vec::with_capacity(16);
                for (nibble, child) in children.iter().enumerate() {
                    if let Some(child) = child {
                        mask.set_bit(nibble as u8);
                        stack.push(child.reference().clone());
                    }
                }
                BranchNodeRef::new(&stack, mask).rlp(&mut encoded);
            }
        }
        encoded
    }
}

/// Appends the encodings of the nodes on the way to `path`. A node that its parent embeds (shorter
/// than 32 bytes) is part of the parent's encoding and not listed on its own.
pub(super) fn collect_proof(root: &Arc<Node>, mut path: Nibbles, proof: &mut Vec<Bytes>) {
    let mut node = root;
    let mut is_root = true;
    // BOUND: every step takes at least one of 64 nibbles.
    loop {
        if is_root || node.reference().is_hash() {
            proof.push(node.encode().into());
        }
        is_root = false;
        match &node.kind {
            Kind::Leaf { .. } => return,
            Kind::Extension { path: shared, child } => {
                if !path.starts_with(shared) {
                    return;
                }
                path = path.slice(shared.len()..);
                node = child;
            }
            Kind::Branch { children } => match path.first().and_then(|nibble| children[nibble as usize].as_ref()) {
                Some(child) => {
                    path = path.slice(1..);
                    node = child;
                }
                None => return,
            },
        }
    }
}
