//! One transaction, run again and again by revm as its authors ship it and by our tiers, to compare
//! them: same crate, same features, same allocator, same database, same keccak.

use core::hint::black_box;

use metis_state_transition::{
    BlockEnvironment, ChainPrecompiles, ChangeSet, Evm, EvmContext, RecoveredTransaction, Rules, StateView,
    TransactionOutcome, ViewDatabase, context_over, execution_context, outcome, transaction_env,
};
use revm::{
    ExecuteCommitEvm, ExecuteEvm, MainBuilder,
    context::{
        TxEnv,
        result::{ExecutionResult, HaltReason},
    },
    database::CacheDB,
    handler::MainnetEvm,
    state::EvmState,
};

use crate::TieredRunner;

/// Runs one transaction from the same state each time.
pub trait Contestant {
    /// Runs it once and drops the result.
    ///
    /// # Panics
    /// When it cannot be run at all.
    fn round(&mut self);

    /// Runs it once more and gives what it did.
    ///
    /// # Panics
    /// As [`Self::round`].
    fn outcome(&mut self) -> (TransactionOutcome, ChangeSet);
}

/// revm's own main loop and handler, with nothing of ours between.
#[derive(Debug)]
pub struct PlainRevm<V: StateView> {
    machine: MainnetEvm<EvmContext<V>>,
    transaction: TxEnv,
}

impl<V: StateView> PlainRevm<V> {
    /// The contestant for a transaction in a block on a state.
    pub fn new(view: V, rules: &Rules, block: &BlockEnvironment, transaction: &RecoveredTransaction) -> Self {
        let machine = execution_context(view, rules, block).build_mainnet();
        Self { machine, transaction: transaction_env(transaction) }
    }

    #[inline(never)]
    fn run(&mut self) -> (ExecutionResult<HaltReason>, EvmState) {
        let done = self.machine.transact(self.transaction.clone()).expect("the transaction runs in every contestant");
        (done.result, done.state)
    }
}

impl<V: StateView> Contestant for PlainRevm<V> {
    fn round(&mut self) {
        black_box(self.run());
    }

    fn outcome(&mut self) -> (TransactionOutcome, ChangeSet) {
        let (result, state) = self.run();
        (outcome(result), ChangeSet::from_journal(state))
    }
}

/// Runs transactions one after the other by revm's own main loop and handler, over its own cache; gas of all.
///
/// # Panics
/// When one of them cannot be run: all contestants run the same ones.
pub fn run_plain_revm<V: StateView>(
    view: V,
    rules: &Rules,
    block: &BlockEnvironment,
    transactions: &[&RecoveredTransaction],
) -> u64 {
    let database = CacheDB::new(ViewDatabase::new(view, block.ancestors.clone()));
    let mut machine = context_over(database, rules, block).build_mainnet();
    let results: Vec<ExecutionResult<HaltReason>> = transactions
        .iter()
        .map(|transaction| machine.transact_commit(transaction_env(transaction)).expect("all contestants run it"))
        .collect();
    results.iter().map(ExecutionResult::tx_gas_used).sum()
}

/// Our machine, with the tiers that a runner has.
#[derive(Debug)]
pub struct Tiered<V: StateView> {
    machine: Evm<V, TieredRunner, ChainPrecompiles>,
    transaction: TxEnv,
}

impl<V: StateView> Tiered<V> {
    /// The contestant for a transaction in a block on a state.
    pub fn new(
        view: V,
        rules: &Rules,
        block: &BlockEnvironment,
        transaction: &RecoveredTransaction,
        runner: TieredRunner,
    ) -> Self {
        let machine = Evm::new(view, rules, block, runner, ChainPrecompiles::default());
        Self { machine, transaction: transaction_env(transaction) }
    }

    #[inline(never)]
    fn run(&mut self) -> (ExecutionResult<HaltReason>, EvmState) {
        self.machine.transact(self.transaction.clone()).expect("the transaction runs in every contestant")
    }
}

impl<V: StateView> Contestant for Tiered<V> {
    fn round(&mut self) {
        black_box(self.run());
    }

    fn outcome(&mut self) -> (TransactionOutcome, ChangeSet) {
        let (result, state) = self.run();
        (outcome(result), ChangeSet::from_journal(state))
    }
}
