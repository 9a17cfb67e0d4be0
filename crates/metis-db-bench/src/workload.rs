//! The same state and changes for every store.

use alloy_primitives::{Address, U256};
use metis_state_transition::{Account, AccountChange, ChangeSet};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub const fn below(&mut self, end: u64) -> u64 {
        ((self.next() as u128 * end as u128) >> 64) as u64
    }
}

const fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The address of an account: as spread as hashes are.
pub fn address(index: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&mix(index).to_le_bytes());
    bytes[8..16].copy_from_slice(&mix(index ^ 0x5555).to_le_bytes());
    Address::new(bytes)
}

/// The slots of a contract: as spread as hashes are.
fn slot(number: u64) -> U256 {
    U256::from(mix(number)) << 190
}

/// Accounts, a hundredth of them contracts that share the slots.
#[derive(Clone, Copy, Debug)]
pub struct State {
    pub account_count: u64,
    pub slot_count: u64,
}

/// A slot, and whose it is.
pub type SlotKey = (Address, U256);

impl State {
    const fn contract_count(&self) -> u64 {
        let count = self.account_count / 100;
        if count == 0 { 1 } else { count }
    }

    /// Slots that there are: as many for each contract.
    pub const fn all_slots(&self) -> u64 {
        self.slot_count / self.contract_count() * self.contract_count()
    }

    /// Each of them.
    pub fn slot(&self, index: u64) -> SlotKey {
        (address(index % self.contract_count()), slot(index / self.contract_count()))
    }

    /// A part of the state, as changes to what has none of it.
    pub fn part(&self, accounts: core::ops::Range<u64>) -> ChangeSet {
        let contract_count = self.contract_count();
        let mut changes = ChangeSet::default();
        for index in accounts {
            let count = if index < contract_count { self.slot_count / contract_count } else { 0 };
            let storage = (0..count).map(|number| (slot(number), U256::from(index + number + 1))).collect();
            let account = Account { nonce: index + 1, balance: U256::from(index) << 40, ..Account::default() };
            let change = AccountChange { account: Some(account), storage, ..AccountChange::default() };
            changes.accounts.insert(address(index), change);
        }
        changes
    }
}

/// A block's worth of changed balances, of as many accounts that differ.
pub fn changes(number: u64, count: usize, account_count: u64) -> ChangeSet {
    let mut random = Random(number << 32);
    let mut changes = ChangeSet::default();
    while changes.accounts.len() < count {
        let index = random.below(account_count);
        let account = Account { nonce: number, balance: U256::from(random.next()), ..Account::default() };
        let change = AccountChange { account: Some(account), ..AccountChange::default() };
        changes.accounts.insert(address(index), change);
    }
    changes
}
