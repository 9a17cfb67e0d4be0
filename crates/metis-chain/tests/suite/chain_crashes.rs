//! What the chain was told is there after a crash, in one piece.

use std::sync::Arc;

use alloy_primitives::B256;
use metis_chain::{
    block_log::{BlockLog, ChainIdentity, Durability, LogConfig, LogError, RawRecord},
    chain::{Chain, ChainConfig, ChainError, Genesis, NewBlock, NewHeads},
    record::{BlockRecord, HeadRecord, Record, StateId, StatePatchRecord, StateRef},
};
use metis_disk::SimulatedDisk;
use metis_state_transition::ChangeSet;
use proptest::prelude::*;

use crate::support::{Source, block, genesis};

fn config(durability: Durability) -> ChainConfig {
    let log = LogConfig { durability, segment_bytes: 3000, salt: 9, ..LogConfig::default() };
    ChainConfig { log, ..ChainConfig::default() }
}

fn open(disk: &SimulatedDisk, durability: Durability) -> Result<Chain, ChainError> {
    Chain::open(Arc::new(disk.clone()), &genesis(), config(durability)).map(|(chain, _)| chain)
}

fn next_block(source: &mut Source, chain: &Chain) -> NewBlock {
    let latest = chain.heads().latest;
    block(source, latest.hash, latest.number + 1, 3)
}

/// Crash after each operation of the disk, in several ways: there is the chain before or after the
/// block that was being appended, with every block that was reported.
#[test]
fn append__crash_at_any_operation__keeps_every_reported_block() {
    for seed in 0..12 {
        let disk = SimulatedDisk::new();
        let mut source = Source::new(seed);
        let chain = open(&disk, Durability::EveryAppend).unwrap();
        let mut reported = vec![chain.heads().latest];
        for _ in 0..12 {
            reported.push(chain.append(next_block(&mut source, &chain)).unwrap().change.added[0]);
            for crash in 0..4 {
                let left = open(&disk.crash(source.number() + crash), Durability::EveryAppend).unwrap();
                assert_eq!(left.heads().latest, *reported.last().unwrap());
                for block in &reported {
                    assert_eq!(left.block_at(block.number), Some(*block));
                    assert!(left.block(&block.hash).unwrap().is_some());
                }
            }
        }
    }
}

#[test]
fn group_commit__crash__loses_only_what_was_not_durable() {
    let durability = Durability::Group { interval_ms: 100 };
    for seed in 0..40 {
        let disk = SimulatedDisk::new();
        let mut source = Source::new(seed);
        let chain = open(&disk, durability).unwrap();
        let mut durable = 0;
        for step in 0..10u64 {
            let appended = chain.append(next_block(&mut source, &chain)).unwrap().change.added[0];
            if chain.tick(step * 40).unwrap() {
                durable = appended.number;
            }
            let left = open(&disk.crash(source.number()), durability).unwrap().heads().latest.number;
            assert!((durable..=appended.number).contains(&left), "{durable} <= {left} <= {}", appended.number);
        }
        assert!(durable > 5);
        let killed = open(&disk.after_kill(), durability).unwrap();
        assert_eq!(killed.heads().latest.number, 10, "a killed process loses nothing");
    }
}

#[test]
fn open__crash_before_the_first_block_was_durable__begins_anew() {
    let disk = SimulatedDisk::new();
    let log = BlockLog::open::<LogError>(
        Arc::new(disk.clone()),
        Some(genesis().identity()),
        config(Durability::EveryAppend).log,
        |_| Ok(()),
    );
    drop(log.unwrap());
    assert!(matches!(
        Chain::open_existing(Arc::new(disk.clone()), config(Durability::EveryAppend)),
        Err(ChainError::NoGenesis)
    ));
    let chain = open(&disk, Durability::EveryAppend).unwrap();
    assert_eq!(chain.heads().latest.number, 0);
    drop(chain);
    let (chain, _) = Chain::open_existing(Arc::new(disk), config(Durability::EveryAppend)).unwrap();
    assert_eq!(chain.identity(), genesis().identity());
}

#[test]
fn open__another_genesis__is_refused() {
    let disk = SimulatedDisk::new();
    drop(open(&disk, Durability::EveryAppend).unwrap());
    let mut other = genesis();
    other.block.header.gas_limit += 1;
    let opened = Chain::open(Arc::new(disk.clone()), &other, ChainConfig::default());
    assert!(matches!(opened, Err(ChainError::Log(LogError::OtherChain { .. }))));
    let other = Genesis { chain_id: 1, ..genesis() };
    let opened = Chain::open(Arc::new(disk), &other, ChainConfig::default());
    match opened {
        Err(ChainError::Log(LogError::OtherChain { found, .. })) => {
            assert_eq!(found, ChainIdentity { chain_id: crate::support::CHAIN_ID, ..other.identity() });
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn append__blocks_that_do_not_follow__are_refused_by_reason() {
    let chain = Chain::in_memory(&genesis(), ChainConfig::default()).unwrap();
    let mut source = Source::new(1);
    let good = next_block(&mut source, &chain);
    let with = |change: &dyn Fn(&mut NewBlock)| {
        let mut changed = good.clone();
        change(&mut changed);
        chain.append(changed).unwrap_err()
    };
    assert!(matches!(
        with(&|new| Arc::make_mut(&mut new.block).header.parent_hash = B256::ZERO),
        ChainError::UnknownParent { parent_hash: B256::ZERO }
    ));
    assert!(matches!(
        with(&|new| Arc::make_mut(&mut new.block).header.number = 7),
        ChainError::WrongNumber { number: 7, parent_number: 0 }
    ));
    assert!(matches!(with(&|new| new.senders.push(Default::default())), ChainError::Counts { .. }));
    assert!(matches!(
        with(&|new| new.parent_state = Some(StateId(99))),
        ChainError::UnknownState { state: StateId(99) }
    ));
    chain.append(good.clone()).unwrap();
    assert!(matches!(chain.append(good), Err(ChainError::AlreadyKnown { .. })));
    let unknown = B256::repeat_byte(9);
    let heads = NewHeads { safe: Some(unknown), ..NewHeads::default() };
    assert!(matches!(chain.set_heads(heads), Err(ChainError::UnknownBlock { hash }) if hash == unknown));
    assert!(matches!(chain.truncate(StateId(99)), Err(ChainError::UnknownState { state: StateId(99) })));
    assert!(matches!(chain.states(Some(StateId(99))), Err(ChainError::UnknownState { .. })));
}

#[test]
fn set_heads__safe_block_beside_the_chain__is_refused() {
    let chain = Chain::in_memory(&genesis(), ChainConfig::default()).unwrap();
    let mut source = Source::new(2);
    let (one, other) = (next_block(&mut source, &chain), next_block(&mut source, &chain));
    chain.append(one).unwrap();
    let hash = other.block.header.hash_slow();
    chain.insert(other).unwrap();
    let refused = chain.set_heads(NewHeads { finalized: Some(hash), ..NewHeads::default() });
    assert!(matches!(refused, Err(ChainError::NotCanonical { .. })));
    let both = NewHeads { latest: Some(hash), finalized: Some(hash), ..NewHeads::default() };
    chain.set_heads(both).unwrap();
    assert_eq!(chain.heads().finalized.unwrap().hash, hash);
}

#[test]
fn side_blocks__older_than_the_window__are_forgotten_also_after_reopening() {
    let disk = SimulatedDisk::new();
    let small = ChainConfig { side_block_window: 4, ..config(Durability::EveryAppend) };
    let open = |window| {
        let config = ChainConfig { side_block_window: window, ..small };
        Chain::open(Arc::new(disk.clone()), &genesis(), config).unwrap().0
    };
    let chain = open(4);
    let mut source = Source::new(3);
    let beside = next_block(&mut source, &chain);
    let hash = beside.block.header.hash_slow();
    chain.insert(beside.clone()).unwrap();
    let child = block(&mut source, hash, 2, 1);
    let child_hash = child.block.header.hash_slow();
    chain.insert(child).unwrap();
    for number in 1..=6 {
        assert_eq!(chain.find_block(&hash).is_some(), number <= 6, "{number}");
        chain.append(next_block(&mut source, &chain)).unwrap();
    }
    assert_eq!((chain.find_block(&hash), chain.find_block(&child_hash)), (None, None));
    chain.insert(beside).unwrap();
    assert!(chain.find_block(&hash).is_some(), "what was forgotten may come again");
    drop(chain);
    let chain = open(100);
    assert!(chain.find_block(&hash).is_some() && chain.find_block(&child_hash).is_some());
    chain.patch_state(&ChangeSet::default(), B256::ZERO).unwrap();
    drop(chain);
    let chain = open(4);
    assert_eq!((chain.find_block(&hash), chain.find_block(&child_hash)), (None, None));
}

#[test]
fn truncate__then_the_same_block_again__is_a_new_state_of_the_same_hash() {
    let disk = SimulatedDisk::new();
    let chain = open(&disk, Durability::EveryAppend).unwrap();
    let first = chain.latest_state();
    let again = next_block(&mut Source::new(4), &chain);
    let before = chain.append(again.clone()).unwrap();
    let change = chain.truncate(first).unwrap();
    assert_eq!(change.removed, before.change.added);
    assert_eq!(chain.block(&before.change.added[0].hash).unwrap(), None);
    let after = chain.append(again).unwrap();
    assert_eq!(after.change, before.change);
    assert!(after.state > before.state);
    drop(chain);
    let chain = open(&disk, Durability::EveryAppend).unwrap();
    assert_eq!(chain.latest_state(), after.state);
}

#[test]
fn truncate__to_a_patch__keeps_the_patches_up_to_it() {
    let chain = Chain::in_memory(&genesis(), ChainConfig::default()).unwrap();
    let (root, changes) = (B256::repeat_byte(7), ChangeSet::default());
    let one = chain.patch_state(&changes, root).unwrap();
    let two = chain.patch_state(&changes, root).unwrap();
    chain.append(next_block(&mut Source::new(5), &chain)).unwrap();
    assert_eq!(chain.states(None).unwrap().count(), 4);
    chain.truncate(one).unwrap();
    assert_eq!(chain.latest_state(), one);
    assert!(chain.block_of_state(two).is_none());
    assert_eq!(chain.heads().latest.number, 0);
}

/// A record that says something of the states before it, be it true or not.
fn any_record(source: &mut Source, hashes: &[B256]) -> Record {
    let hash = |source: &mut Source| hashes[source.below(hashes.len() as u64) as usize];
    let state = |source: &mut Source| StateId(source.below(hashes.len() as u64 + 2));
    let state_ref = |source: &mut Source| match source.below(4) {
        0 => StateRef { state: state(source), block_hash: hash(source) },
        // Most often the right one: states are numbered from 1.
        _ => {
            let position = source.below(hashes.len() as u64);
            StateRef { state: StateId(position + 1), block_hash: hashes[position as usize] }
        }
    };
    match source.below(8) {
        0 => Record::Truncate(state_ref(source)),
        1 => Record::Head(HeadRecord {
            latest: state_ref(source),
            safe: source.coin().then(|| hash(source)),
            finalized: source.coin().then(|| hash(source)),
        }),
        2 => {
            let StateRef { state: parent_state, block_hash } = state_ref(source);
            let state_root = source.hash();
            Record::StatePatch(StatePatchRecord { parent_state, block_hash, state_root, changes: ChangeSet::default() })
        }
        _ => {
            let parent = state_ref(source);
            let number = source.below(hashes.len() as u64 + 1);
            let NewBlock { block, senders, receipts, changes, .. } = block(source, parent.block_hash, number, 2);
            let block = Arc::unwrap_or_clone(block);
            let (hash, is_latest) = (block.header.hash_slow(), source.coin());
            let parent_state = parent.state;
            let changes = (*changes).clone();
            Record::Block(Box::new(BlockRecord { parent_state, is_latest, hash, block, senders, receipts, changes }))
        }
    }
}

proptest! {
    #![proptest_config(crate::support::cases(512))]

    /// Records that are intact but contradict each other: a typed error, or a chain that answers.
    #[test]
    fn open__records_that_contradict_each_other__never_panics(seed in any::<u64>(), count in 1..12) {
        let disk = SimulatedDisk::new();
        drop(open(&disk, Durability::EveryAppend).unwrap());
        let mut hashes = vec![genesis().block.header.hash_slow()];
        let log = config(Durability::EveryAppend).log;
        let (mut log, _) = BlockLog::open::<LogError>(Arc::new(disk.clone()), None, log, |_| Ok(())).unwrap();
        let mut source = Source::new(seed);
        for _ in 0..count {
            let record = any_record(&mut source, &hashes);
            log.append(&[RawRecord { kind: record.kind(), payload: &record.encode() }]).unwrap();
            hashes.push(match &record {
                Record::Block(block) => block.hash,
                _ => hashes[source.below(hashes.len() as u64) as usize],
            });
        }
        drop(log);
        match open(&disk, Durability::EveryAppend) {
            Ok(chain) => {
                let latest = chain.heads().latest;
                prop_assert_eq!(chain.block_at(latest.number), Some(latest));
                prop_assert_eq!(chain.states(None).unwrap().last().unwrap().unwrap().block, latest);
            }
            Err(ChainError::Contradiction { sequence, .. }) => prop_assert!(sequence > 1),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
