//! A state as a stream of bytes: the same state gives the same bytes, whatever store it lies in.
//!
//! Magic `METISEXP`, format version (4 bytes), then chunks: length of the payload (4), checksum of the payload with the
//! checksum of the chunk before as seed (8), payload. The first byte of a payload is its kind:
//!
//! | kind | payload |
//! |---|---|
//! | 1, first | the block; hashes of blocks before it: list of number 8, hash 32 |
//! | 2 | codes, by hash: list of length 4 and code |
//! | 3 | accounts, by address: list of address 20, nonce 8, balance 32, code hash 32, slots |
//! | 4 | further slots of the last account |
//! | 5, last | number of accounts, of slots, of codes, 8 each |
//!
//! Slots are a list of slot 32, value 32, by slot, without zeros. All integers are little-endian.

use std::{collections::BTreeSet, sync::Arc};

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use metis_state_transition::StateView;

use super::{
    MetisStore,
    encoding::{Out, checksum},
    snapshot::MetisSnapshot,
};
use crate::{StateSnapshot, StateStore, StoreError};

pub(super) const EXPORT_MAGIC: [u8; 8] = *b"METISEXP";
pub(super) const EXPORT_VERSION: u32 = 1;
pub(super) const KIND_BLOCK: u8 = 1;
pub(super) const KIND_CODES: u8 = 2;
pub(super) const KIND_ACCOUNTS: u8 = 3;
pub(super) const KIND_SLOTS: u8 = 4;
pub(super) const KIND_END: u8 = 5;
/// BOUND: a chunk ends with what makes it this long.
const CHUNK_BYTES_MAX: usize = 1 << 20;
/// BOUND: slots of one list.
const SLOT_COUNT_MAX: usize = CHUNK_BYTES_MAX / 64;

/// Numbers of what was exported or imported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// Accounts.
    pub accounts: u64,
    /// Slots that are not zero.
    pub slots: u64,
    /// Different codes that accounts have.
    pub codes: u64,
}

/// A state being exported: an iterator over bytes to be written one after the other.
///
/// Holds the keys of all slots in memory, 36 bytes each.
#[derive(Debug)]
pub struct StateExport {
    snapshot: Arc<MetisSnapshot>,
    block_hashes: Vec<(u64, B256)>,
    codes: Vec<B256>,
    addresses: Vec<Address>,
    /// By storage, then slot.
    slots: Vec<(u32, U256)>,
    stage: Stage,
    counts: StateCounts,
    link: u64,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Begin,
    Codes(usize),
    /// The next account, and the next slot of the one before where a chunk ended in its middle.
    Accounts(usize, Option<usize>),
    Done,
}

impl MetisStore {
    /// All of a kept state.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub fn export(&self, block_number: Option<u64>) -> Result<StateExport, StoreError> {
        let snapshot = block_number.map_or_else(|| Ok(self.latest()), |number| self.at(number))?;
        let newest = snapshot.block().number;
        let hashes = &self.history.read().block_hashes;
        StateExport::new(snapshot, hashes.range(..=newest).map(|(number, hash)| (*number, *hash)).collect())
    }
}

impl StateExport {
    fn new(snapshot: Arc<MetisSnapshot>, block_hashes: Vec<(u64, B256)>) -> Result<Self, StoreError> {
        let addresses = snapshot.addresses()?;
        let mut slots = snapshot.shared().slots.keys_where(|_| true);
        slots.extend(snapshot.version().before(u64::MAX)?.slots.into_keys());
        slots.sort_unstable();
        slots.dedup();
        let mut codes = BTreeSet::new();
        for address in &addresses {
            codes.extend(snapshot.record(address)?.map(|record| record.account.code_hash));
        }
        codes.remove(&KECCAK256_EMPTY);
        Ok(Self {
            snapshot,
            block_hashes,
            codes: codes.into_iter().collect(),
            addresses,
            slots,
            stage: Stage::Begin,
            counts: StateCounts::default(),
            link: 0,
        })
    }

    /// How many accounts there are in all.
    pub const fn account_count(&self) -> usize {
        self.addresses.len()
    }

    /// What the bytes so far hold.
    pub const fn counts(&self) -> StateCounts {
        self.counts
    }

    /// The state that is exported.
    pub const fn snapshot(&self) -> &Arc<MetisSnapshot> {
        &self.snapshot
    }

    fn chunk(&mut self, payload: &[u8]) -> Vec<u8> {
        self.link = checksum(self.link, payload);
        let mut out = Out::default();
        out.len(payload.len());
        out.u64(self.link);
        out.bytes(payload);
        out.0
    }

    fn first(&mut self) -> Vec<u8> {
        let mut payload = Out(vec![KIND_BLOCK]);
        payload.block(&self.snapshot.block());
        payload.len(self.block_hashes.len());
        for (number, hash) in &self.block_hashes {
            payload.u64(*number);
            payload.bytes(&hash[..]);
        }
        let mut out = Out(EXPORT_MAGIC.to_vec());
        out.u32(EXPORT_VERSION);
        out.bytes(&self.chunk(&payload.0));
        self.stage = Stage::Codes(0);
        out.0
    }

    fn some_codes(&mut self, first: usize) -> Result<Vec<u8>, StoreError> {
        let mut list = Out::default();
        let mut next = first;
        while next < self.codes.len() && list.0.len() < CHUNK_BYTES_MAX {
            let code = self.snapshot.code(&self.codes[next])?.bytes();
            list.len(code.len());
            list.bytes(&code);
            next += 1;
        }
        self.counts.codes += (next - first) as u64;
        self.stage = Stage::Codes(next);
        Ok(self.list(KIND_CODES, next - first, &list.0))
    }

    fn list(&mut self, kind: u8, count: usize, items: &[u8]) -> Vec<u8> {
        let mut payload = Out(vec![kind]);
        payload.len(count);
        payload.bytes(items);
        self.chunk(&payload.0)
    }

    fn some_accounts(&mut self, first: usize) -> Result<Vec<u8>, StoreError> {
        let mut list = Out::default();
        let (mut next, mut rest) = (first, None);
        while next < self.addresses.len() && list.0.len() < CHUNK_BYTES_MAX && rest.is_none() {
            let address = self.addresses[next];
            // UNWRAP: addresses are those of accounts.
            let record = self.snapshot.record(&address)?.unwrap();
            list.bytes(&address[..]);
            list.account(&record.account);
            rest = self.some_slots(&mut list, record.storage_id, 0)?;
            next += 1;
        }
        self.counts.accounts += (next - first) as u64;
        self.stage = Stage::Accounts(next, rest);
        Ok(self.list(KIND_ACCOUNTS, next - first, &list.0))
    }

    /// Writes a list of slots of a storage, from the place that is given on; gives back where it ends, if not with the last.
    fn some_slots(&mut self, out: &mut Out, storage_id: u32, from: usize) -> Result<Option<usize>, StoreError> {
        let start = self.slots.partition_point(|key| key.0 < storage_id).max(from);
        let keys = self.slots[start..].iter().take_while(|key| key.0 == storage_id && storage_id != 0);
        let mut slots = Vec::new();
        let mut rest = None;
        for (index, key) in keys.enumerate() {
            let value = self.snapshot.slot_of(key)?;
            if value.is_zero() {
                continue;
            }
            if slots.len() == SLOT_COUNT_MAX {
                rest = Some(start + index);
                break;
            }
            slots.push((key.1, value));
        }
        out.len(slots.len());
        for (slot, value) in &slots {
            out.u256(slot);
            out.u256(value);
        }
        self.counts.slots += slots.len() as u64;
        Ok(rest)
    }

    fn more_slots(&mut self, next: usize, from: usize) -> Result<Vec<u8>, StoreError> {
        let mut payload = Out(vec![KIND_SLOTS]);
        let storage_id = self.slots[from].0;
        let rest = self.some_slots(&mut payload, storage_id, from)?;
        self.stage = Stage::Accounts(next, rest);
        Ok(self.chunk(&payload.0))
    }

    fn last(&mut self) -> Vec<u8> {
        let mut payload = Out(vec![KIND_END]);
        for count in [self.counts.accounts, self.counts.slots, self.counts.codes] {
            payload.u64(count);
        }
        self.stage = Stage::Done;
        self.chunk(&payload.0)
    }
}

impl Iterator for StateExport {
    type Item = Result<Vec<u8>, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.stage {
            Stage::Begin => Some(Ok(self.first())),
            Stage::Codes(next) if next < self.codes.len() => Some(self.some_codes(next)),
            Stage::Codes(_) => {
                self.stage = Stage::Accounts(0, None);
                self.next()
            }
            Stage::Accounts(next, Some(from)) => Some(self.more_slots(next, from)),
            Stage::Accounts(next, None) if next < self.addresses.len() => Some(self.some_accounts(next)),
            Stage::Accounts(..) => Some(Ok(self.last())),
            Stage::Done => None,
        }
    }
}
