//! The same state and changes for every store.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use metis_db::GenesisAccount;
use metis_state_transition::{Account, AccountChange, ChangeSet};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

const fn mix(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The address of an account: as spread as hashes are, and cheap to make.
pub fn address(index: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&mix(index).to_le_bytes());
    bytes[8..16].copy_from_slice(&mix(index ^ 0x5555).to_le_bytes());
    Address::new(bytes)
}

/// Accounts, a hundredth of them contracts that share the slots.
pub fn alloc(account_count: u64, slot_count: u64) -> impl Iterator<Item = (Address, GenesisAccount)> {
    let contract_count = (account_count / 100).max(1);
    (0..account_count).map(move |index| {
        let count = if index < contract_count { slot_count / contract_count } else { 0 };
        let storage: BTreeMap<U256, U256> =
            (0..count).map(|slot| (U256::from(mix(slot)) << 190, U256::from(index + slot + 1))).collect();
        let account = GenesisAccount { nonce: index + 1, balance: U256::from(index), storage, ..Default::default() };
        (address(index), account)
    })
}

/// A block's worth of changed balances.
pub fn changes(number: u64, count: u64, account_count: u64) -> ChangeSet {
    let mut random = Random(number);
    let mut changes = ChangeSet::default();
    for _ in 0..count {
        let index = random.next() % account_count;
        let account = Account { nonce: number, balance: U256::from(random.next()), ..Account::default() };
        let change = AccountChange { account: Some(account), ..AccountChange::default() };
        changes.accounts.insert(address(index), change);
    }
    changes
}
