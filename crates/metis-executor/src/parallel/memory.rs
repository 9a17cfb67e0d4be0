//! Multi-version memory: each account and slot that the block touches, with what is committed of it and what
//! transactions that are not committed yet have written.
//!
//! ```text
//!                 what transaction 9 reads
//!                 ▼
//! committed (0-4) │ 6: value │ 7: +5 wei │ 12: unknown
//! ```
//!
//! A transaction reads the newest version below it. Nothing here has to be right for the result to be: a commit
//! compares what was read with what is committed by then, by value.

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Account, AccountUse, pay_fee};
use smallvec::SmallVec;

use super::{
    codes::Codes,
    collect::{ChangedAccount, WrittenSlot},
    sync::{AtomicBool, Mutex, OnceLock, Ordering::*},
    table::Table,
};

/// Position of a transaction in the block.
pub(super) type Index = u32;

/// A version of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AccountVersion {
    /// It is this afterwards, whatever it was.
    Whole {
        account: Option<Account>,
        /// Its slots are zero where no version of them is as new.
        clears_storage: bool,
    },
    /// Its balance moves by a difference.
    Moved(Move),
    /// Nothing but its storage changes. Never among the versions of a cell: those of a contract that all call would be
    /// in everybody's way.
    Same,
    /// The transaction is being run again: what it will write is not known.
    Unknown,
}

/// What a transaction does to an account whose balance it does not look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    /// What the balance moves by, modulo 2²⁵⁶.
    pub(super) balance: U256,
    /// The nonce afterwards, where it mattered; else it stays what it is.
    pub(super) nonce: Option<u64>,
    pub(super) code_hash: B256,
}

/// Versions of one thing, in the order of transactions. Of most there is one at a time.
type Pending<T> = SmallVec<[(Index, T); 1]>;

/// Who changed what was read.
#[derive(Clone, Copy, Default)]
pub(super) struct Writers {
    /// The last transaction that gave it a value, not counting those that only added to a balance.
    pub(super) giver: Option<Index>,
    /// The last that changed it at all.
    pub(super) any: Option<Index>,
}

impl Writers {
    const fn one(index: Index) -> Self {
        Self { giver: Some(index), any: Some(index) }
    }

    pub(super) fn max(self, other: Self) -> Self {
        Self { giver: self.giver.max(other.giver), any: self.any.max(other.any) }
    }
}

/// What a read found.
pub(super) enum Found<T> {
    Value(T, Writers),
    /// No version in the block: as in the state before it.
    Base,
    /// Depends on a transaction that is being run again.
    Blocked(Index),
}

/// An account.
pub(super) struct AccountCell {
    pub(super) address: Address,
    pub(super) base: OnceLock<Option<Account>>,
    /// There is or was a version in the block. Cells without are read without a lock.
    is_written: AtomicBool,
    /// There is or was a version that clears the storage.
    is_cleared: AtomicBool,
    /// The block changed the account or a slot of it. Written at the desk.
    is_listed: AtomicBool,
    state: Mutex<AccountState>,
}

#[derive(Default)]
struct AccountState {
    committed: Option<Option<Account>>,
    writers: Writers,
    /// A committed transaction cleared the storage.
    clears_storage: bool,
    /// In the order of transactions.
    pending: Pending<AccountVersion>,
    /// Slots that have cells.
    slots: Vec<U256>,
}

/// A storage slot.
pub(super) struct SlotCell<'a> {
    pub(super) owner: &'a AccountCell,
    pub(super) slot: U256,
    pub(super) base: OnceLock<U256>,
    is_written: AtomicBool,
    state: Mutex<SlotState>,
}

#[derive(Default)]
struct SlotState {
    committed: Option<U256>,
    writer: Index,
    /// The committed value was written since the storage was cleared last.
    is_change: bool,
    is_listed: bool,
    /// In the order of transactions; `None` where what is written is not known.
    pending: Pending<Option<U256>>,
}

/// Everything the block touches.
pub(super) struct Memory<'a> {
    accounts: &'a Table<Address, AccountCell>,
    slots: OnceLock<Table<(Address, U256), SlotCell<'a>>>,
    slot_count: usize,
    pub(super) codes: Codes,
}

impl<'a> Memory<'a> {
    pub(super) fn new(accounts: &'a Table<Address, AccountCell>, slot_count: usize) -> Self {
        Self { accounts, slots: OnceLock::new(), slot_count, codes: Codes::new() }
    }

    pub(super) fn account(&self, address: Address) -> &'a AccountCell {
        let make = || AccountCell {
            address,
            base: OnceLock::new(),
            is_written: AtomicBool::new(false),
            is_cleared: AtomicBool::new(false),
            is_listed: AtomicBool::new(false),
            state: Mutex::default(),
        };
        self.accounts.entry(address, make).value
    }

    pub(super) fn slot(&self, address: Address, slot: U256) -> &SlotCell<'a> {
        let make = || {
            let owner = self.account(address);
            let mut state = owner.state.lock();
            state.slots.push(slot);
            let committed = state.clears_storage.then_some(U256::ZERO);
            let is_written = AtomicBool::new(committed.is_some());
            let own = SlotState { committed, ..SlotState::default() };
            SlotCell { owner, slot, base: OnceLock::new(), is_written, state: Mutex::new(own) }
        };
        self.slots.get_or_init(|| Table::new(self.slot_count)).entry((address, slot), make).value
    }

    /// Makes a version the committed one; says whether it is the block's first for the account. The state before the
    /// block is known where a balance moves.
    pub(super) fn commit_account(&self, cell: &AccountCell, index: Index, version: AccountVersion) -> bool {
        let is_first = !cell.is_listed.load(Relaxed);
        if is_first {
            cell.is_listed.store(true, Relaxed);
        }
        if version == AccountVersion::Same {
            return is_first;
        }
        cell.is_written.store(true, Release);
        let mut cleared = None;
        {
            let mut state = cell.state.lock();
            remove(&mut state.pending, index);
            state.writers.any = Some(index);
            match version {
                AccountVersion::Whole { account, clears_storage } => {
                    let before = state.committed.unwrap_or_else(|| cell.known_base());
                    if !AccountUse::RECEIVER.is_same(before.as_ref(), account.as_ref()) {
                        state.writers.giver = Some(index);
                    }
                    state.committed = Some(account);
                    if clears_storage {
                        cell.is_cleared.store(true, Release);
                        state.clears_storage = true;
                        cleared = Some(state.slots.clone());
                    }
                }
                AccountVersion::Moved(by) => {
                    let account = state.committed.unwrap_or_else(|| cell.known_base());
                    state.committed = Some(moved(account, by));
                }
                AccountVersion::Same | AccountVersion::Unknown => {}
            }
        }
        for slot in cleared.into_iter().flatten() {
            let slot = self.slot(cell.address, slot);
            slot.is_written.store(true, Release);
            let mut state = slot.state.lock();
            state.committed = Some(U256::ZERO);
            state.is_change = false;
        }
        is_first
    }

    /// Pays a fee to an account as it is by now; says whether that is the block's first change of the account. The state
    /// before the block is known.
    pub(super) fn commit_fee(&self, cell: &AccountCell, index: Index, fee: U256) -> bool {
        let Some((account, clears_storage)) = pay_fee(cell.now(), fee) else { return false };
        self.commit_account(cell, index, AccountVersion::Whole { account, clears_storage })
    }
}

impl AccountCell {
    /// The version that a transaction reads.
    pub(super) fn read(&self, index: Index) -> Found<Option<Account>> {
        if !self.is_written.load(Acquire) {
            return Found::Base;
        }
        let state = self.state.lock();
        let older = state.pending.partition_point(|(at, _)| *at < index);
        let mut by: Option<Move> = None;
        let (mut start, mut writers) = (state.committed, state.writers);
        writers.any = state.pending[..older].last().map(|(at, _)| *at).or(writers.any);
        for (at, version) in state.pending[..older].iter().rev() {
            match version {
                AccountVersion::Same => {}
                AccountVersion::Unknown => return Found::Blocked(*at),
                AccountVersion::Whole { account, .. } => {
                    (start, writers.giver) = (Some(*account), Some(*at));
                    break;
                }
                AccountVersion::Moved(older) => match &mut by {
                    Some(by) => {
                        by.balance = by.balance.wrapping_add(older.balance);
                        by.nonce = by.nonce.or(older.nonce);
                    }
                    None => by = Some(*older),
                },
            }
        }
        let Some(by) = by else {
            return start.map_or(Found::Base, |account| Found::Value(account, writers));
        };
        let Some(start) = start.or_else(|| self.base.get().copied()) else {
            // Whoever moves a balance has read the account. Only a commit asks for the state before the block then.
            return Found::Base;
        };
        Found::Value(moved(start, by), writers)
    }

    fn known_base(&self) -> Option<Account> {
        self.base.get().copied().flatten()
    }

    /// What is committed of the account in this block.
    pub(super) fn committed(&self) -> Option<Option<Account>> {
        if !self.is_written.load(Acquire) {
            return None;
        }
        self.state.lock().committed
    }

    /// What is committed of the account, or else as it is before the block; read before.
    pub(super) fn now(&self) -> Option<Account> {
        self.committed().unwrap_or_else(|| self.known_base())
    }

    /// Whether the storage was cleared for a transaction, and by which: `None` for those that are committed.
    fn cleared_for(&self, index: Index) -> Option<Option<Index>> {
        if !self.is_cleared.load(Acquire) {
            return None;
        }
        let state = self.state.lock();
        let older = state.pending.partition_point(|(at, _)| *at < index);
        let clears = |version: &AccountVersion| matches!(version, AccountVersion::Whole { clears_storage: true, .. });
        let pending = state.pending[..older].iter().rev().find(|(_, version)| clears(version)).map(|(at, _)| *at);
        match pending {
            Some(at) => Some(Some(at)),
            None => state.clears_storage.then_some(None),
        }
    }

    /// Slots of the account that have cells, and whether its storage was cleared, as a transaction sees it.
    pub(super) fn storage_for(&self, index: Index) -> (Vec<U256>, bool) {
        let is_cleared = self.cleared_for(index).is_some();
        (self.state.lock().slots.clone(), is_cleared)
    }

    /// Adds a version for the transactions behind to read.
    pub(super) fn publish(&self, index: Index, version: AccountVersion) {
        if matches!(version, AccountVersion::Whole { clears_storage: true, .. }) {
            self.is_cleared.store(true, Release);
        }
        put(&mut self.state.lock().pending, index, version);
        self.is_written.store(true, Release);
    }

    pub(super) fn withdraw(&self, index: Index) {
        remove(&mut self.state.lock().pending, index);
    }
}

impl ChangedAccount for &AccountCell {
    fn address(&self) -> Address {
        self.address
    }

    fn result(&self) -> (Option<Account>, bool) {
        let state = self.state.lock();
        (state.committed.unwrap_or_else(|| self.known_base()), state.clears_storage)
    }
}

impl SlotCell<'_> {
    /// The version that a transaction reads.
    pub(super) fn read(&self, index: Index) -> Found<U256> {
        let cleared = self.owner.cleared_for(index);
        if cleared.is_none() && !self.is_written.load(Acquire) {
            return Found::Base;
        }
        let state = self.state.lock();
        let older = state.pending.partition_point(|(at, _)| *at < index);
        let newest = state.pending[..older].last();
        match (newest, cleared) {
            (Some((at, value)), cleared) if cleared.flatten().is_none_or(|clear| clear <= *at) => {
                value.map_or(Found::Blocked(*at), |value| Found::Value(value, Writers::one(*at)))
            }
            (_, Some(Some(clear))) => Found::Value(U256::ZERO, Writers::one(clear)),
            _ => state.committed.map_or(Found::Base, |value| Found::Value(value, Writers::one(state.writer))),
        }
    }

    /// What is committed of the slot in this block.
    pub(super) fn committed(&self) -> Option<U256> {
        if !self.is_written.load(Acquire) {
            return None;
        }
        self.state.lock().committed
    }

    /// What is committed of the slot, or else as it is before the block; read before.
    pub(super) fn now(&self) -> U256 {
        self.committed().or_else(|| self.base.get().copied()).unwrap_or_default()
    }

    pub(super) fn publish(&self, index: Index, value: Option<U256>) {
        put(&mut self.state.lock().pending, index, value);
        self.is_written.store(true, Release);
    }

    pub(super) fn withdraw(&self, index: Index) {
        remove(&mut self.state.lock().pending, index);
    }

    /// Makes a value the committed one; says whether it is the block's first for the slot.
    pub(super) fn commit(&self, index: Index, value: U256) -> bool {
        self.is_written.store(true, Release);
        let mut state = self.state.lock();
        remove(&mut state.pending, index);
        state.committed = Some(value);
        state.writer = index;
        state.is_change = true;
        !std::mem::replace(&mut state.is_listed, true)
    }
}

impl WrittenSlot for &SlotCell<'_> {
    fn key(&self) -> (Address, U256) {
        (self.owner.address, self.slot)
    }

    fn result(&self) -> Option<U256> {
        let state = self.state.lock();
        state.committed.filter(|_| state.is_change)
    }
}

/// An account whose balance moves. Of balances that are not committed nobody knows that they suffice: the commit does.
fn moved(account: Option<Account>, by: Move) -> Option<Account> {
    let account = account.unwrap_or_default();
    let (balance, nonce) = (account.balance.wrapping_add(by.balance), by.nonce.unwrap_or(account.nonce));
    Some(Account { nonce, balance, code_hash: by.code_hash })
}

fn put<T>(pending: &mut Pending<T>, index: Index, version: T) {
    match pending.binary_search_by_key(&index, |(at, _)| *at) {
        Ok(place) => pending[place].1 = version,
        Err(place) => pending.insert(place, (index, version)),
    }
}

fn remove<T>(pending: &mut Pending<T>, index: Index) {
    if let Ok(place) = pending.binary_search_by_key(&index, |(at, _)| *at) {
        pending.remove(place);
    }
}
