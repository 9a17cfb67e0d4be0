//! The store follows the chain: after a restart, a reorganisation, or for a block beside the chain.

use std::sync::Arc;

use metis_chain::{
    chain::{Chain, ChainError, StateStep},
    record::StateId,
};
use metis_db::{CommittedBlock, GenesisAccount, MemoryStore, StateSnapshot, StateStore};

use crate::NodeError;

/// Rebuilds the store from the change sets in the chain, without executing anything. Every root is
/// checked.
///
/// # Errors
/// [`NodeError`], when the log can not be read or a root does not fit.
pub fn rebuild(chain: &Chain, kept_block_count: usize) -> Result<MemoryStore, NodeError> {
    let mut steps = chain.states(None)?;
    // UNWRAP: a chain has a first block.
    let genesis = steps.next().unwrap()?;
    from_steps(genesis, steps, kept_block_count)
}

/// The same for an older state: the store as it was when that was the newest.
///
/// # Errors
/// As [`rebuild`].
pub fn rebuild_at(chain: &Chain, kept_block_count: usize, state: StateId) -> Result<MemoryStore, NodeError> {
    let first = chain.state_of(&chain.heads().first.hash).ok_or(NodeError::UnknownBlock)?;
    let steps = chain.state_path(first, state)?.made.into_iter().map(|state| chain.state_step(state));
    from_steps(chain.state_step(first)?, steps, kept_block_count)
}

fn from_steps(
    genesis: StateStep,
    steps: impl Iterator<Item = Result<StateStep, ChainError>>,
    kept_block_count: usize,
) -> Result<MemoryStore, NodeError> {
    let alloc = genesis.changes.accounts.into_iter().filter_map(|(address, change)| {
        let account = change.account?;
        let code = genesis.changes.codes.get(&account.code_hash).map(|code| code.bytes()).unwrap_or_default();
        let (nonce, balance, storage) = (account.nonce, account.balance, change.storage);
        Some((address, GenesisAccount { nonce, balance, code, storage }))
    });
    let store = MemoryStore::new(alloc, kept_block_count);
    for step in steps {
        apply(&store, &step?)?;
    }
    Ok(store)
}

/// Adds one state to the store.
fn apply(store: &MemoryStore, step: &StateStep) -> Result<(), NodeError> {
    let parent = store.latest();
    if step.is_patch {
        store.patch(&parent, &step.changes)?;
        return Ok(());
    }
    let block = CommittedBlock {
        number: step.block.number,
        hash: step.block.hash,
        parent_hash: step.block.parent_hash,
        state_root: step.state_root,
    };
    store.commit(&parent, block, &step.changes)?;
    Ok(())
}

/// Moves a store from the state it is at to another one.
///
/// # Errors
/// [`NodeError::Store`] when the state that both stand on is no longer kept.
pub fn follow(store: &MemoryStore, chain: &Chain, from: StateId, to: StateId) -> Result<(), NodeError> {
    let path = chain.state_path(from, to)?;
    store.undo(path.undone.len())?;
    for state in path.made {
        apply(store, &chain.state_step(state)?)?;
    }
    Ok(())
}

/// A store of its own at another state than the newest: shares what they have in common.
///
/// # Errors
/// As [`follow`].
pub fn store_at(store: &MemoryStore, chain: &Chain, from: StateId, to: StateId) -> Result<Arc<MemoryStore>, NodeError> {
    let fork = store.fork();
    follow(&fork, chain, from, to)?;
    debug_assert!(chain.block_of_state(to).is_some_and(|block| block.number == fork.latest().block().number));
    Ok(Arc::new(fork))
}
