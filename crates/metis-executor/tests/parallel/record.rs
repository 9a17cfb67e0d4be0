//! Records of blocks: what each step accessed and changed.

use std::collections::BTreeMap;

use alloy_eips::eip7928::{AccountChanges, BlockAccessList};
use alloy_primitives::{Address, U256};
use metis_executor::{ParallelExecutor, Recording, SequentialExecutor};
use metis_state_transition::{BlockRecord, BuiltBlock, StateView};

use crate::world::World;

fn record(built: &BuiltBlock) -> &BlockRecord {
    built.outcome.record.as_deref().unwrap()
}

fn encoded(list: &BlockAccessList) -> String {
    alloy_primitives::hex::encode(alloy_rlp::encode(list))
}

#[test]
fn record__of_random_blocks__is_the_same_in_parallel_as_in_order() {
    for seed in 0..300 {
        let world = World::random(seed);
        let expected = world.build(&Recording(SequentialExecutor));
        for workers in [1, 2, 8] {
            let built = world.build(&Recording(ParallelExecutor::new(workers).forced().following()));
            let what = format!("seed {seed}, {:?}, {workers} workers", world.fork);
            assert_eq!(record(&built).steps(), record(&expected).steps(), "{what}");
            assert_eq!(encoded(&record(&built).access_list()), encoded(&record(&expected).access_list()), "{what}");
        }
    }
}

#[test]
fn recording__of_random_blocks__leaves_the_block_as_it_is_without() {
    for seed in 0..200 {
        let world = World::random(seed);
        world.compare(&Recording(SequentialExecutor), &format!("seed {seed}, recorded in order"));
        world.compare(&Recording(ParallelExecutor::new(2).forced()), &format!("seed {seed}, recorded"));
    }
}

/// Oracle: the changes of the block, which nothing of the record is made of.
#[test]
fn access_list__of_random_blocks__ends_with_the_state_after_the_block() {
    for seed in 0..300 {
        let world = World::random(seed);
        let built = world.build(&Recording(SequentialExecutor));
        let list = record(&built).access_list();
        let by_address: BTreeMap<Address, &AccountChanges> = list.iter().map(|one| (one.address, one)).collect();
        assert_eq!(by_address.len(), list.len(), "seed {seed}: an account is mentioned twice");
        assert!(list.is_sorted_by_key(|one| one.address), "seed {seed}: not in order");
        for (address, change) in &built.outcome.changes.accounts {
            let listed = by_address[address];
            let before = world.snapshot.account(address).unwrap().unwrap_or_default();
            let after = change.account.unwrap_or_default();
            let what = format!("seed {seed}, {:?}, {address}", world.fork);
            assert_eq!(listed.balance_post_state().unwrap_or(before.balance), after.balance, "{what}: balance");
            assert_eq!(listed.nonce_post_state().unwrap_or(before.nonce), after.nonce, "{what}: nonce");
            let code_hash = listed.code_hash_post_state().unwrap_or(before.code_hash);
            assert_eq!(code_hash, after.code_hash, "{what}: code");
            let slots: BTreeMap<U256, U256> = listed.storage_post_states().collect();
            for (slot, value) in &change.storage {
                let expected = slots.get(slot).copied();
                let expected = expected.unwrap_or_else(|| world.snapshot.storage(address, slot).unwrap());
                assert_eq!(expected, *value, "{what}: slot {slot}");
            }
        }
    }
}

#[test]
fn record__where_none_is_asked_for__is_not_there() {
    assert!(World::random(1).build(&ParallelExecutor::new(2).forced()).outcome.record.is_none());
}
