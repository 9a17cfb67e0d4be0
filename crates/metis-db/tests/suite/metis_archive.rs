//! Archives: states that left the window are read from files, and stay what they were.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use alloy_primitives::{Address, B256, U256};
use metis_db::{
    CommittedBlock, Durability, GenesisAccount, MemoryStore, MetisConfig, MetisSnapshot, MetisStore, StateImport,
    StateSnapshot, StateStore, StoreError, inspect, stats, verify,
};
use metis_disk::{Disk, Fault, SimulatedDisk};
use metis_state_transition::{Account, AccountChange, ChangeSet, StateCommitment, StateView};

const KEPT: usize = 3;

fn config() -> MetisConfig {
    MetisConfig::new([9; 4]).keeping(KEPT).with_segments(6).archiving()
}

fn address(index: u64) -> Address {
    Address::left_padding_from(&(index + 1).to_be_bytes())
}

/// What a block changes: three accounts get its number as their balance and in a slot; every fifth block takes the
/// storage of one away, every seventh an account.
fn changes(number: u64) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for index in [number % 11, number % 13, 100 + number] {
        let account = Account { nonce: number, balance: U256::from(number), ..Account::default() };
        let storage = [(U256::from(number % 3), U256::from(number)), (U256::from(9), U256::from(index))].into();
        let change = AccountChange { account: Some(account), storage_cleared: number.is_multiple_of(5), storage };
        changes.accounts.insert(address(index), change);
    }
    if number.is_multiple_of(7) {
        let gone = AccountChange { storage_cleared: true, ..AccountChange::default() };
        changes.accounts.insert(address(number % 11), gone);
    }
    changes
}

fn add<S: StateStore>(store: &S, number: u64) -> Result<(), StoreError>
where
    S::Snapshot: StateSnapshot<Error: std::fmt::Debug>,
{
    let parent = store.latest();
    let changes = changes(number);
    let state_root = parent.state_root_after(&changes).unwrap();
    let hash = B256::from(U256::from(number));
    store.commit(&parent, CommittedBlock { number, hash, parent_hash: parent.block().hash, state_root }, &changes)
}

/// A store of so many blocks with a checkpoint after every third.
fn filled(disk: &SimulatedDisk, count: u64) -> MetisStore {
    let store = MetisStore::open(Arc::new(disk.clone()), alloc(), config()).unwrap();
    for number in 1..=count {
        add(&store, number).unwrap();
        if number.is_multiple_of(3) {
            store.checkpoint().unwrap();
        }
    }
    store
}

fn alloc() -> Vec<(Address, GenesisAccount)> {
    let account = GenesisAccount { balance: U256::from(5), ..GenesisAccount::default() };
    (0..20).map(|index| (address(index), account.clone())).collect()
}

fn model(count: u64) -> MemoryStore {
    let model = MemoryStore::new(alloc(), usize::MAX);
    (1..=count).for_each(|number| add(&model, number).unwrap());
    model
}

fn assert_same(ours: &MetisSnapshot, model: &MemoryStore) {
    let theirs = model.at(ours.block().number).unwrap();
    assert_eq!(ours.block(), theirs.block());
    for address in (0..20).chain(100..200).map(address) {
        assert_eq!(ours.account(&address).unwrap(), theirs.account(&address).unwrap(), "{address}");
        for slot in [0, 1, 2, 9].map(U256::from) {
            assert_eq!(ours.storage(&address, &slot).unwrap(), theirs.storage(&address, &slot).unwrap());
        }
    }
}

fn history_files(disk: &SimulatedDisk) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.starts_with("history.")).collect()
}

#[test]
fn archive__opened_again__reads_every_block_as_it_was() {
    let (disk, model) = (SimulatedDisk::new(), model(90));
    drop(filled(&disk, 90));
    // What a store is does not follow from what it is opened with.
    let store = MetisStore::open(Arc::new(disk.clone()), [], MetisConfig::new([1; 4])).unwrap();
    let reader = MetisStore::open_to_read(&disk).unwrap();
    for number in 0..=90 {
        assert_same(&store.at(number).unwrap(), &model);
        assert_same(&reader.at(number).unwrap(), &model);
    }
    assert_eq!(store.oldest_block_number(), 0);
    assert_eq!(store.at(91).unwrap_err(), StoreError::Unavailable { block_number: 91, oldest: 0, newest: 90 });
}

#[test]
fn archive__of_many_blocks__keeps_only_the_window_in_memory_and_few_files() {
    let disk = SimulatedDisk::new();
    let store = filled(&disk, 300);
    assert_eq!(store.states().len(), KEPT + 1);
    let report = stats(&disk).unwrap();
    let archive = report.archive.unwrap();
    assert_eq!((report.state_count, archive.state_count), (KEPT as u64 + 1, 300 - KEPT as u64));
    // 99 files were made of it, four of one level always became one.
    assert!(archive.file_count <= 3 * 4, "{archive:?}");
    // What was merged goes when the generation that names it is not the last but one any more.
    assert!(history_files(&disk).len() as u64 <= archive.file_count + 16);
}

#[test]
fn archive__pruned_to_a_block__has_that_and_later_ones_and_readers_keep_theirs() {
    let (disk, model) = (SimulatedDisk::new(), model(60));
    let store = filled(&disk, 60);
    let bytes_before = inspect(&disk).unwrap().archive.unwrap().bytes;
    let reader = MetisStore::open_to_read(&disk).unwrap();
    let held = store.at(2).unwrap();
    let report = store.prune(KEPT, Some(31)).unwrap();
    assert_eq!((report.state_count_before, report.state_count), (61, 30));
    assert!(inspect(&disk).unwrap().archive.unwrap().bytes < bytes_before);
    for store in [&store, &MetisStore::open_to_read(&disk).unwrap()] {
        assert_eq!(store.oldest_block_number(), 31);
        assert!(matches!(store.at(30), Err(StoreError::Unavailable { oldest: 31, newest: 60, .. })));
        (31..=60).for_each(|number| assert_same(&store.at(number).unwrap(), &model));
    }
    // Another process reads what it has pinned, also in files that it opens late.
    (0..=60).for_each(|number| assert_same(&reader.at(number).unwrap(), &model));
    assert_same(&held, &model);
    drop((reader, held));
    (0..4).for_each(|_| store.checkpoint().unwrap());
    assert_eq!(history_files(&disk).len() as u64, inspect(&disk).unwrap().archive.unwrap().file_count);
    assert_eq!(verify(&disk).unwrap().damage, Vec::<String>::new());
}

#[test]
fn archive__taken_back_to_a_block_before_the_window__goes_on_from_there() {
    let (disk, model) = (SimulatedDisk::new(), model(60));
    let store = filled(&disk, 60);
    let held = store.at(40).unwrap();
    store.revert_to(20).unwrap();
    for number in 21..=60 {
        add(&store, number).unwrap();
        if number == 30 {
            store.checkpoint().unwrap();
        }
    }
    assert_same(&held, &model);
    store.checkpoint().unwrap();
    drop(store);
    let store = MetisStore::open(Arc::new(disk.clone()), [], config()).unwrap();
    (0..=60).for_each(|number| assert_same(&store.at(number).unwrap(), &model));
    assert_eq!(verify(&disk).unwrap().damage, Vec::<String>::new());
}

#[test]
fn archive__exported_at_an_old_block__is_the_state_of_that_block() {
    let disk = SimulatedDisk::new();
    let store = filled(&disk, 60);
    let mut import = StateImport::new(&MetisConfig::new([2; 4])).unwrap();
    for chunk in store.export(Some(17)).unwrap() {
        import.feed(&chunk.unwrap()).unwrap();
    }
    // It has the root of its block, else this would be refused.
    let imported = import.finish(Arc::new(SimulatedDisk::new())).unwrap();
    assert_eq!(imported.latest().block(), store.at(17).unwrap().block());
    assert_eq!(imported.latest().storages().unwrap(), store.at(17).unwrap().storages().unwrap());
}

#[test]
fn archive__proof_behind_too_many_changes__is_a_typed_error_and_reads_go_on() {
    let disk = SimulatedDisk::new();
    let store = MetisStore::open(Arc::new(disk), alloc(), config().keeping(0)).unwrap();
    for number in 1..=9u64 {
        let mut changes = ChangeSet::default();
        for index in 0..10_000 {
            let account = Account { nonce: number, ..Account::default() };
            changes.accounts.insert(address(index), AccountChange { account: Some(account), ..Default::default() });
        }
        let parent = store.latest();
        let state_root = parent.state_root_after(&changes).unwrap();
        let block = CommittedBlock { number, hash: B256::ZERO, parent_hash: B256::ZERO, state_root };
        store.commit(&parent, block, &changes).unwrap();
        store.checkpoint().unwrap();
    }
    let near = store.at(5).unwrap();
    assert_eq!(near.state_root_after(&ChangeSet::default()).unwrap(), near.block().state_root);
    let far = store.at(1).unwrap();
    let expected = StoreError::TooFarBack { block_number: 1, changed_count: 90_000, changed_count_max: 65_536 };
    assert_eq!(far.prove(address(1), &[]).unwrap_err(), expected);
    assert_eq!(far.account(&address(9_999)).unwrap().unwrap().nonce, 1);
}

#[test]
fn archive__file_damaged__is_a_typed_error_where_it_is_read_and_verify_says_where() {
    let disk = SimulatedDisk::new();
    drop(filled(&disk, 120));
    let whole = inspect(&disk).unwrap();
    let len = |name: &String| disk.contents(name).unwrap().len();
    let name = history_files(&disk).into_iter().max_by_key(len).unwrap();
    // The first of several pages of values.
    disk.tamper(&name, |bytes| bytes[20] ^= 1);
    assert_eq!(inspect(&disk).unwrap(), whole);
    let damage = verify(&disk).unwrap().damage;
    assert!(damage[0].contains("the history is corrupt at byte 0: a page's checksum is wrong"), "{damage:?}");
    let store = MetisStore::open(Arc::new(disk.clone()), [], config()).unwrap();
    let read = |number| store.at(number).unwrap().account(&address(1));
    assert!((0..120).map(read).any(|read| matches!(read, Err(StoreError::Corrupt { part: "history", .. }))));
    assert!(read(120).is_ok());
    drop(store);
    disk.tamper(&name, Vec::clear);
    assert!(verify(&disk).unwrap().damage[0].contains("a page is cut off"));
    disk.remove(&name).unwrap();
    let opened = MetisStore::open(Arc::new(disk), [], config());
    let problem = "a file is missing";
    assert_eq!(opened.unwrap_err(), StoreError::Corrupt { part: "history", offset: 0, problem });
}

#[test]
fn archive__checkpoint_on_a_full_disk__loses_nothing_and_the_next_one_writes_it() {
    let (disk, model) = (SimulatedDisk::new(), model(12));
    let store = filled(&disk, 10);
    (11..=12).for_each(|number| add(&store, number).unwrap());
    for operation in 0..4 {
        disk.fail_at(disk.operation_count() + operation, Fault::Partial(100, std::io::ErrorKind::StorageFull));
        assert!(matches!(store.checkpoint(), Err(StoreError::Io { .. })));
        disk.clear_faults();
        (0..=12).for_each(|number| assert_same(&store.at(number).unwrap(), &model));
        let left = MetisStore::open(Arc::new(disk.crash(operation)), [], config()).unwrap();
        (0..=12).for_each(|number| assert_same(&left.at(number).unwrap(), &model));
    }
    store.checkpoint().unwrap();
    assert_eq!(store.states().len(), KEPT + 1);
    (0..=12).for_each(|number| assert_same(&store.at(number).unwrap(), &model));
}

#[test]
fn archive__checkpoints_beside_blocks_that_come_and_go__stays_what_it_was() {
    let disk = SimulatedDisk::new();
    let config = config().durable(Durability::OnCheckpoint);
    let store = MetisStore::open(Arc::new(disk.clone()), alloc(), config.clone()).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                store.checkpoint().unwrap();
            }
        });
        let mut number = 0;
        for round in 0..120 {
            number += 1;
            add(&store, number).unwrap();
            // Now and then behind what is kept whole, also while a checkpoint moves it.
            let back = [0, 0, 0, 2, 0, 9, 0][round % 7].min(number);
            store.undo(back as usize).unwrap();
            number -= back;
        }
        is_over.store(true, Ordering::Relaxed);
    });
    store.checkpoint().unwrap();
    let newest = store.latest().block().number;
    let model = model(newest);
    (0..=newest).for_each(|number| assert_same(&store.at(number).unwrap(), &model));
    drop(store);
    let store = MetisStore::open(Arc::new(disk.clone()), [], config).unwrap();
    (0..=newest).for_each(|number| assert_same(&store.at(number).unwrap(), &model));
    assert_eq!(verify(&disk).unwrap().damage, Vec::<String>::new());
}

/// Run with `--ignored --nocapture`: what docs/operate.md and docs/metisdb.md say of sizes and times.
#[test]
#[ignore = "measures"]
fn archive__of_token_transfers__prints_what_it_takes() {
    const BLOCKS: u64 = 2_000;
    const TRANSFERS: u64 = 200;
    const HOLDERS: u64 = 50_000;
    let folder = tempfile::tempdir().unwrap();
    let disk = metis_disk::FileDisk::new(folder.path()).unwrap();
    let config = MetisConfig::new([9; 4]).archiving().durable(Durability::OnCheckpoint);
    let store = MetisStore::open(Arc::new(disk), [], config).unwrap();
    let slot = |holder: u64| U256::from_be_bytes(alloy_primitives::keccak256(holder.to_be_bytes()).0);
    let mut state = 7u64;
    let mut chosen = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % HOLDERS
    };
    let mut changed_count = 0;
    for number in 1..=BLOCKS {
        let mut changes = ChangeSet::default();
        for _ in 0..TRANSFERS {
            let (from, to) = (chosen(), chosen());
            let balance = U256::from(10).pow(U256::from(18)) - U256::from(number * 21_000);
            let account = Account { nonce: number, balance, ..Account::default() };
            changes.accounts.insert(address(from), AccountChange { account: Some(account), ..Default::default() });
            let token = changes.accounts.entry(Address::repeat_byte(7)).or_default();
            token.account = Some(Account { nonce: 1, code_hash: B256::repeat_byte(1), ..Account::default() });
            let value = U256::from(10).pow(U256::from(20)) + U256::from(number);
            token.storage.extend([(slot(from), value), (slot(to), value)]);
        }
        changed_count += changes.accounts.values().map(|change| 1 + change.storage.len() as u64).sum::<u64>();
        let parent = store.latest();
        let state_root = parent.state_root_after(&changes).unwrap();
        let block = CommittedBlock { number, hash: B256::ZERO, parent_hash: B256::ZERO, state_root };
        store.commit(&parent, block, &changes).unwrap();
        if number.is_multiple_of(100) {
            store.checkpoint().unwrap();
        }
    }
    let disk = metis_disk::FileDisk::new(folder.path()).unwrap();
    let archive = inspect(&disk).unwrap().archive.unwrap();
    println!("{changed_count} values changed in {BLOCKS} blocks: {archive:?}");
    for number in [10, 1_000, 1_800] {
        let snapshot = store.at(number).unwrap();
        let mut times_ns: Vec<u128> = (0..20_000)
            .map(|_| {
                let slot = slot(chosen());
                let begun = std::time::Instant::now();
                std::hint::black_box(snapshot.storage(&Address::repeat_byte(7), &slot).unwrap());
                begun.elapsed().as_nanos()
            })
            .collect();
        times_ns.sort_unstable();
        println!("a slot at block {number}: {} ns in the median, {} of 99 %", times_ns[10_000], times_ns[19_800]);
    }
}
