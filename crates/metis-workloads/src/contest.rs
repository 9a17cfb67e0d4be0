//! The same transactions by different executors: how long they take, and whether they agree.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use alloy_consensus::Header;
use metis_db::{MemorySnapshot, MissingState, StateStore};
use metis_executor::{Executor, ParallelExecutor, Recording, Sealed, SequentialExecutor};
use metis_state_transition::{
    Ancestors, BlockError, BlockRecord, BuiltBlock, InterpreterRunner, RanTransactions, RecoveredTransaction,
    StateCommitment,
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
}

/// A workload whose state is in a store.
#[derive(Debug)]
pub struct Contest {
    workload: Workload,
    snapshot: Arc<MemorySnapshot>,
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

impl Contest {
    /// Puts a workload's state into a store.
    pub fn new(workload: Workload) -> Self {
        let store = workload.store();
        let (snapshot, parent) = (store.latest(), workload.parent(&store));
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
    pub fn run(&self, by: Contestant, latency: Duration) -> Result<(Duration, u64), BlockError<MissingState>> {
        if latency.is_zero() {
            self.time(&*self.snapshot, by)
        } else {
            self.time(LatentView::new(&*self.snapshot, Latency::new(latency)), by)
        }
    }

    fn time<V: StateCommitment<Error = MissingState> + Sync>(
        &self,
        view: V,
        by: Contestant,
    ) -> Result<(Duration, u64), BlockError<MissingState>> {
        let (spec, environment) = (self.workload.spec(), self.workload.environment(&self.parent));
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
            Contestant::Parallel(workers) => {
                let executor = ParallelExecutor::new(workers).forced();
                executor.run(view, &spec, environment, &transactions, &InterpreterRunner)?
            }
        };
        let elapsed = begun.elapsed();
        Ok((elapsed, ran.receipts.iter().map(|details| details.gas_used).sum()))
    }

    /// Builds the block sequentially, then builds and verifies it on so many threads; the first difference.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn compare(&self, workers: usize) -> Result<(), Mismatch> {
        let differs = |what, sequential: String, parallel: String| {
            if sequential == parallel { Ok(()) } else { Err(Mismatch { what, workers, sequential, parallel }) }
        };
        let parallel = ParallelExecutor::new(workers).forced();
        let (expected, found) = (self.build(&SequentialExecutor), self.build(&parallel));
        let (expected, found) = match (expected, found) {
            (Ok(expected), Ok(found)) => (expected, found),
            (expected, found) => {
                return differs("error", format!("{:?}", expected.err()), format!("{:?}", found.err()));
            }
        };
        differs("included", format!("{:?}", expected.included), format!("{:?}", found.included))?;
        differs("skipped", format!("{:?}", expected.skipped), format!("{:?}", found.skipped))?;
        let (ours, theirs) = (&expected.outcome, &found.outcome);
        differs("receipts", format!("{:?}", ours.receipts), format!("{:?}", theirs.receipts))?;
        differs("changes", format!("{:?}", ours.changes), format!("{:?}", theirs.changes))?;
        differs("requests", format!("{:?}", ours.requests), format!("{:?}", theirs.requests))?;
        let hash = |built: &BuiltBlock| built.block.header.hash_slow().to_string();
        differs("block hash", hash(&expected), hash(&found))?;

        let transactions: Vec<RecoveredTransaction> =
            expected.included.iter().map(|index| self.workload.candidates[*index].clone()).collect();
        let sealed = Sealed {
            parent: &self.parent,
            block: &expected.block,
            transactions: &transactions,
            ancestors: self.ancestors(),
        };
        let verified = parallel.verify(&*self.snapshot, &self.workload.spec(), sealed, &InterpreterRunner);
        let verified = verified.map(|outcome| format!("{:?}{:?}", outcome.changes, outcome.receipts));
        let expected = format!("{:?}{:?}", ours.changes, ours.receipts);
        differs("verified", expected, verified.unwrap_or_else(|error| error.to_string()))
    }

    /// Runs the transactions on so many threads, however few, and keeps a record of it.
    ///
    /// # Errors
    /// [`BlockError`].
    pub fn record(&self, workers: usize) -> Result<Box<BlockRecord>, BlockError<MissingState>> {
        let (spec, environment) = (self.workload.spec(), self.workload.environment(&self.parent));
        let transactions: Vec<&RecoveredTransaction> = self.workload.candidates.iter().collect();
        let executor = Recording(ParallelExecutor::new(workers).forced());
        let ran = executor.run(&*self.snapshot, &spec, environment, &transactions, &InterpreterRunner)?;
        // UNWRAP: it was asked for.
        Ok(ran.record.unwrap())
    }

    fn build(&self, executor: &impl Executor) -> Result<BuiltBlock, BlockError<MissingState>> {
        let candidates: Vec<&RecoveredTransaction> = self.workload.candidates.iter().collect();
        let mut attributes = self.workload.attributes();
        attributes.ancestors = self.ancestors();
        let (view, spec) = (&*self.snapshot, self.workload.spec());
        executor.build(view, &spec, &self.parent, attributes, &candidates, &InterpreterRunner)
    }

    fn ancestors(&self) -> Ancestors {
        Ancestors::default().with(self.parent.number, self.parent.hash_slow())
    }
}
