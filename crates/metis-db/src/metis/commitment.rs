//! The tries over a state: what its root and proofs come from.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::DefaultHashBuilder};
use metis_state_transition::ChangeSet;
use rpds::HashTrieMap;

use crate::{Trie, proof::account_leaf};

/// Fewer changed accounts are hashed sooner than other threads are woken.
const HASHED_AHEAD_COUNT_MIN: usize = 256;

type Storages = HashTrieMap<Address, Trie, archery::ArcTK, DefaultHashBuilder>;

/// The state trie and the storage tries below it; versions share what they have in common.
#[derive(Clone)]
pub(super) struct Commitment {
    accounts: Trie,
    storages: Storages,
}

impl std::fmt::Debug for Commitment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Commitment").field("root", &self.root()).finish()
    }
}

impl Default for Commitment {
    fn default() -> Self {
        let storages = Storages::new_with_hasher_and_ptr_kind(DefaultHashBuilder::default());
        Self { accounts: Trie::default(), storages }
    }
}

impl Commitment {
    pub(super) fn root(&self) -> B256 {
        self.accounts.root_hash()
    }

    /// What commits to the state after changes.
    pub(super) fn after(&self, changes: &ChangeSet) -> Self {
        let mut after = self.clone();
        for (address, change) in &changes.accounts {
            let key = keccak256(address);
            let Some(account) = &change.account else {
                after.accounts.remove(key);
                after.storages.remove_mut(address);
                continue;
            };
            if change.storage_cleared {
                after.storages.remove_mut(address);
            }
            if !change.storage.is_empty() {
                let mut trie = after.storages.get(address).cloned().unwrap_or_default();
                for (slot, value) in &change.storage {
                    let key = keccak256(slot.to_be_bytes::<32>());
                    if value.is_zero() {
                        trie.remove(key);
                    } else {
                        trie.insert(key, alloy_rlp::encode(value));
                    }
                }
                after.storages.insert_mut(*address, trie);
            }
            after.accounts.insert(key, account_leaf(account, after.storage_root(address)));
        }
        if changes.accounts.len() >= HASHED_AHEAD_COUNT_MIN {
            after.accounts.hash_ahead();
        }
        after
    }

    pub(super) fn storage_root(&self, address: &Address) -> B256 {
        self.storages.get(address).map_or(alloy_trie::EMPTY_ROOT_HASH, Trie::root_hash)
    }

    pub(super) fn prove_account(&self, address: &Address) -> Vec<Bytes> {
        self.accounts.prove(keccak256(address))
    }

    pub(super) fn prove_slot(&self, address: &Address, slot: &U256) -> Vec<Bytes> {
        let key = keccak256(slot.to_be_bytes::<32>());
        self.storages.get(address).map(|trie| trie.prove(key)).unwrap_or_default()
    }
}
