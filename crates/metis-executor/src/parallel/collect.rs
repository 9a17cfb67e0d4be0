//! The block's changes, from the cells that it changed.

use std::{collections::BTreeMap, panic::resume_unwind, thread::JoinHandle};

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

/// So many slots of one account are put together while the other accounts are.
const SLOT_COUNT_LARGE: usize = 4096;

/// Changes that are put together, perhaps while other things are done.
pub(super) enum Collected {
    Here(ChangeSet),
    Aside(JoinHandle<ChangeSet>),
}

impl Collected {
    pub(super) fn join(self) -> ChangeSet {
        match self {
            Self::Here(changes) => changes,
            Self::Aside(building) => building.join().unwrap_or_else(|panic| resume_unwind(panic)),
        }
    }
}

/// The changes of a block whose transactions are all committed. The cells may be freed before they are put together.
pub(super) fn changes(
    accounts: Vec<impl ChangedAccount>,
    slots: Vec<impl WrittenSlot>,
    codes: Vec<(B256, Code)>,
) -> Collected {
    if slots.len() + accounts.len() < SORTED_ASIDE_COUNT_MIN {
        let mut slots: Vec<Written> = slots.into_iter().filter_map(written).collect();
        slots.sort_unstable();
        let results: Vec<Changed> = accounts.iter().map(|cell| cell.result()).collect();
        let mut order: Vec<Place> = accounts.iter().enumerate().map(place).collect();
        order.sort_unstable();
        let changes = order.into_iter().map(|place| change(place, &results, &slots, usize::MAX)).collect();
        return Collected::Here(built(changes, codes));
    }
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
    let changes = order.into_par_iter().map(|place| change(place, &results, &slots, SLOT_COUNT_LARGE)).collect();
    Collected::Aside(std::thread::spawn(move || built_aside(changes, &slots, codes)))
}

/// Of changed accounts in order, of which those with many slots have none yet.
fn built_aside(accounts: Vec<(Address, AccountChange)>, slots: &[Written], codes: Vec<(B256, Code)>) -> ChangeSet {
    let large = slots.chunk_by(|one, next| one.0 == next.0).filter(|own| own.len() >= SLOT_COUNT_LARGE);
    let large: Vec<&[Written]> = large.collect();
    let storages = || large.into_par_iter().map(|own| (own[0].0, storage(own))).collect::<Vec<_>>();
    let (mut changes, storages) = rayon::join(|| built(accounts, codes), storages);
    for (address, storage) in storages {
        changes.accounts.entry(address).or_default().storage = storage;
    }
    changes
}

/// Of changed accounts in order.
fn built(accounts: Vec<(Address, AccountChange)>, codes: Vec<(B256, Code)>) -> ChangeSet {
    ChangeSet { accounts: accounts.into_iter().collect(), codes: codes.into_iter().collect() }
}

/// A slot, by whose it is, and its value.
type Written = (Address, U256, U256);

/// What became of an account, and whether its storage was cleared. Read in the order of commits, in which cells lie.
type Changed = (Option<Account>, bool);

/// An account, and where it stands among the changed ones. The first bytes of the address are there as a number, which is
/// compared sooner.
type Place = (u64, Address, u32);

fn written(slot: impl WrittenSlot) -> Option<Written> {
    let (address, key) = slot.key();
    slot.result().map(|value| (address, key, value))
}

fn place((place, account): (usize, &impl ChangedAccount)) -> Place {
    let address = account.address();
    // BOUND: a block's transactions, and what they change, do not reach 2³².
    (address.first_chunk().copied().map_or(0, u64::from_be_bytes), address, place as u32)
}

/// The change of an account; `slots` are those of all, in order. It has no slots where they are so many.
fn change((_, address, place): Place, results: &[Changed], slots: &[Written], many: usize) -> (Address, AccountChange) {
    let (account, storage_cleared) = results[place as usize];
    let rest = &slots[slots.partition_point(|(owner, ..)| *owner < address)..];
    let own = &rest[..rest.partition_point(|(owner, ..)| *owner == address)];
    let storage = if own.len() < many { storage(own) } else { BTreeMap::new() };
    (address, AccountChange { account, storage_cleared, storage })
}

fn storage(own: &[Written]) -> BTreeMap<U256, U256> {
    own.iter().map(|(_, slot, value)| (*slot, *value)).collect()
}
