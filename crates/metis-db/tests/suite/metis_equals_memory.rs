//! MetisDB against the in-memory store: the same calls, the same answers, also after a restart.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use metis_db::{
    CommittedBlock, MemorySnapshot, MemoryStore, MetisConfig, MetisSnapshot, MetisStore, StateSnapshot, StateStore,
};
use metis_disk::SimulatedDisk;
use metis_state_transition::{Account, AccountChange, ChangeSet, Code, StateCommitment, StateView};
use proptest::prelude::*;

const SECRET: [u64; 4] = [3, 1, 4, 1];
const KEPT: usize = 4;

fn config() -> MetisConfig {
    MetisConfig::new(SECRET).keeping(KEPT).with_segments(6)
}

fn address(index: u16) -> Address {
    Address::left_padding_from(&(u64::from(index) + 1).to_be_bytes())
}

/// One account's change: deleted, or a balance, with or without clearing, some slots, a code.
type Edit = (u16, Option<(u64, bool, Vec<(u8, u64)>, u8)>);

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<Edit>),
    Patch(Vec<Edit>),
    Undo(usize),
    RevertTo(u64),
    /// Other states in the place of the newest ones, hashed before.
    Turn(usize, Vec<Vec<Edit>>),
    Hold,
    Checkpoint,
    Restart,
}

fn edits(account_count: u16) -> impl Strategy<Value = Vec<Edit>> {
    let slots = proptest::collection::vec((0u8..30, 0u64..4), 0..12);
    let change = (0u64..5, prop::bool::weighted(0.1), slots, 0u8..3);
    let edit = (0..account_count, proptest::option::weighted(0.85, change));
    proptest::collection::vec(edit, 0..24)
}

fn steps(account_count: u16, checkpoint_weight: u32) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => edits(account_count).prop_map(Step::Commit),
        1 => edits(account_count).prop_map(Step::Patch),
        1 => (0usize..4).prop_map(Step::Undo),
        1 => (0u64..12).prop_map(Step::RevertTo),
        1 => (0usize..4, proptest::collection::vec(edits(account_count), 0..4)).prop_map(|(count, made)| Step::Turn(count, made)),
        2 => Just(Step::Hold),
        checkpoint_weight => Just(Step::Checkpoint),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..24 * checkpoint_weight as usize)
}

fn changes(edits: &[Edit]) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for (index, edit) in edits {
        let mut one = ChangeSet::default();
        let change = match edit {
            None => AccountChange { account: None, storage_cleared: true, ..AccountChange::default() },
            Some((balance, storage_cleared, slots, code)) => {
                let code = Code::new(vec![*code; usize::from(*code)].into());
                let storage: BTreeMap<U256, U256> =
                    slots.iter().map(|(slot, value)| (U256::from(*slot), U256::from(*value))).collect();
                // Larger than 128 bits, as no live chain has them but tests do.
                let balance = U256::from(*balance) << 250;
                let account = Account { nonce: 1, balance, code_hash: code.hash() };
                one.codes.insert(code.hash(), code);
                AccountChange { account: Some(account), storage_cleared: *storage_cleared, storage }
            }
        };
        one.accounts.insert(address(*index), change);
        changes.merge(one);
    }
    changes
}

fn assert_same(metis: &MetisSnapshot, memory: &MemorySnapshot, account_count: u16) {
    assert_eq!(metis.block(), memory.block());
    let all: Vec<Address> = (0..account_count).map(address).collect();
    let batch = metis.accounts(&all).unwrap();
    for (address, batched) in all.iter().zip(batch) {
        let account = memory.account(address).unwrap();
        assert_eq!(metis.account(address).unwrap(), account, "{address}");
        assert_eq!(batched, account);
        assert_eq!(metis.has_storage(address).unwrap(), memory.has_storage(address).unwrap());
        if let Some(account) = account {
            assert_eq!(metis.code(&account.code_hash).unwrap(), memory.code(&account.code_hash).unwrap());
        }
        let slots: Vec<U256> = (0..30u8).map(U256::from).collect();
        let values: Vec<U256> = slots.iter().map(|slot| memory.storage(address, slot).unwrap()).collect();
        assert_eq!(metis.slots(address, &slots).unwrap(), values);
        assert_eq!(metis.storage(address, &slots[7]).unwrap(), values[7]);
    }
}

fn assert_same_proofs(metis: &MetisSnapshot, memory: &MemorySnapshot) {
    for index in 0..3 {
        let slots = [U256::ZERO, U256::from(5)];
        let proof = metis.prove(address(index), &slots).unwrap();
        assert_eq!(proof, memory.prove(address(index), &slots).unwrap());
    }
}

/// The same calls to both; `memory` keeps what the other is to keep.
fn run(steps: Vec<Step>, account_count: u16, config: MetisConfig, memory: MemoryStore) {
    let disk = SimulatedDisk::new();
    let mut metis = MetisStore::open(Arc::new(disk.clone()), [], config.clone()).unwrap();
    let mut held: Vec<(Arc<MetisSnapshot>, Arc<MemorySnapshot>)> = Vec::new();
    let mut number = 0;
    for step in steps {
        match step {
            Step::Commit(edits) => {
                number += 1;
                let changes = changes(&edits);
                let (ours, theirs) = (metis.latest(), memory.latest());
                let state_root = theirs.state_root_after(&changes).unwrap();
                assert_eq!(ours.state_root_after(&changes).unwrap(), state_root);
                let hash = B256::with_last_byte(number as u8);
                let block = CommittedBlock { number, hash, parent_hash: B256::ZERO, state_root };
                assert_eq!(metis.commit(&ours, block, &changes), memory.commit(&theirs, block, &changes));
            }
            Step::Patch(edits) => {
                let changes = changes(&edits);
                let (ours, theirs) = (metis.latest(), memory.latest());
                assert_eq!(metis.patch(&ours, &changes), memory.patch(&theirs, &changes));
            }
            Step::Undo(count) => assert_eq!(metis.undo(count), memory.undo(count)),
            Step::RevertTo(target) => assert_eq!(metis.revert_to(target), memory.revert_to(target)),
            Step::Turn(count, made) => {
                let made: Vec<ChangeSet> = made.iter().map(|edits| changes(edits)).collect();
                let prepared = metis.prepare(count, &made);
                assert_eq!(prepared, memory.undo(count));
                if prepared.is_err() {
                    continue;
                }
                metis.undo(count).unwrap();
                number = memory.latest().block().number;
                for changes in made {
                    number += 1;
                    let state_root = memory.latest().state_root_after(&changes).unwrap();
                    let hash = B256::with_last_byte(number as u8);
                    let block = CommittedBlock { number, hash, parent_hash: B256::ZERO, state_root };
                    memory.commit(&memory.latest(), block, &changes).unwrap();
                    metis.commit(&metis.latest(), block, &changes).unwrap();
                }
            }
            Step::Hold => held.push((metis.latest(), memory.latest())),
            Step::Checkpoint => metis.checkpoint().unwrap(),
            Step::Restart => {
                held.clear();
                drop(metis);
                metis = MetisStore::open(Arc::new(disk.clone()), [], config.clone()).unwrap();
            }
        }
        number = memory.latest().block().number;
        assert_same(&metis.latest(), &memory.latest(), account_count);
        assert_eq!(metis.oldest_block_number(), memory.oldest_block_number());
        assert_eq!(format!("{:?}", metis.ancestors()), format!("{:?}", memory.ancestors()));
    }
    for number in memory.oldest_block_number()..=number {
        match (metis.at(number), memory.at(number)) {
            (Ok(ours), Ok(theirs)) => {
                assert_same(&ours, &theirs, account_count);
                assert_same_proofs(&ours, &theirs);
                let more = changes(&[(1, Some((4, false, vec![(2, 3)], 0)))]);
                assert_eq!(ours.state_root_after(&more).unwrap(), theirs.state_root_after(&more).unwrap());
            }
            (ours, theirs) => assert_eq!(ours.map(|state| state.block()), theirs.map(|state| state.block())),
        }
    }
    for (ours, theirs) in held {
        assert_same(&ours, &theirs, account_count);
    }
}

/// What an archive keeps: everything.
fn archive() -> (MetisConfig, MemoryStore) {
    (config().archiving(), MemoryStore::new([], usize::MAX))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn metis__any_calls_on_few_accounts__equals_memory(steps in steps(6, 1)) {
        run(steps, 6, config(), MemoryStore::new([], KEPT));
    }

    #[test]
    fn metis__any_calls_on_accounts_that_split_segments__equals_memory(steps in steps(400, 1)) {
        run(steps, 400, config(), MemoryStore::new([], KEPT));
    }

    #[test]
    fn metis__that_archives_few_accounts__equals_memory_that_forgets_nothing(steps in steps(6, 3)) {
        let (config, memory) = archive();
        run(steps, 6, config, memory);
    }

    #[test]
    fn metis__that_archives_many_accounts__equals_memory_that_forgets_nothing(steps in steps(200, 3)) {
        let (config, memory) = archive();
        run(steps, 200, config, memory);
    }
}
