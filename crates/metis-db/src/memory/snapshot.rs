//! The state after one block, as readers hold it.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Account, ChangeSet, Code, StateCommitment, StateView};
use parking_lot::Mutex;

use super::{fork::ForkOrigin, probe::Probe, state::State};
use crate::{AccountProof, CommittedBlock, MissingState, StateKey, StateSnapshot, StorageProof};

/// The state after one block; immutable.
#[derive(Debug)]
pub struct MemorySnapshot {
    block: CommittedBlock,
    state: State,
    // The state whose root was asked for last, so that committing it need not make it again. A
    // root stands for its state, so the wrong one can never be picked up.
    prepared: Mutex<Option<State>>,
    probe: Option<Probe>,
}

impl MemorySnapshot {
    pub(super) const fn new(block: CommittedBlock, state: State) -> Self {
        Self { block, state, prepared: Mutex::new(None), probe: None }
    }

    /// The same state for a run that is to find out what it will ask for, and nothing else: a read
    /// of what is missing is noted and answered with a placeholder. What such a run results in is
    /// wrong. No store takes it: this snapshot is the newest of none.
    pub fn probe(&self) -> Self {
        Self { probe: Some(Probe::default()), ..Self::new(self.block, self.state.clone()) }
    }

    /// Whether it is one of [`Self::probe`].
    pub const fn is_probe(&self) -> bool {
        self.probe.is_some()
    }

    /// What the reads of a probing snapshot missed, sorted; nothing of any other.
    pub fn missed(&self) -> Vec<StateKey> {
        self.probe.as_ref().map(Probe::keys).unwrap_or_default()
    }

    /// Where the rest of a forked state lies.
    pub fn origin(&self) -> Option<&Arc<ForkOrigin>> {
        self.state.origin()
    }

    /// Whether anything of an account changed since the fork. True where nothing was forked.
    pub fn is_changed(&self, address: &Address) -> bool {
        self.state.is_changed(address)
    }

    /// The state after further changes, of a block that the store does not have: one beside the chain.
    pub fn branch(&self, block: CommittedBlock, changes: &ChangeSet) -> Self {
        Self::new(block, self.state_after(changes))
    }

    fn found<T>(&self, read: Result<T, MissingState>, placeholder: T) -> Result<T, MissingState> {
        match (read, &self.probe) {
            (Err(missing), Some(probe)) => probe.answer(missing, placeholder),
            (read, _) => read,
        }
    }

    pub(super) const fn number(&self) -> u64 {
        self.block.number
    }

    pub(super) fn state_after(&self, changes: &ChangeSet) -> State {
        let mut state = self.state.clone();
        state.apply(changes);
        state
    }

    pub(super) fn prepared(&self, root: B256) -> Option<State> {
        self.prepared.lock().take().filter(|state| state.root() == root)
    }

    /// Storage root of an account.
    pub fn storage_root(&self, address: &Address) -> Option<B256> {
        self.state.storage_root(address)
    }

    /// Every address, sorted. For dumps; walks the whole state.
    pub fn addresses(&self) -> Vec<Address> {
        self.state.addresses()
    }

    /// Every slot of an account that is not zero, sorted. For dumps; walks the whole account.
    pub fn slots(&self, address: &Address) -> BTreeMap<U256, U256> {
        self.state.slots(address)
    }
}

impl StateView for MemorySnapshot {
    type Error = MissingState;

    fn account(&self, address: &Address) -> Result<Option<Account>, MissingState> {
        self.found(self.state.account(address), None)
    }

    fn code(&self, code_hash: &B256) -> Result<Code, MissingState> {
        Ok(self.state.code(code_hash))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, MissingState> {
        self.found(self.state.storage(address, slot), U256::ZERO)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, MissingState> {
        Ok(self.state.has_storage(address))
    }
}

impl StateCommitment for MemorySnapshot {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, MissingState> {
        let state = self.state_after(changes);
        let root = state.root();
        *self.prepared.lock() = Some(state);
        Ok(root)
    }
}

impl StateSnapshot for MemorySnapshot {
    fn block(&self) -> CommittedBlock {
        self.block
    }

    fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, MissingState> {
        let account = self.account(&address)?;
        let storage_root = self.state.storage_root(&address);
        let storage = slots.iter().map(|slot| {
            let value = self.storage(&address, slot)?;
            Ok(StorageProof { slot: *slot, value, proof: self.state.prove_slot(&address, slot) })
        });
        Ok(AccountProof {
            address,
            account: account.zip(storage_root),
            proof: self.state.prove_account(&address),
            storage: storage.collect::<Result<_, MissingState>>()?,
        })
    }
}

/// A read of state that is here: of a store that was not forked, or of what was read before.
///
/// # Panics
/// Where it is not: that is a mistake of the caller.
pub fn known<T>(read: Result<T, MissingState>) -> T {
    // UNWRAP: only a forked store lacks anything, and what was read of one stays known.
    read.unwrap()
}
