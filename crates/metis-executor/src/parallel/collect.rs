//! The block's changes, from the cells that it changed.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{AccountChange, ChangeSet, Code};
use rayon::prelude::*;

use super::memory::{AccountCell, SlotCell};

/// Fewer are sorted sooner than other threads are woken.
const SORTED_ASIDE_COUNT_MIN: usize = 4096;

/// The changes of a block whose transactions are all committed.
pub(super) fn changes(accounts: Vec<&AccountCell>, slots: Vec<&SlotCell<'_>>, codes: Vec<(B256, Code)>) -> ChangeSet {
    let written = |cell: &&SlotCell<'_>| cell.result().map(|value| (cell.owner.address, cell.slot, value));
    let mut slots: Vec<(Address, U256, U256)> = slots.iter().filter_map(written).collect();
    let mut accounts: Vec<(Address, &AccountCell)> = accounts.into_iter().map(|cell| (cell.address, cell)).collect();
    if slots.len() + accounts.len() < SORTED_ASIDE_COUNT_MIN {
        slots.sort_unstable();
        accounts.sort_unstable_by_key(|(address, _)| *address);
    } else {
        rayon::join(|| slots.par_sort_unstable(), || accounts.par_sort_unstable_by_key(|(address, _)| *address));
    }
    let mut rest = &slots[..];
    let accounts: BTreeMap<Address, AccountChange> = accounts
        .into_iter()
        .map(|(address, cell)| {
            let (account, storage_cleared) = cell.result();
            let of_account = rest.iter().position(|(owner, ..)| *owner != address).unwrap_or(rest.len());
            let (own, others) = rest.split_at(of_account);
            rest = others;
            let storage = own.iter().map(|(_, slot, value)| (*slot, *value)).collect();
            (address, AccountChange { account, storage_cleared, storage })
        })
        .collect();
    debug_assert!(rest.is_empty(), "a slot changes with its account");
    ChangeSet { accounts, codes: codes.into_iter().collect() }
}
