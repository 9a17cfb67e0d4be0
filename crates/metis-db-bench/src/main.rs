//! MetisDB beside LMDB (heed), redb and the in-memory store: reads and durable commits in one run.
//!
//! Usage: `metis-db-bench [ACCOUNTS] [SLOTS]`; prints one JSON document. A read is one account by
//! its address, out of a snapshot or read transaction that is open; each read waits for the one
//! before it, so that no processor hides one miss behind another. Figures are medians over groups
//! of reads, in nanoseconds.

mod rivals;
mod workload;

use std::{hint::black_box, time::Instant};

use metis_db::{CommittedBlock, MemoryStore, MetisConfig, MetisStore, StateKey, StateSnapshot, StateStore};
use metis_state_transition::{StateCommitment, StateView};
use serde_json::json;

use workload::{Random, address, alloc, changes};

/// Keys of the hot reads.
const HOT_COUNT: u64 = 10_000;
/// Reads that are timed together: the clock costs more than one read.
const GROUP: u64 = 16;
const GROUP_COUNT: usize = 20_000;
/// Changed accounts of a block.
const BLOCK_CHANGES: u64 = 1_000;
const BLOCK_COUNT: u64 = 20;

/// Nanoseconds per read: 50th and 99th percentile over groups.
fn reads(key_count: u64, mut read: impl FnMut(u64) -> u64) -> [f64; 2] {
    let (mut random, zero) = (Random(7), black_box(0));
    let mut last = 0;
    let mut nanoseconds: Vec<f64> = (0..GROUP_COUNT + 1_000)
        .map(|_| {
            let start = Instant::now();
            for _ in 0..GROUP {
                // What was read is part of what is read next.
                last = read((random.next() ^ (last & zero)) % key_count);
            }
            start.elapsed().as_nanos() as f64 / GROUP as f64
        })
        .skip(1_000)
        .collect();
    black_box(last);
    nanoseconds.sort_unstable_by(f64::total_cmp);
    [nanoseconds[nanoseconds.len() / 2], nanoseconds[nanoseconds.len() / 100 * 99]]
}

fn batched(key_count: u64, snapshot: &metis_db::MetisSnapshot) -> f64 {
    let mut random = Random(11);
    let mut nanoseconds: Vec<f64> = (0..400)
        .map(|_| {
            let keys: Vec<_> = (0..1_000).map(|_| address(random.next() % key_count)).collect();
            let start = Instant::now();
            black_box(snapshot.accounts(&keys));
            start.elapsed().as_nanos() as f64 / keys.len() as f64
        })
        .collect();
    nanoseconds.sort_unstable_by(f64::total_cmp);
    nanoseconds[nanoseconds.len() / 2]
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Microseconds of a commit of changes whose root is known, on the disk when it returns.
fn metis_commits(store: &MetisStore, account_count: u64) -> f64 {
    let times = (1..=BLOCK_COUNT).map(|number| {
        let changes = changes(number, BLOCK_CHANGES, account_count);
        let parent = store.latest();
        let state_root = parent.state_root_after(&changes).expect("readable");
        let before = parent.block();
        let block =
            CommittedBlock { number: before.number + 1, hash: state_root, parent_hash: before.hash, state_root };
        let start = Instant::now();
        store.commit(&parent, block, &changes).expect("committed");
        start.elapsed().as_nanos() as f64 / 1e3
    });
    median(times.collect())
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>().expect("a number"));
    let account_count = arguments.next().unwrap_or(1_000_000);
    let slot_count = arguments.next().unwrap_or(1_000_000);
    let directory = tempfile::tempdir().expect("a directory");
    let disk = metis_disk::FileDisk::new(directory.path().join("metis")).expect("a directory");
    let disk = std::sync::Arc::new(disk);
    let start = Instant::now();
    let config = MetisConfig::new([1, 2, 3, 4]);
    let store = MetisStore::open(disk.clone(), alloc(account_count, slot_count), config.clone()).expect("a store");
    let load_s = start.elapsed().as_secs_f64();
    let snapshot = store.latest();
    let metis_read = |index: u64| {
        let account = snapshot.account(&address(index)).expect("readable");
        account.map_or(0, |account| account.nonce)
    };
    let memory = MemoryStore::new(alloc(account_count, slot_count), 8);
    let memory_snapshot = memory.latest();
    let memory_read = |index: u64| {
        let account = memory_snapshot.account(&address(index)).expect("readable");
        account.map_or(0, |account| account.nonce)
    };
    let lmdb = rivals::Lmdb::new(&directory.path().join("lmdb"), account_count);
    let redb = rivals::Redb::new(&directory.path().join("redb"), account_count);
    let mut rows = Vec::new();
    for (name, key_count) in [("read, 10,000 hot accounts", HOT_COUNT), ("read, any account", account_count)] {
        let addresses: f64 = reads(key_count, |index| u64::from(address(index)[19]))[0];
        let figures = [
            ("metis", reads(key_count, metis_read)),
            ("memory", reads(key_count, memory_read)),
            ("lmdb", lmdb.reads(key_count)),
            ("redb", redb.reads(key_count)),
        ];
        for (percentile, label) in [(0, "p50"), (1, "p99")] {
            let row: Vec<(&str, f64)> = figures.iter().map(|(who, both)| (*who, both[percentile])).collect();
            rows.push(json!({
                "name": format!("{name}, {label}"), "unit": "ns", "metis": row[0].1,
                "rivals": {"memory": row[1].1, "lmdb": row[2].1, "redb": row[3].1},
                "ratio_best_rival": row[2].1.min(row[3].1) / row[0].1,
                "of_which_making_the_key": addresses,
            }));
        }
    }
    rows.push(json!({"name": "read, any account, in batches of 1,000", "unit": "ns",
        "metis": batched(account_count, &snapshot), "rivals": {}, "ratio_best_rival": null}));
    let start = Instant::now();
    snapshot.prefetch(&[StateKey::Account(address(1))]);
    black_box(start.elapsed());
    let (commit, lmdb_commit, redb_commit) =
        (metis_commits(&store, account_count), lmdb.commits(account_count), redb.commits(account_count));
    rows.push(json!({"name": "durable commit of 1,000 accounts, root known", "unit": "us", "metis": commit,
        "rivals": {"lmdb": lmdb_commit, "redb": redb_commit},
        "ratio_best_rival": lmdb_commit.min(redb_commit) / commit}));
    let start = Instant::now();
    store.checkpoint().expect("a checkpoint");
    let checkpoint_s = start.elapsed().as_secs_f64();
    drop((snapshot, store));
    let start = Instant::now();
    let store = MetisStore::open(disk, [], config).expect("a store");
    let open_s = start.elapsed().as_secs_f64();
    let document = json!({
        "accounts": account_count, "slots": slot_count, "block": store.latest().block().number, "rows": rows,
        "load_s": load_s, "checkpoint_s": checkpoint_s, "open_s": open_s,
    });
    println!("{document}");
}
