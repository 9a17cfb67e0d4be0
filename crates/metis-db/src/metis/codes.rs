//! Code by hash. Code that was once there stays: a hash never means another code.

use alloy_primitives::{B256, map::B256HashMap};
use metis_state_transition::Code;
use parking_lot::RwLock;

/// All code, ready to be executed.
#[derive(Debug, Default)]
pub(super) struct Codes {
    by_hash: RwLock<B256HashMap<Code>>,
    /// Hashes of code that no checkpoint holds yet.
    fresh: RwLock<Vec<B256>>,
}

impl Codes {
    pub(super) fn get(&self, hash: &B256) -> Code {
        self.by_hash.read().get(hash).cloned().unwrap_or_default()
    }

    /// Adds code; it is part of the next checkpoint.
    pub(super) fn add<'a>(&self, codes: impl IntoIterator<Item = (&'a B256, &'a Code)>) {
        for (hash, code) in codes {
            if self.by_hash.read().contains_key(hash) {
                continue;
            }
            self.by_hash.write().insert(*hash, code.clone());
            self.fresh.write().push(*hash);
        }
    }

    /// Takes over what a checkpoint holds.
    pub(super) fn restore(&self, code: Code) {
        self.by_hash.write().insert(code.hash(), code);
    }

    /// Code that no checkpoint holds yet, oldest first.
    pub(super) fn fresh(&self) -> Vec<Code> {
        self.fresh.read().iter().map(|hash| self.get(hash)).collect()
    }

    /// A checkpoint holds the first `count` of [`Self::fresh`].
    pub(super) fn kept(&self, count: usize) {
        self.fresh.write().drain(..count);
    }

    pub(super) fn count(&self) -> usize {
        self.by_hash.read().len()
    }
}
