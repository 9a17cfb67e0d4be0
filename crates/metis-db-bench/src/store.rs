//! Reads and commits of all contestants, which take turns.

use std::{hint::black_box, path::Path, sync::Arc, time::Instant};

use alloy_primitives::{Address, U256};
use metis_db::{Durability, MemoryStore, MetisConfig, MetisSnapshot, MetisStore, StateStore};
use metis_disk::FileDisk;
use metis_state_transition::{Account, StateCommitment, StateView};
use rustix::fs::{Advice, fadvise};
use serde_json::Value;

use crate::{
    blocks,
    commits::{self, BLOCK_CHANGES},
    floors, progress,
    reads::{self, Keys},
    rivals::{Lmdb, Readers, Redb},
    timing::{Spread, count, row},
    workload::{SlotKey, State, address},
};

/// Keys of the hot reads.
pub const HOT_COUNT: u64 = 10_000;
/// Accounts that are loaded at a time: memory for what is on its way stays bounded.
const LOAD_COUNT: u64 = 50_000;
/// Reads of a store that was just opened.
const COLD_COUNT: usize = 2_000;
/// BOUND: accounts for which the in-memory store is measured too; it takes more than a kilobyte for each.
const MEMORY_ACCOUNTS_MAX: u64 = 1_000_000;
const BATCH: usize = 1_000;

/// The state, a block for each part of it.
fn load<S: StateStore>(store: &S, name: &str, state: State) {
    for first in (0..state.account_count).step_by(LOAD_COUNT as usize) {
        progress(&format!("{name}: {first} of {} accounts", state.account_count));
        let changes = state.part(first..(first + LOAD_COUNT).min(state.account_count));
        let parent = store.latest();
        let state_root = parent.state_root_after(&changes).map_err(|error| error.to_string()).expect("readable");
        let before = metis_db::StateSnapshot::block(&*parent);
        let block = metis_db::CommittedBlock {
            number: before.number + 1,
            hash: state_root,
            parent_hash: before.hash,
            state_root,
        };
        store.commit(&parent, block, &changes).expect("committed");
    }
}

/// Has the kernel forget what it has of the files of a folder, or of one file.
fn drop_from_page_cache(path: &Path) {
    let files: Vec<_> = if path.is_dir() {
        std::fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()).collect()
    } else {
        vec![path.to_owned()]
    };
    for file in files {
        let file = std::fs::File::open(file).expect("a file");
        file.sync_all().expect("synced");
        fadvise(&file, 0, None, Advice::DontNeed).expect("advice");
    }
}

/// A store that was closed and forgotten by the kernel, opened again.
struct Opened<T> {
    store: T,
    open_ms: Spread,
    first: Spread,
}

fn open_cold<T>(path: &Path, open: impl FnOnce() -> T, first: impl FnOnce(&T) -> Spread) -> Opened<T> {
    drop_from_page_cache(path);
    let start = Instant::now();
    let store = open();
    let open_ms = Spread::new(vec![start.elapsed().as_secs_f64() * 1e3]);
    let first = first(&store);
    Opened { store, open_ms, first }
}

/// The account's nonce, and all of the account read. Who looks at it where it is does not move it either.
#[inline(always)]
fn nonce<E>(account: &Result<Option<Account>, E>) -> u64 {
    black_box(account);
    if let Ok(Some(account)) = account { account.nonce } else { 0 }
}

/// The low word of a value, and all of it read.
#[inline(always)]
fn low_word<E>(value: &Result<U256, E>) -> u64 {
    black_box(value);
    value.as_ref().map_or(0, |value| value.as_limbs()[0])
}

#[inline(always)]
fn read_metis(snapshot: &MetisSnapshot, address: &Address) -> u64 {
    nonce(&snapshot.account(address))
}

pub fn rows(state: State) -> Vec<Value> {
    let directory = tempfile::tempdir().expect("a directory");
    let [metis_path, lmdb_path, redb_path] = ["metis", "lmdb", "redb"].map(|name| directory.path().join(name));
    let keys = Keys::random(state.account_count, address);
    let config = MetisConfig::new([1, 2, 3, 4]).keeping(1);

    let (disk, syncs) = commits::counted(FileDisk::new(&metis_path).expect("a directory"));
    let disk = Arc::new(disk);
    let start = Instant::now();
    let store = MetisStore::open(disk.clone(), [], config.clone().durable(Durability::OnCheckpoint)).expect("a store");
    load(&store, "metis", state);
    store.checkpoint().expect("a checkpoint");
    let load_s = start.elapsed().as_secs_f64();
    drop(store);
    let metis = open_cold(
        &metis_path,
        || MetisStore::open(disk.clone(), [], config).expect("a store"),
        |store| {
            let snapshot = store.latest();
            reads::measure_first(&keys, COLD_COUNT, &|address: &Address| read_metis(&snapshot, address))
        },
    );
    let huge_part = huge_part();
    progress("lmdb: loading");
    drop(Lmdb::create(&lmdb_path, state));
    let lmdb = open_cold(
        &lmdb_path,
        || Lmdb::open(&lmdb_path),
        |lmdb| lmdb.with_readers(|readers| reads::measure_first(&keys, COLD_COUNT, &readers.account)),
    );
    progress("redb: loading");
    drop(Redb::create(&redb_path, state));
    let redb = open_cold(
        &redb_path,
        || Redb::open(&redb_path),
        |redb| redb.with_readers(|readers| reads::measure_first(&keys, COLD_COUNT, &readers.account)),
    );
    let memory = (state.account_count <= MEMORY_ACCOUNTS_MAX).then(|| {
        let store = MemoryStore::new([], 1);
        load(&store, "memory", state);
        store
    });
    let mut rows = vec![
        count("load, the roots with it", "s", load_s),
        row("open, files cold", "ms", &metis.open_ms, &[("lmdb", &lmdb.open_ms), ("redb", &redb.open_ms)]),
        row(
            "read, any account, the first ones after that",
            "ns",
            &metis.first,
            &[("lmdb", &lmdb.first), ("redb", &redb.first)],
        ),
    ];
    rows.extend(huge_part.map(|part| count("memory in huge pages", "of all", part)));
    let (metis, lmdb, redb) = (metis.store, lmdb.store, redb.store);
    let snapshot = metis.latest();
    let account = |address: &Address| read_metis(&snapshot, address);
    let slot = |key: &SlotKey| low_word(&snapshot.storage(&key.0, &key.1));
    let in_memory = memory.as_ref().map(StateStore::latest);
    let memory_account = |address: &Address| nonce(&in_memory.as_ref().expect("measured").account(address));
    let memory_slot = |key: &SlotKey| low_word(&in_memory.as_ref().expect("measured").storage(&key.0, &key.1));
    rows.extend(lmdb.with_readers(|lmdb| {
        redb.with_readers(|redb| {
            let mut rivals = vec![("lmdb", lmdb), ("redb", redb)];
            let memory = Readers { account: &memory_account, slot: &memory_slot };
            rivals.extend(in_memory.is_some().then_some(("memory", memory)));
            let hot = Keys::hot(HOT_COUNT, state.account_count, address);
            let accounts = rivals.iter().map(|(name, readers)| (*name, readers.account)).collect::<Vec<_>>();
            let mut rows = contest("10,000 hot accounts", &hot, &account, &accounts);
            rows.extend(contest("any account", &keys, &account, &accounts));
            if state.all_slots() >= HOT_COUNT {
                let slots = rivals.iter().map(|(name, readers)| (*name, readers.slot)).collect::<Vec<_>>();
                let key = |index| state.slot(index);
                let hot = Keys::hot(HOT_COUNT, state.all_slots(), key);
                rows.extend(contest("10,000 hot slots", &hot, &slot, &slots));
                rows.extend(contest("any slot", &Keys::random(state.all_slots(), key), &slot, &slots));
            }
            rows
        })
    }));
    let name = "line of memory, 10,000 out of 256 MiB in huge pages, each after the one before";
    rows.push(row(name, "ns", &floors::line(HOT_COUNT as usize), &[]));
    rows.push(batched(&metis, &lmdb, &redb, &keys));
    rows.extend(blocks::rows(&metis, state));
    progress("commits");
    let ([root_us, commit_us], syncs) = commits::measure(&metis, &syncs, state.account_count);
    let (lmdb, redb) = (lmdb.commits(state.account_count), redb.commits(state.account_count));
    rows.push(row(
        &format!("durable commit of {BLOCK_CHANGES} accounts, root known"),
        "us",
        &commit_us,
        &[("lmdb", &lmdb), ("redb", &redb)],
    ));
    rows.push(count("fdatasync and fsync of that", "calls", syncs));
    rows.push(row("root of those accounts, on all threads, of the store", "us", &root_us, &[]));
    rows
}

/// Who else reads, and how.
type Rival<'a, K> = (&'a str, &'a dyn Fn(&K) -> u64);

/// Two rows: reads of these keys that wait for each other, and that do not.
fn contest<K>(name: &str, keys: &Keys<K>, ours: &impl Fn(&K) -> u64, rivals: &[Rival<'_, K>]) -> Vec<Value> {
    let hows = [("each after the one before", true), ("independent", false)];
    let rows = hows.map(|(how, is_dependent)| {
        progress(&format!("reads: {name}, {how}"));
        let ours = reads::measure(keys, is_dependent, ours);
        let spreads: Vec<_> =
            rivals.iter().map(|(rival, read)| (*rival, reads::measure(keys, is_dependent, read))).collect();
        let rivals: Vec<_> = spreads.iter().map(|(rival, spread)| (*rival, spread)).collect();
        row(&format!("read, {name}, {how}"), "ns", &ours, &rivals)
    });
    rows.into()
}

fn batched(metis: &MetisStore, lmdb: &Lmdb, redb: &Redb, keys: &Keys<Address>) -> Value {
    fn one_by_one(read: impl Fn(&Address) -> u64, batch: &[Address]) {
        black_box(batch.iter().fold(0_u64, |sum, address| sum.wrapping_add(read(address))));
    }
    let snapshot = metis.latest();
    let ours = reads::measure_batches(keys, BATCH, |batch| {
        black_box(snapshot.accounts(batch).expect("readable"));
    });
    let lmdb = lmdb.with_readers(|of| reads::measure_batches(keys, BATCH, |batch| one_by_one(of.account, batch)));
    let redb = redb.with_readers(|of| reads::measure_batches(keys, BATCH, |batch| one_by_one(of.account, batch)));
    let name = format!("read, any account, in batches of {BATCH}");
    row(&name, "ns", &ours, &[("lmdb", &lmdb), ("redb", &redb)])
}

/// Which part of this process's anonymous memory is in huge pages.
fn huge_part() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/smaps_rollup").ok()?;
    let kilobytes = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    Some(kilobytes("AnonHugePages:")? / kilobytes("Anonymous:")?)
}
