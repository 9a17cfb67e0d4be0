//! The state as one transaction sees it: the newest version below it of everything, and a log of what it read.

use std::cell::RefCell;

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Account, AccountUse, Code, StateView};

use super::{
    attempt::PLAIN_BALANCE_MAX,
    codes::OwnCodes,
    memory::{AccountCell, Found, Index, Memory, SlotCell, Writers},
    pace::Pace,
    sums::{SlotWriters, Sums},
};

/// Why a read ended the run of a transaction.
#[derive(Debug, thiserror::Error)]
pub(super) enum Interruption<E> {
    /// The state could not be read.
    #[error(transparent)]
    State(E),
    /// It depends on a transaction that is being run again.
    #[error("depends on transaction {0}, which is being run again")]
    Blocked(Index),
}

/// What a transaction read, by value.
#[derive(Default)]
pub(super) struct Reads<'m> {
    pub(super) accounts: Vec<AccountRead<'m>>,
    pub(super) slots: Vec<(&'m SlotCell<'m>, U256)>,
    /// Whether accounts had any storage (EIP-7610).
    pub(super) storages: Vec<(&'m AccountCell, bool)>,
}

impl Reads<'_> {
    pub(super) fn clear(&mut self) {
        self.accounts.clear();
        self.slots.clear();
        self.storages.clear();
    }
}

pub(super) struct AccountRead<'m> {
    pub(super) cell: &'m AccountCell,
    pub(super) seen: Option<Account>,
    pub(super) used: AccountUse,
}

/// The view that a worker's machine runs on, transaction after transaction.
pub(super) struct VersionedView<'m, 'a, V, P> {
    pub(super) memory: &'m Memory<'a>,
    pub(super) base: &'m V,
    pub(super) pace: &'m P,
    log: RefCell<Log<'m>>,
    codes: OwnCodes,
}

#[derive(Default)]
struct Log<'m> {
    index: Index,
    /// All transactions ahead are committed: nothing that is read can change.
    is_final: bool,
    reads: Reads<'m>,
    blocked_on: Option<Index>,
    /// Who changed something that was read.
    writers: Writers,
    /// Words from slots are followed: who changed the slots that were read is in `slot_writers`.
    is_following: bool,
    /// In the order of `reads`.
    slot_writers: Vec<Option<Index>>,
}

/// A value, and who changed it.
type Written<T> = (T, Writers);

impl<'m, 'a: 'm, V: StateView, P: Pace> VersionedView<'m, 'a, V, P> {
    pub(super) fn new(memory: &'m Memory<'a>, base: &'m V, pace: &'m P) -> Self {
        Self { memory, base, pace, log: RefCell::default(), codes: OwnCodes::default() }
    }

    /// A transaction is about to be run: when all ahead of it are committed, or ahead of its turn, followed or not.
    pub(super) fn begin(&self, index: Index, is_final: bool, is_following: bool) {
        let mut log = self.log.borrow_mut();
        log.index = index;
        log.is_final = is_final;
        log.blocked_on = None;
        log.writers = Writers::default();
        log.reads.clear();
        log.is_following = is_following;
        log.slot_writers.clear();
    }

    /// What the transaction read, for other reads whose room the next one uses.
    pub(super) fn swap_reads(&self, reads: &mut Reads<'m>) {
        std::mem::swap(&mut self.log.borrow_mut().reads, reads);
    }

    /// The transaction that a read had to wait for.
    pub(super) fn blocked_on(&self) -> Option<Index> {
        self.log.borrow().blocked_on
    }

    /// The last transactions ahead that changed something that was read.
    pub(super) fn writers(&self) -> Writers {
        self.log.borrow().writers
    }

    /// Who changed slots that were read, of a transaction that was followed and whose reads were swapped for its sums.
    pub(super) fn slot_writers(&self, sums: &Sums) -> SlotWriters {
        sums.writers(&self.log.borrow().slot_writers)
    }

    pub(super) fn base_account(&self, cell: &AccountCell) -> Result<Option<Account>, V::Error> {
        if let Some(account) = cell.base.get() {
            return Ok(*account);
        }
        let account = self.base.account(&cell.address)?;
        Ok(*cell.base.get_or_init(|| account))
    }

    pub(super) fn base_slot(&self, cell: &SlotCell<'_>) -> Result<U256, V::Error> {
        if let Some(value) = cell.base.get() {
            return Ok(*value);
        }
        let value = self.base.storage(&cell.owner.address, &cell.slot)?;
        Ok(*cell.base.get_or_init(|| value))
    }

    fn account_at(&self, cell: &AccountCell, index: Index) -> Result<Written<Option<Account>>, Interruption<V::Error>> {
        loop {
            match cell.read(index) {
                Found::Value(account, writers) => return Ok((account, writers)),
                Found::Blocked(on) => return Err(Interruption::Blocked(on)),
                Found::Base => {}
            }
            if let Some(account) = cell.base.get() {
                return Ok((*account, Writers::default()));
            }
            // Once more: what moves the balance was waiting for it.
            self.base_account(cell).map_err(Interruption::State)?;
        }
    }

    fn slot_at(&self, cell: &SlotCell<'_>, index: Index) -> Result<Written<U256>, Interruption<V::Error>> {
        match cell.read(index) {
            Found::Value(value, writers) => Ok((value, writers)),
            Found::Blocked(on) => Err(Interruption::Blocked(on)),
            Found::Base => Ok((self.base_slot(cell).map_err(Interruption::State)?, Writers::default())),
        }
    }

    /// SPEC: as [`Overlay`](metis_state_transition::Overlay) answers.
    pub(super) fn has_storage_at(&self, cell: &AccountCell, index: Index) -> Result<bool, Interruption<V::Error>> {
        let (slots, is_cleared) = cell.storage_for(index);
        for slot in slots {
            if !self.slot_at(self.memory.slot(cell.address, slot), index)?.0.is_zero() {
                return Ok(true);
            }
        }
        if is_cleared {
            return Ok(false);
        }
        self.base.has_storage(&cell.address).map_err(Interruption::State)
    }

    /// Whether an account that was read would lead to the same if it were read now, all ahead being committed.
    pub(super) fn account_holds(&self, read: &AccountRead<'_>) -> bool {
        let now = match read.cell.committed() {
            Some(account) => Ok(account),
            None => self.base_account(read.cell),
        };
        now.is_ok_and(|now| {
            let is_plain = read.used == AccountUse::Exact || now.is_none_or(|now| now.balance < PLAIN_BALANCE_MAX);
            is_plain && read.used.is_same(read.seen.as_ref(), now.as_ref())
        })
    }

    /// What a slot holds, all ahead being committed; `None` where the state cannot be read.
    pub(super) fn slot_now(&self, cell: &SlotCell<'_>) -> Option<U256> {
        cell.committed().or_else(|| self.base_slot(cell).ok())
    }

    /// Whether a slot that was read is the same now.
    pub(super) fn slot_holds(&self, (cell, seen): &(&SlotCell<'_>, U256)) -> bool {
        self.slot_now(cell) == Some(*seen)
    }

    /// Whether an account still has storage, or none, as it was read.
    pub(super) fn storage_holds(&self, (cell, seen): &(&AccountCell, bool), index: Index) -> bool {
        self.has_storage_at(cell, index).is_ok_and(|now| now == *seen)
    }

    fn logged<T>(
        &self,
        read: impl FnOnce(Index) -> Result<Written<T>, Interruption<V::Error>>,
        note: impl FnOnce(&mut Log<'m>, &T, Writers),
    ) -> Result<T, Interruption<V::Error>> {
        self.pace.pause();
        let (index, is_final) = {
            let log = self.log.borrow();
            (log.index, log.is_final)
        };
        let result = read(index);
        match &result {
            Ok((value, writers)) => {
                let mut log = self.log.borrow_mut();
                if is_final {
                    log.writers = log.writers.max(*writers);
                } else {
                    note(&mut log, value, *writers);
                }
            }
            Err(Interruption::Blocked(on)) => self.log.borrow_mut().blocked_on = Some(*on),
            _ => {}
        }
        result.map(|(value, _)| value)
    }
}

impl<V: StateView, P: Pace> StateView for VersionedView<'_, '_, V, P> {
    type Error = Interruption<V::Error>;

    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error> {
        let cell = self.memory.account(*address);
        self.logged(
            |index| self.account_at(cell, index),
            |log, seen, writers| {
                log.writers = log.writers.max(writers);
                log.reads.accounts.push(AccountRead { cell, seen: *seen, used: AccountUse::Exact });
            },
        )
    }

    fn code(&self, code_hash: &B256) -> Result<Code, Self::Error> {
        self.codes.get(code_hash, &self.memory.codes, || self.base.code(code_hash)).map_err(Interruption::State)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error> {
        let cell = self.memory.slot(*address, *slot);
        self.logged(
            |index| self.slot_at(cell, index),
            |log, seen, writers| {
                log.reads.slots.push((cell, *seen));
                if log.is_following {
                    log.slot_writers.push(writers.any);
                } else {
                    log.writers = log.writers.max(writers);
                }
            },
        )
    }

    fn has_storage(&self, address: &Address) -> Result<bool, Self::Error> {
        let cell = self.memory.account(*address);
        self.logged(
            |index| Ok((self.has_storage_at(cell, index)?, Writers::default())),
            |log, seen, _| log.reads.storages.push((cell, *seen)),
        )
    }

    fn prefetch(&self, address: &Address, slots: &[B256]) {
        self.base.prefetch(address, slots);
    }
}
