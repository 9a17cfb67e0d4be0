//! The changes that lead from one state to another: how stores are rebuilt and reorganised without
//! executing anything.

use alloy_primitives::B256;
use metis_state_transition::ChangeSet;

use super::{
    BlockRef, Chain, ChainError, NodeIndex,
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

    /// Where a store is whose states, oldest first, have these block hashes and roots: the state of the last of them,
    /// if those before it are the others. `None` where there is no such state.
    ///
    /// # Errors
    /// [`ChainError`], when a record can not be read.
    pub fn find_state(&self, states: &[(B256, B256)]) -> Result<Option<StateId>, ChainError> {
        let Some((last, _)) = states.last() else { return Ok(None) };
        let paths: Vec<Vec<(StateId, B256, bool)>> = {
            let tree = &self.index.read().tree;
            let ends = tree.by_hash(last).map(|block| tree.states_of(block)).unwrap_or_default();
            let paths = ends.into_iter().filter_map(|end| tree.states_back(end, states.len()));
            let facts = |at: NodeIndex| (tree.node(at).state, tree.node(at).hash, tree.node(at).block == at);
            paths.map(|path| path.into_iter().map(facts).collect()).collect()
        };
        for path in paths {
            if self.is_path_of(&path, states)? {
                return Ok(path.last().map(|(state, ..)| *state));
            }
        }
        Ok(None)
    }

    fn is_path_of(&self, path: &[(StateId, B256, bool)], states: &[(B256, B256)]) -> Result<bool, ChainError> {
        for (position, ((state, hash, is_block), (wanted, root))) in path.iter().zip(states).enumerate() {
            // A block's hash says its root. Patches must be read, and the end is for certainty.
            let is_told = *is_block && position + 1 < path.len();
            if hash != wanted || !(is_told || self.state_step(*state)?.state_root == *root) {
                return Ok(false);
            }
        }
        Ok(true)
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
