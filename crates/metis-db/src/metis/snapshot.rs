//! The state after one block, as readers hold it.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, U256, map::HashMap};
use metis_state_transition::{Account, AccountChange, ChangeSet, Code, StateCommitment, StateView};
use parking_lot::Mutex;

use super::{state::Shared, trunk::Trunk, versions::Version};
use crate::{AccountProof, CommittedBlock, StateSnapshot, StoreError, TrieOverlay, flat::AccountRecord};

/// How many keys a batch asks memory for before it reads the first: as many misses as a core has
/// under way at once.
const PREFETCH_DISTANCE: usize = 12;

/// BOUND: values that may have changed since a state of the archive for it to be proven, or hashed with changes: the
/// tries are made of these, in about a tenth of a second.
const REHASHED_COUNT_MAX: u64 = 1 << 16;

/// The state after one block; immutable. Reading takes no lock and waits for nobody, unless the block left the window:
/// then values that changed since are read from history files.
#[derive(Debug)]
pub struct MetisSnapshot {
    block: CommittedBlock,
    shared: Arc<Shared>,
    version: Arc<Version>,
    /// Which state of the store's history it is; stays when what came after it is undone.
    identity: u64,
    // What was hashed last, so that committing it need not do so again. A root stands for its state,
    // so the wrong one can never be picked up.
    prepared: Mutex<Option<TrieOverlay>>,
}

impl MetisSnapshot {
    pub(super) fn new(block: CommittedBlock, shared: &Arc<Shared>, version: Arc<Version>, identity: u64) -> Self {
        Self { block, shared: Arc::clone(shared), version, identity, prepared: Mutex::new(None) }
    }

    /// The same state as another version.
    pub(super) fn moved_to(&self, version: Arc<Version>) -> Self {
        Self::new(self.block, &self.shared, version, self.identity)
    }

    pub(super) const fn identity(&self) -> u64 {
        self.identity
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Whether both are one state of one store's history.
    pub(super) fn is_same_state(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared) && self.identity == other.identity
    }

    pub(super) const fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// Does something with the tries of this state: those of the newest one, and for an older state
    /// what lies over them. Takes time with what changed since.
    fn with_tries<T>(
        &self,
        act: impl FnOnce(&Trunk, Option<&TrieOverlay>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let trunk = self.shared.trunk.read();
        if trunk.version.number() == self.version.number() {
            return act(&trunk, None);
        }
        self.require_near()?;
        let back = trunk.after(None, &self.changes_back_from(&trunk.version)?)?;
        act(&trunk, Some(&back))
    }

    fn require_near(&self) -> Result<(), StoreError> {
        let Some(archived) = self.version.archived() else { return Ok(()) };
        let changed_count = archived.archive.entry_count_from(self.version.number());
        let block_number = self.block.number;
        if changed_count <= REHASHED_COUNT_MAX {
            return Ok(());
        }
        Err(StoreError::TooFarBack { block_number, changed_count, changed_count_max: REHASHED_COUNT_MAX })
    }

    /// The tries after changes whose root is known: those that were hashed last, or made again.
    pub(super) fn tries_after(&self, root: B256, changes: &ChangeSet) -> Result<TrieOverlay, StoreError> {
        let prepared = self.prepared.lock().take().filter(|prepared| prepared.root() == root);
        self.with_tries(|trunk, below| {
            // One that was made for another newest version is of no use any more.
            let fresh = prepared.filter(|prepared| trunk.after(Some(prepared), &ChangeSet::default()).is_ok());
            fresh.map_or_else(|| trunk.after(below, changes), Ok)
        })
    }

    /// What turns the newest tries into those of this state, however old it is.
    pub(super) fn tries_back(&self) -> Result<TrieOverlay, StoreError> {
        let trunk = self.shared.trunk.read();
        trunk.after(None, &self.changes_back_from(&trunk.version)?)
    }

    /// EIP-1186 proof in the tries as they are after changes.
    pub(super) fn prove_after(
        &self,
        changes: &ChangeSet,
        address: Address,
        slots: &[U256],
    ) -> Result<AccountProof, StoreError> {
        self.with_tries(|trunk, below| trunk.tries.prove_in(&trunk.after(below, changes)?, address, slots))
    }

    /// Every address with its slots that are not zero. For dumps; looks at the whole index.
    ///
    /// # Errors
    /// [`StoreError`], when history cannot be read.
    pub fn storages(&self) -> Result<BTreeMap<Address, BTreeMap<U256, U256>>, StoreError> {
        // What was deleted since may have left the index.
        let before = self.version.before(u64::MAX)?;
        let addresses = self.shared.accounts.keys_where(|_| true).into_iter().chain(before.accounts.into_keys());
        let mut storages = BTreeMap::new();
        let mut owners = HashMap::<u32, Address>::default();
        for address in addresses {
            let Some(record) = self.record(&address)? else { continue };
            storages.insert(address, BTreeMap::new());
            if record.slot_count != 0 {
                owners.insert(record.storage_id, address);
            }
        }
        let keys = self.shared.slots.keys_where(|key| owners.contains_key(&key.0));
        for key in keys.into_iter().chain(before.slots.into_keys()) {
            let value = self.shared.slot(&self.version, &key)?;
            let slots = owners.get(&key.0).and_then(|owner| storages.get_mut(owner)).filter(|_| !value.is_zero());
            slots.map(|slots: &mut BTreeMap<U256, U256>| slots.insert(key.1, value));
        }
        Ok(storages)
    }

    #[inline(always)]
    pub(super) fn record(&self, address: &Address) -> Result<Option<AccountRecord>, StoreError> {
        self.shared.account(&self.version, address)
    }

    /// Storage root of an account.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn storage_root(&self, address: &Address) -> Result<Option<B256>, StoreError> {
        Ok(self.prove(*address, &[])?.account.map(|(_, storage_root)| storage_root))
    }

    pub(super) fn slot_of(&self, key: &(u32, U256)) -> Result<U256, StoreError> {
        self.shared.slot(&self.version, key)
    }

    /// Many accounts at once, in order.
    ///
    /// # Errors
    /// [`StoreError`], when history cannot be read.
    pub fn accounts(&self, addresses: &[Address]) -> Result<Vec<Option<Account>>, StoreError> {
        addresses.iter().take(PREFETCH_DISTANCE).for_each(|address| self.shared.accounts.prefetch(address));
        let read = |(index, address)| {
            if let Some(later) = addresses.get(index + PREFETCH_DISTANCE) {
                self.shared.accounts.prefetch(later);
            }
            Ok(self.record(address)?.map(|record| record.account))
        };
        addresses.iter().enumerate().map(read).collect()
    }

    /// Many slots of one account at once, in order.
    ///
    /// # Errors
    /// [`StoreError`], when history cannot be read.
    pub fn slots(&self, address: &Address, slots: &[U256]) -> Result<Vec<U256>, StoreError> {
        let Some(record) = self.record(address)?.filter(|record| record.storage_id != 0) else {
            return Ok(vec![U256::ZERO; slots.len()]);
        };
        let key = |slot: &U256| (record.storage_id, *slot);
        slots.iter().take(PREFETCH_DISTANCE).for_each(|slot| self.shared.slots.prefetch(&key(slot)));
        let read = |(index, slot)| {
            if let Some(later) = slots.get(index + PREFETCH_DISTANCE) {
                self.shared.slots.prefetch(&key(later));
            }
            self.shared.slot(&self.version, &key(slot))
        };
        slots.iter().enumerate().map(read).collect()
    }

    /// The changes that turn a newer version's state into this one.
    fn changes_back_from(&self, newer: &Version) -> Result<ChangeSet, StoreError> {
        let differing = self.version.before(newer.number())?;
        let mut changes = ChangeSet::default();
        let mut storage_ids = HashMap::<Address, u32>::default();
        let owners = differing.owners.values();
        for address in differing.accounts.keys().chain(owners) {
            let now = self.shared.account(newer, address)?;
            // Who only owns slots that changed is as it was.
            let then = differing.accounts.get(address).copied().unwrap_or(now);
            storage_ids.extend(then.map(|record| (*address, record.storage_id)));
            let change = AccountChange {
                account: then.map(|record| record.account),
                storage_cleared: now.map(|record| record.storage_id) != then.map(|record| record.storage_id),
                storage: BTreeMap::new(),
            };
            changes.accounts.insert(*address, change);
        }
        for ((storage_id, slot), value) in &differing.slots {
            let Some(address) = differing.owners.get(storage_id) else { continue };
            let change = changes.accounts.get_mut(address).filter(|_| storage_ids.get(address) == Some(storage_id));
            change.map(|change| change.storage.insert(*slot, *value));
        }
        // A storage that was taken away whole left no values behind; they are where they were.
        for (address, change) in changes.accounts.iter_mut().filter(|(_, change)| change.storage_cleared) {
            let Some(storage_id) = storage_ids.get(address).filter(|id| **id != 0) else { continue };
            for key in self.shared.slots.keys_where(|key| key.0 == *storage_id) {
                change.storage.insert(key.1, self.shared.slot(&self.version, &key)?);
            }
        }
        Ok(changes)
    }
}

impl StateView for MetisSnapshot {
    type Error = StoreError;

    #[inline]
    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        self.shared.account_as(&self.version, address, |record| record.account)
    }

    fn code(&self, code_hash: &B256) -> Result<Code, StoreError> {
        Ok(self.shared.codes.get(code_hash))
    }

    #[inline]
    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StoreError> {
        let storage_id = self.shared.account_as(&self.version, address, |record| record.storage_id)?.unwrap_or(0);
        if storage_id == 0 {
            return Ok(U256::ZERO);
        }
        self.shared.slot(&self.version, &(storage_id, *slot))
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StoreError> {
        Ok(self.record(address)?.is_some_and(|record| record.slot_count != 0))
    }

    fn prefetch(&self, address: &Address, slots: &[B256]) {
        self.shared.accounts.prefetch(address);
        if slots.is_empty() {
            return;
        }
        // Where a slot lies is only known with the account. An older storage is seldom elsewhere than the newest.
        let Some(record) = self.shared.accounts.get(address).and_then(|stated| stated.value) else { return };
        for slot in slots {
            self.shared.slots.prefetch(&(record.storage_id, U256::from_be_bytes(slot.0)));
        }
    }
}

impl StateCommitment for MetisSnapshot {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, StoreError> {
        let after = self.with_tries(|trunk, below| trunk.after(below, changes))?;
        let root = after.root();
        *self.prepared.lock() = Some(after);
        Ok(root)
    }
}

impl StateSnapshot for MetisSnapshot {
    fn block(&self) -> CommittedBlock {
        self.block
    }

    fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, StoreError> {
        self.with_tries(|trunk, back| match back {
            None => trunk.tries.prove(address, slots),
            Some(back) => trunk.tries.prove_in(back, address, slots),
        })
    }
}
