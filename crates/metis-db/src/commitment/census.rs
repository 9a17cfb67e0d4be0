//! What the tries are made of.

use super::{
    Tries,
    node::{Link, Node, Value, nibbles_of},
    prove::View,
};
use crate::{Region, StoreError};

/// How many nodes of each kind there are, and how deep the leaves lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrieCensus {
    /// Branches of all tries.
    pub branch_count: u64,
    /// Extensions of all tries.
    pub extension_count: u64,
    /// Leaves of the trie of accounts.
    pub account_count: u64,
    /// Leaves of the tries of storage.
    pub slot_count: u64,
    /// Tries of storage.
    pub storage_count: u64,
    /// Accounts by how many nodes lie above them.
    pub account_depths: Vec<u64>,
    /// Slots by how many nodes of their trie lie above them.
    pub slot_depths: Vec<u64>,
}

impl<R: Region> Tries<R> {
    /// Counts all nodes. Walks all, hashes nothing.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn census(&self) -> Result<TrieCensus, StoreError> {
        let view = self.view();
        let mut census = TrieCensus::default();
        let mut storages = Vec::new();
        count(&view, view.root, &mut census, &mut storages)?;
        census.storage_count = storages.len() as u64;
        for storage in storages {
            count(&view, storage, &mut census, &mut Vec::new())?;
        }
        Ok(census)
    }
}

fn count(view: &View<'_>, root: Link, census: &mut TrieCensus, storages: &mut Vec<Link>) -> Result<(), StoreError> {
    let mut stack = if root.is_none() { Vec::new() } else { vec![(root, 0)] };
    let mut left = view.node_count_max();
    while let Some((link, depth)) = stack.pop() {
        left = left.checked_sub(1).ok_or(super::prove::TOO_MANY)?;
        match view.reader.node(link)? {
            Node::Branch(branch) => {
                census.branch_count += 1;
                stack.extend(nibbles_of(branch.mask).map(|nibble| (branch.link(nibble), depth + 1)));
            }
            Node::Extension(extension) => {
                census.extension_count += 1;
                stack.push((extension.child, depth + 1));
            }
            Node::Leaf(leaf) => {
                let (count, depths) = match leaf.value {
                    Value::Account { storage, .. } => {
                        storages.extend(Some(storage).filter(|storage| !storage.is_none()));
                        (&mut census.account_count, &mut census.account_depths)
                    }
                    Value::Slot(_) => (&mut census.slot_count, &mut census.slot_depths),
                };
                *count += 1;
                depths.resize(depths.len().max(depth + 1), 0);
                depths[depth] += 1;
            }
        }
    }
    Ok(())
}
