//! The state after one block, as readers hold it.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Account, AccountChange, ChangeSet, Code, StateCommitment, StateView};
use parking_lot::Mutex;

use super::{commitment::Commitment, state::Shared, versions::Version};
use crate::{AccountProof, CommittedBlock, StateKey, StateSnapshot, StorageProof, StoreError, flat::AccountRecord};

/// How many keys a batch asks memory for before it reads the first: as many misses as a core has
/// under way at once.
const PREFETCH_DISTANCE: usize = 12;

/// The state after one block; immutable. Reading takes no lock and waits for nobody.
#[derive(Debug)]
pub struct MetisSnapshot {
    block: CommittedBlock,
    shared: Arc<Shared>,
    version: Arc<Version>,
    /// Which state of the store's history it is; stays when what came after it is undone.
    identity: u64,
    commitment: OnceLock<Commitment>,
    /// The state after this one in a history that was read from a disk: where the commitment of
    /// this one is made from, when it is asked for.
    later: Option<Arc<MetisSnapshot>>,
    // What was hashed last, so that committing it need not do so again. A root stands for its state,
    // so the wrong one can never be picked up.
    prepared: Mutex<Option<Commitment>>,
}

impl MetisSnapshot {
    pub(super) fn new(
        block: CommittedBlock,
        shared: &Arc<Shared>,
        version: Arc<Version>,
        identity: u64,
        commitment: Commitment,
    ) -> Self {
        let commitment = OnceLock::from(commitment);
        let shared = Arc::clone(shared);
        Self { block, shared, version, identity, commitment, later: None, prepared: Mutex::new(None) }
    }

    /// One whose commitment is made from that of the state after it, when it is asked for.
    pub(super) fn before(block: CommittedBlock, version: Arc<Version>, identity: u64, later: &Arc<Self>) -> Self {
        let shared = Arc::clone(&later.shared);
        let (commitment, later) = (OnceLock::new(), Some(Arc::clone(later)));
        Self { block, shared, version, identity, commitment, later, prepared: Mutex::new(None) }
    }

    /// The same state as another version.
    pub(super) fn moved_to(&self, version: Arc<Version>) -> Self {
        Self::new(self.block, &self.shared, version, self.identity, self.commitment().clone())
    }

    pub(super) const fn identity(&self) -> u64 {
        self.identity
    }

    pub(super) const fn version(&self) -> &Arc<Version> {
        &self.version
    }

    pub(super) fn commitment(&self) -> &Commitment {
        self.commitment.get_or_init(|| {
            // UNWRAP: a snapshot is made with a commitment or with the state after it.
            let later = self.later.as_ref().unwrap();
            later.commitment().after(&later.changes_back_to(self))
        })
    }

    pub(super) fn commitment_after(&self, root: B256, changes: &ChangeSet) -> Commitment {
        let prepared = self.prepared.lock().take().filter(|prepared| prepared.root() == root);
        prepared.unwrap_or_else(|| self.commitment().after(changes))
    }

    pub(super) fn record(&self, address: &Address) -> Option<AccountRecord> {
        self.shared.account(&self.version, address)
    }

    /// Storage root of an account.
    pub fn storage_root(&self, address: &Address) -> Option<B256> {
        self.record(address).map(|_| self.commitment().storage_root(address))
    }

    /// Asks memory for what is read next, so that many reads wait at once. A hint; costs a few
    /// nanoseconds per key.
    pub fn prefetch(&self, keys: &[StateKey]) {
        for key in keys {
            match key {
                StateKey::Account(address) => self.shared.accounts.prefetch(address),
                StateKey::Slot(address, slot) => {
                    // Where the slot lies is only known with the account.
                    if let Some(record) = self.record(address) {
                        self.shared.slots.prefetch(&(record.storage_id, *slot));
                    }
                }
                StateKey::BlockHash(_) => {}
            }
        }
    }

    /// Many accounts at once, in order.
    pub fn accounts(&self, addresses: &[Address]) -> Vec<Option<Account>> {
        addresses.iter().take(PREFETCH_DISTANCE).for_each(|address| self.shared.accounts.prefetch(address));
        let read = |(index, address)| {
            if let Some(later) = addresses.get(index + PREFETCH_DISTANCE) {
                self.shared.accounts.prefetch(later);
            }
            self.record(address).map(|record| record.account)
        };
        addresses.iter().enumerate().map(read).collect()
    }

    /// Many slots of one account at once, in order.
    pub fn slots(&self, address: &Address, slots: &[U256]) -> Vec<U256> {
        let Some(record) = self.record(address).filter(|record| record.storage_id != 0) else {
            return vec![U256::ZERO; slots.len()];
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

    /// The changes that turn this state into an older one.
    fn changes_back_to(&self, older: &Self) -> ChangeSet {
        let differing = older.version.before(self.version.number());
        let mut changes = ChangeSet::default();
        let owners = differing.owners.values();
        for address in differing.accounts.keys().chain(owners) {
            let (now, then) = (self.record(address), older.record(address));
            let change = AccountChange {
                account: then.map(|record| record.account),
                storage_cleared: now.map(|record| record.storage_id) != then.map(|record| record.storage_id),
                storage: BTreeMap::new(),
            };
            changes.accounts.insert(*address, change);
        }
        for ((storage_id, slot), value) in &differing.slots {
            let owner = differing.owners.get(storage_id);
            let Some(address) = owner.filter(|owner| is_storage_of(older, owner, *storage_id)) else { continue };
            if let Some(change) = changes.accounts.get_mut(address) {
                change.storage.insert(*slot, *value);
            }
        }
        // A storage that was taken away whole left no values behind; they are where they were.
        let lost: Vec<(Address, u32)> = changes
            .accounts
            .iter()
            .filter(|(_, change)| change.storage_cleared)
            .filter_map(|(address, _)| Some((*address, older.record(address)?.storage_id)))
            .filter(|(_, storage_id)| *storage_id != 0)
            .collect();
        for (address, storage_id) in lost {
            let slots = self.shared.slots.keys_where(|key| key.0 == storage_id);
            let slots = slots.into_iter().map(|key| (key.1, self.shared.slot(&older.version, &key)));
            if let Some(change) = changes.accounts.get_mut(&address) {
                change.storage.extend(slots);
            }
        }
        changes
    }
}

fn is_storage_of(snapshot: &MetisSnapshot, address: &Address, storage_id: u32) -> bool {
    snapshot.record(address).is_some_and(|record| record.storage_id == storage_id)
}

impl StateView for MetisSnapshot {
    type Error = StoreError;

    #[inline]
    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        Ok(self.record(address).map(|record| record.account))
    }

    fn code(&self, code_hash: &B256) -> Result<Code, StoreError> {
        Ok(self.shared.codes.get(code_hash))
    }

    #[inline]
    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StoreError> {
        let storage_id = self.record(address).map_or(0, |record| record.storage_id);
        if storage_id == 0 {
            return Ok(U256::ZERO);
        }
        Ok(self.shared.slot(&self.version, &(storage_id, *slot)))
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StoreError> {
        Ok(self.record(address).is_some_and(|record| record.slot_count != 0))
    }
}

impl StateCommitment for MetisSnapshot {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, StoreError> {
        let after = self.commitment().after(changes);
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
        let commitment = self.commitment();
        let account = self.account(&address)?.map(|account| (account, commitment.storage_root(&address)));
        let storage = slots.iter().map(|slot| {
            let value = self.storage(&address, slot)?;
            Ok(StorageProof { slot: *slot, value, proof: commitment.prove_slot(&address, slot) })
        });
        let storage = storage.collect::<Result<_, StoreError>>()?;
        Ok(AccountProof { address, account, proof: commitment.prove_account(&address), storage })
    }
}
