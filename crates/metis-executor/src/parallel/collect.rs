//! The block's changes, from the cells that it changed.

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Account, AccountChange, ChangeSet, Code};
use rayon::prelude::*;

/// An account that a block changed, after it.
pub(super) trait ChangedAccount: Sync {
    fn address(&self) -> Address;

    /// The account, and whether its storage was cleared.
    fn result(&self) -> (Option<Account>, bool);
}

/// A slot that a block wrote, after it.
pub(super) trait WrittenSlot: Send {
    /// Whose it is, and which.
    fn key(&self) -> (Address, U256);

    /// Its value, unless the storage was cleared after it was written.
    fn result(&self) -> Option<U256>;
}

/// Fewer are sorted sooner than other threads are woken.
const SORTED_ASIDE_COUNT_MIN: usize = 4096;

/// The changes of a block whose transactions are all committed.
pub(super) fn changes(
    accounts: Vec<impl ChangedAccount>,
    slots: Vec<impl WrittenSlot>,
    codes: Vec<(B256, Code)>,
) -> ChangeSet {
    let changes: Vec<(Address, AccountChange)> = if slots.len() + accounts.len() < SORTED_ASIDE_COUNT_MIN {
        let mut slots: Vec<Written> = slots.into_iter().filter_map(written).collect();
        slots.sort_unstable();
        let results: Vec<Changed> = accounts.iter().map(|cell| cell.result()).collect();
        let mut order: Vec<Place> = accounts.iter().enumerate().map(place).collect();
        order.sort_unstable();
        order.into_iter().map(|place| change(place, &results, &slots)).collect()
    } else {
        let sorted_slots = || {
            let mut slots: Vec<Written> = slots.into_par_iter().filter_map(written).collect();
            slots.par_sort_unstable();
            slots
        };
        let sorted_accounts = || {
            let results: Vec<Changed> = accounts.par_iter().map(|cell| cell.result()).collect();
            let mut order: Vec<Place> = accounts.par_iter().enumerate().map(place).collect();
            order.par_sort_unstable();
            (results, order)
        };
        let (slots, (results, order)) = rayon::join(sorted_slots, sorted_accounts);
        order.into_par_iter().map(|place| change(place, &results, &slots)).collect()
    };
    ChangeSet { accounts: changes.into_iter().collect(), codes: codes.into_iter().collect() }
}

/// A slot, by whose it is, and its value.
type Written = (Address, U256, U256);

/// What became of an account, and whether its storage was cleared. Read in the order of commits, in which cells lie.
type Changed = (Option<Account>, bool);

/// An account, and where it stands among the changed ones.
type Place = (Address, usize);

fn written(slot: impl WrittenSlot) -> Option<Written> {
    let (address, key) = slot.key();
    slot.result().map(|value| (address, key, value))
}

fn place((place, account): (usize, &impl ChangedAccount)) -> Place {
    (account.address(), place)
}

/// The change of an account; `slots` are those of all, in order.
fn change((address, place): Place, results: &[Changed], slots: &[Written]) -> (Address, AccountChange) {
    let (account, storage_cleared) = results[place];
    let rest = &slots[slots.partition_point(|(owner, ..)| *owner < address)..];
    let own = &rest[..rest.partition_point(|(owner, ..)| *owner == address)];
    let storage = own.iter().map(|(_, slot, value)| (*slot, *value)).collect();
    (address, AccountChange { account, storage_cleared, storage })
}
