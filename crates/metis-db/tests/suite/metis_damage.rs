//! MetisDB on disks that refuse, and on files that somebody changed.

use std::{io::ErrorKind, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use metis_db::{CommittedBlock, GenesisAccount, MetisConfig, MetisStore, StateStore, StoreError, verify};
use metis_disk::{Fault, SimulatedDisk};
use metis_state_transition::{Account, AccountChange, ChangeSet, StateCommitment, StateView};
use proptest::prelude::*;

fn open(disk: &SimulatedDisk) -> Result<MetisStore, StoreError> {
    let config = MetisConfig::new([8; 4]).with_segments(6);
    let alloc = (0..40u64).map(|index| {
        let account = GenesisAccount { balance: U256::from(index), ..GenesisAccount::default() };
        (Address::left_padding_from(&index.to_be_bytes()), account)
    });
    MetisStore::open(Arc::new(disk.clone()), alloc, config)
}

fn commit(store: &MetisStore, nonce: u64) -> Result<(), StoreError> {
    let account = Account { nonce, ..Account::default() };
    let change = AccountChange { account: Some(account), ..AccountChange::default() };
    let changes = ChangeSet { accounts: [(Address::ZERO, change)].into(), ..ChangeSet::default() };
    let parent = store.latest();
    let state_root = parent.state_root_after(&changes)?;
    let number = store.ancestors_newest() + 1;
    store.commit(&parent, CommittedBlock { number, hash: B256::ZERO, parent_hash: B256::ZERO, state_root }, &changes)
}

trait Newest {
    fn ancestors_newest(&self) -> u64;
    fn nonce(&self) -> u64;
}

impl Newest for MetisStore {
    fn ancestors_newest(&self) -> u64 {
        use metis_db::StateSnapshot;
        self.latest().block().number
    }

    fn nonce(&self) -> u64 {
        self.latest().account(&Address::ZERO).unwrap().map_or(0, |account| account.nonce)
    }
}

#[test]
fn commit__on_a_disk_that_is_full__is_a_typed_error_and_works_when_there_is_room() {
    let disk = SimulatedDisk::new();
    let store = open(&disk).unwrap();
    commit(&store, 1).unwrap();
    disk.fail_at(disk.operation_count(), Fault::Partial(20, ErrorKind::StorageFull));
    let error = commit(&store, 2).unwrap_err();
    assert!(matches!(error, StoreError::Io { operation: "write", kind: ErrorKind::StorageFull, .. }), "{error:?}");
    assert_eq!(store.nonce(), 1);
    commit(&store, 3).unwrap();
    assert_eq!(open(&disk.after_kill()).unwrap().nonce(), 3);
    assert_eq!(open(&disk.crash(1)).unwrap().nonce(), 3);
}

#[test]
fn commit__whose_sync_fails__is_written_again_by_the_next() {
    let disk = SimulatedDisk::new();
    let store = open(&disk).unwrap();
    disk.fail_at(disk.operation_count() + 1, Fault::Refuse(ErrorKind::Other));
    let error = commit(&store, 2).unwrap_err();
    assert!(matches!(error, StoreError::Io { operation: "sync", .. }), "{error:?}");
    commit(&store, 3).unwrap();
    commit(&store, 4).unwrap();
    assert_eq!(open(&disk.crash(1)).unwrap().nonce(), 4);
}

#[test]
fn checkpoint__on_a_disk_that_is_full__leaves_the_last_generation_and_its_log() {
    let disk = SimulatedDisk::new();
    let store = open(&disk).unwrap();
    commit(&store, 5).unwrap();
    for operation in 0..4 {
        disk.fail_at(disk.operation_count() + operation, Fault::Refuse(ErrorKind::StorageFull));
        assert!(matches!(store.checkpoint(), Err(StoreError::Io { .. })));
        assert_eq!(open(&disk.crash(operation)).unwrap().nonce(), 5);
        commit(&store, 5).unwrap();
    }
    store.checkpoint().unwrap();
    assert_eq!(open(&disk.crash(9)).unwrap().nonce(), 5);
}

#[test]
fn open__twice__is_refused() {
    let disk = SimulatedDisk::new();
    let _store = open(&disk).unwrap();
    assert!(matches!(open(&disk), Err(StoreError::Locked { .. })));
}

proptest! {
    #[test]
    fn open__with_bytes_changed_or_cut_off__is_the_state_or_a_typed_error(
        file in prop::sample::select(vec!["state", "codes", "wal.0000000000000002"]),
        at in 0usize..200_000,
        flip in 1u8..,
        cut in prop::bool::weighted(0.3),
    ) {
        let disk = SimulatedDisk::new();
        let store = open(&disk).unwrap();
        commit(&store, 1).unwrap();
        commit(&store, 2).unwrap();
        drop(store);
        disk.tamper(file, |bytes| {
            if bytes.is_empty() {
                return;
            }
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] ^= flip }
        });
        match open(&disk) {
            // Pages that no generation has, and the end of the log, may be anything.
            Ok(store) => prop_assert!(store.nonce() == 2 || (file.starts_with("wal") && store.nonce() <= 2)),
            Err(StoreError::Corrupt { .. } | StoreError::Version { .. }) => {}
            Err(error) => prop_assert!(false, "{error:?}"),
        }
    }
}

#[test]
fn verify__of_a_whole_store__finds_nothing_and_the_newest_block() {
    let disk = SimulatedDisk::new();
    let store = open(&disk).unwrap();
    commit(&store, 1).unwrap();
    store.checkpoint().unwrap();
    commit(&store, 2).unwrap();
    // Also while somebody writes it.
    let report = verify(&disk).unwrap();
    drop(store);
    assert_eq!(verify(&disk).unwrap(), report);
    assert_eq!(report.damage, Vec::<String>::new());
    assert_eq!((report.checkpoint.number, report.newest.unwrap().number, report.log_record_count), (1, 2, 1));
}

proptest! {
    #[test]
    fn verify__of_a_store_that_does_not_open__says_where(at in 0usize..1 << 20, flip in 1u8..) {
        let disk = SimulatedDisk::new();
        let store = open(&disk).unwrap();
        commit(&store, 1).unwrap();
        drop(store);
        disk.tamper("state", |bytes| {
            let at = at % bytes.len();
            bytes[at] ^= flip;
        });
        let verified = verify(&disk);
        match open(&disk) {
            Ok(_) => prop_assert!(verified.unwrap().damage.is_empty()),
            Err(error) => match verified {
                Ok(report) => prop_assert!(report.damage[0].contains("state file is corrupt at byte"), "{:?}", report.damage),
                Err(other) => prop_assert_eq!(error, other),
            },
        }
    }
}
