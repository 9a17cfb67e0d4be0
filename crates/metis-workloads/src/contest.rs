//! The same transactions by different executors: how long they take, and whether they agree.

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_consensus::Header;
use metis_db::{MemorySnapshot, StateSnapshot, StateStore};
use metis_executor::{Executor, ParallelExecutor, Recording, Sealed, SequentialExecutor};
use metis_state_transition::{
    Ancestors, BlockEnvironment, BlockError, BlockOutcome, BlockRecord, BuiltBlock, ChainSpec, FrameRunnerFactory,
    InterpreterRunner, RanTransactions, RecoveredTransaction, SkippedTransaction, StateCommitment,
};
use metis_vm::run_plain_revm;

use crate::{Latency, LatentView, Workload};

/// Who runs a workload's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contestant {
    /// revm's own main loop, over its own cache.
    Revm,
    /// Ours, one after the other.
    Sequential,
    /// Ours, scheduled for so many threads, however few; 0 is one for each core.
    Parallel(usize),
    /// Ours as nodes run it: scheduled for so many threads where that helps.
    Node(usize),
}

/// A workload whose state is in a store.
#[derive(Debug)]
pub struct Contest<S = MemorySnapshot> {
    workload: Workload,
    snapshot: Arc<S>,
    parent: Header,
}

/// Where executors differ.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {sequential} in order, {parallel} on {workers} workers")]
pub struct Mismatch {
    /// What differs.
    pub what: &'static str,
    /// Threads of the one that is compared.
    pub workers: usize,
    /// What the sequential executor says.
    pub sequential: String,
    /// What the other one says.
    pub parallel: String,
}

/// What became of a block's transactions: a comparison of blocks that hold nothing proves nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Transactions that ran.
    pub included: usize,
    /// Those of them that reverted or halted.
    pub failed: usize,
    /// Transactions that may not be in the block.
    pub skipped: usize,
    /// By all that ran.
    pub gas_used: u64,
}

impl Tally {
    fn of(ran: &RanTransactions) -> Self {
        Self {
            included: ran.receipts.len(),
            failed: ran.receipts.iter().filter(|details| !details.receipt.success).count(),
            skipped: ran.skipped.len(),
            gas_used: ran.receipts.last().map_or(0, |details| details.receipt.cumulative_gas_used),
        }
    }
}

fn same<T: PartialEq + Debug>(what: &'static str, workers: usize, ours: &T, theirs: &T) -> Result<(), Mismatch> {
    if ours == theirs {
        return Ok(());
    }
    Err(Mismatch { what, workers, sequential: format!("{ours:?}"), parallel: format!("{theirs:?}") })
}

/// Whom a block leaves out, and why.
fn reasons(skipped: &[SkippedTransaction]) -> String {
    format!("{skipped:?}")
}

/// Transactions of a batch: few, so that small blocks have several, and another number for each size of block.
const fn batch_len(transaction_count: usize) -> usize {
    1 + transaction_count % 7
}

/// Runs transactions as those of one block: in order, by the interpreter, and then on each number of threads, by a
/// machine of the caller's; what became of them, or the first difference.
///
/// # Errors
/// [`BlockError`], where running them in order fails.
pub fn compare_runs<V: StateCommitment + Sync>(
    view: &V,
    spec: &ChainSpec,
    environment: &BlockEnvironment,
    transactions: &[&RecoveredTransaction],
    workers: &[usize],
    runners: &impl FrameRunnerFactory,
) -> Result<Result<Tally, Mismatch>, BlockError<V::Error>> {
    let in_order = Recording(SequentialExecutor);
    let expected = in_order.run(view, spec, environment.clone(), transactions, &InterpreterRunner)?;
    let compare = |workers: usize| {
        let parallel = ParallelExecutor::new(workers).forced();
        let environment = || environment.clone();
        let plain = parallel.run(view, spec, environment(), transactions, runners);
        let followed = Recording(parallel.following()).run(view, spec, environment(), transactions, runners);
        let impatient = parallel.with_versions().impatient().run(view, spec, environment(), transactions, runners);
        let batches = parallel.in_batches(batch_len(transactions.len()));
        let in_batches = batches.run(view, spec, environment(), transactions, runners);
        let given_up = batches.impatient().run(view, spec, environment(), transactions, runners);
        for found in [plain, followed, impatient, in_batches, given_up] {
            let found = match found {
                Ok(found) => found,
                Err(error) => return same("error", workers, &None, &Some(error.to_string())),
            };
            same("skipped", workers, &reasons(&expected.skipped), &reasons(&found.skipped))?;
            same("receipts", workers, &expected.receipts, &found.receipts)?;
            same("changes", workers, &expected.changes, &found.changes)?;
            if let (Some(ours), Some(theirs)) = (&expected.record, &found.record) {
                // The access list, and who depends on whom, follow from these.
                same("record", workers, &ours.steps(), &theirs.steps())?;
            }
        }
        Ok(())
    };
    Ok(workers.iter().try_for_each(|count| compare(*count)).map(|()| Tally::of(&expected)))
}

impl Contest {
    /// Puts a workload's state into plain maps.
    pub fn new(workload: Workload) -> Self {
        let store = workload.store();
        Self::on(workload, &store)
    }
}

impl<S: StateSnapshot> Contest<S> {
    /// On a store that holds the workload's state.
    pub fn on(workload: Workload, store: &impl StateStore<Snapshot = S>) -> Self {
        let (snapshot, parent) = (store.latest(), workload.parent(store));
        Self { workload, snapshot, parent }
    }

    /// What is run.
    pub const fn workload(&self) -> &Workload {
        &self.workload
    }

    /// Runs the transactions, without the block around them; how long it took and the gas. With `latency`, each first
    /// read of an account or slot takes so long.
    ///
    /// # Errors
    /// [`BlockError`]; of plain revm none: it panics.
    pub fn run(&self, by: Contestant, latency: Duration) -> Result<(Duration, u64), BlockError<S::Error>> {
        if latency.is_zero() {
            self.time(&*self.snapshot, by)
        } else {
            self.time(LatentView::new(&*self.snapshot, Latency::new(latency)), by)
        }
    }

    fn time<V: StateCommitment + Sync>(
        &self,
        view: V,
        by: Contestant,
    ) -> Result<(Duration, u64), BlockError<V::Error>> {
        let (spec, environment) = (self.workload.spec.clone(), self.workload.environment(&self.parent));
        let transactions: Vec<&RecoveredTransaction> = self.workload.candidates.iter().collect();
        let begun = Instant::now();
        let ran: RanTransactions = match by {
            Contestant::Revm => {
                let rules = spec.rules_at(environment.number, environment.timestamp);
                let gas = run_plain_revm(view, &rules, &environment, &transactions);
                return Ok((begun.elapsed(), gas));
            }
            Contestant::Sequential => {
                SequentialExecutor.run(view, &spec, environment, &transactions, &InterpreterRunner)?
            }
            Contestant::Parallel(workers) | Contestant::Node(workers) => {
                let executor = ParallelExecutor::new(workers);
                let executor = if by == Contestant::Node(workers) { executor } else { executor.forced() };
                executor.run(view, &spec, environment, &transactions, &InterpreterRunner)?
            }
        };
        let elapsed = begun.elapsed();
        Ok((elapsed, ran.receipts.iter().map(|details| details.gas_used).sum()))
    }

    /// Builds the block in order, by the interpreter, then on so many threads, by a machine of the caller's: going on in
    /// order now and then, and in batches. Verifies it on them; the first difference. Blocks are compared byte by byte.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn compare(&self, workers: usize, runners: &impl FrameRunnerFactory) -> Result<(), Mismatch> {
        let parallel = ParallelExecutor::new(workers).forced();
        let expected = self.build(&Recording(SequentialExecutor), &InterpreterRunner);
        let batches = parallel.in_batches(batch_len(self.workload.candidates.len()));
        for executor in [parallel.with_versions().impatient(), batches, batches.impatient()] {
            let found = self.build(&executor, runners);
            let (expected, found) = match (&expected, &found) {
                (Ok(expected), Ok(found)) => (expected, found),
                (expected, found) => {
                    let text = |ended: &Result<BuiltBlock, _>| ended.as_ref().err().map(ToString::to_string);
                    same("error", workers, &text(expected), &text(found))?;
                    continue;
                }
            };
            same("included", workers, &expected.included, &found.included)?;
            same("skipped", workers, &reasons(&expected.skipped), &reasons(&found.skipped))?;
            let (ours, theirs) = (&expected.outcome, &found.outcome);
            same("receipts", workers, &ours.receipts, &theirs.receipts)?;
            same("changes", workers, &ours.changes, &theirs.changes)?;
            same("requests", workers, &ours.requests, &theirs.requests)?;
            same("block", workers, &alloy_rlp::encode(&expected.block), &alloy_rlp::encode(&found.block))?;
        }
        let Ok(expected) = expected else { return Ok(()) };
        let ours = &expected.outcome;

        let transactions: Vec<RecoveredTransaction> =
            expected.included.iter().map(|index| self.workload.candidates[*index].clone()).collect();
        let sealed = Sealed {
            parent: &self.parent,
            block: &expected.block,
            transactions: &transactions,
            ancestors: self.ancestors(),
        };
        let parallel = Recording(parallel.following());
        let verified = match parallel.verify(&*self.snapshot, &self.workload.spec, sealed, runners) {
            Ok(verified) => verified,
            Err(error) => return same("refusal", workers, &None, &Some(error.to_string())),
        };
        same("verified changes", workers, &ours.changes, &verified.changes)?;
        same("verified receipts", workers, &ours.receipts, &verified.receipts)?;
        // A builder's candidates leave no trace in the block's record, so that building and verifying agree on it.
        let steps = |outcome: &BlockOutcome| outcome.record.as_deref().map(|record| record.steps().to_vec());
        same("record", workers, &steps(ours), &steps(&verified))
    }

    /// Runs the transactions on so many threads, however few, and keeps a record of it.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn record(&self, workers: usize) -> Result<Box<BlockRecord>, BlockError<S::Error>> {
        let (spec, environment) = (self.workload.spec.clone(), self.workload.environment(&self.parent));
        let transactions: Vec<&RecoveredTransaction> = self.workload.candidates.iter().collect();
        let executor = Recording(ParallelExecutor::new(workers).forced());
        let ran = executor.run(&*self.snapshot, &spec, environment, &transactions, &InterpreterRunner)?;
        // UNWRAP: it was asked for.
        Ok(ran.record.unwrap())
    }

    fn build(
        &self,
        executor: &impl Executor,
        runners: &impl FrameRunnerFactory,
    ) -> Result<BuiltBlock, BlockError<S::Error>> {
        let candidates: Vec<&RecoveredTransaction> = self.workload.candidates.iter().collect();
        let mut attributes = self.workload.attributes();
        attributes.ancestors = self.ancestors();
        let (view, spec) = (&*self.snapshot, &self.workload.spec);
        executor.build(view, spec, &self.parent, attributes, &candidates, runners)
    }

    fn ancestors(&self) -> Ancestors {
        Ancestors::default().with(self.parent.number, self.parent.hash_slow())
    }
}
