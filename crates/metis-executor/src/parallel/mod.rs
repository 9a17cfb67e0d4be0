//! MPEF: the transactions of one block, run by many threads, with the result of running them one after the other.
//!
//! ```text
//!            order                    memory                          desk
//! take ──▶ in turn, or behind ──▶ versions of accounts ──▶ in order: admit ─▶ does what was read hold?
//!          what it depends on     and slots                 yes ─▶ book, commit      no ─▶ run again, here
//! ```
//!
//! A worker takes the next transaction and runs it, on the newest versions of what it reads. Then whoever finds the
//! next transaction in order to have run commits it: its place in the block is admitted by the books of the state
//! transition, and everything it read is compared, by value, with what is committed by then. If nothing differs, running
//! it now would do the same, so its receipt and writes stand. Else it is run again, on committed values alone. What the
//! workers do ahead of that, and what [`hints`] say, decides speed and nothing else.
//!
//! Balances that a transaction only adds to, or that only had to suffice, are not compared but for that: they are
//! committed as differences (see [`Effects`](metis_state_transition::Effects)). Fees are added to their recipients at
//! the commit. So are words in slots, where calls of a function are found to collide in them and only add (see
//! [`Formulas`](metis_state_transition::Formulas)).
//!
//! Sources: Block-STM (Gelashvili et al., PPoPP 2023) for multi-version memory, estimates and incarnations. We differ in
//! validating once, at the commit, by value.

mod attempt;
#[cfg(feature = "chosen-schedules")]
pub(crate) mod chosen;
mod collect;
mod hints;
mod memory;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_sums;
mod note;
mod order;
mod pace;
mod sums;
mod sync;
mod table;
mod view;
mod worker;

use std::ops::ControlFlow;

use metis_state_transition::{
    BlockError, BlockExecutor, Fork, FrameRunner, FrameRunnerFactory, PrecompileSet, RecoveredTransaction, Schedule,
    Sequentially, StateCommitment, TransactionError,
};

use hints::Hints;
use memory::Memory;
use order::{AHEAD_MAX, Order};
pub(crate) use pace::Freely;
use pace::Pace;
use sync::{AtomicU64, Mutex};
use table::Table;
use worker::{Block, Desk, Worker};

/// Blocks of fewer transactions are done sooner than another thread is started.
const TRANSACTION_COUNT_MIN: usize = 16;

/// Accounts, and slots, for each transaction that the tables have room for without chains.
const CELLS_PER_TRANSACTION: usize = 2;

/// Blocks of fewer are prepared sooner than another thread is woken.
const PREPARED_ASIDE_COUNT_MIN: usize = 4096;

/// Runs the transactions of a block on several threads.
pub(crate) struct InParallel<'f, F, P> {
    pub(crate) runners: &'f F,
    /// Threads, this one included.
    pub(crate) workers: usize,
    /// Also where one thread would be enough.
    pub(crate) is_forced: bool,
    /// Every transaction is followed that is run ahead of its turn.
    pub(crate) follows_all: bool,
    pub(crate) pace: P,
}

impl<V, F, P> Schedule<V> for InParallel<'_, F, P>
where
    V: StateCommitment + Sync,
    F: FrameRunnerFactory,
    P: Pace,
{
    fn run<R: FrameRunner, C: PrecompileSet>(
        &self,
        block: &mut BlockExecutor<V, R, C>,
        transactions: &[&RecoveredTransaction],
        verdict: impl FnMut(usize, Result<(), TransactionError>) -> ControlFlow<()> + Send,
    ) -> Result<(), BlockError<V::Error>> {
        let is_small = transactions.len() < TRANSACTION_COUNT_MIN || self.workers < 2;
        // Receipts before Byzantium have the state's root after each transaction.
        if (is_small && !self.is_forced) || block.rules().fork < Fork::Byzantium || transactions.is_empty() {
            return Sequentially.run(block, transactions, verdict);
        }
        let changes = {
            let (base, ledger) = block.parts();
            let (rules, environment) = (ledger.rules().clone(), ledger.environment().clone());
            let cell_count = transactions.len() * CELLS_PER_TRANSACTION;
            // BOUND: a transaction takes 100 bytes and more; a block's do not reach 2³².
            let count = transactions.len() as u32;
            let prepared = || (Table::new(cell_count), Order::new(count));
            let hints = || Hints::of(transactions, self.workers, self.follows_all);
            let (hints, (accounts, order)) = if transactions.len() < PREPARED_ASIDE_COUNT_MIN {
                (hints(), prepared())
            } else {
                rayon::join(hints, prepared)
            };
            let memory = Memory::new(&accounts, cell_count);
            ledger.expect(transactions.len());
            let keeps_record = ledger.keeps_record();
            let gas_left = AtomicU64::new(ledger.gas_left());
            let accounts_changed = Vec::with_capacity(cell_count);
            let desk =
                Desk { ledger, verdict, error: None, accounts: accounts_changed, slots: Vec::new(), codes: Vec::new() };
            let shared = Block {
                transactions,
                rules: &rules,
                environment: &environment,
                base,
                memory: &memory,
                order,
                hints,
                attempts: (0..AHEAD_MAX.min(count)).map(|_| Mutex::default()).collect(),
                gas_left,
                desk: Mutex::new(desk),
                pace: &self.pace,
                keeps_record,
            };
            let work = |number: usize| {
                self.pace.begin(number);
                Worker::new(&shared, self.runners.runner()).work();
                self.pace.end();
            };
            sync::scope(|scope| {
                let work = &work;
                for number in 1..self.workers.max(1) {
                    scope.spawn(move || work(number));
                }
                work(0);
            });
            let desk = shared.desk.into_inner();
            if let Some(error) = desk.error {
                return Err(error);
            }
            collect::changes(desk.accounts, desk.slots, desk.codes)
        };
        block.apply(changes);
        Ok(())
    }
}
