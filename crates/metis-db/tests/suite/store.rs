//! The in-memory store against a plain map per block.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use metis_db::{CommittedBlock, GenesisAccount, MemoryStore, StateSnapshot, StateStore, StoreError};
use metis_state_transition::{Account, AccountChange, ChangeSet, StateCommitment, StateView};
use proptest::prelude::*;

type Model = BTreeMap<u8, (u64, BTreeMap<u8, u64>)>;

fn address(index: u8) -> Address {
    Address::repeat_byte(index + 1)
}

/// One account's change: deleted, or a balance, with or without clearing, and some slots.
type Edit = (u8, Option<(u64, bool, Vec<(u8, u64)>)>);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let change = (0u64..5, any::<bool>(), proptest::collection::vec((0u8..6, 0u64..4), 0..5));
    proptest::collection::vec((0u8..6, proptest::option::weighted(0.8, change)), 0..6)
}

fn apply(edits: &[Edit], model: &mut Model) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for (index, edit) in edits {
        let mut one = ChangeSet::default();
        let Some((balance, is_cleared, slots)) = edit else {
            model.remove(index);
            let gone = AccountChange { account: None, storage_cleared: true, ..AccountChange::default() };
            one.accounts.insert(address(*index), gone);
            changes.merge(one);
            continue;
        };
        let entry = model.entry(*index).or_default();
        entry.0 = *balance;
        if *is_cleared {
            entry.1.clear();
        }
        let mut storage = BTreeMap::new();
        for (slot, value) in slots {
            storage.insert(U256::from(*slot), U256::from(*value));
            if *value == 0 {
                entry.1.remove(slot)
            } else {
                entry.1.insert(*slot, *value)
            };
        }
        let account = Account { nonce: 1, balance: U256::from(*balance), ..Account::default() };
        let change = AccountChange { account: Some(account), storage_cleared: *is_cleared, storage };
        one.accounts.insert(address(*index), change);
        changes.merge(one);
    }
    changes
}

fn assert_equal(snapshot: &impl StateView, model: &Model) {
    for index in 0..6 {
        let account = snapshot.account(&address(index)).unwrap();
        assert_eq!(account.map(|account| account.balance), model.get(&index).map(|entry| U256::from(entry.0)));
        for slot in 0..6u8 {
            let value = model.get(&index).and_then(|entry| entry.1.get(&slot)).copied().unwrap_or(0);
            assert_eq!(snapshot.storage(&address(index), &U256::from(slot)).unwrap(), U256::from(value));
        }
        let has_storage = model.get(&index).is_some_and(|entry| !entry.1.is_empty());
        assert_eq!(snapshot.has_storage(&address(index)).unwrap(), has_storage);
    }
}

/// The root of the same state, made from nothing.
fn root_from_nothing(model: &Model) -> B256 {
    let alloc = model.iter().map(|(index, (balance, slots))| {
        let storage = slots.iter().map(|(slot, value)| (U256::from(*slot), U256::from(*value))).collect();
        let account = GenesisAccount { nonce: 1, balance: U256::from(*balance), storage, ..GenesisAccount::default() };
        (address(*index), account)
    });
    MemoryStore::new(alloc, 0).latest().block().state_root
}

fn block(number: u64, state_root: B256) -> CommittedBlock {
    CommittedBlock { number, hash: B256::with_last_byte(number as u8), parent_hash: B256::ZERO, state_root }
}

proptest! {
    #[test]
    fn history__after_commits_and_reverts__equals_model(
        rounds in proptest::collection::vec((edits(), proptest::option::weighted(0.2, 0u64..6)), 1..12),
    ) {
        let store = MemoryStore::new([], 4);
        let mut models = vec![Model::new()];
        for (edits, revert) in rounds {
            let parent = store.latest();
            let mut model = models.last().unwrap().clone();
            let changes = apply(&edits, &mut model);
            let root = parent.state_root_after(&changes).unwrap();
            prop_assert_eq!(root, root_from_nothing(&model));
            let number = models.len() as u64;
            store.commit(&parent, block(number, root), &changes).unwrap();
            models.push(model);
            if let Some(back) = revert {
                let target = number.saturating_sub(back);
                let oldest = store.oldest_block_number();
                match store.revert_to(target) {
                    Ok(()) => models.truncate(target as usize + 1),
                    Err(error) => prop_assert_eq!(
                        error,
                        StoreError::Unavailable { block_number: target, oldest, newest: number }
                    ),
                }
            }
            for number in store.oldest_block_number()..models.len() as u64 {
                assert_equal(&*store.at(number).unwrap(), &models[number as usize]);
            }
        }
    }
}

#[test]
fn commit__with_a_wrong_root__leaves_the_store_unchanged() {
    let store = MemoryStore::new([], 4);
    let parent = store.latest();
    let changes = apply(&[(0, Some((3, false, vec![])))], &mut Model::new());
    let error = store.commit(&parent, block(1, B256::repeat_byte(9)), &changes).unwrap_err();
    assert!(matches!(error, StoreError::RootMismatch { .. }));
    assert_eq!(store.latest().block().number, 0);
    assert!(store.latest().account(&address(0)).unwrap().is_none());
}

#[test]
fn commit__on_an_older_block__is_refused() {
    let store = MemoryStore::new([], 4);
    let genesis = store.latest();
    let root = genesis.block().state_root;
    store.commit(&genesis, block(1, root), &ChangeSet::default()).unwrap();
    let error = store.commit(&genesis, block(2, root), &ChangeSet::default()).unwrap_err();
    assert_eq!(error, StoreError::OutOfOrder { got: 2, newest: 1 });
}

#[test]
fn fork__after_it__the_two_go_separate_ways() {
    let store = MemoryStore::new([], 4);
    let other = store.fork();
    let parent = other.latest();
    let changes = apply(&[(0, Some((3, false, vec![])))], &mut Model::new());
    let root = parent.state_root_after(&changes).unwrap();
    other.commit(&parent, block(1, root), &changes).unwrap();
    assert_eq!(other.latest().block().number, 1);
    assert_eq!(store.latest().block().number, 0);
}

#[test]
fn genesis_root__of_accounts_with_code_and_storage__is_the_stores() {
    let alloc = || {
        (0..700u64).map(|index| {
            let storage = (0..index % 5).map(|slot| (U256::from(slot), U256::from(index % 3))).collect();
            let code = vec![0x5f; index as usize % 4].into();
            let account = GenesisAccount { nonce: index, balance: U256::from(index), code, storage };
            (Address::left_padding_from(&index.to_be_bytes()), account)
        })
    };
    let root = metis_db::genesis_root(alloc()).unwrap();
    assert_eq!(root, MemoryStore::new(alloc(), 0).latest().block().state_root);
    assert_eq!(metis_db::genesis_root([]).unwrap(), MemoryStore::new([], 0).latest().block().state_root);
}
