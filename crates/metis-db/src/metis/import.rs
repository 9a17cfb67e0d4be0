//! A store made from an exported state.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use alloy_primitives::{Address, B256, KECCAK256_EMPTY};
use metis_disk::Disk;
use metis_state_transition::{AccountChange, ChangeSet, Code};

use super::{
    MetisStore,
    config::MetisConfig,
    encoding::{In, checksum},
    export::{EXPORT_MAGIC, EXPORT_VERSION, KIND_ACCOUNTS, KIND_BLOCK, KIND_CODES, KIND_END, KIND_SLOTS, StateCounts},
    snapshot::MetisSnapshot,
};
use crate::{CommittedBlock, StateSnapshot, StateStore, StoreError};

/// BOUND: of a chunk's payload; a chunk of an export ends with what makes it longer than 1 MiB, such as one code.
const PAYLOAD_BYTES_MAX: usize = 64 << 20;
const HEADER_BYTES: usize = 12;
/// Accounts and slots that are hashed at once.
const BATCH_COUNT: usize = 1 << 15;

/// An exported state being read. Nothing of it is on any disk before [`Self::finish`].
#[derive(Debug)]
pub struct StateImport {
    store: MetisStore,
    /// Whether the store will forget nothing; what it is made of it forgets.
    is_archive: bool,
    /// Bytes that do not make a chunk yet, and how many came before them.
    pending: Vec<u8>,
    offset: u64,
    link: u64,
    has_header: bool,
    block: Option<(CommittedBlock, BTreeMap<u64, B256>)>,
    codes: BTreeSet<B256>,
    last_address: Option<Address>,
    last_slot: Option<alloy_primitives::U256>,
    batch: ChangeSet,
    batch_count: usize,
    counts: StateCounts,
    claimed: Option<StateCounts>,
}

impl StateImport {
    /// Nothing yet.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub fn new(config: &MetisConfig) -> Result<Self, StoreError> {
        Ok(Self {
            store: MetisStore::in_memory([], MetisConfig { is_archive: false, ..config.clone().keeping(0) })?,
            is_archive: config.is_archive,
            pending: Vec::new(),
            offset: 0,
            link: 0,
            has_header: false,
            block: None,
            codes: BTreeSet::new(),
            last_address: None,
            last_slot: None,
            batch: ChangeSet::default(),
            batch_count: 0,
            counts: StateCounts::default(),
            claimed: None,
        })
    }

    /// What was read so far.
    pub const fn counts(&self) -> StateCounts {
        self.counts
    }

    fn corrupt(&self, problem: &'static str) -> StoreError {
        StoreError::Corrupt { part: "export", offset: self.offset, problem }
    }

    /// Reads further bytes, in pieces of any length.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where they are not those of an export, [`StoreError::Version`], [`StoreError::Memory`].
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.pending.extend_from_slice(bytes);
        let mut at = 0;
        if !self.has_header && self.pending.len() >= HEADER_BYTES {
            let mut input = In(&self.pending);
            if input.bytes(8) != Some(&EXPORT_MAGIC[..]) {
                return Err(self.corrupt("not an exported state"));
            }
            let got = input.u32().unwrap_or_default();
            if got != EXPORT_VERSION {
                return Err(StoreError::Version { got, known: EXPORT_VERSION });
            }
            self.has_header = true;
            (at, self.offset) = (HEADER_BYTES, HEADER_BYTES as u64);
        }
        while self.has_header {
            let mut input = In(&self.pending[at..]);
            let Some((len, sum)) = input.u32().zip(input.u64()) else { break };
            if len as usize > PAYLOAD_BYTES_MAX {
                return Err(self.corrupt("a chunk of impossible length"));
            }
            let Some(payload) = input.bytes(len as usize) else { break };
            if checksum(self.link, payload) != sum {
                return Err(self.corrupt("a chunk's checksum is wrong"));
            }
            self.link = sum;
            let payload = payload.to_vec();
            self.take_chunk(&payload)?;
            at += HEADER_BYTES + payload.len();
            self.offset += (HEADER_BYTES + payload.len()) as u64;
        }
        self.pending.drain(..at);
        Ok(())
    }

    fn take_chunk(&mut self, payload: &[u8]) -> Result<(), StoreError> {
        let Some((kind, rest)) = payload.split_first() else { return Err(self.corrupt("an empty chunk")) };
        if self.claimed.is_some() {
            return Err(self.corrupt("something after the end"));
        }
        if (*kind == KIND_BLOCK) == self.block.is_some() {
            return Err(self.corrupt("the block must be first, and once"));
        }
        let mut input = In(rest);
        let taken = match *kind {
            KIND_BLOCK => self.take_block(&mut input),
            KIND_CODES => self.take_codes(&mut input),
            KIND_ACCOUNTS => self.take_accounts(&mut input),
            KIND_SLOTS => self.last_address.and_then(|address| self.take_slots(&mut input, address)),
            KIND_END => self.take_end(&mut input),
            _ => None,
        };
        if taken.is_none() || !input.0.is_empty() {
            return Err(self.corrupt("a chunk makes no sense"));
        }
        if self.batch_count >= BATCH_COUNT || self.claimed.is_some() {
            self.apply()?;
        }
        Ok(())
    }

    fn take_block(&mut self, input: &mut In<'_>) -> Option<()> {
        let block = input.block()?;
        let mut hashes = BTreeMap::new();
        for _ in 0..input.len(40)? {
            hashes.insert(input.u64()?, input.b256()?);
        }
        self.block = Some((block, hashes));
        Some(())
    }

    fn take_codes(&mut self, input: &mut In<'_>) -> Option<()> {
        for _ in 0..input.len(4)? {
            let len = input.len(1)?;
            let code = Code::new(input.bytes(len)?.to_vec().into());
            let hash = code.hash();
            if self.codes.last().is_some_and(|last| *last >= hash) {
                return None;
            }
            self.codes.insert(hash);
            self.batch.codes.insert(hash, code);
            self.counts.codes += 1;
        }
        Some(())
    }

    fn take_accounts(&mut self, input: &mut In<'_>) -> Option<()> {
        for _ in 0..input.len(96)? {
            let (address, account) = (input.address()?, input.account()?);
            let is_in_order = self.last_address.is_none_or(|last| last < address);
            let has_code = account.code_hash == KECCAK256_EMPTY || self.codes.contains(&account.code_hash);
            if !is_in_order || !has_code {
                return None;
            }
            (self.last_address, self.last_slot) = (Some(address), None);
            self.counts.accounts += 1;
            self.batch_count += 1;
            let change = AccountChange { account: Some(account), ..AccountChange::default() };
            self.batch.accounts.insert(address, change);
            self.take_slots(input, address)?;
        }
        Some(())
    }

    fn take_slots(&mut self, input: &mut In<'_>, address: Address) -> Option<()> {
        for _ in 0..input.len(64)? {
            let (slot, value) = (input.u256()?, input.u256()?);
            if value.is_zero() || self.last_slot.is_some_and(|last| last >= slot) {
                return None;
            }
            self.last_slot = Some(slot);
            self.counts.slots += 1;
            self.batch_count += 1;
            if !self.batch.accounts.contains_key(&address) {
                // Its account was in an earlier batch.
                let account = self.store.latest().record(&address).ok()??.account;
                let change = AccountChange { account: Some(account), ..AccountChange::default() };
                self.batch.accounts.insert(address, change);
            }
            self.batch.accounts.get_mut(&address)?.storage.insert(slot, value);
        }
        Some(())
    }

    fn take_end(&mut self, input: &mut In<'_>) -> Option<()> {
        let claimed = StateCounts { accounts: input.u64()?, slots: input.u64()?, codes: input.u64()? };
        self.claimed = Some(claimed);
        (claimed == self.counts).then_some(())
    }

    fn apply(&mut self) -> Result<(), StoreError> {
        let changes = std::mem::take(&mut self.batch);
        self.batch_count = 0;
        self.store.patch(&self.store.latest(), &changes).map(|_| ())
    }

    /// Makes the store of a directory from what was read, if it is whole and has the state root of its block.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where the end is missing, [`StoreError::RootMismatch`], [`StoreError::Io`] of kind
    /// `AlreadyExists` where the directory holds a store already, and what the disk says: then there is no store.
    pub fn finish(mut self, disk: Arc<dyn Disk>) -> Result<MetisStore, StoreError> {
        if self.claimed.is_none() || !self.pending.is_empty() {
            return Err(StoreError::Corrupt {
                part: "export",
                offset: self.offset + self.pending.len() as u64,
                problem: "the end is missing",
            });
        }
        let missing = self.corrupt("the block is missing");
        let (block, hashes) = self.block.ok_or(missing)?;
        self.store.adopt(block, hashes)?;
        self.store.config.is_archive = self.is_archive;
        self.store.settle(disk)
    }
}

impl MetisStore {
    /// Says which block the newest state, the only one, is of.
    fn adopt(&self, block: CommittedBlock, block_hashes: BTreeMap<u64, B256>) -> Result<(), StoreError> {
        let writer = &mut *self.writer.lock();
        let mut history = self.history.write();
        let newest = Arc::clone(history.newest());
        let got = newest.block().state_root;
        if got != block.state_root {
            return Err(StoreError::RootMismatch { expected: block.state_root, got });
        }
        let shared = &writer.flat.shared;
        let state = MetisSnapshot::new(block, shared, Arc::clone(newest.version()), newest.identity());
        history.states.clear();
        history.states.push_back(Arc::new(state));
        history.block_hashes = block_hashes;
        Ok(())
    }
}
