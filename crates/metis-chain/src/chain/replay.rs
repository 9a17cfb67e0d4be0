//! The changes that lead from one state to another: how stores are rebuilt and reorganised without
//! executing anything.

use alloy_primitives::B256;
use metis_state_transition::ChangeSet;

use super::{
    BlockRef, Chain, ChainError,
    read::{of_record, payload},
};
use crate::record::{BlockView, StateId, decode_patch};

/// What made a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateStep {
    /// The state.
    pub state: StateId,
    /// Its block.
    pub block: BlockRef,
    /// It was made by a patch on the block, not by the block.
    pub is_patch: bool,
    /// Its root.
    pub state_root: B256,
    /// What changed. For the first block: the accounts that the chain begins with.
    pub changes: ChangeSet,
}

/// The way between two states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePath {
    /// The newest state that both stand on.
    pub ancestor: StateId,
    /// Its block.
    pub ancestor_block: BlockRef,
    /// States to undo, newest first.
    pub undone: Vec<StateId>,
    /// States to make, oldest first.
    pub made: Vec<StateId>,
}

/// Steps from one state to another, read one by one.
#[derive(Debug)]
pub struct StateSteps<'a> {
    chain: &'a Chain,
    states: std::vec::IntoIter<StateId>,
}

impl Iterator for StateSteps<'_> {
    type Item = Result<StateStep, ChainError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.states.next().map(|state| self.chain.state_step(state))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.states.size_hint()
    }
}

impl ExactSizeIterator for StateSteps<'_> {}

impl Chain {
    /// The states from after `after` (or from the first one) to the newest, oldest first.
    ///
    /// # Errors
    /// [`ChainError::UnknownState`], when the newest does not stand on `after`.
    pub fn states(&self, after: Option<StateId>) -> Result<StateSteps<'_>, ChainError> {
        let tree = &self.index.read().tree;
        let from = match after {
            Some(state) => Some(tree.by_state(state).ok_or(ChainError::UnknownState { state })?),
            None => None,
        };
        let nodes = tree.states_between(from, tree.latest());
        let nodes = nodes.ok_or(ChainError::UnknownState { state: after.unwrap_or(StateId::NONE) })?;
        let states: Vec<StateId> = nodes.into_iter().map(|node| tree.node(node).state).collect();
        Ok(StateSteps { chain: self, states: states.into_iter() })
    }

    /// The way from one state to another.
    ///
    /// # Errors
    /// [`ChainError::UnknownState`].
    pub fn state_path(&self, from: StateId, to: StateId) -> Result<StatePath, ChainError> {
        let tree = &self.index.read().tree;
        let find = |state| tree.by_state(state).ok_or(ChainError::UnknownState { state });
        let (from, to) = (find(from)?, find(to)?);
        let ancestor = tree.common_ancestor(from, to);
        let states = |end| -> Vec<StateId> {
            // UNWRAP: the common ancestor is before both.
            tree.states_between(Some(ancestor), end).unwrap().into_iter().map(|node| tree.node(node).state).collect()
        };
        let mut undone = states(from);
        undone.reverse();
        Ok(StatePath {
            ancestor: tree.node(ancestor).state,
            ancestor_block: tree.block_ref(ancestor),
            undone,
            made: states(to),
        })
    }

    /// What made a state.
    ///
    /// # Errors
    /// [`ChainError`], when the state is not known or its record can not be read.
    pub fn state_step(&self, state: StateId) -> Result<StateStep, ChainError> {
        let (node, block, is_patch) = {
            let tree = &self.index.read().tree;
            let found = tree.by_state(state).ok_or(ChainError::UnknownState { state })?;
            let node = tree.node(found);
            (node.clone(), tree.block_ref(found), node.block != found)
        };
        let payload = payload(self.reader.as_ref(), &node)?;
        let (state_root, changes) = of_record(state, || {
            if is_patch {
                let patch = decode_patch(&payload)?;
                Ok((patch.state_root, patch.changes))
            } else {
                let view = BlockView::new(&payload)?;
                Ok((view.state_root, view.changes()?))
            }
        })?;
        Ok(StateStep { state, block, is_patch, state_root, changes })
    }
}
