//! The store follows the chain: after a restart, a reorganisation, or for a block beside the chain.

use metis_chain::{
    chain::{Chain, StatePath, StateStep},
    record::StateId,
};
use metis_db::{CommittedBlock, StoreError};
use metis_state_transition::ChangeSet;

use crate::{NodeError, state::State, store::NodeStore};

/// BOUND: states of an archive that are in memory before they go to its files.
const STATES_PER_CHECKPOINT: usize = 4_096;

/// How the store gets from the state that it is at to another one. Found before anything changes.
pub(crate) enum Way {
    /// Back over states that are kept, then on.
    Steps { undone_count: usize, made: Vec<StateStep> },
    /// A store that is there already: the state that both stand on is not kept any more.
    Replaced(NodeStore),
}

impl Way {
    /// The way between two states of the chain.
    ///
    /// # Errors
    /// [`NodeError::Store`] when the state that both stand on is no longer kept; [`NodeError::Chain`].
    pub(crate) fn find(store: &NodeStore, chain: &Chain, from: StateId, to: StateId) -> Result<Self, NodeError> {
        let path = chain.state_path(from, to)?;
        ancestor(store, chain, &path)?;
        let made = path.made.into_iter().map(|state| chain.state_step(state)).collect::<Result<Vec<_>, _>>()?;
        let undone_count = path.undone.len();
        // Who goes there holds up all readers: hashing takes the most time of it, and can be done now.
        store.prepare(undone_count, &made)?;
        Ok(Self::Steps { undone_count, made })
    }

    /// The same; where the state that both stand on is not kept, all of it again, from the log.
    ///
    /// # Errors
    /// [`NodeError`].
    pub(crate) fn find_anyhow(store: &NodeStore, chain: &Chain, from: StateId, to: StateId) -> Result<Self, NodeError> {
        match Self::find(store, chain, from, to) {
            Err(NodeError::Store(StoreError::Unavailable { .. })) => Ok(Self::Replaced(rebuilt(store, chain, to)?)),
            found => found,
        }
    }

    /// Brings the store there.
    ///
    /// # Errors
    /// [`StoreError`]; the store is then at a state between, or at none of the chain's.
    pub(crate) fn go(self, store: &NodeStore) -> Result<(), StoreError> {
        match self {
            Self::Steps { undone_count, made } => {
                store.undo(undone_count)?;
                made.iter().try_for_each(|step| apply(store, step))
            }
            Self::Replaced(other) => {
                store.replace_with(other);
                Ok(())
            }
        }
    }
}

/// A store at a state, made from the change sets in the chain, without executing anything. Every root is checked.
///
/// # Errors
/// [`NodeError`], when the log can not be read or a root does not fit.
pub(crate) fn rebuilt(store: &NodeStore, chain: &Chain, to: StateId) -> Result<NodeStore, NodeError> {
    let first = chain.state_of(&chain.heads().first.hash).ok_or(NodeError::UnknownBlock)?;
    let again = {
        let genesis = chain.state_step(first)?;
        store.begin_again(committed(&genesis), &genesis.changes)?
    };
    walk(&again, chain, first, to)?;
    Ok(again)
}

/// Brings a store on from a state that it is at; one change set is in memory at a time.
///
/// # Errors
/// As [`rebuilt`]; the store is then at a state between.
pub(crate) fn walk(store: &NodeStore, chain: &Chain, from: StateId, to: StateId) -> Result<(), NodeError> {
    let path = chain.state_path(from, to)?;
    store.undo(path.undone.len())?;
    for (count, state) in (1..).zip(path.made) {
        apply(store, &chain.state_step(state)?)?;
        if count % STATES_PER_CHECKPOINT == 0 && store.is_archive() {
            store.checkpoint(&|| 0)?;
        }
    }
    Ok(())
}

/// The state that both ends of a path stand on. Where the store is ahead of the chain makes no difference.
pub(crate) fn ancestor(store: &NodeStore, chain: &Chain, path: &StatePath) -> Result<State, StoreError> {
    let number = path.ancestor_block.number;
    let is_on_it = |state: &&StateId| chain.block_of_state(**state).is_some_and(|block| block.number == number);
    let patch_count = path.undone.iter().rev().take_while(is_on_it).count();
    store.at_before(number, patch_count)
}

/// A state beside the chain, or an older one on it.
///
/// # Errors
/// As [`Way::find`].
pub(crate) fn beside(store: &NodeStore, chain: &Chain, from: StateId, to: StateId) -> Result<State, NodeError> {
    let path = chain.state_path(from, to)?;
    let base = ancestor(store, chain, &path)?;
    let mut changes = ChangeSet::default();
    let mut block = None;
    for state in path.made {
        let step = chain.state_step(state)?;
        block = Some(committed(&step));
        changes.merge(step.changes);
    }
    Ok(match block {
        Some(block) => base.branch(block, changes),
        None => base,
    })
}

const fn committed(step: &StateStep) -> CommittedBlock {
    CommittedBlock {
        number: step.block.number,
        hash: step.block.hash,
        parent_hash: step.block.parent_hash,
        state_root: step.state_root,
    }
}

/// Adds one state to the store.
fn apply(store: &NodeStore, step: &StateStep) -> Result<(), StoreError> {
    let parent = store.latest();
    if step.is_patch {
        return store.patch(&parent, &step.changes).map(|_| ());
    }
    store.commit(&parent, committed(step), &step.changes)
}
