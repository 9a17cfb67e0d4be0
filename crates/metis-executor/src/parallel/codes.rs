//! Code: what the block deploys, and what a worker has used.

use std::cell::RefCell;

use alloy_primitives::{B256, map::B256Map};
use metis_state_transition::Code;

use super::sync::{AtomicBool, Ordering::*, RwLock};

/// What transactions of the block deploy. By its hash it is the same whoever deploys it.
pub(super) struct Codes {
    deployed: RwLock<B256Map<Code>>,
    is_any: AtomicBool,
}

impl Codes {
    pub(super) fn new() -> Self {
        Self { deployed: RwLock::default(), is_any: AtomicBool::new(false) }
    }

    pub(super) fn add(&self, hash: B256, code: &Code) {
        self.deployed.write().insert(hash, code.clone());
        self.is_any.store(true, Release);
    }

    fn get(&self, hash: &B256) -> Option<Code> {
        if !self.is_any.load(Acquire) {
            return None;
        }
        self.deployed.read().get(hash).cloned()
    }
}

/// Codes that a worker has used, of its own: what all threads call stays in each one's cache.
#[derive(Default)]
pub(super) struct OwnCodes(RefCell<B256Map<Code>>);

impl OwnCodes {
    /// The code with a hash: one of these, of the block's, or else what `read` gives.
    pub(super) fn get<E>(&self, hash: &B256, block: &Codes, read: impl FnOnce() -> Result<Code, E>) -> Result<Code, E> {
        if let Some(code) = self.0.borrow().get(hash) {
            return Ok(code.clone());
        }
        let code = match block.get(hash) {
            Some(code) => code,
            None => read()?,
        };
        let own = code.unshared();
        self.0.borrow_mut().insert(*hash, own.clone());
        Ok(own)
    }
}
