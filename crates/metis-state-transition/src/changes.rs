//! What execution changed, and a view that layers changes over a state.

use alloc::{collections::BTreeMap, sync::Arc};
use core::borrow::Borrow;

use alloy_primitives::{Address, B256, U256};
use revm::state::EvmState;

use crate::{Account, Code, Effects, StateView};

/// The change of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// The account afterwards; `None` where it no longer exists.
    pub account: Option<Account>,
    /// Its storage was emptied before [`Self::storage`] was written.
    pub storage_cleared: bool,
    /// Slots written, with their values afterwards; zero deletes.
    pub storage: BTreeMap<U256, U256>,
}

impl AccountChange {
    /// Adds a later change of the account to this one.
    fn merge(&mut self, later: Self) {
        self.account = later.account;
        if later.storage_cleared {
            self.storage_cleared = true;
            self.storage = later.storage;
        } else if self.storage.is_empty() {
            self.storage = later.storage;
        } else {
            self.storage.extend(later.storage);
        }
    }
}

/// What a transaction or a block changed. Ordered, so that every reader sees the same order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeSet {
    /// Changed accounts.
    pub accounts: BTreeMap<Address, AccountChange>,
    /// Code that did not exist before, by hash.
    pub codes: BTreeMap<B256, Code>,
}

impl ChangeSet {
    /// Nothing changed.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Changes that the journal of one transaction (or system call) holds.
    pub fn from_journal(mut state: EvmState) -> Self {
        Effects::drain_journal(&mut state).into()
    }

    /// Adds later changes to these.
    pub fn merge(&mut self, mut later: Self) {
        // The smaller set goes into the larger one.
        if self.accounts.len() < later.accounts.len() {
            for (address, mut earlier) in core::mem::take(&mut self.accounts) {
                if let Some(change) = later.accounts.get_mut(&address) {
                    earlier.merge(core::mem::take(change));
                    *change = earlier;
                } else {
                    later.accounts.insert(address, earlier);
                }
            }
            self.accounts = later.accounts;
        } else {
            for (address, change) in later.accounts {
                self.accounts.entry(address).or_default().merge(change);
            }
        }
        self.codes.extend(later.codes);
    }
}

/// A state that can say what its root would be after changes.
pub trait StateCommitment: StateView {
    /// Root of the world-state trie after `changes` (Yellow Paper §4.1).
    ///
    /// # Errors
    /// When the state cannot be read.
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, Self::Error>;
}

impl<T: StateCommitment + ?Sized> StateCommitment for &T {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, Self::Error> {
        (**self).state_root_after(changes)
    }
}

impl<T: StateCommitment + ?Sized> StateCommitment for Arc<T> {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, Self::Error> {
        (**self).state_root_after(changes)
    }
}

/// A view with changes on top, its own or shared ones.
#[derive(Clone, Debug)]
pub struct Overlay<V, C = ChangeSet> {
    base: V,
    changes: C,
}

impl<V: StateView> Overlay<V> {
    /// `base` with nothing changed yet.
    pub fn new(base: V) -> Self {
        Self { base, changes: ChangeSet::default() }
    }

    /// Adds changes.
    pub fn apply(&mut self, changes: ChangeSet) {
        self.changes.merge(changes);
    }

    /// All changes; none are left.
    pub(crate) fn take_changes(&mut self) -> ChangeSet {
        core::mem::take(&mut self.changes)
    }

    /// The state under the changes, and all changes.
    pub fn into_parts(self) -> (V, ChangeSet) {
        (self.base, self.changes)
    }
}

impl<V, C: Borrow<ChangeSet>> Overlay<V, C> {
    /// `base` with changes that were made elsewhere.
    pub const fn with_changes(base: V, changes: C) -> Self {
        Self { base, changes }
    }

    /// The state under the changes.
    pub const fn base(&self) -> &V {
        &self.base
    }

    /// All changes so far.
    pub fn changes(&self) -> &ChangeSet {
        self.changes.borrow()
    }
}

impl<V: StateView, C: Borrow<ChangeSet>> StateView for Overlay<V, C> {
    type Error = V::Error;

    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error> {
        match self.changes().accounts.get(address) {
            Some(change) => Ok(change.account),
            None => self.base.account(address),
        }
    }

    fn code(&self, code_hash: &B256) -> Result<Code, Self::Error> {
        match self.changes().codes.get(code_hash) {
            Some(code) => Ok(code.clone()),
            None => self.base.code(code_hash),
        }
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error> {
        if let Some(change) = self.changes().accounts.get(address) {
            if let Some(value) = change.storage.get(slot) {
                return Ok(*value);
            }
            if change.storage_cleared {
                return Ok(U256::ZERO);
            }
        }
        self.base.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, Self::Error> {
        let Some(change) = self.changes().accounts.get(address) else {
            return self.base.has_storage(address);
        };
        if change.storage.values().any(|value| !value.is_zero()) {
            return Ok(true);
        }
        // Only an account that cannot run code is asked about, so its slots below are unchanged.
        Ok(!change.storage_cleared && self.base.has_storage(address)?)
    }

    fn prefetch(&self, address: &Address, slots: &[B256]) {
        self.base.prefetch(address, slots);
    }
}

impl<V: StateCommitment, C: Borrow<ChangeSet>> StateCommitment for Overlay<V, C> {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, Self::Error> {
        let mut all = self.changes().clone();
        all.merge(changes.clone());
        self.base.state_root_after(&all)
    }
}
