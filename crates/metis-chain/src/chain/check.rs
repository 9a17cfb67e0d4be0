//! What may follow what.

use alloy_consensus::Header;
use alloy_primitives::B256;

use super::{
    ChainError, NewBlock, NodeIndex,
    index::{Index, Plan},
    tree::BlockFacts,
};
use crate::record::{StateId, StateRef};

/// A head of the chain, as the tree knows it.
type Head = Option<NodeIndex>;

pub(super) fn check_follows(header: &Header, parent_hash: B256, parent_number: u64) -> Result<(), ChainError> {
    if header.parent_hash != parent_hash {
        return Err(ChainError::UnknownParent { parent_hash: header.parent_hash });
    }
    check_number(header.number, parent_number)
}

fn check_number(number: u64, parent_number: u64) -> Result<(), ChainError> {
    match parent_number.checked_add(1) {
        Some(next) if next == number => Ok(()),
        _ => Err(ChainError::WrongNumber { number, parent_number }),
    }
}

impl Index {
    /// The state that a new block stands on.
    pub(super) fn parent_of(&self, new: &NewBlock) -> Result<NodeIndex, ChainError> {
        let header = &new.block.header;
        let parent_hash = header.parent_hash;
        let parent = self.tree.by_hash(&parent_hash).ok_or(ChainError::UnknownParent { parent_hash })?;
        check_number(header.number, self.tree.node(parent).number)?;
        match new.parent_state {
            Some(state) => {
                let found = self.tree.by_state(state).ok_or(ChainError::UnknownState { state })?;
                if self.tree.node(found).block != parent {
                    return Err(ChainError::StateOfOtherBlock { state, block_hash: parent_hash });
                }
                Ok(found)
            }
            None => {
                let latest = self.tree.latest();
                Ok(if self.tree.node(latest).block == parent { latest } else { parent })
            }
        }
    }

    /// The state that a block of the log stands on.
    pub(super) fn state_below(&self, state: StateId, facts: BlockFacts) -> Result<NodeIndex, ChainError> {
        let found = self.tree.by_state(state).ok_or(ChainError::UnknownState { state })?;
        let node = self.tree.node(found);
        if node.hash != facts.parent_hash {
            return Err(ChainError::StateOfOtherBlock { state, block_hash: facts.parent_hash });
        }
        check_number(facts.number, node.number)?;
        Ok(found)
    }

    /// The node of a state that a record names.
    pub(super) fn resolve(&self, named: StateRef) -> Result<NodeIndex, ChainError> {
        let StateRef { state, block_hash } = named;
        let found = self.tree.by_state(state).ok_or(ChainError::UnknownState { state })?;
        if self.tree.node(found).hash != block_hash {
            return Err(ChainError::StateOfOtherBlock { state, block_hash });
        }
        Ok(found)
    }

    pub(super) fn check_is_latest(&self, named: StateRef) -> Result<(), ChainError> {
        if self.resolve(named)? == self.tree.latest() {
            return Ok(());
        }
        Err(ChainError::NotLatest { state: named.state })
    }

    /// The safe and the finalized block that stay once a plan is performed.
    pub(super) fn heads_after(&self, plan: &Plan) -> (Head, Head) {
        let fork = self.fork_of(plan);
        let stays = |head: Head| {
            let is_above = head.is_some_and(|block| self.tree.node(block).number > self.tree.node(fork).number);
            if is_above { Some(fork) } else { head }
        };
        (stays(self.tree.safe()), stays(self.tree.finalized()))
    }

    /// The blocks of these hashes, if they are on the chain once a plan is performed.
    pub(super) fn check_heads(
        &self,
        plan: &Plan,
        safe: Option<B256>,
        finalized: Option<B256>,
    ) -> Result<(Head, Head), ChainError> {
        let fork_number = self.tree.node(self.fork_of(plan)).number;
        let check = |hash: Option<B256>| {
            let Some(hash) = hash else { return Ok(None) };
            let block = self.tree.by_hash(&hash).ok_or(ChainError::UnknownBlock { hash })?;
            let stays = self.tree.is_canonical(block) && self.tree.node(block).number <= fork_number;
            if stays || plan.route.added.contains(&block) {
                Ok(Some(block))
            } else {
                Err(ChainError::NotCanonical { hash })
            }
        };
        Ok((check(safe)?, check(finalized)?))
    }

    /// The newest block that stays on the chain when a plan is performed.
    fn fork_of(&self, plan: &Plan) -> NodeIndex {
        let left = plan.route.removed.last().map(|block| self.tree.node(*block).parent);
        self.tree.node(left.unwrap_or(self.tree.latest())).block
    }
}
