//! The tries in a region against the memory store, whose tries share no code with them.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use metis_db::{HeapRegion, MemoryStore, StateSnapshot, StateStore, StoreError, Tries};
use metis_state_transition::{Account, AccountChange, ChangeSet, InOrder, StateCommitment};
use proptest::prelude::*;

fn address(index: u16) -> Address {
    Address::left_padding_from(&index.to_be_bytes())
}

/// Destroyed, emptied and made anew, or written to.
fn change() -> impl Strategy<Value = AccountChange> {
    let slots =
        proptest::collection::btree_map((0_u64..200).prop_map(U256::from), (0_u64..3).prop_map(U256::from), 0..8);
    (proptest::option::weighted(0.85, 0_u64..4), proptest::bool::weighted(0.1), slots).prop_map(
        |(balance, storage_cleared, storage)| match balance {
            None => AccountChange { account: None, storage_cleared: true, storage: BTreeMap::new() },
            Some(balance) => {
                let account = Account { nonce: 1, balance: U256::from(balance), code_hash: B256::with_last_byte(9) };
                AccountChange { account: Some(account), storage_cleared, storage }
            }
        },
    )
}

fn changes() -> impl Strategy<Value = ChangeSet> {
    proptest::collection::btree_map((0_u16..300).prop_map(address), change(), 0..60)
        .prop_map(|accounts| ChangeSet { accounts, ..ChangeSet::default() })
}

fn empty() -> Tries<HeapRegion> {
    Tries::create(HeapRegion::new(64 << 20).unwrap()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn test_tries__random_blocks__have_the_roots_of_the_memory_store(
        blocks in proptest::collection::vec(changes(), 1..6),
    ) {
        let mut tries = empty();
        let memory = MemoryStore::new([], 0);
        for changes in &blocks {
            let parent = memory.latest();
            let root = parent.state_root_after(changes).unwrap();
            let overlay = tries.after(changes, &InOrder, 1).unwrap();
            prop_assert_eq!(overlay.root(), root);
            tries.absorb(&overlay).unwrap();
            memory.patch(&parent, changes).unwrap();
        }
        prop_assert_eq!(tries.root(), memory.latest().block().state_root);
    }
}

#[test]
fn test_overlay__of_a_version_that_was_left__is_stale() {
    let mut tries = empty();
    let account = AccountChange { account: Some(Account::default()), ..AccountChange::default() };
    let one = ChangeSet { accounts: BTreeMap::from([(address(1), account.clone())]), ..ChangeSet::default() };
    let other = ChangeSet { accounts: BTreeMap::from([(address(2), account)]), ..ChangeSet::default() };
    let (left, taken) = (tries.after(&one, &InOrder, 1).unwrap(), tries.after(&other, &InOrder, 1).unwrap());
    tries.absorb(&taken).unwrap();
    let root = tries.root();
    assert_eq!(tries.absorb(&left), Err(StoreError::StaleOverlay));
    assert_eq!(tries.after_overlay(&left, &one, &InOrder, 1).unwrap_err(), StoreError::StaleOverlay);
    assert_eq!(tries.root(), root);
    // What was absorbed already is no change.
    tries.absorb(&taken).unwrap();
    assert_eq!(tries.root(), root);
}

#[test]
fn test_storage__of_many_slots_wiped_and_written_again_and_again__takes_no_more_room() {
    let mut tries = empty();
    let slots: BTreeMap<U256, U256> = (1..2_000_u64).map(|slot| (U256::from(slot), U256::from(slot))).collect();
    let account = Some(Account { nonce: 1, ..Account::default() });
    let full = AccountChange { account, storage_cleared: true, storage: slots };
    let full = ChangeSet { accounts: BTreeMap::from([(address(1), full)]), ..ChangeSet::default() };
    let mut used_bytes = Vec::new();
    for _ in 0..12 {
        let overlay = tries.after(&full, &InOrder, 1).unwrap();
        tries.absorb(&overlay).unwrap();
        used_bytes.push(tries.used_bytes());
    }
    assert_eq!(used_bytes[4], used_bytes[11], "{used_bytes:?}");
}
