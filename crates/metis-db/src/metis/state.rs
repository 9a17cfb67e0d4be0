//! The flat state of all versions: what readers share, and the one who changes it.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{Address, U256, map::HashMap};
use metis_disk::DiskLock;
use metis_state_transition::ChangeSet;
use parking_lot::RwLock;

use super::{
    codes::Codes,
    trunk::Trunk,
    versions::{Alive, Archived, Before, Version},
};
use crate::{
    StoreError,
    flat::{AccountLayout, AccountRecord, PagedBytes, Seed, SlotLayout, Table, TableWriter, VERSION_END},
};

/// What readers of all versions share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) accounts: Arc<Table<AccountLayout>>,
    pub(super) slots: Arc<Table<SlotLayout>>,
    pub(super) codes: Codes,
    pub(super) trunk: RwLock<Trunk>,
    /// Keeps the pages that the memory above may be mapped to; let go after it.
    pub(super) pin: OnceLock<Box<dyn DiskLock>>,
}

impl Shared {
    /// The account in a version.
    #[inline(always)]
    pub(super) fn account(&self, version: &Version, address: &Address) -> Result<Option<AccountRecord>, StoreError> {
        self.account_as(version, address, |record| record)
    }

    /// What is wanted of the account in a version.
    // Whatever it is has one place, which the usual way and the other one write to: each move of it would be one more
    // copy that the next read waits for.
    #[inline(always)]
    pub(super) fn account_as<T>(
        &self,
        version: &Version,
        address: &Address,
        wanted: impl Fn(AccountRecord) -> T,
    ) -> Result<Option<T>, StoreError> {
        match self.accounts.get(address) {
            Some(stated) if stated.version <= version.number() => Ok(stated.value.map(wanted)),
            // Changed or forgotten since, or never there.
            _ => self.old_account(version, address, wanted),
        }
    }

    #[cold]
    #[inline(never)]
    fn old_account<T>(
        &self,
        version: &Version,
        address: &Address,
        wanted: impl Fn(AccountRecord) -> T,
    ) -> Result<Option<T>, StoreError> {
        let Some(Archived { archive, base }) = version.archived() else {
            return Ok(version.account(address).flatten().map(wanted));
        };
        let archived = archive.account(address, version.number())?;
        Ok(archived.map_or_else(|| self.account(base, address), Ok)?.map(wanted))
    }

    /// The slot of a storage in a version.
    #[inline(always)]
    pub(super) fn slot(&self, version: &Version, key: &(u32, U256)) -> Result<U256, StoreError> {
        match self.slots.get(key) {
            Some(stated) if stated.version <= version.number() => Ok(stated.value.unwrap_or_default()),
            _ => self.old_slot(version, key),
        }
    }

    #[cold]
    fn old_slot(&self, version: &Version, key: &(u32, U256)) -> Result<U256, StoreError> {
        let Some(Archived { archive, base }) = version.archived() else {
            return Ok(version.slot(key).unwrap_or_default());
        };
        archive.slot(key, version.number())?.map_or_else(|| self.slot(base, key), Ok)
    }
}

/// New values of a version.
#[derive(Debug, Default)]
pub(super) struct Writes {
    pub(super) accounts: Vec<(Address, Option<AccountRecord>)>,
    pub(super) slots: Vec<((u32, U256), U256)>,
    pub(super) before: Before,
    next_storage_id: u32,
}

/// Changes the flat state.
#[derive(Debug)]
pub(super) struct FlatWriter {
    pub(super) shared: Arc<Shared>,
    pub(super) accounts: TableWriter<AccountLayout>,
    pub(super) slots: TableWriter<SlotLayout>,
    pub(super) next_storage_id: u32,
    /// Storages that no account has any more, with the version that took them away.
    pub(super) dead_storages: HashMap<u32, u64>,
    pub(super) alive: Arc<Alive>,
    pub(super) newest: Arc<Version>,
}

impl FlatWriter {
    /// An empty state, of version 0.
    pub(super) fn new(seed: Seed, segment_log2: u32) -> Result<Self, StoreError> {
        let accounts = TableWriter::new(seed, segment_log2)?;
        let slots = TableWriter::new(seed.of_slots(), segment_log2)?;
        Self::from_tables(accounts, slots, 0, Trunk::new)
    }

    /// A state as it was; the newest version is `number`.
    pub(super) fn from_tables(
        accounts: TableWriter<AccountLayout>,
        slots: TableWriter<SlotLayout>,
        number: u64,
        trunk: impl FnOnce(&Arc<Version>) -> Result<Trunk, StoreError>,
    ) -> Result<Self, StoreError> {
        let alive = Arc::new(Alive::default());
        let newest = Version::new(number, Before::default(), &alive);
        let shared = Shared {
            trunk: RwLock::new(trunk(&newest)?),
            accounts: Arc::clone(accounts.table()),
            slots: Arc::clone(slots.table()),
            codes: Codes::default(),
            pin: OnceLock::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            accounts,
            slots,
            next_storage_id: 1,
            dead_storages: HashMap::default(),
            newest,
            alive,
        })
    }

    /// What a checkpoint is made of: accounts, slots and tries.
    pub(super) fn parts<'a>(&'a self, trunk: &'a Trunk) -> [&'a dyn PagedBytes; 3] {
        [&self.accounts, &self.slots, trunk.tries.region()]
    }

    /// What changes mean for the entries. Nothing is changed yet.
    ///
    /// # Errors
    /// [`StoreError::Memory`], when there is no room for them.
    pub(super) fn plan(&self, changes: &ChangeSet) -> Result<Writes, StoreError> {
        let mut writes = Writes { next_storage_id: self.next_storage_id, ..Writes::default() };
        for (address, change) in &changes.accounts {
            let old = self.shared.account(&self.newest, address)?;
            let new = match change.account {
                None => None,
                Some(account) => {
                    let kept = old.filter(|_| !change.storage_cleared);
                    let (mut storage_id, mut slot_count) =
                        kept.map_or((0, 0), |record| (record.storage_id, record.slot_count));
                    for (slot, value) in &change.storage {
                        if storage_id == 0 && value.is_zero() {
                            continue;
                        }
                        if storage_id == 0 {
                            storage_id = writes.next_storage_id;
                            let left = writes.next_storage_id.checked_add(1);
                            writes.next_storage_id = left.ok_or(StoreError::Memory {
                                len_bytes: u32::MAX as usize,
                                kind: std::io::ErrorKind::OutOfMemory,
                            })?;
                        }
                        let key = (storage_id, *slot);
                        let before = self.shared.slot(&self.newest, &key)?;
                        if before == *value {
                            continue;
                        }
                        slot_count += u32::from(before.is_zero());
                        slot_count -= u32::from(value.is_zero());
                        writes.slots.push((key, *value));
                        writes.before.slots.insert(key, before);
                        writes.before.owners.insert(storage_id, *address);
                    }
                    Some(AccountRecord { account, storage_id, slot_count })
                }
            };
            if new != old {
                writes.accounts.push((*address, new));
                writes.before.accounts.insert(*address, old);
            }
        }
        self.reserve(&writes)?;
        Ok(writes)
    }

    /// What it takes to be as an older version was.
    ///
    /// # Errors
    /// [`StoreError::Memory`], or what the archive's files say.
    pub(super) fn plan_return(&self, older: &Version) -> Result<Writes, StoreError> {
        let target = older.before(self.newest.number())?;
        let mut writes = Writes { next_storage_id: self.next_storage_id, ..Writes::default() };
        for (address, record) in &target.accounts {
            let now = self.shared.account(&self.newest, address)?;
            if now != *record {
                writes.accounts.push((*address, *record));
                writes.before.accounts.insert(*address, now);
            }
        }
        for (key, value) in &target.slots {
            let now = self.shared.slot(&self.newest, key)?;
            if now != *value {
                writes.slots.push((*key, *value));
                writes.before.slots.insert(*key, now);
            }
        }
        writes.before.owners = target.owners;
        self.reserve(&writes)?;
        Ok(writes)
    }

    fn reserve(&self, writes: &Writes) -> Result<(), StoreError> {
        debug_assert!(self.newest.number() + 1 < VERSION_END, "one version per nanosecond for two years");
        self.accounts.reserve(writes.accounts.len())?;
        self.slots.reserve(writes.slots.len())
    }

    /// Makes planned writes the newest version. Readers of older ones go on undisturbed.
    pub(super) fn apply(&mut self, writes: Writes) -> Arc<Version> {
        let number = self.newest.number() + 1;
        for (address, record) in &writes.accounts {
            let old = writes.before.accounts.get(address).copied().flatten().map_or(0, |record| record.storage_id);
            let new = record.map_or(0, |record| record.storage_id);
            if old != new {
                // An older version that comes back brings its storage with it.
                self.dead_storages.remove(&new);
                if old != 0 {
                    self.dead_storages.insert(old, number);
                }
            }
        }
        self.next_storage_id = writes.next_storage_id;
        let version = Version::new(number, writes.before, &self.alive);
        // First the old values, then the entries that make readers look for them.
        self.newest.follow(&version);
        for (address, record) in &writes.accounts {
            self.accounts.set(address, record.as_ref(), number, &|_| false);
        }
        let oldest = self.alive.oldest();
        let dead = &self.dead_storages;
        let is_dead = |(id, _): &(u32, U256)| dead.get(id).is_some_and(|gone| *gone <= oldest);
        for (key, value) in &writes.slots {
            self.slots.set(key, (!value.is_zero()).then_some(value), number, &is_dead);
        }
        self.newest = Arc::clone(&version);
        version
    }
}
