//! What each worker does: takes a transaction, runs it, and commits what is due.

use std::ops::ControlFlow;

use alloy_consensus::Transaction as _;
use alloy_primitives::B256;
use metis_state_transition::{
    BlockEnvironment, BlockError, ChainPrecompiles, Code, Effects, Evm, Following, FrameRunner, Ledger, LogHashes,
    RecoveredTransaction, Rules, StateView, TransactionError, TransactionFault, TransactionOutcome, ViewError,
    announce,
};

use super::{
    attempt::{Attempt, End, Ran, Writes},
    chains::Trial,
    hints::{Failure, Hints},
    memory::{AccountCell, Index, Memory, SlotCell},
    note::{self, Note},
    order::{AHEAD_MAX, Order},
    pace::Pace,
    sums::Finding,
    sync::{AtomicU64, Mutex, Ordering::Relaxed},
    view::{Interruption, Reads, VersionedView},
};

/// A block under way, as all workers see it.
pub(super) struct Block<'m, 'a, V, P, E: std::error::Error, F> {
    pub(super) transactions: &'m [&'m RecoveredTransaction],
    pub(super) rules: &'m Rules,
    pub(super) environment: &'m BlockEnvironment,
    pub(super) base: &'m V,
    pub(super) memory: &'m Memory<'a>,
    pub(super) order: Order,
    pub(super) hints: Hints<'m>,
    /// By [`slot_of`].
    pub(super) attempts: Box<[Mutex<Option<Box<Attempt<'m>>>>]>,
    /// Gas that the block has left, or a little more.
    pub(super) gas_left: AtomicU64,
    pub(super) desk: Mutex<Desk<'m, E, F>>,
    pub(super) pace: &'m P,
    /// Whether the books say what each transaction accessed and changed.
    pub(super) keeps_record: bool,
}

/// Where transactions are committed, in order, by one worker at a time.
pub(super) struct Desk<'m, E: std::error::Error, F> {
    pub(super) ledger: &'m mut Ledger,
    pub(super) verdict: F,
    /// The verdict was to stop, or there is an error.
    pub(super) is_ended: bool,
    pub(super) error: Option<BlockError<E>>,
    pub(super) trial: Trial,
    /// What the block changed, in no order.
    pub(super) accounts: Vec<&'m AccountCell>,
    pub(super) slots: Vec<&'m SlotCell<'m>>,
    pub(super) codes: Vec<(B256, Code)>,
}

/// One worker, with its own machine.
pub(super) struct Worker<'b, 'm, 'a, V: StateView, P: Pace, R, F> {
    block: &'b Block<'m, 'a, V, P, V::Error, F>,
    evm: Evm<VersionedView<'m, 'a, V, P>, Following<R>, ChainPrecompiles>,
    /// Room for what a run at the head writes.
    writes: Writes<'m>,
    /// Room for further runs: what was used last is still in this core's cache.
    #[allow(clippy::vec_box)] // they come and go in their boxes
    spare: Vec<Box<Attempt<'m>>>,
    log_hashes: LogHashes,
}

/// Ends the block when a worker panics, so that the others do not wait for it.
struct StopOnPanic<'b>(&'b Order);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

type Fault<E> = TransactionFault<Interruption<E>>;

impl<'b, 'm, 'a: 'm, V, P, R, F> Worker<'b, 'm, 'a, V, P, R, F>
where
    V: StateView,
    P: Pace,
    R: FrameRunner,
    F: FnMut(usize, Result<(), TransactionError>) -> ControlFlow<()>,
{
    pub(super) fn new(block: &'b Block<'m, 'a, V, P, V::Error, F>, runner: R) -> Self {
        let view = VersionedView::new(block.memory, block.base, block.pace);
        let evm = Evm::new(view, block.rules, block.environment, Following::new(runner), ChainPrecompiles::default());
        Self { block, evm, writes: Writes::default(), spare: Vec::new(), log_hashes: LogHashes::default() }
    }

    /// Works until the block is over.
    pub(super) fn work(&mut self) {
        let order = &self.block.order;
        let _guard = StopOnPanic(order);
        let mut own: Option<Index> = None;
        while !order.is_over() {
            let Some(index) = own.take().or_else(|| order.take(self.block.pace)) else { return };
            own = self.run(index);
            let due = self.commit_due();
            own = self.keep_first(own, due);
        }
    }

    /// The first of two transactions that this worker has taken; the other is for whoever has time.
    fn keep_first(&self, one: Option<Index>, other: Option<Index>) -> Option<Index> {
        let (Some(a), Some(b)) = (one, other) else { return one.or(other) };
        self.block.order.give_back(a.max(b));
        Some(a.min(b))
    }

    /// Runs a transaction that this worker has taken; gives one that waited for it.
    fn run(&mut self, index: Index) -> Option<Index> {
        let order = &self.block.order;
        // By the core that will read it, and not earlier: who runs the ones after this is not known.
        announce(self.block.base, self.block.transactions[index as usize]);
        self.block.pace.pause();
        // Nobody else commits this one, so the head stays.
        if order.head() == index && order.take_desk() {
            let block = self.block;
            let mut desk = block.desk.lock();
            // Looked at once more: the head moves when the block has stopped.
            let mut follower = None;
            if !order.is_over() {
                let admitted = desk.ledger.admit(block.transactions[index as usize]);
                self.settle_at_head(&mut desk, index, admitted);
                desk.trial.was_not_ahead();
                follower = self.committed(&desk, index);
            }
            drop(desk);
            order.leave_desk();
            return follower;
        }
        if let Some(ahead) = self.block.hints.ahead_of(index)
            && order.wait_for(index, ahead)
        {
            return None;
        }
        let mut attempt = self.spare.pop().unwrap_or_default();
        while let Err(on) = self.attempt(index, &mut attempt) {
            if order.wait_for(index, on) {
                self.spare.push(attempt);
                return None;
            }
        }
        self.block.pace.pause();
        attempt.writes.publish(index);
        *self.block.attempts[slot_of(index)].lock() = Some(attempt);
        self.block.pace.pause();
        order.ran(index)
    }

    /// Runs a transaction ahead of its turn; fails where it depends on one that is being run again.
    fn attempt(&mut self, index: Index, attempt: &mut Attempt<'m>) -> Result<(), Index> {
        let transaction = self.block.transactions[index as usize];
        attempt.clear();
        if transaction.envelope.gas_limit() > self.block.gas_left.load(Relaxed) {
            // It will not be admitted: there is never more gas left than now.
            return Ok(());
        }
        let is_followed = self.block.hints.follows(index);
        self.evm.view().begin(index, false, is_followed);
        self.evm.runner_mut().begin(is_followed);
        let ran = self.evm.execute_to_order(transaction, self.block.keeps_record);
        if let Some(on) = self.evm.view().blocked_on() {
            return Err(on);
        }
        self.evm.view().swap_reads(&mut attempt.reads);
        match ran {
            Ok((outcome, mut effects)) => {
                let mut writer = self.writer(&effects);
                if is_followed {
                    self.evm.runner_mut().swap_formulas(&mut attempt.sums.formulas);
                }
                let ran = self.ran(transaction, outcome, &mut effects);
                attempt.fill(transaction, ran, effects, self.block.memory);
                if is_followed {
                    let writers = self.evm.view().slot_writers(&attempt.sums);
                    self.block.hints.judge_following(index, writers);
                    writer = writer.max(writers.exact);
                }
                self.judge(index, writer);
            }
            Err(TransactionFault::Invalid(error)) => attempt.end = End::Invalid(error),
            // Whether the same happens when its turn comes is seen then.
            Err(_) => {}
        }
        Ok(())
    }

    /// A transaction has run: were the predictions about it right?
    fn judge(&self, index: Index, writer: Option<Index>) {
        let order = &self.block.order;
        self.block.hints.judge(index, writer, |waiting, ahead| order.free(waiting, ahead));
    }

    /// The last transaction that gave something a value that the one that has run read.
    fn writer(&self, effects: &Effects) -> Option<Index> {
        let writers = self.evm.view().writers();
        if effects.balances.is_any_observed { writers.any } else { writers.giver }
    }

    fn ran(&mut self, transaction: &RecoveredTransaction, outcome: TransactionOutcome, effects: &mut Effects) -> Ran {
        let (rules, environment) = (self.block.rules, self.block.environment);
        let draft = Ledger::draft(rules, environment, transaction, outcome, &mut self.log_hashes);
        Ran::of(transaction, draft, self.evm.macs(), effects, self.block.keeps_record)
    }

    /// The head is in the block, or left out of it; gives a transaction that waited for it.
    fn committed(&self, desk: &Desk<'m, V::Error, F>, index: Index) -> Option<Index> {
        if desk.trial.has_failed() {
            self.block.order.stop();
        }
        self.block.order.committed(index)
    }

    /// Commits what has run, as far as the order goes; gives a transaction that waited for one of them.
    fn commit_due(&mut self) -> Option<Index> {
        let block = self.block;
        let order = &block.order;
        let mut own = None;
        while order.head_has_run() && order.take_desk() {
            let mut desk = block.desk.lock();
            while !order.is_over() && order.head_has_run() {
                block.pace.pause();
                let index = order.head();
                self.settle(&mut desk, index);
                let follower = self.committed(&desk, index);
                own = self.keep_first(own, follower);
            }
            drop(desk);
            order.leave_desk();
            if order.is_over() {
                break;
            }
        }
        own
    }

    /// Puts a transaction that has run into the block, if what it read still holds; else runs it again.
    fn settle(&mut self, desk: &mut Desk<'m, V::Error, F>, index: Index) {
        let block = self.block;
        let transaction = block.transactions[index as usize];
        // What has run has left its attempt.
        let mut attempt = block.attempts[slot_of(index)].lock().take().unwrap_or_default();
        let Attempt { reads, writes, sums, end } = &mut *attempt;
        let admitted = desk.ledger.admit(transaction);
        let was_followed = !sums.formulas.slots().is_empty();
        // What is not admitted is compared with nothing.
        let of_slots = if admitted.is_ok() { sums.settle(self.evm.view(), reads, writes) } else { Finding::Same };
        let holds = admitted.is_ok() && of_slots != Finding::Different && self.holds(reads, index);
        match std::mem::take(end) {
            End::Ran(ran) if holds => {
                if of_slots == Finding::Replayed {
                    block.hints.has_helped(index);
                }
                desk.trial.held();
                if !self.enter(desk, index, ran, writes) {
                    writes.withdraw(index);
                }
            }
            End::Invalid(error) if holds => self.tell(desk, index, Err(error)),
            end => {
                desk.trial.was_in_vain();
                if matches!(end, End::Ran(_)) && admitted.is_ok() {
                    let is_of_slot = of_slots == Finding::Different;
                    block.hints.learn(index, Failure { is_of_slot, was_followed });
                    if let Some(record) = desk.ledger.record_mut() {
                        record.push_rerun(note::differences(self.evm.view(), reads, index));
                    }
                }
                block.order.run_again(index);
                writes.cover(index);
                self.settle_at_head(desk, index, admitted);
                writes.withdraw(index);
            }
        }
        if self.spare.len() < SPARE_COUNT_MAX {
            self.spare.push(attempt);
        }
    }

    /// Runs a transaction whose turn it is and puts it into the block.
    fn settle_at_head(
        &mut self,
        desk: &mut Desk<'m, V::Error, F>,
        index: Index,
        admitted: Result<(), TransactionError>,
    ) {
        let transaction = self.block.transactions[index as usize];
        let ran = admitted.map_err(Fault::<V::Error>::Invalid).and_then(|()| {
            self.evm.view().begin(index, true, false);
            self.evm.runner_mut().begin(false);
            self.evm.execute_to_order(transaction, self.block.keeps_record)
        });
        match ran {
            Ok((outcome, mut effects)) => {
                self.judge(index, self.writer(&effects));
                let ran = self.ran(transaction, outcome, &mut effects);
                let mut writes = std::mem::take(&mut self.writes);
                writes.fill(effects.accounts, self.block.memory);
                for (hash, code) in &ran.codes {
                    self.block.memory.codes.add(*hash, code);
                }
                self.enter(desk, index, ran, &writes);
                self.writes = writes;
            }
            Err(TransactionFault::Invalid(error)) => self.tell(desk, index, Err(error)),
            Err(TransactionFault::View(error)) => self.fail(desk, view_error(error)),
            Err(TransactionFault::Engine(message)) => self.fail(desk, BlockError::Engine(message)),
        }
    }

    /// Books a transaction and commits what it writes; says whether it did.
    fn enter(&self, desk: &mut Desk<'m, V::Error, F>, index: Index, ran: Ran, writes: &Writes<'m>) -> bool {
        let transaction = self.block.transactions[index as usize];
        let memory = self.block.memory;
        let fees = ran.fees.map(|fee| fee.map(|(recipient, fee)| (memory.account(recipient), fee)));
        for (cell, _) in fees.iter().flatten() {
            if cell.committed().is_none()
                && let Err(error) = self.evm.view().base_account(cell)
            {
                self.fail(desk, BlockError::View(ViewError::State(error)));
                return false;
            }
        }
        if let Err(error) = desk.ledger.book(transaction, ran.draft.gas_used, ran.macs) {
            self.tell(desk, index, Err(error));
            return false;
        }
        self.block.gas_left.store(desk.ledger.gas_left(), Relaxed);
        let note = ran.step.map(|step| Note::before(*step, writes, &ran.fees, memory));
        writes.commit(index, memory, &mut desk.accounts, &mut desk.slots);
        for (cell, fee) in fees.into_iter().flatten() {
            if memory.commit_fee(cell, index, fee) {
                desk.accounts.push(cell);
            }
        }
        if let (Some(note), Some(record)) = (note, desk.ledger.record_mut()) {
            record.push(note.after(&ran.draft, &ran.codes));
        }
        desk.codes.extend(ran.codes);
        desk.ledger.file(ran.draft, None);
        self.tell(desk, index, Ok(()));
        true
    }

    fn tell(&self, desk: &mut Desk<'m, V::Error, F>, index: Index, verdict: Result<(), TransactionError>) {
        if (desk.verdict)(index as usize, verdict).is_break() {
            desk.is_ended = true;
            self.block.order.stop();
        }
    }

    fn fail(&self, desk: &mut Desk<'m, V::Error, F>, error: BlockError<V::Error>) {
        desk.error = Some(error);
        desk.is_ended = true;
        self.block.order.stop();
    }

    /// Whether all that a run read besides slots is what is committed now, so that it would do the same again.
    fn holds(&self, reads: &Reads<'m>, index: Index) -> bool {
        let view = self.evm.view();
        reads.accounts.iter().all(|read| view.account_holds(read))
            && reads.storages.iter().all(|read| view.storage_holds(read, index))
    }
}

/// BOUND: attempts that a worker keeps for later.
const SPARE_COUNT_MAX: usize = 64;

/// Where the attempt at a transaction lies: those that are under way at the same time lie in different places.
const fn slot_of(index: Index) -> usize {
    (index % AHEAD_MAX) as usize
}

fn view_error<E: std::error::Error + Send + Sync + 'static>(error: ViewError<Interruption<E>>) -> BlockError<E> {
    BlockError::View(match error {
        ViewError::State(Interruption::State(error)) => ViewError::State(error),
        ViewError::State(blocked @ Interruption::Blocked(_)) => return BlockError::Engine(blocked.to_string()),
        ViewError::UnknownAncestor(number) => ViewError::UnknownAncestor(number),
        ViewError::MissingModel(model) => ViewError::MissingModel(model),
    })
}
