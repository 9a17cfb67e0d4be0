//! The state as the transactions of a batch see it.

use std::cell::{RefCell, RefMut};

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Account, Code, StateView};

use super::{
    committed::{AccountEntry, Committed},
    local::Local,
};
use crate::parallel::{codes::OwnCodes, pace::Pace};

/// The view that a worker's machine runs on, batch after batch.
pub(super) struct BatchView<'m, 'a, V, P> {
    pub(super) committed: &'m Committed<'a>,
    pub(super) base: &'m V,
    pace: &'m P,
    local: RefCell<Local<'m>>,
    codes: OwnCodes,
}

impl<'m, 'a: 'm, V: StateView, P: Pace> BatchView<'m, 'a, V, P> {
    pub(super) fn new(committed: &'m Committed<'a>, base: &'m V, pace: &'m P) -> Self {
        Self { committed, base, pace, local: RefCell::default(), codes: OwnCodes::default() }
    }

    /// The batch under way.
    pub(super) fn local(&self) -> RefMut<'_, Local<'m>> {
        self.local.borrow_mut()
    }

    /// What is committed of an account, or else as it was before the block.
    pub(super) fn account_below(&self, node: AccountEntry<'_>) -> Result<Option<Account>, V::Error> {
        match node.value.read() {
            Some((account, _)) => Ok(account),
            None => self.base.account(node.key),
        }
    }
}

impl<'m, 'a: 'm, V: StateView, P: Pace> StateView for BatchView<'m, 'a, V, P> {
    type Error = V::Error;

    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error> {
        let mut local = self.local.borrow_mut();
        if let Some(account) = local.read_account(address) {
            return Ok(account);
        }
        self.pace.pause();
        let node = self.committed.account(*address);
        let (found, stamp) = match node.value.read() {
            Some(found) => found,
            None => (self.base.account(address)?, 0),
        };
        Ok(local.found_account(node, found, stamp))
    }

    fn code(&self, code_hash: &B256) -> Result<Code, Self::Error> {
        self.codes.get(code_hash, &self.committed.codes, || self.base.code(code_hash))
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error> {
        let mut local = self.local.borrow_mut();
        if let Some(value) = local.read_slot(address, slot) {
            return Ok(value);
        }
        self.pace.pause();
        let node = self.committed.slot(*address, *slot);
        let (found, stamp) = match node.value.read() {
            Some(found) => found,
            None => (self.base.storage(address, slot)?, 0),
        };
        local.found_slot(node, found, stamp);
        Ok(found)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, Self::Error> {
        let mut local = self.local.borrow_mut();
        if local.account(address).is_some_and(|account| account.is_cleared) {
            return Ok(false);
        }
        self.pace.pause();
        let node = self.committed.account(*address);
        let cleared = node.value.cleared();
        local.found_storage(node, cleared);
        // Only an account that cannot run code is asked about. Whoever got storage in this block has run code, and has a
        // nonce since then, until its storage is cleared: what this says of it decides nothing.
        Ok(cleared == 0 && self.base.has_storage(address)?)
    }

    fn prefetch(&self, address: &Address, slots: &[B256]) {
        self.base.prefetch(address, slots);
    }
}
