//! Building and verifying blocks over a state store.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::B256;
use metis_db::{CommittedBlock, StateSnapshot, StateStore, StoreError};
use metis_state_transition::{
    Block, BlockAttributes, BlockError, BlockOutcome, BuiltBlock, ChainSpec, EthereumPrecompiles, FrameRunner,
    RecoveredTransaction, StateView, build_block, verify_block,
};

use crate::recover::{BatchError, recover_block};

/// Why a block was not built or not imported. The store is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E: std::error::Error> {
    /// The block, or what it should be built from, breaks a rule.
    #[error(transparent)]
    Block(#[from] BlockError<E>),
    /// A signature in the block is wrong.
    #[error(transparent)]
    Signature(#[from] BatchError),
    /// The store did not take the block.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The parent is not the newest block of the store.
    #[error("parent {parent} is not the newest block {newest} of the store")]
    NotOnTop {
        /// Number of the parent that was given.
        parent: u64,
        /// Newest block of the store.
        newest: u64,
    },
}

/// A block that was built and committed.
#[derive(Debug)]
pub struct Built {
    /// Hash of the block.
    pub hash: B256,
    /// The block, its receipts, and the candidates left out.
    pub built: BuiltBlock,
}

type SnapshotError<S> = <<S as StateStore>::Snapshot as StateView>::Error;

/// Runs the transactions of blocks. Every implementation must equal [`SequentialExecutor`].
pub trait Executor: Send + Sync {
    /// Builds the child of `parent` from candidates and commits it.
    ///
    /// # Errors
    /// [`ExecuteError`]; the store is then unchanged.
    fn build<S: StateStore>(
        &self,
        store: &S,
        spec: &ChainSpec,
        parent: &Header,
        attributes: BlockAttributes,
        candidates: &[RecoveredTransaction],
        runner: impl FrameRunner,
    ) -> Result<Built, ExecuteError<SnapshotError<S>>>;

    /// Executes a sealed block, checks everything it claims, and commits it.
    ///
    /// # Errors
    /// [`ExecuteError`]; the store is then unchanged.
    fn import<S: StateStore>(
        &self,
        store: &S,
        spec: &ChainSpec,
        parent: &Header,
        block: &Block,
        runner: impl FrameRunner,
    ) -> Result<BlockOutcome, ExecuteError<SnapshotError<S>>>;
}

/// One transaction after the other, on the calling thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct SequentialExecutor;

impl Executor for SequentialExecutor {
    fn build<S: StateStore>(
        &self,
        store: &S,
        spec: &ChainSpec,
        parent: &Header,
        mut attributes: BlockAttributes,
        candidates: &[RecoveredTransaction],
        runner: impl FrameRunner,
    ) -> Result<Built, ExecuteError<SnapshotError<S>>> {
        let snapshot = newest_on(store, parent)?;
        attributes.ancestors = store.ancestors().with(parent.number, parent.hash_slow());
        let built = build_block(&*snapshot, spec, parent, attributes, candidates, runner, EthereumPrecompiles)?;
        let hash = commit(store, &snapshot, &built.block.header, &built.outcome)?;
        Ok(Built { hash, built })
    }

    fn import<S: StateStore>(
        &self,
        store: &S,
        spec: &ChainSpec,
        parent: &Header,
        block: &Block,
        runner: impl FrameRunner,
    ) -> Result<BlockOutcome, ExecuteError<SnapshotError<S>>> {
        let snapshot = newest_on(store, parent)?;
        let transactions = recover_block(block)?;
        let outcome = verify_block(
            &*snapshot,
            spec,
            parent.hash_slow(),
            parent,
            block,
            &transactions,
            store.ancestors().with(parent.number, block.header.parent_hash),
            runner,
            EthereumPrecompiles,
        )?;
        commit(store, &snapshot, &block.header, &outcome)?;
        Ok(outcome)
    }
}

fn newest_on<S: StateStore>(store: &S, parent: &Header) -> Result<Arc<S::Snapshot>, ExecuteError<SnapshotError<S>>> {
    let snapshot = store.latest();
    let newest = snapshot.block();
    // By hash, not by root: development methods change the newest state without a block. The
    // store does not know the hash of block 0.
    let is_parent = newest.number == parent.number && (newest.number == 0 || newest.hash == parent.hash_slow());
    if !is_parent {
        return Err(ExecuteError::NotOnTop { parent: parent.number, newest: newest.number });
    }
    Ok(snapshot)
}

fn commit<S: StateStore>(
    store: &S,
    snapshot: &S::Snapshot,
    header: &Header,
    outcome: &BlockOutcome,
) -> Result<B256, StoreError> {
    let hash = header.hash_slow();
    let block =
        CommittedBlock { number: header.number, hash, parent_hash: header.parent_hash, state_root: header.state_root };
    store.commit(snapshot, block, &outcome.changes)?;
    Ok(hash)
}
