//! Change sets as bytes: `[[[address, account, cleared, [[slot, value], …]], …], [[hash, code], …]]`.
//!
//! `account` is `[nonce, balance, code hash]`, or the empty list where the account ceased to
//! exist. Addresses, slots and code hashes are strictly ascending, so a change set has one encoding.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::Encodable;
use metis_state_transition::{Account, AccountChange, ChangeSet, Code};

use super::{
    RecordError,
    wire::{Items, put_bytes, put_list},
};

pub(super) fn put_changes(out: &mut Vec<u8>, changes: &ChangeSet) {
    put_list(out, |out| {
        put_list(out, |out| {
            for (address, change) in &changes.accounts {
                put_list(out, |out| put_account_change(out, address, change));
            }
        });
        put_list(out, |out| {
            for (hash, code) in &changes.codes {
                put_list(out, |out| {
                    hash.encode(out);
                    put_bytes(out, &code.bytes());
                });
            }
        });
    });
}

fn put_account_change(out: &mut Vec<u8>, address: &Address, change: &AccountChange) {
    address.encode(out);
    put_list(out, |out| {
        if let Some(account) = &change.account {
            account.nonce.encode(out);
            account.balance.encode(out);
            account.code_hash.encode(out);
        }
    });
    change.storage_cleared.encode(out);
    put_list(out, |out| {
        for (slot, value) in &change.storage {
            put_list(out, |out| {
                slot.encode(out);
                value.encode(out);
            });
        }
    });
}

pub(super) fn read_changes(mut items: Items<'_>) -> Result<ChangeSet, RecordError> {
    let (mut accounts, mut codes) = (items.list()?, items.list()?);
    items.end()?;
    let mut changes = ChangeSet::default();
    while !accounts.is_empty() {
        let (address, change) = read_account_change(accounts.list()?)?;
        if changes.accounts.last_key_value().is_some_and(|(last, _)| *last >= address) {
            return Err(RecordError::Order);
        }
        changes.accounts.insert(address, change);
    }
    while !codes.is_empty() {
        let mut code = codes.list()?;
        let (hash, bytes) = (B256::from(code.fixed()?), Bytes::copy_from_slice(code.bytes()?));
        code.end()?;
        if changes.codes.last_key_value().is_some_and(|(last, _)| *last >= hash) {
            return Err(RecordError::Order);
        }
        changes.codes.insert(hash, Code::new(bytes));
    }
    Ok(changes)
}

fn read_account_change(mut items: Items<'_>) -> Result<(Address, AccountChange), RecordError> {
    let address = Address::from(items.fixed()?);
    let mut fields = items.list()?;
    let account = if fields.is_empty() {
        None
    } else {
        let (nonce, balance) = (fields.value()?, fields.value()?);
        let account = Account { nonce, balance, code_hash: B256::from(fields.fixed()?) };
        fields.end()?;
        Some(account)
    };
    let storage_cleared = items.value()?;
    let mut slots = items.list()?;
    items.end()?;
    let mut change = AccountChange { account, storage_cleared, ..AccountChange::default() };
    while !slots.is_empty() {
        let mut pair = slots.list()?;
        let (slot, value): (U256, U256) = (pair.value()?, pair.value()?);
        pair.end()?;
        if change.storage.last_key_value().is_some_and(|(last, _)| *last >= slot) {
            return Err(RecordError::Order);
        }
        change.storage.insert(slot, value);
    }
    Ok((address, change))
}
