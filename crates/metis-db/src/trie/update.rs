//! Insertion and removal, keeping the trie in its one canonical shape.

use std::sync::Arc;

use alloy_trie::Nibbles;

use super::node::{Kind, Node};

/// Sets the value at `path` below `node`. Nodes shared with other versions are copied, others are
/// changed in place.
pub(super) fn insert(node: &mut Arc<Node>, path: Nibbles, value: Vec<u8>) {
    let shared = match &node.kind {
        Kind::Leaf { path: own, .. } | Kind::Extension { path: own, .. } => own.common_prefix_length(&path),
        Kind::Branch { .. } => 0,
    };
    match &node.kind {
        Kind::Leaf { path: own, .. } if shared < own.len() => *node = split_leaf(node, shared, path, value),
        Kind::Extension { path: own, .. } if shared < own.len() => *node = split_extension(node, shared, path, value),
        _ => {
            let inner = Arc::make_mut(node);
            inner.invalidate();
            match &mut inner.kind {
                Kind::Leaf { value: own, .. } => *own = value,
                Kind::Extension { child, .. } => insert(child, path.slice(shared..), value),
                Kind::Branch { children } => {
                    // Keys are of one length: a path never ends at a branch.
                    let nibble = path.get_unchecked(0) as usize;
                    let rest = path.slice(1..);
                    match &mut children[nibble] {
                        Some(child) => insert(child, rest, value),
                        empty => *empty = Some(Arc::new(Node::leaf(rest, value))),
                    }
                }
            }
        }
    }
}

fn split_leaf(node: &Arc<Node>, shared: usize, path: Nibbles, value: Vec<u8>) -> Arc<Node> {
    let Kind::Leaf { path: own, value: own_value } = &node.kind else { unreachable!("called on a leaf") };
    let old = Arc::new(Node::leaf(own.slice(shared + 1..), own_value.clone()));
    fork(own.slice(..shared), (own.get_unchecked(shared), old), path, shared, value)
}

fn split_extension(node: &Arc<Node>, shared: usize, path: Nibbles, value: Vec<u8>) -> Arc<Node> {
    let Kind::Extension { path: own, child } = &node.kind else { unreachable!("called on an extension") };
    let old = Node::extension(own.slice(shared + 1..), Arc::clone(child));
    fork(own.slice(..shared), (own.get_unchecked(shared), old), path, shared, value)
}

/// A branch below `prefix` with the node that was there and a new leaf.
fn fork(prefix: Nibbles, old: (u8, Arc<Node>), path: Nibbles, shared: usize, value: Vec<u8>) -> Arc<Node> {
    let mut children: Box<[Option<Arc<Node>>; 16]> = Box::default();
    children[old.0 as usize] = Some(old.1);
    let new = Node::leaf(path.slice(shared + 1..), value);
    children[path.get_unchecked(shared) as usize] = Some(Arc::new(new));
    Node::extension(prefix, Arc::new(Node::new(Kind::Branch { children })))
}

/// Removes the value at `path` below `node`; gives back what remains.
pub(super) fn remove(mut node: Arc<Node>, path: Nibbles) -> Option<Arc<Node>> {
    if !contains(&node, path) {
        return Some(node);
    }
    let inner = Arc::make_mut(&mut node);
    inner.invalidate();
    match &mut inner.kind {
        Kind::Leaf { .. } => None,
        Kind::Extension { path: own, child } => {
            let rest = path.slice(own.len()..);
            // UNWRAP: a branch has at least two leaves, so something remains.
            let remaining = remove(Arc::clone(child), rest).unwrap();
            Some(join(*own, remaining))
        }
        Kind::Branch { children } => {
            let slot = &mut children[path.get_unchecked(0) as usize];
            // UNWRAP: `contains` found the path through this child.
            *slot = remove(slot.take().unwrap(), path.slice(1..));
            let mut present = children.iter().enumerate().filter_map(|(nibble, child)| Some((nibble, child.as_ref()?)));
            match (present.next(), present.next()) {
                (Some((nibble, only)), None) => {
                    let prefix = Nibbles::from_nibbles([nibble as u8]);
                    Some(join(prefix, Arc::clone(only)))
                }
                _ => Some(node),
            }
        }
    }
}

/// `node` below `prefix`, merged with its own path where it has one.
fn join(prefix: Nibbles, node: Arc<Node>) -> Arc<Node> {
    match &node.kind {
        Kind::Leaf { path, value } => Arc::new(Node::leaf(prefix.join(path), value.clone())),
        Kind::Extension { path, child } => Node::extension(prefix.join(path), Arc::clone(child)),
        Kind::Branch { .. } => Node::extension(prefix, node),
    }
}

fn contains(mut node: &Arc<Node>, mut path: Nibbles) -> bool {
    // BOUND: every step takes at least one of 64 nibbles.
    loop {
        match &node.kind {
            Kind::Leaf { path: own, .. } => return *own == path,
            Kind::Extension { path: own, child } => {
                if !path.starts_with(own) {
                    return false;
                }
                path = path.slice(own.len()..);
                node = child;
            }
            Kind::Branch { children } => match &children[path.get_unchecked(0) as usize] {
                Some(child) => {
                    path = path.slice(1..);
                    node = child;
                }
                None => return false,
            },
        }
    }
}
