//! The state after blocks beside the chain: a kept state, and what they changed of it.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Account, ChangeSet, Code, Overlay, StateCommitment, StateView};

use super::MetisSnapshot;
use crate::{AccountProof, CommittedBlock, StateSnapshot, StoreError};

/// A kept state with changes on top; immutable. It is the newest of no store.
#[derive(Debug)]
pub struct MetisBranch {
    block: CommittedBlock,
    state: Overlay<Arc<MetisSnapshot>>,
}

impl MetisBranch {
    /// The state after changes to `base`, of a block that the store does not have.
    pub const fn new(base: Arc<MetisSnapshot>, block: CommittedBlock, changes: ChangeSet) -> Self {
        Self { block, state: Overlay::with_changes(base, changes) }
    }

    /// The state after further changes.
    #[must_use]
    pub fn branch(&self, block: CommittedBlock, changes: ChangeSet) -> Self {
        let mut all = self.state.changes().clone();
        all.merge(changes);
        Self::new(Arc::clone(self.state.base()), block, all)
    }
}

impl StateView for MetisBranch {
    type Error = StoreError;

    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        self.state.account(address)
    }

    fn code(&self, code_hash: &B256) -> Result<Code, StoreError> {
        self.state.code(code_hash)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StoreError> {
        self.state.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StoreError> {
        self.state.has_storage(address)
    }

    fn prefetch(&self, address: &Address, slots: &[B256]) {
        self.state.prefetch(address, slots);
    }
}

impl StateCommitment for MetisBranch {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, StoreError> {
        self.state.state_root_after(changes)
    }
}

impl StateSnapshot for MetisBranch {
    fn block(&self) -> CommittedBlock {
        self.block
    }

    fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, StoreError> {
        self.state.base().prove_after(self.state.changes(), address, slots)
    }
}
