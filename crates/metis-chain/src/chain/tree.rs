//! All states that are known, how they follow each other, and which of them are the chain.
//!
//! A node is a state: after a block, or after a patch on a block. Nodes are only ever added, so an
//! index stays valid for ever; a forgotten node is found no more, but its place in the tree stays
//! known, which is how filters find out what happened since they last asked.

use std::collections::BTreeMap;

use alloy_primitives::{B256, Bytes, U256, map::B256Map};

use super::{BlockRef, HeadChange};
use crate::{block_log::Location, record::StateId};

/// A state in the tree.
pub(crate) type NodeIndex = u32;

const NOBODY: NodeIndex = NodeIndex::MAX;

/// Where the record of a state is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In the block log.
    Log(Location),
    /// In memory: the record's payload.
    Memory(Bytes),
    /// Nowhere any more.
    Forgotten,
}

/// What a block node says about its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockFacts {
    pub hash: B256,
    pub parent_hash: B256,
    pub number: u64,
    pub timestamp: u64,
    pub difficulty: U256,
    pub transaction_count: u32,
    pub log_count: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub state: StateId,
    pub parent: NodeIndex,
    /// The node of the block: itself, or, for a patch, the one it is on.
    pub block: NodeIndex,
    first_child: NodeIndex,
    next_sibling: NodeIndex,
    is_forgotten: bool,
    pub place: Place,
    pub hash: B256,
    pub number: u64,
    pub timestamp: u64,
    pub total_difficulty: U256,
    pub transaction_count: u32,
    pub log_count: u32,
}

/// How to get from the newest state to another one, in blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    /// Canonical blocks that will not be, newest first.
    pub removed: Vec<NodeIndex>,
    /// Blocks that will be canonical, oldest first.
    pub added: Vec<NodeIndex>,
}

#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    by_hash: B256Map<NodeIndex>,
    /// Blocks of the chain, by number; the first has `first_number`.
    canonical: Vec<NodeIndex>,
    first_number: u64,
    latest: NodeIndex,
    safe: Option<NodeIndex>,
    finalized: Option<NodeIndex>,
    /// Blocks that are or were beside the chain, by number.
    beside: BTreeMap<u64, Vec<NodeIndex>>,
}

impl Tree {
    pub(super) fn new(state: StateId, place: Place, facts: BlockFacts) -> Self {
        let mut tree = Self {
            nodes: Vec::new(),
            by_hash: B256Map::default(),
            canonical: vec![0],
            first_number: facts.number,
            latest: 0,
            safe: None,
            finalized: None,
            beside: BTreeMap::new(),
        };
        tree.push_block(state, NOBODY, place, facts);
        tree
    }

    pub(super) fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index as usize]
    }

    /// The node of the block that a state belongs to.
    pub(super) fn block_of(&self, index: NodeIndex) -> &Node {
        self.node(self.node(index).block)
    }

    pub(super) fn by_hash(&self, hash: &B256) -> Option<NodeIndex> {
        self.by_hash.get(hash).copied()
    }

    pub(super) fn by_number(&self, number: u64) -> Option<NodeIndex> {
        let position = number.checked_sub(self.first_number)?;
        self.canonical.get(usize::try_from(position).ok()?).copied()
    }

    pub(super) fn by_state(&self, state: StateId) -> Option<NodeIndex> {
        let index = self.nodes.binary_search_by_key(&state, |node| node.state).ok()? as NodeIndex;
        (!self.node(index).is_forgotten).then_some(index)
    }

    pub(super) const fn first_number(&self) -> u64 {
        self.first_number
    }

    /// The newest state.
    pub(super) const fn latest(&self) -> NodeIndex {
        self.latest
    }

    pub(super) const fn safe(&self) -> Option<NodeIndex> {
        self.safe
    }

    pub(super) const fn finalized(&self) -> Option<NodeIndex> {
        self.finalized
    }

    pub(super) fn is_canonical(&self, block: NodeIndex) -> bool {
        self.by_number(self.node(block).number) == Some(block)
    }

    pub(super) fn block_ref(&self, index: NodeIndex) -> BlockRef {
        let block = self.block_of(index);
        let parent_hash = match block.parent {
            NOBODY => B256::ZERO,
            parent => self.node(parent).hash,
        };
        BlockRef { number: block.number, hash: block.hash, parent_hash, timestamp: block.timestamp }
    }

    /// States from after `from` (or from the first one) to `to`, oldest first. `None` when `from`
    /// is not before `to`.
    pub(super) fn states_between(&self, from: Option<NodeIndex>, to: NodeIndex) -> Option<Vec<NodeIndex>> {
        let mut states = Vec::new();
        let mut at = to;
        loop {
            if Some(at) == from {
                break;
            }
            states.push(at);
            match self.node(at).parent {
                NOBODY if from.is_none() => break,
                NOBODY => return None,
                parent => at = parent,
            }
        }
        states.reverse();
        Some(states)
    }

    /// The newest state that both stand on.
    pub(super) fn common_ancestor(&self, one: NodeIndex, other: NodeIndex) -> NodeIndex {
        // A parent was there before its child, so it has the smaller index.
        let (mut one, mut other) = (one, other);
        while one != other {
            if one > other {
                one = self.node(one).parent;
            } else {
                other = self.node(other).parent;
            }
        }
        one
    }

    /// Blocks to leave and to enter when a state becomes the newest.
    pub(super) fn route(&self, to: NodeIndex) -> Route {
        self.route_between(self.latest, to)
    }

    /// Blocks to leave and to enter on the way from one state to another. Either may be forgotten.
    pub(super) fn route_between(&self, from: NodeIndex, to: NodeIndex) -> Route {
        let (from, to) = (self.node(from).block, self.node(to).block);
        let fork = self.common_ancestor(from, to);
        // Two blocks may have patches of one block as parents; their fork is that block.
        let fork = self.node(fork).block;
        let down_to_fork = |mut at: NodeIndex| {
            let mut blocks = Vec::new();
            while at != fork {
                blocks.push(at);
                at = self.node(self.node(at).parent).block;
            }
            blocks
        };
        let removed = down_to_fork(from);
        let mut added = down_to_fork(to);
        added.reverse();
        Route { removed, added }
    }

    /// The state after a block, and those after patches on it.
    pub(super) fn states_of(&self, block: NodeIndex) -> Vec<NodeIndex> {
        let mut states = vec![block];
        let mut next = 0;
        while let Some(state) = states.get(next) {
            let mut child = self.node(*state).first_child;
            while let Some(node) = self.nodes.get(child as usize) {
                if node.block == block && !node.is_forgotten {
                    states.push(child);
                }
                child = node.next_sibling;
            }
            next += 1;
        }
        states
    }

    /// A state and those before it, `count` in all, oldest first. `None` where there are fewer.
    pub(super) fn states_back(&self, to: NodeIndex, count: usize) -> Option<Vec<NodeIndex>> {
        let parent = |at: &NodeIndex| Some(self.node(*at).parent).filter(|parent| *parent != NOBODY);
        let mut states: Vec<NodeIndex> = std::iter::successors(Some(to), parent).take(count).collect();
        states.reverse();
        (states.len() == count).then_some(states)
    }

    /// Adds a block's state. It is not canonical yet.
    pub(super) fn push_block(
        &mut self,
        state: StateId,
        parent: NodeIndex,
        place: Place,
        facts: BlockFacts,
    ) -> NodeIndex {
        let index = self.nodes.len() as NodeIndex;
        let BlockFacts { hash, number, timestamp, difficulty, transaction_count, log_count, .. } = facts;
        let below = if parent == NOBODY { U256::ZERO } else { self.block_of(parent).total_difficulty };
        let total_difficulty = below.saturating_add(difficulty);
        let node = Node {
            state,
            parent,
            block: index,
            first_child: NOBODY,
            next_sibling: NOBODY,
            is_forgotten: false,
            place,
            hash,
            number,
            timestamp,
            total_difficulty,
            transaction_count,
            log_count,
        };
        self.push(node);
        self.by_hash.insert(hash, index);
        index
    }

    /// Adds a patch on the newest state, which it becomes.
    pub(super) fn push_patch(&mut self, state: StateId, place: Place) {
        let index = self.nodes.len() as NodeIndex;
        let node = Node {
            state,
            parent: self.latest,
            first_child: NOBODY,
            next_sibling: NOBODY,
            is_forgotten: false,
            place,
            ..self.block_of(self.latest).clone()
        };
        self.push(node);
        self.latest = index;
    }

    fn push(&mut self, mut node: Node) {
        let index = self.nodes.len() as NodeIndex;
        if let Some(parent) = self.nodes.get_mut(node.parent as usize) {
            node.next_sibling = std::mem::replace(&mut parent.first_child, index);
        }
        self.nodes.push(node);
    }

    /// Makes a state the newest, along its route.
    pub(super) fn move_to(&mut self, to: NodeIndex, route: &Route) -> HeadChange {
        let change = HeadChange {
            removed: route.removed.iter().map(|block| self.block_ref(*block)).collect(),
            added: route.added.iter().map(|block| self.block_ref(*block)).collect(),
        };
        self.canonical.truncate(self.canonical.len() - route.removed.len());
        self.canonical.extend(&route.added);
        self.latest = to;
        for block in &route.removed {
            self.set_beside(*block);
        }
        // A head that is no longer on the chain falls back to where the chains parted.
        if !route.removed.is_empty() {
            let fork = self.canonical[self.canonical.len() - 1 - route.added.len()];
            for head in [&mut self.safe, &mut self.finalized] {
                if head.is_some_and(|block| self.nodes[block as usize].number > self.nodes[fork as usize].number) {
                    *head = Some(fork);
                }
            }
        }
        change
    }

    /// Notes that a block is beside the chain.
    pub(super) fn set_beside(&mut self, block: NodeIndex) {
        self.beside.entry(self.node(block).number).or_default().push(block);
    }

    pub(super) const fn set_safe_and_finalized(&mut self, safe: Option<NodeIndex>, finalized: Option<NodeIndex>) {
        self.safe = safe;
        self.finalized = finalized;
    }

    /// Forgets every state that was built on this one.
    pub(super) fn forget_descendants(&mut self, of: NodeIndex) {
        let child = std::mem::replace(&mut self.nodes[of as usize].first_child, NOBODY);
        let mut pending = vec![child];
        while let Some(index) = pending.pop() {
            let Some(node) = self.nodes.get_mut(index as usize) else { continue };
            pending.push(node.next_sibling);
            pending.push(std::mem::replace(&mut node.first_child, NOBODY));
            self.forget(index);
        }
    }

    /// Forgets the branches that begin more than `window` blocks below the newest block.
    pub(super) fn forget_old_branches(&mut self, window: u64) {
        let newest = self.block_of(self.latest).number;
        while let Some(entry) = self.beside.first_entry()
            && entry.key().saturating_add(window) < newest
        {
            for block in entry.remove() {
                if !self.is_canonical(block) && !self.node(block).is_forgotten {
                    self.forget_descendants(block);
                    self.forget(block);
                }
            }
        }
    }

    fn forget(&mut self, index: NodeIndex) {
        let node = &mut self.nodes[index as usize];
        node.is_forgotten = true;
        node.place = Place::Forgotten;
        // A block that was forgotten and came back has a newer node, which stays.
        if self.by_hash.get(&node.hash) == Some(&index) {
            self.by_hash.remove(&node.hash);
        }
    }
}
