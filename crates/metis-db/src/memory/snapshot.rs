//! The state after one block, as readers hold it.

use std::{collections::BTreeMap, convert::Infallible};

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Account, ChangeSet, Code, StateCommitment, StateView};
use parking_lot::Mutex;

use super::state::State;
use crate::{AccountProof, CommittedBlock, StateSnapshot, StorageProof};

/// The state after one block; immutable.
#[derive(Debug)]
pub struct MemorySnapshot {
    block: CommittedBlock,
    state: State,
    // The state whose root was asked for last, so that committing it need not make it again. A
    // root stands for its state, so the wrong one can never be picked up.
    prepared: Mutex<Option<State>>,
}

impl MemorySnapshot {
    pub(super) const fn new(block: CommittedBlock, state: State) -> Self {
        Self { block, state, prepared: Mutex::new(None) }
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
    type Error = Infallible;

    fn account(&self, address: &Address) -> Result<Option<Account>, Infallible> {
        Ok(self.state.account(address))
    }

    fn code(&self, code_hash: &B256) -> Result<Code, Infallible> {
        Ok(self.state.code(code_hash))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Infallible> {
        Ok(self.state.storage(address, slot))
    }

    fn has_storage(&self, address: &Address) -> Result<bool, Infallible> {
        Ok(self.state.has_storage(address))
    }
}

impl StateCommitment for MemorySnapshot {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, Infallible> {
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

    fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, Infallible> {
        let account = self.state.account(&address);
        let storage_root = self.state.storage_root(&address);
        let storage = slots.iter().map(|slot| StorageProof {
            slot: *slot,
            value: self.state.storage(&address, slot),
            proof: self.state.prove_slot(&address, slot),
        });
        Ok(AccountProof {
            address,
            account: account.zip(storage_root),
            proof: self.state.prove_account(&address),
            storage: storage.collect(),
        })
    }
}

/// What a read of a snapshot in memory gives: it cannot fail.
pub fn infallible<T>(read: Result<T, Infallible>) -> T {
    match read {
        Ok(value) => value,
    }
}
