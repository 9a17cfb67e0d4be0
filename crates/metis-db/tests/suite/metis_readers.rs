//! Readers of old and new states beside a writer that never waits.

use std::{
    collections::hash_map::DefaultHasher,
    hash::Hasher,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
};

use alloy_primitives::{Address, B256, U256};
use metis_db::{CommittedBlock, GenesisAccount, MetisConfig, MetisSnapshot, MetisStore, StateSnapshot, StateStore};
use metis_state_transition::{Account, AccountChange, ChangeSet, StateCommitment, StateView};

const ACCOUNT_COUNT: u64 = 300;
const BLOCK_COUNT: u64 = 300;
const READER_COUNT: u64 = 8;

fn address(index: u64) -> Address {
    Address::left_padding_from(&(index + 1).to_be_bytes())
}

/// All accounts carry the number of the block that last paid them, and together always the same sum
/// of parts: a value from another block would show.
fn checksum(snapshot: &MetisSnapshot) -> u64 {
    let mut hasher = DefaultHasher::new();
    for index in 0..ACCOUNT_COUNT {
        let account = snapshot.account(&address(index)).unwrap();
        hasher.write_u64(account.map_or(u64::MAX, |account| account.nonce));
        for limb in account.unwrap_or_default().balance.as_limbs() {
            hasher.write_u64(*limb);
        }
        for limb in snapshot.storage(&address(index), &U256::from(1)).unwrap().as_limbs() {
            hasher.write_u64(*limb);
        }
    }
    hasher.finish()
}

fn changes(number: u64) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for step in 0..40 {
        let index = (number * 31 + step * 7) % ACCOUNT_COUNT;
        let value = U256::from(number) * U256::from(0x0001_0001_0001_0001_u64);
        let account = !(number + step).is_multiple_of(11);
        let change = AccountChange {
            account: account.then_some(Account { nonce: number, balance: value << 100, ..Account::default() }),
            storage_cleared: !account || step == 3,
            storage: account.then_some((U256::from(1), value << 60)).into_iter().collect(),
        };
        changes.accounts.insert(address(index), change);
    }
    changes
}

#[test]
fn readers__of_pinned_states_beside_a_writer__see_whole_states() {
    let account = GenesisAccount { balance: U256::from(1), ..GenesisAccount::default() };
    let alloc = (0..ACCOUNT_COUNT / 2).map(|index| (address(index), account.clone()));
    // Small segments: some are replaced while they are read.
    let config = MetisConfig::new([5; 4]).keeping(4).with_segments(6);
    let store = Arc::new(MetisStore::in_memory(alloc, config).unwrap());
    let is_done = Arc::new(AtomicBool::new(false));
    let round_count = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..READER_COUNT)
        .map(|_| {
            let (store, is_done, round_count) = (Arc::clone(&store), Arc::clone(&is_done), Arc::clone(&round_count));
            thread::spawn(move || {
                while !is_done.load(SeqCst) {
                    // Held for longer than the store keeps it.
                    let snapshot = store.latest();
                    let first = checksum(&snapshot);
                    for _ in 0..5 {
                        assert_eq!(checksum(&snapshot), first, "block {}", snapshot.block().number);
                    }
                    round_count.fetch_add(1, SeqCst);
                }
            })
        })
        .collect();
    let mut sums = Vec::new();
    for number in 1..=BLOCK_COUNT {
        let parent = store.latest();
        let changes = changes(number);
        let state_root = parent.state_root_after(&changes).unwrap();
        let block = CommittedBlock { number, hash: B256::ZERO, parent_hash: B256::ZERO, state_root };
        store.commit(&parent, block, &changes).unwrap();
        sums.push((store.latest(), checksum(&store.latest())));
        if sums.len() > 50 {
            let (snapshot, sum) = sums.remove(0);
            assert_eq!(checksum(&snapshot), sum, "block {}", snapshot.block().number);
        }
    }
    is_done.store(true, SeqCst);
    readers.into_iter().for_each(|reader| reader.join().unwrap());
    assert!(round_count.load(SeqCst) >= READER_COUNT);
}
