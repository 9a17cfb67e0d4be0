//! The same reads and commits on LMDB and redb: account by address, 72 bytes of value.

use std::{path::Path, time::Instant};

use heed::{Database, Env, EnvOpenOptions, types::Bytes};
use redb::{ReadableDatabase, TableDefinition};

use crate::{
    BLOCK_CHANGES, BLOCK_COUNT, median, reads,
    workload::{address, changes},
};

const TABLE: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("accounts");
/// BOUND: bytes that LMDB may map.
const MAP_BYTES: usize = 16 << 30;

fn value(nonce: u64) -> [u8; 72] {
    let mut bytes = [7; 72];
    bytes[..8].copy_from_slice(&nonce.to_le_bytes());
    bytes
}

fn nonce(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

fn timed_commits(account_count: u64, mut commit: impl FnMut(&[(Vec<u8>, [u8; 72])])) -> f64 {
    let times = (1..=BLOCK_COUNT).map(|number| {
        let changes = changes(number, BLOCK_CHANGES, account_count);
        let pairs: Vec<_> = changes.accounts.keys().map(|address| (address.to_vec(), value(number))).collect();
        let start = Instant::now();
        commit(&pairs);
        start.elapsed().as_nanos() as f64 / 1e3
    });
    median(times.collect())
}

pub struct Lmdb {
    env: Env,
    accounts: Database<Bytes, Bytes>,
}

impl Lmdb {
    pub fn new(path: &Path, account_count: u64) -> Self {
        std::fs::create_dir_all(path).expect("a directory");
        // SAFETY: nobody else opens or changes the file, which is in a directory of this run.
        let env = unsafe { EnvOpenOptions::new().map_size(MAP_BYTES).open(path) }.expect("an environment");
        let mut write = env.write_txn().expect("a transaction");
        let accounts = env.create_database(&mut write, None).expect("a database");
        let mut keys: Vec<_> = (0..account_count).map(|index| (address(index), index + 1)).collect();
        keys.sort_unstable();
        for (key, number) in keys {
            accounts.put(&mut write, &key[..], &value(number)[..]).expect("written");
        }
        write.commit().expect("committed");
        Self { env, accounts }
    }

    pub fn reads(&self, key_count: u64) -> [f64; 2] {
        let read = self.env.read_txn().expect("a transaction");
        reads(key_count, |index| self.accounts.get(&read, &address(index)[..]).expect("readable").map_or(0, nonce))
    }

    pub fn commits(&self, account_count: u64) -> f64 {
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
    pub fn new(path: &Path, account_count: u64) -> Self {
        let database = redb::Database::create(path).expect("a database");
        let write = database.begin_write().expect("a transaction");
        {
            let mut table = write.open_table(TABLE).expect("a table");
            let mut keys: Vec<_> = (0..account_count).map(|index| (address(index), index + 1)).collect();
            keys.sort_unstable();
            for (key, number) in keys {
                table.insert(&key[..], &value(number)[..]).expect("written");
            }
        }
        write.commit().expect("committed");
        Self { database }
    }

    pub fn reads(&self, key_count: u64) -> [f64; 2] {
        let read = self.database.begin_read().expect("a transaction");
        let table = read.open_table(TABLE).expect("a table");
        reads(key_count, |index| {
            table.get(&address(index)[..]).expect("readable").map_or(0, |found| nonce(found.value()))
        })
    }

    pub fn commits(&self, account_count: u64) -> f64 {
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
