//! The in-memory store: persistent maps for reads, persistent tries for roots and proofs.

mod snapshot;
mod state;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use alloy_primitives::{Address, B256};
use metis_state_transition::{Ancestors, ChangeSet};
use parking_lot::RwLock;

pub use snapshot::MemorySnapshot;
pub use state::GenesisAccount;
use state::State;

use crate::{CommittedBlock, StateStore, StoreError};

/// How many ancestors BLOCKHASH reaches (Yellow Paper appendix H.2).
const ANCESTOR_COUNT: usize = 256;

/// Keeps everything in memory; gone with the process.
///
/// All versions share what they have in common, so a snapshot costs nothing and a block costs
/// what it changed.
#[derive(Debug)]
pub struct MemoryStore {
    inner: RwLock<Inner>,
    kept_block_count: usize,
}

#[derive(Clone, Debug)]
struct Inner {
    /// Oldest first, newest last; never empty.
    history: VecDeque<Arc<MemorySnapshot>>,
    /// Hashes of the newest blocks, by number.
    block_hashes: BTreeMap<u64, B256>,
}

impl MemoryStore {
    /// A store whose block 0 holds `alloc`. `kept_block_count` older states stay readable.
    pub fn new(alloc: impl IntoIterator<Item = (Address, GenesisAccount)>, kept_block_count: usize) -> Self {
        let state = State::from_genesis(alloc);
        let block = CommittedBlock { number: 0, hash: B256::ZERO, parent_hash: B256::ZERO, state_root: state.root() };
        let genesis = Arc::new(MemorySnapshot::new(block, state));
        let inner = Inner { history: VecDeque::from([genesis]), block_hashes: BTreeMap::new() };
        Self { inner: RwLock::new(inner), kept_block_count }
    }

    /// An independent store that shares all state. Constant in the size of the state.
    pub fn fork(&self) -> Self {
        Self { inner: RwLock::new(self.inner.read().clone()), kept_block_count: self.kept_block_count }
    }
}

impl Inner {
    fn newest(&self) -> &Arc<MemorySnapshot> {
        // UNWRAP: never empty.
        self.history.back().unwrap()
    }

    fn oldest_number(&self) -> u64 {
        // UNWRAP: never empty.
        self.history.front().unwrap().number()
    }

    fn position(&self, block_number: u64) -> Result<usize, StoreError> {
        let (oldest, newest) = (self.oldest_number(), self.newest().number());
        if !(oldest..=newest).contains(&block_number) {
            return Err(StoreError::Unavailable { block_number, oldest, newest });
        }
        // Blocks may be skipped (a store that keeps only some heights), so numbers are searched.
        self.history
            .binary_search_by_key(&block_number, |snapshot| snapshot.number())
            .map_err(|_| StoreError::Unavailable { block_number, oldest, newest })
    }
}

impl StateStore for MemoryStore {
    type Snapshot = MemorySnapshot;

    fn latest(&self) -> Arc<MemorySnapshot> {
        Arc::clone(self.inner.read().newest())
    }

    fn at(&self, block_number: u64) -> Result<Arc<MemorySnapshot>, StoreError> {
        let inner = self.inner.read();
        inner.position(block_number).map(|position| Arc::clone(&inner.history[position]))
    }

    fn oldest_block_number(&self) -> u64 {
        self.inner.read().oldest_number()
    }

    fn ancestors(&self) -> Ancestors {
        self.inner.read().block_hashes.iter().map(|(number, hash)| (*number, *hash)).collect()
    }

    fn commit(&self, parent: &MemorySnapshot, block: CommittedBlock, changes: &ChangeSet) -> Result<(), StoreError> {
        // Outside the lock: readers go on while the new state is made.
        let state = parent.prepared(block.state_root).unwrap_or_else(|| parent.state_after(changes));
        let got = state.root();
        if got != block.state_root {
            return Err(StoreError::RootMismatch { expected: block.state_root, got });
        }
        let mut inner = self.inner.write();
        let newest = inner.newest().number();
        if block.number <= newest || !std::ptr::eq(Arc::as_ptr(inner.newest()), parent) {
            return Err(StoreError::OutOfOrder { got: block.number, newest });
        }
        inner.history.push_back(Arc::new(MemorySnapshot::new(block, state)));
        while inner.history.len() > self.kept_block_count + 1 {
            inner.history.pop_front();
        }
        // The parent too: the hash of block 0 is not known before its state root is.
        inner.block_hashes.insert(block.number.saturating_sub(1), block.parent_hash);
        inner.block_hashes.insert(block.number, block.hash);
        while inner.block_hashes.len() > ANCESTOR_COUNT {
            inner.block_hashes.pop_first();
        }
        Ok(())
    }

    fn revert_to(&self, block_number: u64) -> Result<(), StoreError> {
        let mut inner = self.inner.write();
        let position = inner.position(block_number)?;
        inner.history.truncate(position + 1);
        inner.block_hashes.split_off(&(block_number + 1));
        Ok(())
    }
}
