//! One version of the world state.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::DefaultHashBuilder};
use metis_state_transition::{Account, ChangeSet, Code};
use rpds::HashTrieMap;

use super::fork::ForkOrigin;
use crate::{MissingState, Trie, proof::account_leaf};

/// A persistent map whose versions share structure and may cross threads. Never iterated where
/// order matters.
type Map<K, V> = HashTrieMap<K, V, archery::ArcTK, DefaultHashBuilder>;

/// Fewer changed accounts are hashed sooner than other threads are woken.
const HASHED_AHEAD_COUNT_MIN: usize = 256;

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
    /// All of its storage is here. Else the slots that are not here, zeros among those that are,
    /// are as in the state that was forked.
    is_whole: bool,
}

/// Accounts, storage, code, and the trie that commits to them. Cloning takes constant time.
#[derive(Clone)]
pub(super) struct State {
    accounts: Map<Address, Arc<Entry>>,
    codes: Map<B256, Code>,
    trie: Trie,
    fork: Option<Fork>,
}

/// Where a state that began as another chain's has what it did not change itself.
#[derive(Clone)]
struct Fork {
    origin: Arc<ForkOrigin>,
    /// Accounts of the origin that ceased to exist since.
    removed: Map<Address, ()>,
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
    fn new(account: Account, is_whole: bool) -> Self {
        Self { account, storage: empty_map(), storage_trie: Trie::default(), is_whole }
    }

    /// The value in the trie. A forked state's trie is over what changed: an account of which only
    /// a part is here has another leaf than one that is all here.
    fn leaf(&self) -> Vec<u8> {
        let mut leaf = account_leaf(&self.account, self.storage_trie.root_hash());
        if !self.is_whole {
            leaf.push(0x80);
        }
        leaf
    }

    fn write(&mut self, slot: U256, value: U256) {
        let key = keccak256(slot.to_be_bytes::<32>());
        if value.is_zero() && self.is_whole {
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
        let mut state = Self { accounts: empty_map(), codes: empty_map(), trie: Trie::default(), fork: None };
        for (address, genesis) in alloc {
            let code = Code::new(genesis.code);
            let code_hash = code.hash();
            let account = Account { nonce: genesis.nonce, balance: genesis.balance, code_hash };
            let mut entry = Entry::new(account, true);
            for (slot, value) in genesis.storage {
                entry.write(slot, value);
            }
            state.codes.insert_mut(code_hash, code);
            state.put(address, entry);
        }
        state
    }

    /// The state of another chain, with nothing changed yet.
    ///
    /// Its root commits to what changes from here on, and to nothing else: the trie holds the
    /// changed accounts with their changed slots, zeros and removed accounts included.
    pub(super) fn forked(origin: Arc<ForkOrigin>) -> Self {
        let fork = Some(Fork { origin, removed: empty_map() });
        Self { accounts: empty_map(), codes: empty_map(), trie: Trie::default(), fork }
    }

    pub(super) fn origin(&self) -> Option<&Arc<ForkOrigin>> {
        self.fork.as_ref().map(|fork| &fork.origin)
    }

    fn put(&mut self, address: Address, entry: Entry) {
        self.trie.insert(keccak256(address), entry.leaf());
        self.accounts.insert_mut(address, Arc::new(entry));
    }

    fn remove(&mut self, address: &Address) {
        self.accounts.remove_mut(address);
        match &mut self.fork {
            None => self.trie.remove(keccak256(address)),
            Some(fork) => {
                fork.removed.insert_mut(*address, ());
                self.trie.insert(keccak256(address), vec![0x80]);
            }
        }
    }

    /// What an account begins as that was not here or is to lose its storage.
    fn begin(&mut self, address: &Address, account: Account, storage_cleared: bool) -> Entry {
        let is_whole = match &mut self.fork {
            None => true,
            Some(fork) => fork.removed.remove_mut(address) || storage_cleared,
        };
        Entry::new(account, is_whole)
    }

    pub(super) fn apply(&mut self, changes: &ChangeSet) {
        for (hash, code) in &changes.codes {
            self.codes.insert_mut(*hash, code.clone());
        }
        for (address, change) in &changes.accounts {
            let Some(account) = change.account else {
                self.remove(address);
                continue;
            };
            let mut entry = match self.accounts.get(address) {
                Some(entry) if !change.storage_cleared => (**entry).clone(),
                _ => self.begin(address, account, change.storage_cleared),
            };
            entry.account = account;
            for (slot, value) in &change.storage {
                entry.write(*slot, *value);
            }
            self.put(*address, entry);
        }
        if changes.accounts.len() >= HASHED_AHEAD_COUNT_MIN {
            self.trie.hash_ahead();
        }
    }

    pub(super) fn root(&self) -> B256 {
        self.trie.root_hash()
    }

    pub(super) fn account(&self, address: &Address) -> Result<Option<Account>, MissingState> {
        match (self.accounts.get(address), &self.fork) {
            (Some(entry), _) => Ok(Some(entry.account)),
            (None, Some(fork)) if !fork.removed.contains_key(address) => fork.origin.account(address),
            (None, _) => Ok(None),
        }
    }

    pub(super) fn storage_root(&self, address: &Address) -> Option<B256> {
        self.accounts.get(address).map(|entry| entry.storage_trie.root_hash())
    }

    pub(super) fn code(&self, code_hash: &B256) -> Code {
        let origin = || self.origin().map(|origin| origin.code(code_hash));
        self.codes.get(code_hash).cloned().or_else(origin).unwrap_or_default()
    }

    pub(super) fn storage(&self, address: &Address, slot: &U256) -> Result<U256, MissingState> {
        let entry = self.accounts.get(address);
        if let Some(value) = entry.and_then(|entry| entry.storage.get(slot)) {
            return Ok(*value);
        }
        match self.origin_of(address, entry) {
            Some(origin) => origin.storage(address, slot),
            None => Ok(U256::ZERO),
        }
    }

    pub(super) fn has_storage(&self, address: &Address) -> bool {
        let entry = self.accounts.get(address);
        // DEVIATES: of a forked account only the slots that are known count (EIP-7610 asks for any).
        // It is asked about accounts without nonce and code, of which no live chain makes new ones
        // with storage.
        let is_written = |slot: &U256| entry.is_some_and(|entry| entry.storage.contains_key(slot));
        entry.is_some_and(|entry| entry.storage.values().any(|value| !value.is_zero()))
            || self.origin_of(address, entry).is_some_and(|origin| origin.has_known_storage(address, is_written))
    }

    /// Where the slots of an account lie that are not here.
    fn origin_of(&self, address: &Address, entry: Option<&Arc<Entry>>) -> Option<&ForkOrigin> {
        let fork = self.fork.as_ref()?;
        let is_here = entry.map_or_else(|| fork.removed.contains_key(address), |entry| entry.is_whole);
        (!is_here).then_some(&fork.origin)
    }

    /// Whether anything of an account changed since the fork. True where nothing was forked.
    pub(super) fn is_changed(&self, address: &Address) -> bool {
        let Some(fork) = &self.fork else { return true };
        self.accounts.contains_key(address) || fork.removed.contains_key(address)
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
