//! A state that takes its time, as one on a disk or behind a network does.

use std::{collections::HashSet, sync::Arc, thread, time::Duration};

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Account, ChangeSet, Code, StateCommitment, StateView};
use parking_lot::Mutex;

/// What reads have cost so far: the first read of a key takes the latency, later ones find it in the cache. Whoever
/// reads through the same one shares the cache.
#[derive(Debug)]
pub struct Latency {
    of_read: Duration,
    seen: [Mutex<HashSet<Key>>; SHARDS],
}

/// So that readers seldom wait for each other.
const SHARDS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Account(Address),
    Slot(Address, U256),
}

impl Latency {
    /// Nothing is in the cache.
    pub fn new(of_read: Duration) -> Arc<Self> {
        Arc::new(Self { of_read, seen: std::array::from_fn(|_| Mutex::default()) })
    }

    fn wait(&self, key: Key) {
        let shard = match &key {
            Key::Account(address) => address[19],
            Key::Slot(address, slot) => address[19] ^ slot.byte(0),
        };
        if self.seen[usize::from(shard) % SHARDS].lock().insert(key) {
            thread::sleep(self.of_read);
        }
    }
}

/// A view behind a latency.
#[derive(Clone, Debug)]
pub struct LatentView<V> {
    view: V,
    latency: Arc<Latency>,
}

impl<V> LatentView<V> {
    /// `view`, read through `latency`.
    pub const fn new(view: V, latency: Arc<Latency>) -> Self {
        Self { view, latency }
    }
}

impl<V: StateView> StateView for LatentView<V> {
    type Error = V::Error;

    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error> {
        self.latency.wait(Key::Account(*address));
        self.view.account(address)
    }

    fn code(&self, code_hash: &B256) -> Result<Code, Self::Error> {
        self.view.code(code_hash)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error> {
        self.latency.wait(Key::Slot(*address, *slot));
        self.view.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, Self::Error> {
        self.view.has_storage(address)
    }

    fn prefetch(&self, address: &Address, slots: &[B256]) {
        self.view.prefetch(address, slots);
    }
}

impl<V: StateCommitment> StateCommitment for LatentView<V> {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, Self::Error> {
        self.view.state_root_after(changes)
    }
}
