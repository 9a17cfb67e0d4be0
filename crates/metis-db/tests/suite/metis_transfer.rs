//! States that leave a store and come into another, and stores that become smaller.

use std::{io::ErrorKind, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, U256};
use metis_db::{
    CommittedBlock, GenesisAccount, MetisConfig, MetisSnapshot, MetisStore, StateImport, StateSnapshot, StateStore,
    StoreError, stats, verify,
};
use metis_disk::{Disk, Fault, SimulatedDisk};
use metis_state_transition::{Account, AccountChange, ChangeSet, StateCommitment, StateView};
use proptest::prelude::*;

const ACCOUNT_COUNT: u64 = 400;
/// More slots than one chunk of an export has.
const LARGE_SLOT_COUNT: u64 = 40_000;

fn address(index: u64) -> Address {
    Address::left_padding_from(&(index + 1).to_be_bytes())
}

fn config() -> MetisConfig {
    MetisConfig::new([12; 4]).keeping(20).with_segments(7)
}

fn alloc(large_slot_count: u64) -> Vec<(Address, GenesisAccount)> {
    let account = |index: u64| {
        let slot_count = if index == 7 { large_slot_count } else { index % 4 };
        GenesisAccount {
            nonce: index,
            balance: U256::from(index) << 200,
            code: Bytes::from(vec![index as u8; (index % 9) as usize]),
            storage: (0..slot_count).map(|slot| (U256::from(slot * 3), U256::from(slot + 1))).collect(),
        }
    };
    (0..ACCOUNT_COUNT).map(|index| (address(index), account(index))).collect()
}

fn commit(store: &MetisStore, count: u64) {
    for _ in 0..count {
        let parent = store.latest();
        let number = parent.block().number + 1;
        let mut changes = ChangeSet::default();
        for step in 0..30 {
            let account = Account { nonce: number, balance: U256::from(step), ..Account::default() };
            let is_gone = (number + step).is_multiple_of(9);
            let change = AccountChange {
                account: (!is_gone).then_some(account),
                storage_cleared: is_gone,
                storage: if is_gone { [].into() } else { [(U256::from(step % 5), U256::from(number))].into() },
            };
            changes.accounts.insert(address((number * 37 + step * 11) % ACCOUNT_COUNT), change);
        }
        let state_root = parent.state_root_after(&changes).unwrap();
        let hash = B256::from(U256::from(number + 1_000));
        let block = CommittedBlock { number, hash, parent_hash: parent.block().hash, state_root };
        store.commit(&parent, block, &changes).unwrap();
    }
}

fn export(store: &MetisStore, block_number: Option<u64>) -> Vec<u8> {
    store.export(block_number).unwrap().collect::<Result<Vec<_>, _>>().unwrap().concat()
}

fn import(bytes: &[u8], piece: usize, disk: &SimulatedDisk) -> Result<MetisStore, StoreError> {
    let mut import = StateImport::new(&MetisConfig::new([44; 4]).with_segments(6))?;
    for piece in bytes.chunks(piece) {
        import.feed(piece)?;
    }
    import.finish(Arc::new(disk.clone()))
}

/// An account with its code and storage.
type Described = (Address, Option<Account>, Bytes, Vec<(U256, U256)>);

fn describe(state: &MetisSnapshot) -> Vec<Described> {
    let one = |address: Address| {
        let account = state.account(&address).unwrap();
        let code = state.code(&account.unwrap().code_hash).unwrap().bytes();
        (address, account, code, state.storage_of(&address).unwrap().into_iter().collect())
    };
    state.addresses().unwrap().into_iter().map(one).collect()
}

#[test]
fn import__of_an_export__is_the_same_state_with_its_block_and_goes_on() {
    let store = MetisStore::in_memory(alloc(LARGE_SLOT_COUNT), config()).unwrap();
    commit(&store, 10);
    let bytes = export(&store, None);
    let disk = SimulatedDisk::new();
    let imported = import(&bytes, 70_001, &disk).unwrap();
    assert_eq!(imported.latest().block(), store.latest().block());
    assert_eq!(describe(&imported.latest()), describe(&store.latest()));
    assert_eq!(format!("{:?}", imported.ancestors()), format!("{:?}", store.ancestors()));
    assert_eq!(export(&imported, None), bytes, "the same state is the same bytes");
    commit(&imported, 2);
    commit(&store, 2);
    drop(imported);
    let again = MetisStore::open(Arc::new(disk.clone()), [], config()).unwrap();
    assert_eq!(again.latest().block(), store.latest().block());
    drop(again);
    assert_eq!(verify(&disk).unwrap().damage, Vec::<String>::new());
}

#[test]
fn export__of_an_older_block__is_the_state_as_it_was() {
    let store = MetisStore::in_memory(alloc(3), config()).unwrap();
    commit(&store, 4);
    let then = export(&store, None);
    commit(&store, 12);
    assert_ne!(export(&store, None), then);
    assert_eq!(export(&store, Some(4)), then);
}

#[test]
fn import__into_a_directory_with_a_store__is_refused_and_changes_nothing() {
    let disk = SimulatedDisk::new();
    drop(MetisStore::open(Arc::new(disk.clone()), alloc(3), config()).unwrap());
    let before = disk.contents("state");
    let bytes = export(&MetisStore::in_memory([], config()).unwrap(), None);
    let error = import(&bytes, 100, &disk).unwrap_err();
    assert!(matches!(error, StoreError::Io { kind: ErrorKind::AlreadyExists, .. }), "{error:?}");
    assert_eq!(disk.contents("state"), before);
}

#[test]
fn import__on_a_disk_that_fails_at_any_operation__leaves_no_store_or_the_whole_one() {
    let store = MetisStore::in_memory(alloc(3), config()).unwrap();
    commit(&store, 3);
    let bytes = export(&store, None);
    let whole = SimulatedDisk::new();
    import(&bytes, usize::MAX, &whole).unwrap();
    for operation in 0..whole.operation_count() {
        let disk = SimulatedDisk::new();
        disk.fail_at(operation, Fault::Partial(700, ErrorKind::StorageFull));
        let outcome = import(&bytes, usize::MAX, &disk);
        // The last operation removes a log that nobody reads any more.
        assert!(matches!(outcome, Ok(_) | Err(StoreError::Io { kind: ErrorKind::StorageFull, .. })), "{operation}");
        drop(outcome);
        for seed in 0..4 {
            let left = MetisStore::open(Arc::new(disk.crash(seed)), [], config()).unwrap().latest().block();
            assert!(left == store.latest().block() || left.number == 0, "operation {operation}: {left:?}");
        }
    }
}

proptest! {
    #[test]
    fn import__with_bytes_changed_or_cut_off__is_a_typed_error(at in 0usize..60_000, flip in 1u8.., cut in any::<bool>()) {
        let mut bytes = export(&MetisStore::in_memory(alloc(9), config()).unwrap(), None);
        let at = at % bytes.len();
        if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        let disk = SimulatedDisk::new();
        match import(&bytes, 1_000, &disk) {
            Err(StoreError::Corrupt { part: "export", .. } | StoreError::Version { .. }) => {}
            other => prop_assert!(false, "{other:?}"),
        }
        prop_assert!(disk.list().unwrap().is_empty(), "nothing was made of it");
    }
}

#[test]
fn prune__of_a_store_with_history_and_gaps__keeps_the_newest_states_and_gives_room_back() {
    let disk = SimulatedDisk::new();
    let store = MetisStore::open(Arc::new(disk.clone()), alloc(2_000), config()).unwrap();
    for _ in 0..12 {
        commit(&store, 3);
        store.checkpoint().unwrap();
    }
    let (newest, held) = (store.latest().block(), store.at(newest_number(&store) - 10).unwrap());
    let before = describe(&held);
    let report = store.prune(3, None).unwrap();
    assert_eq!((report.state_count_before, report.state_count), (21, 4));
    assert!(report.bytes < report.bytes_before, "{report:?}");
    assert_eq!((store.latest().block(), store.oldest_block_number()), (newest, newest.number - 3));
    assert_eq!(describe(&held), before, "who holds a state reads on");
    drop(held);
    let found = stats(&disk).unwrap();
    assert_eq!(disk.contents("state").unwrap().len() as u64 + found.bytes.log, report.bytes);
    assert_eq!((found.state_count, found.newest), (4, newest));
    // What is left is two generations' documents and no gaps worth mentioning.
    assert!(found.bytes.rest < 2 * found.bytes.document + 12 * 4_096, "{:?}", found.bytes);
    drop(store);
    assert_eq!(verify(&disk).unwrap().damage, Vec::<String>::new());
}

fn newest_number(store: &MetisStore) -> u64 {
    store.latest().block().number
}

#[test]
fn prune__beside_a_reader__leaves_what_it_reads() {
    let directory = tempfile::tempdir().unwrap();
    let disk = metis_disk::FileDisk::new(directory.path()).unwrap();
    let store = MetisStore::open(Arc::new(disk), alloc(5_000), config()).unwrap();
    commit(&store, 30);
    store.checkpoint().unwrap();
    let reader = MetisStore::open_to_read(&metis_disk::FileDisk::new(directory.path()).unwrap()).unwrap();
    let before = describe(&reader.latest());
    commit(&store, 30);
    store.prune(0, None).unwrap();
    commit(&store, 30);
    store.prune(0, None).unwrap();
    assert_eq!(describe(&reader.latest()), before);
    assert_eq!(describe(&reader.at(15).unwrap()).len(), reader.at(15).unwrap().addresses().unwrap().len());
}

#[test]
fn prune__on_a_disk_that_fails_at_any_operation__has_the_newest_block_afterwards() {
    let disk = SimulatedDisk::new();
    let store = MetisStore::open(Arc::new(disk.clone()), alloc(50), config()).unwrap();
    commit(&store, 9);
    store.checkpoint().unwrap();
    commit(&store, 2);
    drop(store);
    for operation in 0..60 {
        let disk = disk.after_kill();
        disk.fail_at(operation, Fault::Partial(5_000, ErrorKind::StorageFull));
        let Ok(store) = MetisStore::open(Arc::new(disk.clone()), [], config()) else { continue };
        let pruned = store.prune(2, None);
        assert_eq!(newest_number(&store), 11);
        drop(store);
        for seed in 0..3 {
            let crashed = disk.crash(seed);
            assert_eq!(verify(&crashed).unwrap().damage, Vec::<String>::new(), "operation {operation}: {pruned:?}");
            let again = MetisStore::open(Arc::new(crashed), [], config()).unwrap();
            assert_eq!(newest_number(&again), 11, "operation {operation}: {pruned:?}");
        }
    }
}

#[test]
fn stats__of_a_store__count_what_it_holds() {
    let disk = SimulatedDisk::new();
    let store = MetisStore::open(Arc::new(disk.clone()), alloc(100), config()).unwrap();
    commit(&store, 2);
    let found = stats(&disk).unwrap();
    let addresses = store.latest().addresses().unwrap();
    let slot_count: usize = addresses.iter().map(|address| store.latest().storage_of(address).unwrap().len()).sum();
    assert_eq!((found.counts.accounts, found.counts.slots), (addresses.len() as u64, slot_count as u64));
    assert_eq!(found.accounts.used_count - found.accounts.deleted_count, addresses.len() as u64);
    assert_eq!(found.tries.account_depths.iter().sum::<u64>(), addresses.len() as u64);
    assert_eq!(found.tries.slot_depths.iter().sum::<u64>(), slot_count as u64);
    assert_eq!((found.state_count, found.newest.number), (3, 2));
}
