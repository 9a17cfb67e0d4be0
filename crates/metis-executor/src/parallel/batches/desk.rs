//! Where batches are committed, in order, by one worker at a time.

use std::ops::ControlFlow;

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{
    BlockError, Code, Ledger, RecoveredTransaction, StateView, TransactionError, ViewError, pay_fee,
};

use super::{
    batch::{Batch, Run},
    committed::{AccountEntry, SlotEntry, Stamp},
    local::{Local, LocalAccount},
    trial::Trial,
    view::BatchView,
};
use crate::parallel::{
    attempt::{End, Ran},
    memory::Index,
    pace::Pace,
};

/// The books, and what is committed.
pub(super) struct Desk<'m, E: std::error::Error, F> {
    pub(super) transactions: &'m [&'m RecoveredTransaction],
    pub(super) ledger: &'m mut Ledger,
    pub(super) verdict: F,
    /// Transactions that are in the block or left out of it.
    pub(super) done: Index,
    /// The verdict was to stop, or there is an error.
    pub(super) is_ended: bool,
    pub(super) error: Option<BlockError<E>>,
    pub(super) trial: Trial,
    stamp: Stamp,
    /// What the block changed, in no order.
    pub(super) accounts: Vec<AccountEntry<'m>>,
    pub(super) slots: Vec<SlotEntry<'m>>,
    pub(super) codes: Vec<(B256, Code)>,
}

impl<'m, E, F> Desk<'m, E, F>
where
    E: std::error::Error,
    F: FnMut(usize, Result<(), TransactionError>) -> ControlFlow<()>,
{
    pub(super) fn new(
        transactions: &'m [&'m RecoveredTransaction],
        ledger: &'m mut Ledger,
        verdict: F,
        trial: Trial,
        cell_count: usize,
    ) -> Self {
        Self {
            transactions,
            ledger,
            verdict,
            done: 0,
            is_ended: false,
            error: None,
            trial,
            stamp: 0,
            accounts: Vec::with_capacity(cell_count),
            slots: Vec::new(),
            codes: Vec::new(),
        }
    }

    /// The transaction whose turn it is.
    pub(super) fn next(&self) -> &'m RecoveredTransaction {
        self.transactions[self.done as usize]
    }

    /// Says of the next transaction whether it is in the block.
    pub(super) fn tell(&mut self, verdict: Result<(), TransactionError>) {
        let index = self.done as usize;
        self.done += 1;
        if (self.verdict)(index, verdict).is_break() {
            self.is_ended = true;
        }
    }

    pub(super) fn fail(&mut self, error: BlockError<E>) {
        self.error = Some(error);
        self.is_ended = true;
    }

    /// Puts a transaction into the books, as far as it may be there.
    ///
    /// # Errors
    /// What it does not fit into.
    pub(super) fn book(&mut self, ran: Ran) -> Result<(), TransactionError> {
        self.ledger.book(self.next(), ran.draft.gas_used, ran.macs)?;
        self.codes.extend(ran.codes);
        self.ledger.file(ran.draft, None);
        Ok(())
    }

    /// Commits of a batch that was run ahead what still holds: all of it, or what comes before the first transaction that
    /// does not.
    pub(super) fn settle<'a: 'm, V: StateView<Error = E>, P: Pace>(
        &mut self,
        batch: &mut Batch<'m>,
        view: &BatchView<'m, 'a, V, P>,
    ) {
        let base = view.base;
        let holding =
            batch.local.holding(|address| base.account(address).ok(), |address, slot| base.storage(address, slot).ok());
        let first = self.done;
        for run in batch.runs.iter_mut().take(holding as usize) {
            // What does not fit into the books any more is left to who runs the rest, who says why.
            if self.ledger.admit(self.next()).is_err() {
                break;
            }
            let verdict = match std::mem::take(&mut run.end) {
                End::Ran(ran) => match self.book(ran) {
                    Ok(()) => Ok(()),
                    Err(_) => break,
                },
                End::Invalid(error) => Err(error),
                End::Unknown => break,
            };
            self.tell(verdict);
            if self.is_ended {
                break;
            }
        }
        if self.done == batch.taken.end {
            self.commit(&batch.local, view);
        } else {
            let count = (self.done - first) as usize;
            for run in &batch.runs[..count] {
                self.commit_run(&batch.local, run, view);
            }
        }
    }

    /// Commits all that a batch changed.
    pub(super) fn commit<'a: 'm, V: StateView<Error = E>, P: Pace>(
        &mut self,
        local: &Local<'m>,
        view: &BatchView<'m, 'a, V, P>,
    ) {
        self.stamp += 1;
        for account in local.accounts.iter().filter(|account| account.is_listed) {
            let now = account.settled(account.now);
            self.put(account, now, account.is_changed, account.is_cleared);
        }
        for slot in local.slots.iter().filter(|slot| slot.is_changed) {
            if slot.node.value.commit(slot.now, self.stamp) {
                self.slots.push(slot.node);
            }
        }
        self.pay(local.fees.iter().copied(), view);
    }

    fn put(
        &mut self,
        account: &LocalAccount<'m>,
        now: Option<metis_state_transition::Account>,
        is_changed: bool,
        is_cleared: bool,
    ) {
        let cell = &account.node.value;
        let is_first = if is_changed { cell.commit(now, is_cleared, self.stamp) } else { cell.list(now) };
        if is_first {
            self.accounts.push(account.node);
        }
    }

    /// Commits what one transaction of a batch changed.
    fn commit_run<'a: 'm, V: StateView<Error = E>, P: Pace>(
        &mut self,
        local: &Local<'m>,
        run: &Run,
        view: &BatchView<'m, 'a, V, P>,
    ) {
        self.stamp += 1;
        for effect in &run.effects {
            let Some(account) = local.account(&effect.address) else { continue };
            let now = account.settled(effect.account);
            self.put(account, now, effect.is_account_changed, effect.storage_cleared);
            for (slot, value) in &effect.storage {
                let node = view.committed.slot(effect.address, *slot);
                if node.value.commit(*value, self.stamp) {
                    self.slots.push(node);
                }
            }
        }
        self.pay(run.fees.into_iter().flatten(), view);
    }

    /// Pays fees, one after the other: those that come together mostly go to one account.
    fn pay<'a: 'm, V: StateView<Error = E>, P: Pace>(
        &mut self,
        fees: impl IntoIterator<Item = (Address, U256)>,
        view: &BatchView<'m, 'a, V, P>,
    ) {
        let mut paid: smallvec::SmallVec<[Paid<'m>; 2]> = smallvec::SmallVec::new();
        for (recipient, fee) in fees {
            let place = match paid.iter().position(|paid| *paid.node.key == recipient) {
                Some(place) => place,
                None => {
                    let node = view.committed.account(recipient);
                    match view.account_below(node) {
                        Ok(account) => paid.push(Paid { node, account, is_changed: false, is_cleared: false }),
                        Err(error) => return self.fail(BlockError::View(ViewError::State(error))),
                    }
                    paid.len() - 1
                }
            };
            let paid = &mut paid[place];
            if let Some((account, is_cleared)) = pay_fee(paid.account, fee) {
                paid.account = account;
                paid.is_changed = true;
                paid.is_cleared |= is_cleared;
            }
        }
        for Paid { node, account, .. } in paid.iter().filter(|paid| paid.is_changed) {
            let is_cleared = paid.iter().any(|paid| paid.node.key == node.key && paid.is_cleared);
            if node.value.commit(*account, is_cleared, self.stamp) {
                self.accounts.push(*node);
            }
        }
    }
}

/// An account that fees are paid to.
struct Paid<'m> {
    node: AccountEntry<'m>,
    account: Option<metis_state_transition::Account>,
    is_changed: bool,
    is_cleared: bool,
}
