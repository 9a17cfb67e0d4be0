//! One version of the world state.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::DefaultHashBuilder};
use metis_state_transition::{Account, ChangeSet, Code};
use rpds::HashTrieMap;

use crate::{Trie, proof::account_leaf};

/// A persistent map whose versions share structure and may cross threads. Never iterated where
/// order matters.
type Map<K, V> = HashTrieMap<K, V, archery::ArcTK, DefaultHashBuilder>;

/// An account as a genesis document describes it.
#[derive(Clone, Debug, Default)]
pub struct GenesisAccount {
    /// Nonce.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// Runtime bytecode.
    pub code: Bytes,
    /// Slots; zero values are dropped.
    pub storage: BTreeMap<U256, U256>,
}

#[derive(Clone)]
struct Entry {
    account: Account,
    storage: Map<U256, U256>,
    storage_trie: Trie,
}

/// Accounts, storage, code, and the trie that commits to them. Cloning takes constant time.
#[derive(Clone)]
pub(super) struct State {
    accounts: Map<Address, Arc<Entry>>,
    codes: Map<B256, Code>,
    trie: Trie,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("accounts", &self.accounts.size()).field("root", &self.root()).finish()
    }
}

fn empty_map<K: Eq + std::hash::Hash, V>() -> Map<K, V> {
    Map::new_with_hasher_and_ptr_kind(DefaultHashBuilder::default())
}

impl Entry {
    fn new(account: Account) -> Self {
        Self { account, storage: empty_map(), storage_trie: Trie::default() }
    }

    fn write(&mut self, slot: U256, value: U256) {
        let key = keccak256(slot.to_be_bytes::<32>());
        if value.is_zero() {
            self.storage.remove_mut(&slot);
            self.storage_trie.remove(key);
        } else {
            self.storage.insert_mut(slot, value);
            self.storage_trie.insert(key, alloy_rlp::encode(value));
        }
    }
}

impl State {
    pub(super) fn from_genesis(alloc: impl IntoIterator<Item = (Address, GenesisAccount)>) -> Self {
        let mut state = Self { accounts: empty_map(), codes: empty_map(), trie: Trie::default() };
        for (address, genesis) in alloc {
            let code = Code::new(genesis.code);
            let code_hash = code.hash();
            let account = Account { nonce: genesis.nonce, balance: genesis.balance, code_hash };
            let mut entry = Entry::new(account);
            for (slot, value) in genesis.storage {
                entry.write(slot, value);
            }
            state.codes.insert_mut(code_hash, code);
            state.put(address, entry);
        }
        state
    }

    fn put(&mut self, address: Address, entry: Entry) {
        let leaf = account_leaf(&entry.account, entry.storage_trie.root_hash());
        self.trie.insert(keccak256(address), leaf);
        self.accounts.insert_mut(address, Arc::new(entry));
    }

    pub(super) fn apply(&mut self, changes: &ChangeSet) {
        for (hash, code) in &changes.codes {
            self.codes.insert_mut(*hash, code.clone());
        }
        for (address, change) in &changes.accounts {
            let Some(account) = change.account else {
                self.accounts.remove_mut(address);
                self.trie.remove(keccak256(address));
                continue;
            };
            let mut entry = match self.accounts.get(address) {
                Some(entry) if !change.storage_cleared => (**entry).clone(),
                _ => Entry::new(account),
            };
            entry.account = account;
            for (slot, value) in &change.storage {
                entry.write(*slot, *value);
            }
            self.put(*address, entry);
        }
    }

    pub(super) fn root(&self) -> B256 {
        self.trie.root_hash()
    }

    pub(super) fn account(&self, address: &Address) -> Option<Account> {
        self.accounts.get(address).map(|entry| entry.account)
    }

    pub(super) fn storage_root(&self, address: &Address) -> Option<B256> {
        self.accounts.get(address).map(|entry| entry.storage_trie.root_hash())
    }

    pub(super) fn code(&self, code_hash: &B256) -> Code {
        self.codes.get(code_hash).cloned().unwrap_or_default()
    }

    pub(super) fn storage(&self, address: &Address, slot: &U256) -> U256 {
        self.accounts.get(address).and_then(|entry| entry.storage.get(slot)).copied().unwrap_or_default()
    }

    pub(super) fn has_storage(&self, address: &Address) -> bool {
        self.accounts.get(address).is_some_and(|entry| !entry.storage.is_empty())
    }

    pub(super) fn prove_account(&self, address: &Address) -> Vec<Bytes> {
        self.trie.prove(keccak256(address))
    }

    pub(super) fn prove_slot(&self, address: &Address, slot: &U256) -> Vec<Bytes> {
        let key = keccak256(slot.to_be_bytes::<32>());
        self.accounts.get(address).map(|entry| entry.storage_trie.prove(key)).unwrap_or_default()
    }

    /// Every address, sorted.
    pub(super) fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = self.accounts.keys().copied().collect();
        addresses.sort_unstable();
        addresses
    }

    /// Every slot of an account that is not zero, sorted.
    pub(super) fn slots(&self, address: &Address) -> BTreeMap<U256, U256> {
        self.accounts
            .get(address)
            .map(|entry| entry.storage.iter().map(|(slot, value)| (*slot, *value)).collect())
            .unwrap_or_default()
    }
}
