//! The same reads and commits on LMDB and redb: account by address, 72 bytes of value; slot by address and number, which is
//! one look, 32 bytes of value.

use std::{path::Path, time::Instant};

use alloy_primitives::{Address, U256};
use heed::{Database, Env, EnvOpenOptions, types::Bytes};
use redb::{ReadableDatabase, TableDefinition};

use crate::{
    commits::{BLOCK_CHANGES, BLOCK_COUNT},
    timing::Spread,
    workload::{SlotKey, State, address, changes},
};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("accounts");
const SLOTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("slots");
const SLOT_KEY_BYTES: usize = 52;
const SLOT_BYTES: usize = 32;
/// BOUND: bytes that LMDB may map.
const MAP_BYTES: usize = 64 << 30;
/// What an account takes: nonce, balance and code hash.
const VALUE_BYTES: usize = 72;

fn value(nonce: u64) -> [u8; VALUE_BYTES] {
    let mut bytes = [7; VALUE_BYTES];
    bytes[..8].copy_from_slice(&nonce.to_le_bytes());
    bytes
}

/// The nonce, after all of the value was copied, as an account's is.
#[inline(always)]
fn nonce(bytes: &[u8]) -> u64 {
    let copy: Option<[u8; VALUE_BYTES]> = std::hint::black_box(bytes.first_chunk().copied());
    copy.and_then(|copy| copy.first_chunk().copied()).map_or(0, u64::from_le_bytes)
}

fn slot_key((address, slot): &SlotKey) -> [u8; SLOT_KEY_BYTES] {
    let mut bytes = [0; SLOT_KEY_BYTES];
    bytes[..20].copy_from_slice(&address[..]);
    bytes[20..].copy_from_slice(&slot.to_be_bytes::<32>());
    bytes
}

/// The low word of the value, after all of it was copied.
#[inline(always)]
fn low_word(bytes: &[u8]) -> u64 {
    let copy: Option<[u8; SLOT_BYTES]> = std::hint::black_box(bytes.first_chunk().copied());
    copy.map_or(0, |copy| U256::from_be_bytes(copy).as_limbs()[0])
}

/// Slots in order.
fn sorted_slots(state: State) -> Vec<([u8; SLOT_KEY_BYTES], u64)> {
    let mut keys: Vec<_> = (0..state.all_slots()).map(|index| (slot_key(&state.slot(index)), index + 1)).collect();
    keys.sort_unstable();
    keys
}

/// Readers whose transaction is open.
#[derive(Clone, Copy)]
pub struct Readers<'a> {
    pub account: &'a dyn Fn(&Address) -> u64,
    pub slot: &'a dyn Fn(&SlotKey) -> u64,
}

/// Keys in order, as both load fastest, with their nonces.
fn sorted(account_count: u64) -> Vec<(Address, u64)> {
    let mut keys: Vec<_> = (0..account_count).map(|index| (address(index), index + 1)).collect();
    keys.sort_unstable();
    keys
}

fn timed_commits(account_count: u64, mut commit: impl FnMut(&[(Vec<u8>, [u8; VALUE_BYTES])])) -> Spread {
    let times = (1..=BLOCK_COUNT).map(|number| {
        let changes = changes(1_000_000 + number, BLOCK_CHANGES, account_count);
        let pairs: Vec<_> = changes.accounts.keys().map(|address| (address.to_vec(), value(number))).collect();
        let start = Instant::now();
        commit(&pairs);
        start.elapsed().as_secs_f64() * 1e6
    });
    Spread::new(times.collect())
}

pub struct Lmdb {
    env: Env,
    accounts: Database<Bytes, Bytes>,
    slots: Database<Bytes, Bytes>,
}

impl Lmdb {
    pub fn create(path: &Path, state: State) -> Self {
        std::fs::create_dir_all(path).expect("a directory");
        let lmdb = Self::open(path);
        let mut write = lmdb.env.write_txn().expect("a transaction");
        for (key, number) in sorted(state.account_count) {
            lmdb.accounts.put(&mut write, &key[..], &value(number)[..]).expect("written");
        }
        for (key, number) in sorted_slots(state) {
            lmdb.slots.put(&mut write, &key, &U256::from(number).to_be_bytes::<SLOT_BYTES>()).expect("written");
        }
        write.commit().expect("committed");
        lmdb
    }

    pub fn open(path: &Path) -> Self {
        // SAFETY: nobody else opens or changes the file, which is in a directory of this run.
        let env = unsafe { EnvOpenOptions::new().map_size(MAP_BYTES).max_dbs(2).open(path) }.expect("an environment");
        let mut write = env.write_txn().expect("a transaction");
        let [accounts, slots] =
            ["accounts", "slots"].map(|name| env.create_database(&mut write, Some(name)).expect("a database"));
        write.commit().expect("committed");
        Self { env, accounts, slots }
    }

    /// Does something with readers.
    pub fn with_readers<T>(&self, act: impl FnOnce(Readers<'_>) -> T) -> T {
        let read = self.env.read_txn().expect("a transaction");
        act(Readers {
            account: &|address| self.accounts.get(&read, &address[..]).expect("readable").map_or(0, nonce),
            slot: &|key| self.slots.get(&read, &slot_key(key)).expect("readable").map_or(0, low_word),
        })
    }

    pub fn commits(&self, account_count: u64) -> Spread {
        timed_commits(account_count, |pairs| {
            let mut write = self.env.write_txn().expect("a transaction");
            for (key, value) in pairs {
                self.accounts.put(&mut write, key, value).expect("written");
            }
            write.commit().expect("committed");
        })
    }
}

pub struct Redb {
    database: redb::Database,
}

impl Redb {
    pub fn create(path: &Path, state: State) -> Self {
        let database = redb::Database::create(path).expect("a database");
        let write = database.begin_write().expect("a transaction");
        {
            let mut table = write.open_table(TABLE).expect("a table");
            for (key, number) in sorted(state.account_count) {
                table.insert(&key[..], &value(number)[..]).expect("written");
            }
            let mut table = write.open_table(SLOTS).expect("a table");
            for (key, number) in sorted_slots(state) {
                table.insert(&key[..], &U256::from(number).to_be_bytes::<SLOT_BYTES>()[..]).expect("written");
            }
        }
        write.commit().expect("committed");
        Self { database }
    }

    pub fn open(path: &Path) -> Self {
        Self { database: redb::Database::open(path).expect("a database") }
    }

    /// Does something with readers.
    pub fn with_readers<T>(&self, act: impl FnOnce(Readers<'_>) -> T) -> T {
        let read = self.database.begin_read().expect("a transaction");
        let accounts = read.open_table(TABLE).expect("a table");
        let slots = read.open_table(SLOTS).expect("a table");
        act(Readers {
            account: &|address| accounts.get(&address[..]).expect("readable").map_or(0, |found| nonce(found.value())),
            slot: &|key| slots.get(&slot_key(key)[..]).expect("readable").map_or(0, |found| low_word(found.value())),
        })
    }

    pub fn commits(&self, account_count: u64) -> Spread {
        timed_commits(account_count, |pairs| {
            let write = self.database.begin_write().expect("a transaction");
            {
                let mut table = write.open_table(TABLE).expect("a table");
                for (key, value) in pairs {
                    table.insert(&key[..], &value[..]).expect("written");
                }
            }
            write.commit().expect("committed");
        })
    }
}
