//! Building and verifying blocks, over a state and over a store.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::B256;
use metis_db::{CommittedBlock, StateSnapshot, StateStore, StoreError};
use metis_state_transition::{
    Ancestors, Block, BlockAttributes, BlockEnvironment, BlockError, BlockOutcome, BuiltBlock, ChainPrecompiles,
    ChainSpec, FrameRunnerFactory, Means, RanTransactions, RecoveredTransaction, Schedule, Sequentially,
    StateCommitment, StateView, build_block, execute_block, run_transactions, verify_block,
};

use crate::{
    cores::Cores,
    parallel::{Batches, Endurance, Freely, InParallel, Lengths, Patience},
    recover::{BatchError, recover_block},
};

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

/// A sealed block with what must be known to verify it.
#[derive(Clone, Debug)]
pub struct Sealed<'a> {
    /// Header of its parent.
    pub parent: &'a Header,
    /// The block.
    pub block: &'a Block,
    /// Its transactions with their senders, in order.
    pub transactions: &'a [RecoveredTransaction],
    /// Ancestors that BLOCKHASH may be asked for.
    pub ancestors: Ancestors,
}

/// Runs the transactions of blocks. Nothing is committed: what a block changed is in its outcome.
///
/// Implementations differ in their schedule, and every one must equal [`SequentialExecutor`].
pub trait Executor: Send + Sync {
    /// Who runs the transactions between a block's beginning and its end.
    fn schedule<V: StateCommitment + Sync>(&self, runners: &impl FrameRunnerFactory) -> impl Schedule<V>;

    /// Whether outcomes say what each step of the block accessed and changed.
    fn keeps_record(&self) -> bool {
        false
    }

    /// Runs transactions as those of one block: no calls of the protocol, no rewards, no roots.
    ///
    /// # Errors
    /// [`BlockError`], when the state cannot be read.
    fn run<V: StateCommitment + Sync>(
        &self,
        view: V,
        spec: &ChainSpec,
        environment: BlockEnvironment,
        transactions: &[&RecoveredTransaction],
        runners: &impl FrameRunnerFactory,
    ) -> Result<RanTransactions, BlockError<V::Error>> {
        let rules = spec.rules_at(environment.number, environment.timestamp);
        run_transactions(
            view,
            rules,
            environment,
            transactions,
            means(runners, self.schedule(runners), self.keeps_record()),
        )
    }

    /// Builds the child of `parent` from candidates.
    ///
    /// # Errors
    /// [`BlockError`].
    fn build<V: StateCommitment + Sync>(
        &self,
        view: V,
        spec: &ChainSpec,
        parent: &Header,
        attributes: BlockAttributes,
        candidates: &[&RecoveredTransaction],
        runners: &impl FrameRunnerFactory,
    ) -> Result<BuiltBlock, BlockError<V::Error>> {
        build_block(
            view,
            spec,
            parent,
            attributes,
            candidates,
            means(runners, self.schedule(runners), self.keeps_record()),
        )
    }

    /// Executes a sealed block and checks everything it claims.
    ///
    /// # Errors
    /// [`BlockError`].
    fn verify<V: StateCommitment + Sync>(
        &self,
        view: V,
        spec: &ChainSpec,
        sealed: Sealed<'_>,
        runners: &impl FrameRunnerFactory,
    ) -> Result<BlockOutcome, BlockError<V::Error>> {
        let Sealed { parent, block, transactions, ancestors } = sealed;
        verify_block(
            view,
            spec,
            parent,
            block,
            transactions,
            ancestors,
            means(runners, self.schedule(runners), self.keeps_record()),
        )
    }

    /// Executes a sealed block, and checks nothing that its header says of the results.
    ///
    /// # Errors
    /// [`BlockError`].
    fn execute<V: StateCommitment + Sync>(
        &self,
        view: V,
        spec: &ChainSpec,
        block: &Block,
        transactions: &[RecoveredTransaction],
        ancestors: Ancestors,
        runners: &impl FrameRunnerFactory,
    ) -> Result<BlockOutcome, BlockError<V::Error>> {
        let means = means(runners, self.schedule(runners), self.keeps_record());
        execute_block(view, spec, block, transactions, ancestors, means).map(|(outcome, _)| outcome)
    }
}

/// An executor whose outcomes say what each step of the block accessed and changed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Recording<E>(pub E);

impl<E: Executor> Executor for Recording<E> {
    fn schedule<V: StateCommitment + Sync>(&self, runners: &impl FrameRunnerFactory) -> impl Schedule<V> {
        self.0.schedule(runners)
    }

    fn keeps_record(&self) -> bool {
        true
    }
}

/// One transaction after the other, on the calling thread; the roots of a large block on two.
#[derive(Clone, Copy, Debug, Default)]
pub struct SequentialExecutor;

impl Executor for SequentialExecutor {
    fn schedule<V: StateCommitment + Sync>(&self, _runners: &impl FrameRunnerFactory) -> impl Schedule<V> {
        Sequentially
    }
}

/// Many transactions at a time; see [`crate::parallel`].
#[derive(Clone, Copy, Debug)]
pub struct ParallelExecutor {
    workers: usize,
    is_forced: bool,
    patience: Option<Patience>,
    batches: Option<Batches>,
    follows_all: bool,
}

impl ParallelExecutor {
    /// An executor with so many threads for a block; 0 is one for each core. Blocks that are done sooner on one thread
    /// are run on one, and so is what is left of a block whose transactions need each other.
    pub const fn new(workers: usize) -> Self {
        let (patience, batches) = (Some(Patience::USUAL), Some(Batches::USUAL));
        Self { workers, is_forced: false, patience, batches, follows_all: false }
    }

    /// The same for every block to its end, also on one thread: for tests and measurements of the scheduler itself.
    #[must_use]
    pub const fn forced(self) -> Self {
        Self { is_forced: true, patience: None, ..self }
    }

    /// The same for every block, but going on in order for some transactions whenever one was run in vain: for tests.
    #[must_use]
    pub const fn impatient(self) -> Self {
        let batches = match self.batches {
            Some(batches) => Some(Batches { endurance: Endurance::NearlyNone, ..batches }),
            None => None,
        };
        Self { is_forced: true, patience: Some(Patience::NEARLY_NONE), batches, ..self }
    }

    /// The same for every block to its end in batches of so many transactions, at least one: for tests.
    #[must_use]
    pub const fn in_batches(self, count_max: usize) -> Self {
        let lengths = Lengths { count_max, gas_max: u64::MAX };
        let batches = Some(Batches { lengths, endurance: Endurance::Endless });
        Self { is_forced: true, batches, ..self }
    }

    /// The same for every block with versions only, without batches: for tests and measurements.
    #[must_use]
    pub const fn with_versions(self) -> Self {
        Self { is_forced: true, batches: None, ..self }
    }

    /// The same with every transaction followed that is run ahead of its turn (see
    /// [`Formulas`](metis_state_transition::Formulas)): for tests.
    #[must_use]
    pub const fn following(self) -> Self {
        Self { follows_all: true, batches: None, ..self }
    }
}

impl Executor for ParallelExecutor {
    fn schedule<V: StateCommitment + Sync>(&self, runners: &impl FrameRunnerFactory) -> impl Schedule<V> {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let workers = if self.workers == 0 { cores() } else { self.workers };
        let Self { is_forced, patience, batches, follows_all, .. } = *self;
        InParallel { runners, workers, is_forced, patience, batches, follows_all, pace: Freely }
    }
}

#[cfg(feature = "chosen-schedules")]
impl ParallelExecutor {
    /// Runs transactions as [`Executor::run`] does, on a schedule that follows from a seed: for tests, which look for one
    /// that gives another result.
    ///
    /// # Errors
    /// As [`Executor::run`].
    pub fn run_chosen<V: StateCommitment + Sync>(
        self,
        seed: u64,
        view: V,
        spec: &ChainSpec,
        environment: BlockEnvironment,
        transactions: &[&RecoveredTransaction],
        runners: &impl FrameRunnerFactory,
    ) -> Result<RanTransactions, BlockError<V::Error>> {
        let rules = spec.rules_at(environment.number, environment.timestamp);
        let Self { workers, patience, batches, follows_all, .. } = self;
        let pace = crate::parallel::chosen::Chosen::new(seed, workers);
        let schedule = InParallel { runners, workers, is_forced: true, patience, batches, follows_all, pace };
        run_transactions(view, rules, environment, transactions, means(runners, schedule, false))
    }
}

/// What every executor gives the state transition: the chain's precompiles, and cores for the roots.
pub(crate) fn means<F: FrameRunnerFactory, S>(
    runners: &F,
    schedule: S,
    keeps_record: bool,
) -> Means<F::Runner, ChainPrecompiles, S, Cores> {
    let precompiles = ChainPrecompiles::default();
    Means { runner: runners.runner(), precompiles, schedule, join: Cores, keeps_record }
}

/// Builds the child of `parent`, the newest block of the store, and commits it.
///
/// # Errors
/// [`ExecuteError`]; the store is then unchanged.
pub fn build_and_commit<S: StateStore>(
    executor: &impl Executor,
    store: &S,
    spec: &ChainSpec,
    parent: &Header,
    mut attributes: BlockAttributes,
    candidates: &[&RecoveredTransaction],
    runners: &impl FrameRunnerFactory,
) -> Result<Built, ExecuteError<SnapshotError<S>>> {
    let snapshot = newest_on(store, parent)?;
    attributes.ancestors = store.ancestors().with(parent.number, parent.hash_slow());
    let built = executor.build(&*snapshot, spec, parent, attributes, candidates, runners)?;
    let hash = commit(store, &snapshot, &built.block.header, &built.outcome)?;
    Ok(Built { hash, built })
}

/// Verifies a child of `parent`, the newest block of the store, and commits it.
///
/// # Errors
/// [`ExecuteError`]; the store is then unchanged.
pub fn import_and_commit<S: StateStore>(
    executor: &impl Executor,
    store: &S,
    spec: &ChainSpec,
    parent: &Header,
    block: &Block,
    runners: &impl FrameRunnerFactory,
) -> Result<BlockOutcome, ExecuteError<SnapshotError<S>>> {
    let snapshot = newest_on(store, parent)?;
    let ancestors = store.ancestors().with(parent.number, parent.hash_slow());
    let transactions = &recover_block(block)?;
    let sealed = Sealed { parent, block, transactions, ancestors };
    let outcome = executor.verify(&*snapshot, spec, sealed, runners)?;
    commit(store, &snapshot, &block.header, &outcome)?;
    Ok(outcome)
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
