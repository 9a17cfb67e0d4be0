//! Readers with their own view of the files, as those of other processes have, beside a writer.

use std::{
    hash::Hasher,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use alloy_primitives::{Address, B256, U256};
use metis_db::{
    CommittedBlock, GenesisAccount, MetisConfig, MetisSnapshot, MetisStore, StateSnapshot, StateStore, StoreError,
};
use metis_disk::{Disk, FileDisk};
use metis_state_transition::{Account, AccountChange, ChangeSet, StateCommitment, StateView};
use rustix::time::{ClockId, clock_gettime};

const ACCOUNT_COUNT: u64 = 3_000;
const READER_COUNT: usize = 8;
/// Says to the test that is another process's reader which store it reads.
const CHILD_STORE: &str = "METIS_TEST_READER_STORE";

fn address(index: u64) -> Address {
    Address::left_padding_from(&(index + 1).to_be_bytes())
}

fn sum_of(states: impl Iterator<Item = (Option<Account>, U256)>) -> B256 {
    let mut hasher = std::collections::hash_map::DefaultHasher::new();
    for (account, value) in states {
        hasher.write_u64(account.map_or(u64::MAX, |account| account.nonce));
        let limbs = account.unwrap_or_default().balance;
        limbs.as_limbs().iter().chain(value.as_limbs()).for_each(|limb| hasher.write_u64(*limb));
    }
    B256::from(U256::from(hasher.finish()))
}

/// Each block's hash is the sum of all of its state: a value of another block shows.
fn checksum(snapshot: &MetisSnapshot) -> B256 {
    sum_of((0..ACCOUNT_COUNT).map(|index| {
        let account = snapshot.account(&address(index)).unwrap();
        (account, snapshot.storage(&address(index), &U256::from(1)).unwrap())
    }))
}

fn changes(number: u64) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for step in 0..60 {
        let index = (number * 977 + step * 131) % ACCOUNT_COUNT;
        let value = U256::from(number) * U256::from(0x0001_0001_0001_0001_u64);
        let account = !(number + step).is_multiple_of(11);
        let change = AccountChange {
            account: account.then_some(Account { nonce: number, balance: value << 100, ..Account::default() }),
            storage_cleared: !account,
            storage: account.then_some((U256::from(1), value << 60)).into_iter().collect(),
        };
        changes.accounts.insert(address(index), change);
    }
    changes
}

fn alloc() -> Vec<(Address, GenesisAccount)> {
    let account = GenesisAccount { balance: U256::from(1), ..GenesisAccount::default() };
    (0..ACCOUNT_COUNT).map(|index| (address(index), account.clone())).collect()
}

fn open(path: &std::path::Path) -> MetisStore {
    let disk = Arc::new(FileDisk::new(path).unwrap());
    MetisStore::open(disk, alloc(), MetisConfig::new([6; 4]).keeping(8).with_segments(8)).unwrap()
}

fn open_to_read(path: &std::path::Path) -> MetisStore {
    MetisStore::open_to_read(&FileDisk::new(path).unwrap()).unwrap()
}

/// Commits blocks; gives back the time that this thread's processor spent on each.
fn commit(store: &MetisStore, count: u64, mirror: &mut Vec<(Option<Account>, U256)>) -> Vec<Duration> {
    mirror.resize(ACCOUNT_COUNT as usize, (Some(Account { balance: U256::from(1), ..Account::default() }), U256::ZERO));
    let first = store.latest().block().number + 1;
    let mut times = Vec::new();
    for number in first..first + count {
        let changes = changes(number);
        for index in 0..ACCOUNT_COUNT {
            if let Some(change) = changes.accounts.get(&address(index)) {
                mirror[index as usize] =
                    (change.account, change.storage.get(&U256::from(1)).copied().unwrap_or_default());
            }
        }
        let hash = sum_of(mirror.iter().copied());
        let begun = clock_gettime(ClockId::ThreadCPUTime);
        let parent = store.latest();
        let state_root = parent.state_root_after(&changes).unwrap();
        let block = CommittedBlock { number, hash, parent_hash: parent.block().hash, state_root };
        store.commit(&parent, block, &changes).unwrap();
        if number % 40 == 0 {
            store.checkpoint().unwrap();
        }
        let ended = clock_gettime(ClockId::ThreadCPUTime);
        times.push(Duration::try_from(ended - begun).unwrap());
    }
    times
}

fn pins(path: &std::path::Path) -> usize {
    let names = FileDisk::new(path).unwrap().list().unwrap();
    names.iter().filter(|name| name.starts_with("pin.")).count()
}

#[test]
fn open_to_read__beside_a_writer__has_the_newest_block_and_stays_at_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut mirror = Vec::new();
    commit(&store, 45, &mut mirror);
    let reader = open_to_read(directory.path());
    let newest = reader.latest();
    assert_eq!(newest.block(), store.latest().block());
    // Many generations, each of which could write where this one lies.
    for _ in 0..12 {
        commit(&store, 9, &mut mirror);
        store.checkpoint().unwrap();
        assert_eq!(checksum(&newest), newest.block().hash);
    }
    assert_eq!(newest.block().number, 45);
    assert_eq!(newest.state_root_after(&ChangeSet::default()).unwrap(), newest.block().state_root);
    let older = reader.at(40).unwrap();
    assert_eq!(checksum(&older), older.block().hash);
    let proof = newest.prove(address(3), &[U256::from(1)]).unwrap();
    proof.verify(newest.block().state_root).unwrap();
    assert_eq!(checksum(&open_to_read(directory.path()).latest()), store.latest().block().hash);
}

#[test]
fn open_to_read__its_pages__are_kept_until_its_last_snapshot_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut mirror = Vec::new();
    commit(&store, 3, &mut mirror);
    let reader = open_to_read(directory.path());
    let held = reader.latest();
    drop(reader);
    assert_eq!(pins(directory.path()), 1);
    // Also by a writer that did not see the pin being made.
    drop(store);
    let store = open(directory.path());
    for _ in 0..6 {
        commit(&store, 5, &mut mirror);
        store.checkpoint().unwrap();
        assert_eq!(checksum(&held), held.block().hash);
    }
    let size = || std::fs::metadata(directory.path().join("state")).unwrap().len();
    drop(held);
    assert_eq!(pins(directory.path()), 0);
    (0..4).for_each(|_| store.checkpoint().unwrap());
    let before = size();
    for _ in 0..12 {
        commit(&store, 5, &mut mirror);
        store.checkpoint().unwrap();
    }
    assert!(size() <= before, "pages that nobody holds are used again");
}

#[test]
fn open_to_read__what_would_change_it__is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(open(directory.path()));
    let reader = open_to_read(directory.path());
    let newest = reader.latest();
    assert_eq!(reader.patch(&newest, &changes(1)), Err(StoreError::ReadOnly));
    assert_eq!(reader.checkpoint(), Err(StoreError::ReadOnly));
}

#[test]
fn checkpoint__a_pin_of_nobody__is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    std::fs::write(directory.path().join("pin.0000000000000001.1.1"), "").unwrap();
    store.checkpoint().unwrap();
    assert_eq!(pins(directory.path()), 0);
}

/// What a reader of another process does until it is killed: take hold of the newest block, and sum it up twice.
#[test]
#[ignore = "the other process of a test"]
fn reader_of_another_process() {
    let Ok(path) = std::env::var(CHILD_STORE) else { return };
    loop {
        let snapshot = open_to_read(path.as_ref()).latest();
        for _ in 0..2 {
            assert_eq!(checksum(&snapshot), snapshot.block().hash, "block {}", snapshot.block().number);
        }
        println!("read block {}", snapshot.block().number);
    }
}

fn start_reader(path: &std::path::Path) -> Child {
    let name = "metis_processes::reader_of_another_process";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--nocapture", name]).env(CHILD_STORE, path);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// How many reads a reader had done when it was ended; it must not have ended by itself.
fn end_reader(mut reader: Child) -> usize {
    assert_eq!(reader.try_wait().unwrap(), None, "a reader found a block that was torn");
    reader.kill().unwrap();
    let output = reader.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).matches("read block").count()
}

fn median_us(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e6
}

fn mean_us(times: &[Duration]) -> f64 {
    times.iter().sum::<Duration>().as_secs_f64() * 1e6 / times.len() as f64
}

#[test]
#[ignore = "takes a minute; prints what readers cost the writer"]
fn readers__in_threads_and_in_processes_while_a_thousand_blocks_are_written__see_whole_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(directory.path()));
    let mut mirror = Vec::new();
    let alone = commit(&store, 1_000, &mut mirror);

    let is_done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..READER_COUNT)
        .map(|_| {
            let (store, is_done) = (Arc::clone(&store), Arc::clone(&is_done));
            thread::spawn(move || {
                let mut count = 0;
                while !is_done.load(SeqCst) {
                    let snapshot = store.latest();
                    if snapshot.block().number > 0 {
                        assert_eq!(checksum(&snapshot), snapshot.block().hash);
                    }
                    count += 1;
                }
                count
            })
        })
        .collect();
    let with_threads = commit(&store, 1_000, &mut mirror);
    is_done.store(true, SeqCst);
    let thread_reads: usize = readers.into_iter().map(|reader| reader.join().unwrap()).sum();

    let readers: Vec<Child> = (0..READER_COUNT).map(|_| start_reader(directory.path())).collect();
    let with_processes = commit(&store, 1_000, &mut mirror);
    let process_reads: usize = readers.into_iter().map(end_reader).sum();

    let alone_again = commit(&store, 1_000, &mut mirror);
    for (name, times) in
        [("alone", alone), ("8 threads", with_threads), ("8 processes", with_processes), ("alone again", alone_again)]
    {
        println!(
            "{name}: {:.1} us of processor a block in the mean, {:.1} in the median",
            mean_us(&times),
            median_us(times)
        );
    }
    println!("{thread_reads} blocks read in threads, {process_reads} in processes");
    assert!(thread_reads >= READER_COUNT && process_reads >= READER_COUNT);
}
