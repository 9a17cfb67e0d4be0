//! What each worker does: takes a batch, runs it, and commits what is due.

use std::ops::ControlFlow;

use alloy_consensus::Transaction as _;
use metis_state_transition::{
    BlockEnvironment, BlockError, ChainPrecompiles, Effects, Evm, FrameRunner, Ledger, LogHashes, RecoveredTransaction,
    Rules, StateView, TransactionError, TransactionFault, TransactionOutcome, announce,
};

use super::{
    batch::{Batch, Run},
    committed::Committed,
    desk::Desk,
    line::{Line, Taken},
    view::BatchView,
};
use crate::parallel::{
    attempt::{End, Ran},
    memory::Index,
    pace::Pace,
    sync::{AtomicU64, Mutex, Ordering::Relaxed},
};

/// Transactions of a batch that are announced ahead: what they read arrives while a few others run.
const ANNOUNCED_COUNT: Index = 4;

/// BOUND: batches that a worker keeps the room of.
const SPARE_COUNT_MAX: usize = 8;

/// A block under way, as all workers see it.
pub(super) struct Block<'m, 'a, V, P, E: std::error::Error, F> {
    pub(super) transactions: &'m [&'m RecoveredTransaction],
    pub(super) rules: &'m Rules,
    pub(super) environment: &'m BlockEnvironment,
    pub(super) base: &'m V,
    pub(super) committed: &'m Committed<'a>,
    pub(super) line: Line<'m>,
    /// Gas that the block has left, or a little more.
    pub(super) gas_left: AtomicU64,
    pub(super) desk: Mutex<Desk<'m, E, F>>,
    pub(super) pace: &'m P,
}

/// One worker, with its own machine.
pub(super) struct Worker<'b, 'm, 'a, V: StateView, P: Pace, R, F> {
    block: &'b Block<'m, 'a, V, P, V::Error, F>,
    evm: Evm<BatchView<'m, 'a, V, P>, R, ChainPrecompiles>,
    /// Room for further batches: what was used last is still in this core's cache.
    #[allow(clippy::vec_box)] // they come and go in their boxes
    spare: Vec<Box<Batch<'m>>>,
    log_hashes: LogHashes,
}

/// Ends the block when a worker panics, so that the others do not wait for it.
struct StopOnPanic<'b, 'm>(&'b Line<'m>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

impl<'b, 'm, 'a: 'm, V, P, R, F> Worker<'b, 'm, 'a, V, P, R, F>
where
    V: StateView,
    P: Pace,
    R: FrameRunner,
    F: FnMut(usize, Result<(), TransactionError>) -> ControlFlow<()>,
{
    pub(super) fn new(block: &'b Block<'m, 'a, V, P, V::Error, F>, runner: R) -> Self {
        let view = BatchView::new(block.committed, block.base, block.pace);
        let evm = Evm::new(view, block.rules, block.environment, runner, ChainPrecompiles::default());
        Self { block, evm, spare: Vec::new(), log_hashes: LogHashes::default() }
    }

    /// Works until there is nothing left to do.
    pub(super) fn work(&mut self) {
        let line = &self.block.line;
        let _guard = StopOnPanic(line);
        while let Some(taken) = line.take(self.block.pace) {
            self.block.pace.pause();
            // Nobody else commits this one, so the head stays.
            if line.is_head(taken.number) && line.take_desk() {
                let block = self.block;
                let mut desk = block.desk.lock();
                if !line.is_stopped() {
                    self.run_rest(&mut desk, taken.end);
                    self.committed(&desk);
                }
                drop(desk);
                line.leave_desk();
            } else {
                let batch = self.run_ahead(taken);
                self.block.pace.pause();
                line.ran(taken.number, batch);
            }
            self.commit_due();
        }
    }

    /// Commits what has run, as far as the order goes.
    fn commit_due(&mut self) {
        let block = self.block;
        let line = &block.line;
        while line.head_has_run() && line.take_desk() {
            let mut desk = block.desk.lock();
            while line.head_has_run() {
                block.pace.pause();
                let Some(mut batch) = line.take_head() else { break };
                self.settle(&mut desk, &mut batch);
                self.committed(&desk);
                if self.spare.len() < SPARE_COUNT_MAX {
                    self.spare.push(batch);
                }
            }
            drop(desk);
            line.leave_desk();
        }
    }

    /// The head is in the block.
    fn committed(&self, desk: &Desk<'m, V::Error, F>) {
        self.block.gas_left.store(desk.ledger.gas_left(), Relaxed);
        if desk.is_ended || desk.trial.has_failed() {
            self.block.line.stop();
        }
        self.block.line.committed();
    }

    /// Commits what holds of a batch that was run ahead, and runs the rest again.
    fn settle(&mut self, desk: &mut Desk<'m, V::Error, F>, batch: &mut Batch<'m>) {
        let Taken { first, end, .. } = batch.taken;
        desk.settle(batch, self.evm.view());
        let settled = desk.done;
        if !desk.is_ended && settled < end {
            self.run_rest(desk, end);
        }
        // What was not even run, as the block is full, says nothing.
        let run_end = first + batch.runs.len() as Index;
        desk.trial.count(settled - first, run_end.saturating_sub(settled));
    }

    /// Runs a batch ahead of its turn.
    fn run_ahead(&mut self, taken: Taken) -> Box<Batch<'m>> {
        let mut batch = self.spare.pop().unwrap_or_else(|| Box::new(Batch::new(taken)));
        batch.taken = taken;
        batch.runs.clear();
        self.begin(false, taken.first, taken.end);
        for index in taken.first..taken.end {
            let transaction = self.next(index, taken.end);
            // What will not be admitted is not run: there is never more gas left than now.
            let is_too_much = transaction.envelope.gas_limit() > self.block.gas_left.load(Relaxed);
            if is_too_much || self.block.line.is_stopped() {
                break;
            }
            let run = match self.evm.execute_to_order(transaction, false) {
                Ok((outcome, mut effects)) => {
                    let ran = self.ran(transaction, outcome, &mut effects);
                    self.enter(transaction, &effects);
                    Run { fees: ran.fees, end: End::Ran(ran), effects: effects.accounts }
                }
                Err(TransactionFault::Invalid(error)) => {
                    self.evm.view().local().refuse();
                    Run { end: End::Invalid(error), effects: Vec::new(), fees: [None; 2] }
                }
                // Whether the same happens when its turn comes is seen then.
                Err(_) => break,
            };
            batch.runs.push(run);
        }
        std::mem::swap(&mut *self.evm.view().local(), &mut batch.local);
        batch
    }

    /// Runs transactions up to one, from that whose turn it is, and commits them.
    fn run_rest(&mut self, desk: &mut Desk<'m, V::Error, F>, end: Index) {
        self.begin(true, desk.done, end);
        while desk.done < end && !desk.is_ended {
            let transaction = self.next(desk.done, end);
            let ran = match desk.ledger.admit(transaction) {
                Ok(()) => self.evm.execute_to_order(transaction, false),
                Err(error) => Err(TransactionFault::Invalid(error)),
            };
            match ran {
                Ok((outcome, mut effects)) => {
                    let ran = self.ran(transaction, outcome, &mut effects);
                    let booked = desk.book(ran);
                    // What the books refuse changes nothing.
                    if booked.is_ok() {
                        self.enter(transaction, &effects);
                    }
                    desk.tell(booked);
                }
                Err(TransactionFault::Invalid(error)) => desk.tell(Err(error)),
                Err(TransactionFault::View(error)) => desk.fail(BlockError::View(error)),
                Err(TransactionFault::Engine(message)) => desk.fail(BlockError::Engine(message)),
            }
        }
        let view = self.evm.view();
        desk.commit(&view.local(), view);
    }

    fn begin(&self, is_final: bool, first: Index, end: Index) {
        let mut local = self.evm.view().local();
        local.clear();
        local.is_final = is_final;
        for index in first..end.min(first + ANNOUNCED_COUNT) {
            announce(self.block.base, self.block.transactions[index as usize]);
        }
    }

    /// The transaction that is run next in a batch.
    fn next(&self, index: Index, end: Index) -> &'m RecoveredTransaction {
        let transactions = self.block.transactions;
        if index + ANNOUNCED_COUNT < end {
            announce(self.block.base, transactions[(index + ANNOUNCED_COUNT) as usize]);
        }
        transactions[index as usize]
    }

    /// What came of a transaction, without what it writes.
    fn ran(&mut self, transaction: &RecoveredTransaction, outcome: TransactionOutcome, effects: &mut Effects) -> Ran {
        let (rules, environment) = (self.block.rules, self.block.environment);
        let draft = Ledger::draft(rules, environment, transaction, outcome, &mut self.log_hashes);
        let ran = Ran::of(transaction, draft, self.evm.macs(), effects, false);
        for (hash, code) in &ran.codes {
            self.block.committed.codes.add(*hash, code);
        }
        ran
    }

    /// Adds what a transaction did to its batch.
    fn enter(&self, transaction: &RecoveredTransaction, effects: &Effects) {
        let committed = self.block.committed;
        let Effects { accounts, balances, fees, .. } = effects;
        let new_slot = |address, slot| committed.slot(address, slot);
        self.evm.view().local().enter(transaction, balances, accounts, fees, new_slot);
    }
}
