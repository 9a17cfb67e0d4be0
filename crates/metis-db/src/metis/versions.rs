//! What was before each version: how older snapshots read past newer entries.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use alloy_primitives::{Address, U256, map::HashMap};
use parking_lot::Mutex;

use super::archive::Archive;
use crate::{StoreError, flat::AccountRecord};

/// Values that a version changed, as they were before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Before {
    /// `None` where there was no account.
    pub(super) accounts: HashMap<Address, Option<AccountRecord>>,
    /// By storage id; zero where there was nothing.
    pub(super) slots: HashMap<(u32, U256), U256>,
    /// Whose storages these are.
    pub(super) owners: HashMap<u32, Address>,
}

impl Before {
    /// Adds what was before a later version; what was before this one is older and stays.
    pub(super) fn extend(&mut self, later: &Self) {
        for (address, record) in &later.accounts {
            self.accounts.entry(*address).or_insert(*record);
        }
        for (key, value) in &later.slots {
            self.slots.entry(*key).or_insert(*value);
        }
        self.owners.extend(later.owners.iter().map(|(id, address)| (*id, *address)));
    }
}

/// Versions that somebody holds, with how many hold them.
#[derive(Debug, Default)]
pub(super) struct Alive(Mutex<BTreeMap<u64, usize>>);

impl Alive {
    /// The oldest version that anybody may still read.
    pub(super) fn oldest(&self) -> u64 {
        self.0.lock().first_key_value().map_or(u64::MAX, |(number, _)| *number)
    }
}

/// One version in the chain of all that came after the oldest one that is held.
///
/// Who holds a version holds all later ones through it, and none before it: what nobody can read
/// any more is freed by itself.
#[derive(Debug)]
pub(super) struct Version {
    number: u64,
    before: Before,
    next: OnceLock<Arc<Self>>,
    alive: Arc<Alive>,
    archived: Option<Archived>,
}

/// Where the versions after one that left the window are.
#[derive(Debug)]
pub(super) struct Archived {
    /// What was before them.
    pub(super) archive: Arc<Archive>,
    /// The oldest one that is kept whole: what the archive does not say is as it is there.
    pub(super) base: Arc<Version>,
}

impl Version {
    pub(super) fn new(number: u64, before: Before, alive: &Arc<Alive>) -> Arc<Self> {
        Self::make(number, before, alive, None)
    }

    /// A version that left the window.
    pub(super) fn of_archive(number: u64, archived: Archived) -> Arc<Self> {
        let alive = Arc::clone(&archived.base.alive);
        Self::make(number, Before::default(), &alive, Some(archived))
    }

    fn make(number: u64, before: Before, alive: &Arc<Alive>, archived: Option<Archived>) -> Arc<Self> {
        *alive.0.lock().entry(number).or_default() += 1;
        Arc::new(Self { number, before, next: OnceLock::new(), alive: Arc::clone(alive), archived })
    }

    pub(super) const fn archived(&self) -> Option<&Archived> {
        self.archived.as_ref()
    }

    #[inline(always)]
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// How many values it changed.
    pub(super) fn changed_count(&self) -> usize {
        self.before.accounts.len() + self.before.slots.len()
    }

    /// Makes `next` the version after this one. Done before any entry says so.
    pub(super) fn follow(&self, next: &Arc<Self>) {
        // Only the one writer comes here, once per version.
        let is_first = self.next.set(Arc::clone(next)).is_ok();
        debug_assert!(is_first, "a version has one successor");
    }

    /// Versions after this one, oldest first.
    fn later(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(self.next.get(), |version| version.next.get()).map(Arc::as_ref)
    }

    /// What the account was in this version, if it changed later.
    #[cold]
    pub(super) fn account(&self, address: &Address) -> Option<Option<AccountRecord>> {
        self.later().find_map(|version| version.before.accounts.get(address).copied())
    }

    /// What the slot was in this version, if it changed later.
    #[cold]
    pub(super) fn slot(&self, key: &(u32, U256)) -> Option<U256> {
        self.later().find_map(|version| version.before.slots.get(key).copied())
    }

    /// All that differs in a later version, as it is in this one. Some of it may not differ.
    ///
    /// # Errors
    /// [`StoreError`] of the archive's files.
    pub(super) fn before(&self, last: u64) -> Result<Before, StoreError> {
        let Some(Archived { archive, base }) = &self.archived else { return Ok(self.before_in_window(last)) };
        let mut all = archive.before(self.number)?;
        all.extend(&base.before_in_window(last));
        Ok(all)
    }

    /// The same for a version that is kept whole.
    pub(super) fn before_in_window(&self, last: u64) -> Before {
        let mut all = Before::default();
        self.later().take_while(|version| version.number <= last).for_each(|version| all.extend(&version.before));
        all
    }
}

impl Drop for Version {
    fn drop(&mut self) {
        let mut alive = self.alive.0.lock();
        if let Some(count) = alive.get_mut(&self.number) {
            *count -= 1;
            if *count == 0 {
                alive.remove(&self.number);
            }
        }
        drop(alive);
        // One after the other: a long chain would otherwise end the stack.
        let mut next = self.next.take();
        while let Some(mut version) = next.and_then(Arc::into_inner) {
            next = version.next.take();
        }
    }
}
