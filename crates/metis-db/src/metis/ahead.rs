//! Hashes of states that the store will soon be brought to, made while others still read it.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::B256;
use metis_state_transition::ChangeSet;

use super::MetisStore;
use crate::{StateSnapshot, StoreError, TrieOverlay};

/// BOUND: accounts and slots whose changes are hashed before; tries over the tries take memory.
const CHANGE_COUNT_MAX: usize = 1 << 20;

/// Tries by their roots. A root stands for its state, so the wrong one can never be picked up.
pub(super) type Ahead = HashMap<B256, TrieOverlay>;

impl MetisStore {
    /// Hashes what it takes to undo the newest states and to commit others, one after the other, so that doing so soon
    /// is quick. Nothing changes. What does not come about is forgotten with the next call.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where fewer states are kept, [`StoreError::Corrupt`].
    pub fn prepare<'a>(
        &self,
        undone_count: usize,
        made: impl IntoIterator<Item = &'a ChangeSet>,
    ) -> Result<(), StoreError> {
        self.ahead.lock().clear();
        let kept = {
            let history = self.history.read();
            history.state(history.place_before(undone_count)?)?
        };
        let mut ahead = Ahead::new();
        let mut last = (undone_count > 0).then(|| kept.tries_back()).transpose()?;
        if let Some(back) = &last {
            ahead.insert(kept.block().state_root, back.clone());
        }
        let mut change_count = 0;
        for changes in made {
            change_count += changes.accounts.values().map(|change| 1 + change.storage.len()).sum::<usize>();
            if change_count > CHANGE_COUNT_MAX {
                break;
            }
            let after = kept.shared().trunk.read().after(last.as_ref(), changes)?;
            ahead.insert(after.root(), after.clone());
            last = Some(after);
        }
        *self.ahead.lock() = ahead;
        Ok(())
    }

    /// The tries with a root, if they were hashed for what the store is at now.
    pub(super) fn take_ahead(&self, root: B256) -> Option<TrieOverlay> {
        let found = self.ahead.lock().remove(&root)?;
        let newest = Arc::clone(self.history.read().newest());
        let is_fresh = newest.shared().trunk.read().after(Some(&found), &ChangeSet::default()).is_ok();
        is_fresh.then_some(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)]
    use alloy_primitives::{Address, U256};
    use metis_state_transition::{Account, AccountChange};

    use super::*;
    use crate::{CommittedBlock, MetisConfig, StateStore};

    fn paid(balance: u64) -> ChangeSet {
        let account = Account { balance: U256::from(balance), ..Account::default() };
        let change = AccountChange { account: Some(account), ..AccountChange::default() };
        ChangeSet { accounts: [(Address::ZERO, change)].into(), ..ChangeSet::default() }
    }

    fn root_of(changes: &ChangeSet) -> B256 {
        let store = MetisStore::in_memory([], MetisConfig::new([1; 4])).unwrap();
        store.patch(&store.latest(), changes).unwrap()
    }

    fn commit(store: &MetisStore, number: u64, changes: &ChangeSet) {
        let state_root = root_of(changes);
        let block = CommittedBlock { number, hash: B256::ZERO, parent_hash: B256::ZERO, state_root };
        store.commit(&store.latest(), block, changes).unwrap();
    }

    #[test]
    fn test_prepare__before_a_turn__has_every_hash_that_the_turn_takes() {
        let store = MetisStore::in_memory([], MetisConfig::new([1; 4])).unwrap();
        commit(&store, 1, &paid(1));
        commit(&store, 2, &paid(2));
        let made = [paid(3), paid(4)];
        store.prepare(2, &made).unwrap();
        assert_eq!(store.ahead.lock().len(), 3);
        store.undo(2).unwrap();
        assert_eq!(store.ahead.lock().len(), 2);
        commit(&store, 1, &made[0]);
        commit(&store, 2, &made[1]);
        assert!(store.ahead.lock().is_empty());
        assert_eq!(store.latest().block().state_root, root_of(&made[1]));
    }
}
