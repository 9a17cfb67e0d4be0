//! The in-memory store: persistent maps for reads, persistent tries for roots and proofs.

mod fork;
mod probe;
mod snapshot;
mod state;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use alloy_primitives::{Address, B256};
use metis_state_transition::{Ancestors, ChangeSet};
use parking_lot::RwLock;

pub use fork::{ForkOrigin, Supply};
pub use snapshot::{MemorySnapshot, known};
pub use state::GenesisAccount;
use state::State;

use crate::{CommittedBlock, StateSnapshot, StateStore, StoreError};

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
    is_held: AtomicBool,
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
        Self::from_inner(inner, kept_block_count)
    }

    const fn from_inner(inner: Inner, kept_block_count: usize) -> Self {
        Self { inner: RwLock::new(inner), kept_block_count, is_held: AtomicBool::new(false) }
    }

    /// A store whose first block is a block of another chain, with changes on top of its state; the
    /// rest of that state lies in `origin`.
    pub fn forked(
        origin: Arc<ForkOrigin>,
        block: CommittedBlock,
        changes: &ChangeSet,
        kept_block_count: usize,
    ) -> Self {
        let mut state = State::forked(origin);
        state.apply(changes);
        let first = Arc::new(MemorySnapshot::new(block, state));
        let block_hashes = BTreeMap::from([(block.number, block.hash)]);
        Self::from_inner(Inner { history: VecDeque::from([first]), block_hashes }, kept_block_count)
    }

    /// Takes over the states of another store, all at once.
    pub fn replace_with(&self, other: Self) {
        *self.inner.write() = other.inner.into_inner();
    }

    /// Blocks of the kept states with their roots, oldest first; a patch is a further state of its block.
    pub fn states(&self) -> Vec<CommittedBlock> {
        self.inner.read().history.iter().map(|snapshot| snapshot.block()).collect()
    }

    /// How many older states stay readable.
    pub const fn kept_block_count(&self) -> usize {
        self.kept_block_count
    }

    /// An independent store that shares all state. Constant in the size of the state.
    pub fn fork(&self) -> Self {
        Self::from_inner(self.inner.read().clone(), self.kept_block_count)
    }

    fn window(&self) -> usize {
        // ORDER: read again with the next state; a late look keeps, or forgets, one state longer.
        if self.is_held.load(Relaxed) { usize::MAX } else { self.kept_block_count }
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

    fn require_newest(&self, parent: &MemorySnapshot, number: u64) -> Result<(), StoreError> {
        if std::ptr::eq(Arc::as_ptr(self.newest()), parent) {
            return Ok(());
        }
        Err(StoreError::OutOfOrder { got: number, newest: self.newest().number() })
    }

    fn push(&mut self, snapshot: Arc<MemorySnapshot>, kept_block_count: usize) {
        self.history.push_back(snapshot);
        while self.history.len() > kept_block_count.saturating_add(1) {
            self.history.pop_front();
        }
    }

    /// Keeps the oldest `count` states, at least one.
    fn truncate(&mut self, count: usize) {
        self.history.truncate(count);
        let newest = self.newest().number();
        self.block_hashes.split_off(&(newest + 1));
    }

    fn position(&self, block_number: u64, patch_count: usize) -> Result<usize, StoreError> {
        let (oldest, newest) = (self.oldest_number(), self.newest().number());
        if !(oldest..=newest).contains(&block_number) {
            return Err(StoreError::Unavailable { block_number, oldest, newest });
        }
        // Heights may be left out, and a block has one more state per patch: its newest counts.
        let after = self.history.partition_point(|snapshot| snapshot.number() <= block_number);
        let position =
            after.checked_sub(patch_count + 1).filter(|position| self.history[*position].number() == block_number);
        position.ok_or(StoreError::Unavailable { block_number, oldest, newest })
    }
}

impl StateStore for MemoryStore {
    type Snapshot = MemorySnapshot;

    fn latest(&self) -> Arc<MemorySnapshot> {
        Arc::clone(self.inner.read().newest())
    }

    fn at_before(&self, block_number: u64, patch_count: usize) -> Result<Arc<MemorySnapshot>, StoreError> {
        let inner = self.inner.read();
        inner.position(block_number, patch_count).map(|position| Arc::clone(&inner.history[position]))
    }

    fn hold(&self, is_held: bool) {
        self.is_held.store(is_held, Relaxed);
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
        inner.require_newest(parent, block.number)?;
        if block.number <= inner.newest().number() {
            return Err(StoreError::OutOfOrder { got: block.number, newest: inner.newest().number() });
        }
        inner.push(Arc::new(MemorySnapshot::new(block, state)), self.window());
        // The parent too: the hash of block 0 is not known before its state root is.
        inner.block_hashes.insert(block.number.saturating_sub(1), block.parent_hash);
        inner.block_hashes.insert(block.number, block.hash);
        while inner.block_hashes.len() > ANCESTOR_COUNT {
            inner.block_hashes.pop_first();
        }
        Ok(())
    }

    fn patch(&self, parent: &MemorySnapshot, changes: &ChangeSet) -> Result<B256, StoreError> {
        let state = parent.state_after(changes);
        let block = CommittedBlock { state_root: state.root(), ..parent.block() };
        let mut inner = self.inner.write();
        inner.require_newest(parent, block.number)?;
        inner.push(Arc::new(MemorySnapshot::new(block, state)), self.window());
        Ok(block.state_root)
    }

    fn undo(&self, count: usize) -> Result<(), StoreError> {
        let mut inner = self.inner.write();
        let (oldest, newest) = (inner.oldest_number(), inner.newest().number());
        let kept = inner.history.len().checked_sub(count).filter(|kept| *kept > 0);
        let kept =
            kept.ok_or(StoreError::Unavailable { block_number: newest.saturating_sub(count as u64), oldest, newest })?;
        inner.truncate(kept);
        Ok(())
    }

    fn revert_to(&self, block_number: u64) -> Result<(), StoreError> {
        let mut inner = self.inner.write();
        let position = inner.position(block_number, 0)?;
        inner.truncate(position + 1);
        Ok(())
    }
}
