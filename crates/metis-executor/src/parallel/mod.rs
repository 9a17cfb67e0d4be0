//! MPEF: the transactions of one block, run by many threads, with the result of running them one after the other.
//!
//! ```text
//! in batches ──often run again──▶ with versions ──in vain, too──▶ in order, for a while ──▶ with versions ──▶ …
//! ```
//!
//! A block begins in [`batches`], which cost the least. With versions:
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
mod batches;
mod chains;
#[cfg(feature = "chosen-schedules")]
pub(crate) mod chosen;
mod codes;
mod collect;
mod hints;
mod likes;
mod memory;
#[cfg(test)]
mod model;
#[cfg(test)]
mod model_batches;
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

use batches::InBatches;
pub(crate) use batches::{Batches, Endurance, Lengths};
pub(crate) use chains::Patience;
use chains::Trial;
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

/// Where batches are given up before so many transactions, the block has begun with those that need each other.
const GIVEN_UP_SOON_COUNT: usize = 1024;

/// Accounts, and slots, for each transaction that the tables have room for without chains.
const CELLS_PER_TRANSACTION: usize = 2;

/// Runs the transactions of a block on several threads.
pub(crate) struct InParallel<'f, F, P> {
    pub(crate) runners: &'f F,
    /// Threads, this one included.
    pub(crate) workers: usize,
    /// Also where one thread would be enough.
    pub(crate) is_forced: bool,
    /// Runs in vain after which a block goes on in order, if ever; see [`chains`].
    pub(crate) patience: Option<Patience>,
    /// How batches are made, if any; see [`batches`].
    pub(crate) batches: Option<Batches>,
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
        mut verdict: impl FnMut(usize, Result<(), TransactionError>) -> ControlFlow<()> + Send,
    ) -> Result<(), BlockError<V::Error>> {
        // Receipts before Byzantium have the state's root after each transaction.
        let is_old = block.rules().fork < Fork::Byzantium;
        let (mut done, mut times) = (0, 0);
        // What each transaction accessed and changed is noted with versions only.
        let mut batches = self.batches.filter(|_| !block.parts().1.keeps_record());
        loop {
            let rest = &transactions[done..];
            if is_old || rest.is_empty() || (!self.is_forced && self.is_slower_than_in_order(rest)) {
                return Sequentially.run(block, rest, |index, ran| verdict(done + index, ran));
            }
            if let Some(batches) = batches.take() {
                let Self { runners, workers, pace, .. } = self;
                let in_batches = InBatches { runners: *runners, workers: *workers, batches, pace };
                let Ended::GaveUp { count } = in_batches.run(block, rest, |index, ran| verdict(done + index, ran))?
                else {
                    break;
                };
                done += count;
                // Where versions are in vain as well, that is the second time.
                times = u32::from(count < GIVEN_UP_SOON_COUNT);
                continue;
            }
            let Ended::GaveUp { count } = self.run_at_once(block, rest, |index, ran| verdict(done + index, ran))?
            else {
                break;
            };
            done += count;
            let rest = &transactions[done..];
            let length = self.patience.map_or(0, |patience| patience.stretch(times));
            // What went well for longer than that is worth another try as soon.
            times = if count > length { 0 } else { times + 1 };
            let stretch = &rest[..rest.len().min(length)];
            let mut is_ended = false;
            Sequentially.run(block, stretch, |index, ran| {
                let flow = verdict(done + index, ran);
                is_ended = flow.is_break();
                flow
            })?;
            if is_ended {
                break;
            }
            done += stretch.len();
        }
        Ok(())
    }
}

/// How transactions ended that were run at the same time.
enum Ended {
    /// All have run, or the verdict was to stop.
    Block,
    /// The first `count` are in the block, or left out of it; it is better to go on in order.
    GaveUp { count: usize },
}

impl<F: FrameRunnerFactory, P: Pace> InParallel<'_, F, P> {
    fn is_slower_than_in_order(&self, transactions: &[&RecoveredTransaction]) -> bool {
        transactions.len() < TRANSACTION_COUNT_MIN || self.workers < 2 || chains::is_one_senders(transactions)
    }

    /// Runs transactions, one at least, on all workers.
    fn run_at_once<V: StateCommitment + Sync, R: FrameRunner, C: PrecompileSet>(
        &self,
        block: &mut BlockExecutor<V, R, C>,
        transactions: &[&RecoveredTransaction],
        verdict: impl FnMut(usize, Result<(), TransactionError>) -> ControlFlow<()> + Send,
    ) -> Result<Ended, BlockError<V::Error>> {
        let (ended, collected) = {
            let (base, ledger) = block.parts();
            let (rules, environment) = (ledger.rules().clone(), ledger.environment().clone());
            let cell_count = transactions.len() * CELLS_PER_TRANSACTION;
            // BOUND: a transaction takes 100 bytes and more; a block's do not reach 2³².
            let count = transactions.len() as u32;
            let hints = Hints::of(transactions, self.workers, self.follows_all);
            let (accounts, order) = (Table::new(cell_count), Order::new(count));
            let memory = Memory::new(&accounts, cell_count);
            ledger.expect(transactions.len());
            let keeps_record = ledger.keeps_record();
            let gas_left = AtomicU64::new(ledger.gas_left());
            let accounts_changed = Vec::with_capacity(cell_count);
            let desk = Desk {
                ledger,
                verdict,
                is_ended: false,
                error: None,
                trial: Trial::of(self.patience),
                accounts: accounts_changed,
                slots: Vec::new(),
                codes: Vec::new(),
            };
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
            let head = shared.order.head();
            let desk = shared.desk.into_inner();
            if let Some(error) = desk.error {
                return Err(error);
            }
            let is_over = desk.is_ended || head == count;
            let ended = if is_over { Ended::Block } else { Ended::GaveUp { count: head as usize } };
            (ended, collect::changes(desk.accounts, desk.slots, desk.codes))
        };
        block.apply(collected.join());
        Ok(ended)
    }
}
