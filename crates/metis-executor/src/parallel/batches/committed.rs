//! The state of a block whose transactions run in batches: what is committed of each account and slot, and when it was
//! changed last.
//!
//! Commits are numbered. A reader notes the number with the value: as long as it stays, so does the value. What the block
//! has not changed is not kept here: its number is 0, and the state before the block is asked.

use alloy_primitives::{Address, U256};
use metis_state_transition::Account;

use crate::parallel::{
    codes::Codes,
    collect::{ChangedAccount, WrittenSlot},
    sync::{AtomicBool, AtomicU32, Mutex, OnceLock, Ordering::*},
    table::{Entry, Table},
};

/// Number of a commit, from 1 on; 0 stands for the state before the block.
pub(in crate::parallel) type Stamp = u32;

/// An account and its cell.
pub(in crate::parallel) type AccountEntry<'m> = Entry<'m, Address, AccountCell>;
/// A slot and its cell.
pub(in crate::parallel) type SlotEntry<'m> = Entry<'m, (Address, U256), SlotCell<'m>>;

/// An account.
pub(in crate::parallel) struct AccountCell {
    /// The commit that changed it last.
    stamp: AtomicU32,
    /// The commit that cleared its storage last.
    cleared: AtomicU32,
    /// The block changed the account or a slot of it. Written at the desk.
    is_listed: AtomicBool,
    /// The account, where it is listed.
    value: Mutex<Option<Account>>,
}

/// A storage slot.
pub(in crate::parallel) struct SlotCell<'a> {
    pub(in crate::parallel) owner: &'a AccountCell,
    /// The commit that wrote it last.
    stamp: AtomicU32,
    value: Mutex<U256>,
}

/// Everything the block touches.
pub(in crate::parallel) struct Committed<'a> {
    accounts: &'a Table<Address, AccountCell>,
    slots: OnceLock<Table<(Address, U256), SlotCell<'a>>>,
    slot_count: usize,
    pub(in crate::parallel) codes: Codes,
}

impl<'a> Committed<'a> {
    pub(in crate::parallel) fn new(accounts: &'a Table<Address, AccountCell>, slot_count: usize) -> Self {
        Self { accounts, slots: OnceLock::new(), slot_count, codes: Codes::new() }
    }

    pub(in crate::parallel) fn account(&self, address: Address) -> AccountEntry<'a> {
        self.accounts.entry(address, || AccountCell {
            stamp: AtomicU32::new(0),
            cleared: AtomicU32::new(0),
            is_listed: AtomicBool::new(false),
            value: Mutex::new(None),
        })
    }

    pub(in crate::parallel) fn slot(&self, address: Address, slot: U256) -> SlotEntry<'_> {
        self.slots.get_or_init(|| Table::new(self.slot_count)).entry((address, slot), || SlotCell {
            owner: self.account(address).value,
            stamp: AtomicU32::new(0),
            value: Mutex::default(),
        })
    }
}

impl AccountCell {
    /// The commit that changed the account last.
    pub(in crate::parallel) fn stamp(&self) -> Stamp {
        self.stamp.load(Acquire)
    }

    /// The commit that cleared its storage last.
    pub(in crate::parallel) fn cleared(&self) -> Stamp {
        self.cleared.load(Acquire)
    }

    /// The account, where the block changed it, and when.
    pub(in crate::parallel) fn read(&self) -> Option<(Option<Account>, Stamp)> {
        if self.stamp() == 0 {
            return None;
        }
        let value = self.value.lock();
        Some((*value, self.stamp()))
    }

    /// Lists an account of which a slot changes, as it is; says whether it was not listed before.
    pub(in crate::parallel) fn list(&self, account: Option<Account>) -> bool {
        let is_first = !self.is_listed.load(Relaxed);
        if is_first {
            self.is_listed.store(true, Relaxed);
            *self.value.lock() = account;
        }
        is_first
    }

    /// Makes a value the committed one; says whether the account was not listed before.
    pub(in crate::parallel) fn commit(&self, account: Option<Account>, clears_storage: bool, stamp: Stamp) -> bool {
        if clears_storage {
            self.cleared.store(stamp, Release);
        }
        let mut value = self.value.lock();
        *value = account;
        // Under the lock: a value is never found with the number of another one.
        self.stamp.store(stamp, Release);
        drop(value);
        let is_first = !self.is_listed.load(Relaxed);
        self.is_listed.store(true, Relaxed);
        is_first
    }
}

impl ChangedAccount for AccountEntry<'_> {
    fn address(&self) -> Address {
        *self.key
    }

    fn result(&self) -> (Option<Account>, bool) {
        (*self.value.value.lock(), self.value.cleared() > 0)
    }
}

impl SlotCell<'_> {
    /// The commit that changed the slot last, by writing it or by clearing the storage.
    pub(in crate::parallel) fn stamp(&self) -> Stamp {
        self.owner.cleared().max(self.stamp.load(Acquire))
    }

    /// What the slot holds, where the block changed it, and since when.
    pub(in crate::parallel) fn read(&self) -> Option<(U256, Stamp)> {
        let cleared = self.owner.cleared();
        if cleared == 0 && self.stamp.load(Acquire) == 0 {
            return None;
        }
        let value = self.value.lock();
        let stamp = self.stamp.load(Acquire);
        // Who clears and writes at once writes afterwards.
        Some(if stamp >= cleared { (*value, stamp) } else { (U256::ZERO, cleared) })
    }

    /// Makes a value the committed one; says whether it is the block's first for the slot.
    pub(in crate::parallel) fn commit(&self, value: U256, stamp: Stamp) -> bool {
        let mut held = self.value.lock();
        *held = value;
        self.stamp.swap(stamp, AcqRel) == 0
    }
}

impl WrittenSlot for SlotEntry<'_> {
    fn key(&self) -> (Address, U256) {
        *self.key
    }

    fn result(&self) -> Option<U256> {
        let stamp = self.value.stamp.load(Acquire);
        (stamp > 0 && stamp >= self.value.owner.cleared()).then(|| *self.value.value.lock())
    }
}
