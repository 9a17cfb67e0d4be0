//! Values as bytes. All integers are little-endian, lists begin with their length in 32 bits.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256, map::HashMap};
use metis_state_transition::{Account, AccountChange, ChangeSet, Code};
use twox_hash::XxHash3_64;

use super::versions::Before;
use crate::{CommittedBlock, flat::AccountRecord};

const EXISTS: u8 = 1;
const CLEARED: u8 = 2;

/// XXH3-64 with a seed.
pub(super) fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

/// Bytes being written.
#[derive(Debug, Default)]
pub(super) struct Out(pub(super) Vec<u8>);

impl Out {
    pub(super) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn bytes(&mut self, value: &[u8]) {
        self.0.extend_from_slice(value);
    }

    pub(super) fn u256(&mut self, value: &U256) {
        self.0.extend_from_slice(&value.to_le_bytes::<32>());
    }

    pub(super) fn len(&mut self, len: usize) {
        debug_assert!(u32::try_from(len).is_ok(), "lists are far shorter");
        self.u32(len as u32);
    }

    pub(super) fn account(&mut self, account: &Account) {
        self.u64(account.nonce);
        self.u256(&account.balance);
        self.bytes(&account.code_hash[..]);
    }

    pub(super) fn block(&mut self, block: &CommittedBlock) {
        self.u64(block.number);
        self.bytes(&block.hash[..]);
        self.bytes(&block.parent_hash[..]);
        self.bytes(&block.state_root[..]);
    }

    pub(super) fn changes(&mut self, changes: &ChangeSet) {
        self.len(changes.codes.len());
        for code in changes.codes.values() {
            let bytes = code.bytes();
            self.len(bytes.len());
            self.bytes(&bytes);
        }
        self.len(changes.accounts.len());
        for (address, change) in &changes.accounts {
            self.bytes(&address[..]);
            let exists = if change.account.is_some() { EXISTS } else { 0 };
            self.u8(exists | if change.storage_cleared { CLEARED } else { 0 });
            if let Some(account) = &change.account {
                self.account(account);
            }
            self.len(change.storage.len());
            for (slot, value) in &change.storage {
                self.u256(slot);
                self.u256(value);
            }
        }
    }

    pub(super) fn before(&mut self, before: &Before) {
        let mut accounts: Vec<_> = before.accounts.iter().collect();
        accounts.sort_unstable_by_key(|(address, _)| **address);
        self.len(accounts.len());
        for (address, record) in accounts {
            self.bytes(&address[..]);
            self.u8(u8::from(record.is_some()));
            if let Some(record) = record {
                self.account(&record.account);
                self.u32(record.storage_id);
                self.u32(record.slot_count);
            }
        }
        let mut slots: Vec<_> = before.slots.iter().collect();
        slots.sort_unstable();
        self.len(slots.len());
        for ((storage_id, slot), value) in slots {
            self.u32(*storage_id);
            self.u256(slot);
            self.u256(value);
        }
        let mut owners: Vec<_> = before.owners.iter().collect();
        owners.sort_unstable();
        self.len(owners.len());
        for (storage_id, address) in owners {
            self.u32(*storage_id);
            self.bytes(&address[..]);
        }
    }
}

/// Bytes being read; `None` is what cannot have been written.
#[derive(Clone, Copy, Debug)]
pub(super) struct In<'a>(pub(super) &'a [u8]);

impl<'a> In<'a> {
    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn u256(&mut self) -> Option<U256> {
        self.array().map(U256::from_le_bytes::<32>)
    }

    pub(super) fn b256(&mut self) -> Option<B256> {
        self.array().map(B256::new)
    }

    pub(super) fn address(&mut self) -> Option<Address> {
        self.array().map(Address::new)
    }

    /// The length of a list whose items take at least so many bytes each.
    pub(super) fn len(&mut self, item_bytes: usize) -> Option<usize> {
        let len = self.u32()? as usize;
        (len.checked_mul(item_bytes)? <= self.0.len()).then_some(len)
    }

    pub(super) fn account(&mut self) -> Option<Account> {
        Some(Account { nonce: self.u64()?, balance: self.u256()?, code_hash: self.b256()? })
    }

    pub(super) fn block(&mut self) -> Option<CommittedBlock> {
        let (number, hash) = (self.u64()?, self.b256()?);
        Some(CommittedBlock { number, hash, parent_hash: self.b256()?, state_root: self.b256()? })
    }

    pub(super) fn changes(&mut self) -> Option<ChangeSet> {
        let mut changes = ChangeSet::default();
        for _ in 0..self.len(4)? {
            let len = self.len(1)?;
            let code = Code::new(self.bytes(len)?.to_vec().into());
            changes.codes.insert(code.hash(), code);
        }
        for _ in 0..self.len(25)? {
            let address = self.address()?;
            let flags = self.u8()?;
            let account = if flags & EXISTS != 0 { Some(self.account()?) } else { None };
            let mut storage = BTreeMap::new();
            for _ in 0..self.len(64)? {
                storage.insert(self.u256()?, self.u256()?);
            }
            let change = AccountChange { account, storage_cleared: flags & CLEARED != 0, storage };
            changes.accounts.insert(address, change);
        }
        Some(changes)
    }

    pub(super) fn before(&mut self) -> Option<Before> {
        let (mut accounts, mut slots, mut owners) = (HashMap::default(), HashMap::default(), HashMap::default());
        for _ in 0..self.len(21)? {
            let address = self.address()?;
            let record = match self.u8()? {
                0 => None,
                _ => Some(AccountRecord { account: self.account()?, storage_id: self.u32()?, slot_count: self.u32()? }),
            };
            accounts.insert(address, record);
        }
        for _ in 0..self.len(68)? {
            slots.insert((self.u32()?, self.u256()?), self.u256()?);
        }
        for _ in 0..self.len(24)? {
            owners.insert(self.u32()?, self.address()?);
        }
        Some(Before { accounts, slots, owners })
    }
}
