//! Batches: transactions of a block that hardly need each other, some dozens at a time.
//!
//! ```text
//! take ──▶ run one after the other, on what is committed ──▶ in order: does what the batch read hold?
//!                                                            yes ─▶ commit it as a whole
//!                                                            no ──▶ commit what comes before, run the rest again, here
//! ```
//!
//! Batches do not see each other before they are committed: there are no versions, and nobody waits. Within a batch the
//! state is a small layer of its own, so that of what the transactions do to each account and slot only the sum is shared.
//! That costs a plain transfer little more than running in order does. Where batches often have to be run again, they
//! are given up, and the block goes on with versions (see [`super::worker`]).

mod batch;
mod committed;
mod desk;
mod line;
mod local;
mod trial;
mod view;
mod worker;

use std::ops::ControlFlow;

use metis_state_transition::{
    BlockError, BlockExecutor, FrameRunner, FrameRunnerFactory, PrecompileSet, RecoveredTransaction, StateCommitment,
    TransactionError,
};

use super::{
    CELLS_PER_TRANSACTION, Ended, collect,
    pace::Pace,
    sync::{self, AtomicU64, Mutex},
    table::Table,
};
use committed::Committed;
use desk::Desk;
use line::Line;
pub(crate) use trial::Endurance;
use trial::Trial;
use worker::{Block, Worker};

/// What the models are made of.
#[cfg(test)]
pub(super) mod model {
    pub(in crate::parallel) use super::{
        batch::Batch,
        committed::{AccountCell, Committed},
        line::Line,
        local::Local,
    };
}

/// How long batches are, and how soon they are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Batches {
    pub(crate) lengths: Lengths,
    pub(crate) endurance: Endurance,
}

/// Where a batch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// Transactions, at least one.
    pub(crate) count_max: usize,
    /// Gas that its transactions may use, but for the last one.
    pub(crate) gas_max: u64,
}

impl Batches {
    /// Long enough that what is shared costs little; short enough that what is run again for one transaction, and who waits
    /// at the end of the block for the last batch, does too.
    pub(crate) const USUAL: Self =
        Self { lengths: Lengths { count_max: 32, gas_max: 2_000_000 }, endurance: Endurance::Usual };
}

/// With what a block is run in batches.
pub(super) struct InBatches<'f, F, P> {
    pub(super) runners: &'f F,
    pub(super) workers: usize,
    pub(super) batches: Batches,
    pub(super) pace: &'f P,
}

impl<F: FrameRunnerFactory, P: Pace> InBatches<'_, F, P> {
    /// Runs transactions, one at least, on all workers.
    pub(super) fn run<V: StateCommitment + Sync, R: FrameRunner, C: PrecompileSet>(
        &self,
        block: &mut BlockExecutor<V, R, C>,
        transactions: &[&RecoveredTransaction],
        verdict: impl FnMut(usize, Result<(), TransactionError>) -> ControlFlow<()> + Send,
    ) -> Result<Ended, BlockError<V::Error>> {
        let (ended, collected) = {
            let (base, ledger) = block.parts();
            let (rules, environment) = (ledger.rules().clone(), ledger.environment().clone());
            let cell_count = transactions.len() * CELLS_PER_TRANSACTION;
            let accounts = Table::new(cell_count);
            let committed = Committed::new(&accounts, cell_count);
            ledger.expect(transactions.len());
            let gas_left = AtomicU64::new(ledger.gas_left());
            let desk = Desk::new(transactions, ledger, verdict, Trial::of(self.batches.endurance), cell_count);
            let workers = self.workers.max(1);
            let shared = Block {
                transactions,
                rules: &rules,
                environment: &environment,
                base,
                committed: &committed,
                line: Line::new(transactions, self.batches.lengths, workers),
                gas_left,
                desk: Mutex::new(desk),
                pace: self.pace,
            };
            let work = |number: usize| {
                self.pace.begin(number);
                Worker::new(&shared, self.runners.runner()).work();
                self.pace.end();
            };
            sync::scope(|scope| {
                let work = &work;
                for number in 1..workers {
                    scope.spawn(move || work(number));
                }
                work(0);
            });
            let desk = shared.desk.into_inner();
            if let Some(error) = desk.error {
                return Err(error);
            }
            let is_over = desk.is_ended || desk.done as usize == transactions.len();
            let ended = if is_over { Ended::Block } else { Ended::GaveUp { count: desk.done as usize } };
            (ended, collect::changes(desk.accounts, desk.slots, desk.codes))
        };
        block.apply(collected.join());
        Ok(ended)
    }
}
