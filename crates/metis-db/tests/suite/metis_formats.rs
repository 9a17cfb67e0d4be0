//! A store that an older version of the format has: `format_3` was written by the last program that wrote version 3, and
//! holds the blocks below, the newest in its log.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use metis_db::{CommittedBlock, MemoryStore, MetisConfig, MetisStore, StateSnapshot, StateStore, inspect, verify};
use metis_disk::FileDisk;
use metis_state_transition::{Account, AccountChange, ChangeSet, Code, StateCommitment, StateView};

const BLOCK_COUNT: u64 = 5;
const KEPT_COUNT: usize = 2;
const ACCOUNT_COUNT: u64 = 90;

fn address(index: u64) -> Address {
    Address::from_word(keccak256([index as u8]))
}

fn slot_key(slot: u64) -> U256 {
    U256::from(slot) << (slot * 20)
}

/// What a block changes: accounts and slots of all sizes come, change and go, more than a segment has room for.
fn block_changes(number: u64) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for index in (0..ACCOUNT_COUNT).filter(|index| number == 1 || index % 7 == number) {
        let mixed = keccak256([index as u8, number as u8]);
        let code = (index % 5 == 0).then(|| Code::new(Bytes::from(vec![index as u8; 3])));
        let balance = U256::from_be_bytes(mixed.0) >> (index % 4 * 64);
        let code_hash = code.as_ref().map_or(KECCAK256_EMPTY, Code::hash);
        let account = Account { nonce: number, balance, code_hash };
        let slots = (0..index % 4).map(|slot| {
            let value = if number.is_multiple_of(2) { U256::ZERO } else { U256::from_be_bytes(mixed.0) >> (slot * 64) };
            (slot_key(slot), value)
        });
        let is_gone = number > 1 && index % 3 == 0;
        let change = AccountChange {
            account: (!is_gone).then_some(account),
            storage_cleared: is_gone,
            storage: if is_gone { BTreeMap::new() } else { slots.collect() },
        };
        changes.accounts.insert(address(index), change);
        changes.codes.extend(code.filter(|_| !is_gone).map(|code| (code_hash, code)));
    }
    changes
}

fn commit<S: StateStore>(store: &S, changes: &ChangeSet) {
    let parent = store.latest();
    let before = parent.block();
    let Ok(state_root) = parent.state_root_after(changes) else { panic!("a root") };
    let number = before.number + 1;
    let hash = B256::with_last_byte(number as u8);
    let block = CommittedBlock { number, hash, parent_hash: before.hash, state_root };
    store.commit(&parent, block, changes).unwrap();
}

/// All that can be read of the kept states.
fn assert_same(store: &MetisStore, expected: &MemoryStore, newest: u64) {
    for number in newest - KEPT_COUNT as u64..=newest {
        let (got, expected) = (store.at(number).unwrap(), expected.at(number).unwrap());
        assert_eq!(got.block(), expected.block());
        for address in (0..ACCOUNT_COUNT + 1).map(address) {
            let account = got.account(&address).unwrap();
            assert_eq!(account, expected.account(&address).unwrap());
            let code_hash = account.unwrap_or_default().code_hash;
            assert_eq!(got.code(&code_hash).unwrap().bytes(), expected.code(&code_hash).unwrap().bytes());
            for slot in (0..5_u64).map(slot_key) {
                assert_eq!(got.storage(&address, &slot).unwrap(), expected.storage(&address, &slot).unwrap());
            }
        }
    }
}

#[test]
fn store__of_version_3__is_read_goes_on_and_is_written_as_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/format_3");
    for name in ["state", "codes", "wal.0000000000000003"] {
        std::fs::copy(old.join(name), directory.path().join(name)).unwrap();
    }
    let expected = MemoryStore::new([], KEPT_COUNT);
    (1..=BLOCK_COUNT).for_each(|number| commit(&expected, &block_changes(number)));
    let disk = FileDisk::new(directory.path()).unwrap();
    // Who only reads leaves it as it is.
    assert_same(&MetisStore::open_to_read(&disk).unwrap(), &expected, BLOCK_COUNT);
    let report = verify(&disk).unwrap();
    assert_eq!((report.damage, report.newest), (vec![], Some(expected.latest().block())));
    let open = || {
        MetisStore::open(
            Arc::new(FileDisk::new(directory.path()).unwrap()),
            [],
            MetisConfig::new([0; 4]).keeping(KEPT_COUNT),
        )
    };
    assert_same(&open().unwrap(), &expected, BLOCK_COUNT);

    let store = open().unwrap();
    store.checkpoint().unwrap();
    assert_same(&store, &expected, BLOCK_COUNT);
    drop(store);
    assert_eq!(verify(&disk).unwrap().damage, Vec::<String>::new());
    assert_same(&MetisStore::open_to_read(&disk).unwrap(), &expected, BLOCK_COUNT);

    let store = open().unwrap();
    for number in BLOCK_COUNT + 1..=BLOCK_COUNT + 2 {
        commit(&expected, &block_changes(number));
        commit(&store, &block_changes(number));
        assert_same(&store, &expected, number);
        store.checkpoint().unwrap();
    }
    drop(store);
    assert_same(&open().unwrap(), &expected, BLOCK_COUNT + 2);
    assert_eq!(inspect(&disk).unwrap().checkpoint, expected.latest().block());
}
