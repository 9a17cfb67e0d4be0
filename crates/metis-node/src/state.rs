//! The state after a block, whichever store keeps it.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use metis_db::{
    AccountProof, CommittedBlock, ForkOrigin, MemorySnapshot, MetisBranch, MetisSnapshot, MissingState, StateSnapshot,
    StoreError,
};
use metis_state_transition::{Account, ChangeSet, Code, StateCommitment, StateView};

/// Why a state could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// It lies with the node that was forked.
    #[error(transparent)]
    Missing(#[from] MissingState),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The state after a block; immutable. Cloning shares it.
#[derive(Clone, Debug)]
pub enum State {
    /// Of the store in memory, on the chain or beside it.
    Memory(Arc<MemorySnapshot>),
    /// Of `MetisDB`, kept by it.
    Metis(Arc<MetisSnapshot>),
    /// Of `MetisDB`, after blocks beside the chain.
    Branch(Arc<MetisBranch>),
}

/// One expression for each kind of state.
macro_rules! of_any {
    ($state:expr, $snapshot:ident => $answer:expr) => {
        match $state {
            State::Memory($snapshot) => $answer,
            State::Metis($snapshot) => $answer,
            State::Branch($snapshot) => $answer,
        }
    };
}

impl State {
    /// The state after further changes, of a block that no store has: one beside the chain.
    pub(crate) fn branch(&self, block: CommittedBlock, changes: ChangeSet) -> Self {
        match self {
            Self::Memory(snapshot) => Self::Memory(Arc::new(snapshot.branch(block, &changes))),
            Self::Metis(snapshot) => Self::Branch(Arc::new(MetisBranch::new(Arc::clone(snapshot), block, changes))),
            Self::Branch(branch) => Self::Branch(Arc::new(branch.branch(block, changes))),
        }
    }

    /// Where the rest of a forked state lies.
    pub fn origin(&self) -> Option<&Arc<ForkOrigin>> {
        match self {
            Self::Memory(snapshot) => snapshot.origin(),
            Self::Metis(_) | Self::Branch(_) => None,
        }
    }

    /// Whether it is one of [`Self::probe`].
    pub(crate) fn is_probe(&self) -> bool {
        matches!(self, Self::Memory(snapshot) if snapshot.is_probe())
    }

    /// Whether anything of an account changed since the fork. True where nothing was forked.
    pub(crate) fn is_changed(&self, address: &Address) -> bool {
        match self {
            Self::Memory(snapshot) => snapshot.is_changed(address),
            Self::Metis(_) | Self::Branch(_) => true,
        }
    }

    /// The same state of a fork for a run that is to find out what it will ask for; `None` where nothing was forked.
    pub(crate) fn probe(&self) -> Option<(Self, Arc<MemorySnapshot>)> {
        let Self::Memory(snapshot) = self else { return None };
        snapshot.origin()?;
        let probe = Arc::new(snapshot.probe());
        Some((Self::Memory(Arc::clone(&probe)), probe))
    }
}

impl StateView for State {
    type Error = StateError;

    #[inline]
    fn account(&self, address: &Address) -> Result<Option<Account>, StateError> {
        of_any!(self, snapshot => Ok(snapshot.account(address)?))
    }

    fn code(&self, code_hash: &B256) -> Result<Code, StateError> {
        of_any!(self, snapshot => Ok(snapshot.code(code_hash)?))
    }

    #[inline]
    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StateError> {
        of_any!(self, snapshot => Ok(snapshot.storage(address, slot)?))
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StateError> {
        of_any!(self, snapshot => Ok(snapshot.has_storage(address)?))
    }

    fn prefetch(&self, address: &Address, slots: &[B256]) {
        of_any!(self, snapshot => snapshot.prefetch(address, slots));
    }
}

impl StateCommitment for State {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, StateError> {
        of_any!(self, snapshot => Ok(snapshot.state_root_after(changes)?))
    }
}

impl StateSnapshot for State {
    fn block(&self) -> CommittedBlock {
        of_any!(self, snapshot => snapshot.block())
    }

    fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, StateError> {
        of_any!(self, snapshot => Ok(snapshot.prove(address, slots)?))
    }
}
