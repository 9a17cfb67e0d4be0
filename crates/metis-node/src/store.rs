//! The store of a node: `MetisDB`, or the one in memory.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use metis_chain::chain::StateStep;
use metis_db::{
    CheckpointReport, CommittedBlock, GenesisAccount, MemoryStore, MetisStore, StateStore, StoreError, Unsaved,
};
use metis_state_transition::ChangeSet;

use crate::state::State;

/// All storage that is not zero, by its account; accounts without any are there too.
pub(crate) type Storages = BTreeMap<Address, BTreeMap<U256, U256>>;

/// The store of a node.
#[derive(Debug)]
pub(crate) enum NodeStore {
    Memory(MemoryStore),
    Metis(Box<MetisStore>),
}

/// One expression for each kind of store.
macro_rules! of_any {
    ($this:expr, $store:ident => $answer:expr) => {
        match $this {
            NodeStore::Memory($store) => $answer,
            NodeStore::Metis($store) => $answer,
        }
    };
}

impl NodeStore {
    /// The newest state.
    pub(crate) fn latest(&self) -> State {
        match self {
            Self::Memory(store) => State::Memory(store.latest()),
            Self::Metis(store) => State::Metis(store.latest()),
        }
    }

    /// The newest state of a block that is kept.
    pub(crate) fn at(&self, block_number: u64) -> Result<State, StoreError> {
        self.at_before(block_number, 0)
    }

    /// As [`StateStore::at_before`].
    pub(crate) fn at_before(&self, block_number: u64, patch_count: usize) -> Result<State, StoreError> {
        match self {
            Self::Memory(store) => store.at_before(block_number, patch_count).map(State::Memory),
            Self::Metis(store) => store.at_before(block_number, patch_count).map(State::Metis),
        }
    }

    pub(crate) fn oldest_block_number(&self) -> u64 {
        of_any!(self, store => store.oldest_block_number())
    }

    /// As [`StateStore::commit`].
    pub(crate) fn commit(&self, parent: &State, block: CommittedBlock, changes: &ChangeSet) -> Result<(), StoreError> {
        match (self, parent) {
            (Self::Memory(store), State::Memory(parent)) => store.commit(parent, block, changes),
            (Self::Metis(store), State::Metis(parent)) => store.commit(parent, block, changes),
            _ => Err(StoreError::OutOfOrder { got: block.number, newest: self.latest_number() }),
        }
    }

    /// As [`StateStore::patch`].
    pub(crate) fn patch(&self, parent: &State, changes: &ChangeSet) -> Result<B256, StoreError> {
        match (self, parent) {
            (Self::Memory(store), State::Memory(parent)) => store.patch(parent, changes),
            (Self::Metis(store), State::Metis(parent)) => store.patch(parent, changes),
            _ => Err(StoreError::OutOfOrder { got: self.latest_number(), newest: self.latest_number() }),
        }
    }

    fn latest_number(&self) -> u64 {
        use metis_db::StateSnapshot as _;
        self.latest().block().number
    }

    /// Takes back the newest `count` states.
    pub(crate) fn undo(&self, count: usize) -> Result<(), StoreError> {
        of_any!(self, store => store.undo(count))
    }

    /// Hashes what undoing the newest states and making others takes, where that can be done before.
    pub(crate) fn prepare(&self, undone_count: usize, made: &[StateStep]) -> Result<(), StoreError> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Metis(store) => store.prepare(undone_count, made.iter().map(|step| &step.changes)),
        }
    }

    /// Kept states, oldest first.
    pub(crate) fn states(&self) -> Vec<CommittedBlock> {
        of_any!(self, store => store.states())
    }

    /// Writes what changed since the last time to the disk, where there is one.
    pub(crate) fn checkpoint(&self, clock_ns: &dyn Fn() -> u64) -> Result<Option<CheckpointReport>, StoreError> {
        match self {
            Self::Memory(_) => Ok(None),
            Self::Metis(store) => store.checkpoint_timed(clock_ns),
        }
    }

    /// Gives the directory free.
    pub(crate) fn close(&self) {
        match self {
            Self::Memory(_) => {}
            Self::Metis(store) => store.close(),
        }
    }

    /// Whether older states go to files.
    pub(crate) fn is_archive(&self) -> bool {
        matches!(self, Self::Metis(store) if store.is_archive())
    }

    /// What the next [`Self::checkpoint`] writes.
    pub(crate) fn unsaved(&self) -> Unsaved {
        match self {
            Self::Memory(_) => Unsaved::default(),
            Self::Metis(store) => store.unsaved(),
        }
    }

    /// Bytes of index and tries.
    pub(crate) fn state_bytes(&self) -> usize {
        match self {
            Self::Memory(_) => 0,
            Self::Metis(store) => store.state_bytes(),
        }
    }

    /// As [`StateStore::hold`].
    pub(crate) fn hold(&self, is_held: bool) {
        of_any!(self, store => store.hold(is_held));
    }

    /// The newest state with every account's storage.
    pub(crate) fn latest_storages(&self) -> Result<(State, Storages), StoreError> {
        Ok(match self {
            Self::Memory(store) => {
                let snapshot = store.latest();
                let of = |address| (address, snapshot.slots(&address));
                let storages = snapshot.addresses().into_iter().map(of).collect();
                (State::Memory(snapshot), storages)
            }
            Self::Metis(store) => {
                let snapshot = store.latest();
                let storages = snapshot.storages()?;
                (State::Metis(snapshot), storages)
            }
        })
    }

    /// A store of the same kind beside this one, at the beginning of the chain.
    pub(crate) fn begin_again(&self, first: CommittedBlock, changes: &ChangeSet) -> Result<Self, StoreError> {
        Ok(match self {
            Self::Memory(store) => {
                let kept = store.kept_block_count();
                Self::Memory(match store.latest().origin() {
                    Some(origin) => MemoryStore::forked(Arc::clone(origin), first, changes, kept),
                    None => MemoryStore::new(alloc(changes), kept),
                })
            }
            Self::Metis(store) => Self::Metis(Box::new(store.begin_again(alloc(changes))?)),
        })
    }

    /// Takes over the states of a store that [`Self::begin_again`] made.
    pub(crate) fn replace_with(&self, other: Self) {
        match (self, other) {
            (Self::Memory(store), Self::Memory(other)) => store.replace_with(other),
            (Self::Metis(store), Self::Metis(other)) => store.replace_with(*other),
            // It makes its own kind.
            (Self::Memory(_), Self::Metis(_)) | (Self::Metis(_), Self::Memory(_)) => {}
        }
    }
}

/// The accounts that a chain begins with, one by one.
pub(crate) fn alloc(changes: &ChangeSet) -> impl Iterator<Item = (Address, GenesisAccount)> {
    changes.accounts.iter().filter_map(|(address, change)| {
        let account = change.account?;
        let code = changes.codes.get(&account.code_hash).map(|code| code.bytes()).unwrap_or_default();
        let (nonce, balance, storage) = (account.nonce, account.balance, change.storage.clone());
        Some((*address, GenesisAccount { nonce, balance, code, storage }))
    })
}
