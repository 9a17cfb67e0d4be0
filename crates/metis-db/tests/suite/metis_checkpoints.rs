//! Checkpoints while blocks are committed: what is on the disk is the state of the moment at which one began.

use std::{collections::BTreeMap, io::ErrorKind, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use metis_db::{
    CommittedBlock, Durability, GenesisAccount, MetisConfig, MetisSnapshot, MetisStore, StateSnapshot, StateStore,
    StoreError, verify,
};
use metis_disk::{Fault, ObservedDisk, Operation, SimulatedDisk};
use metis_state_transition::{Account, AccountChange, ChangeSet, Code, StateCommitment, StateView};
use parking_lot::Mutex;
use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng, SeedableRng},
};

/// More than a checkpoint copies at once: two mebibytes of index alone.
const ACCOUNT_COUNT: u64 = 9_000;

type Hook = Box<dyn FnMut() + Send>;

/// A disk that has something done before each write.
#[derive(Clone)]
struct WatchedDisk {
    disk: SimulatedDisk,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl WatchedDisk {
    fn new(disk: SimulatedDisk) -> Self {
        Self { disk, hook: Arc::default() }
    }

    fn observed(&self) -> ObservedDisk {
        let place = Arc::clone(&self.hook);
        ObservedDisk::new(Arc::new(self.disk.clone()), move |operation| {
            // What the hook does may write as well.
            let hook = if operation == Operation::Write { place.lock().take() } else { None };
            if let Some(mut hook) = hook {
                hook();
                *place.lock() = Some(hook);
            }
        })
    }
}

struct Numbers(SplitMix64);

impl Numbers {
    fn new(seed: u64) -> Self {
        Self(SplitMix64::seed_from_u64(seed))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound
    }
}

fn address(index: u64) -> Address {
    Address::left_padding_from(&(index + 1).to_be_bytes())
}

fn config() -> MetisConfig {
    MetisConfig::new([4; 4]).keeping(6).with_segments(6).durable(Durability::OnCheckpoint)
}

fn open(disk: &WatchedDisk) -> MetisStore {
    let account = |index| GenesisAccount { balance: U256::from(index), ..GenesisAccount::default() };
    let alloc = (0..ACCOUNT_COUNT / 2).map(|index| (address(index), account(index)));
    MetisStore::open(Arc::new(disk.observed()), alloc, config()).unwrap()
}

fn changes(numbers: &mut Numbers) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for _ in 0..numbers.below(900) {
        let code = Code::new(vec![0x5f; numbers.below(9) as usize].into());
        let account = Account { nonce: numbers.below(99), code_hash: code.hash(), ..Account::default() };
        let change = AccountChange {
            account: (numbers.below(9) != 0).then_some(account),
            storage_cleared: numbers.below(7) == 0,
            storage: (0..numbers.below(4))
                .map(|_| (U256::from(numbers.below(20)), U256::from(numbers.below(3))))
                .collect(),
        };
        changes.codes.insert(code.hash(), code);
        changes.accounts.insert(address(numbers.below(ACCOUNT_COUNT)), change);
    }
    changes
}

fn commit(store: &MetisStore, numbers: &mut Numbers) {
    let (parent, changes) = (store.latest(), changes(numbers));
    let state_root = parent.state_root_after(&changes).unwrap();
    let number = parent.block().number + 1;
    let block = CommittedBlock { number, hash: B256::ZERO, parent_hash: B256::ZERO, state_root };
    store.commit(&parent, block, &changes).unwrap();
}

fn take_step(store: &MetisStore, numbers: &mut Numbers) {
    match numbers.below(4) {
        0 if store.states().len() > 2 => store.undo(1).unwrap(),
        1 => {
            store.patch(&store.latest(), &changes(numbers)).unwrap();
        }
        _ => commit(store, numbers),
    }
}

type Seen = (BTreeMap<Address, BTreeMap<U256, U256>>, Vec<(Account, Code)>);

/// All that a state answers.
fn seen(snapshot: &MetisSnapshot) -> Seen {
    let accounts = (0..ACCOUNT_COUNT).filter_map(|index| snapshot.account(&address(index)).unwrap());
    (
        snapshot.storages().unwrap(),
        accounts.map(|account| (account, snapshot.code(&account.code_hash).unwrap())).collect(),
    )
}

/// Makes a checkpoint that fails with its operation `failing`, where there is one, and takes steps before its writes.
/// Gives the kept states as they were when it began.
fn checkpoint_among_blocks(
    disk: &WatchedDisk,
    store: &Arc<MetisStore>,
    seed: u64,
    failing: Option<u64>,
) -> (Result<(), StoreError>, Vec<CommittedBlock>, Vec<Seen>) {
    let blocks = store.states();
    let kept: Vec<Seen> = blocks.iter().map(|block| seen(&store.at(block.number).unwrap())).collect();
    let (writer, mut numbers) = (Arc::clone(store), Numbers::new(seed));
    // The first write is certain to have blocks before it: by then the index is frozen and not copied.
    let mut write_count = 0;
    *disk.hook.lock() = Some(Box::new(move || {
        if write_count == 0 || numbers.below(12) == 0 {
            take_step(&writer, &mut numbers);
        }
        write_count += 1;
    }));
    if let Some(failing) = failing {
        disk.disk.fail_at(disk.disk.operation_count() + failing, Fault::Partial(700, ErrorKind::StorageFull));
    }
    let outcome = store.checkpoint();
    *disk.hook.lock() = None;
    disk.disk.clear_faults();
    (outcome, blocks, kept)
}

#[test]
fn checkpoint__among_blocks__has_the_state_at_which_it_began() {
    for seed in 0..4 {
        let disk = WatchedDisk::new(SimulatedDisk::new());
        let store = Arc::new(open(&disk));
        let mut numbers = Numbers::new(seed);
        // Blocks only, so that each state has a number of its own.
        (0..8).for_each(|_| commit(&store, &mut numbers));
        let failing = (seed % 2 == 1).then(|| 1 + numbers.below(12));
        let (outcome, mut blocks, mut kept) = checkpoint_among_blocks(&disk, &store, seed, failing);
        assert_eq!(outcome.is_err(), failing.is_some(), "{outcome:?}");
        assert_ne!(store.states(), blocks, "blocks are committed meanwhile");
        if outcome.is_err() {
            // What it wrote in vain is written by the next one.
            (0..8).for_each(|_| commit(&store, &mut numbers));
            let (outcome, later_blocks, later_kept) = checkpoint_among_blocks(&disk, &store, seed, None);
            outcome.unwrap();
            (blocks, kept) = (later_blocks, later_kept);
        }
        let report = verify(&disk.disk.after_kill()).unwrap();
        assert_eq!((report.checkpoint, report.damage), (blocks[blocks.len() - 1], Vec::new()));
        let left = WatchedDisk::new(disk.disk.crash(seed));
        let opened = open(&left);
        assert_eq!(opened.states(), blocks);
        for (block, kept) in blocks.iter().zip(kept) {
            assert_eq!(seen(&opened.at(block.number).unwrap()), kept, "seed {seed}, block {}", block.number);
        }
        // And the next one has all that came meanwhile.
        store.checkpoint().unwrap();
        let opened = open(&WatchedDisk::new(disk.disk.crash(seed)));
        assert_eq!(opened.states(), store.states());
        assert_eq!(seen(&opened.latest()), seen(&store.latest()));
    }
}

#[test]
fn checkpoint__told_a_clock__says_what_it_did_and_how_long_blocks_waited() {
    let disk = WatchedDisk::new(SimulatedDisk::new());
    let store = open(&disk);
    commit(&store, &mut Numbers::new(1));
    let ticks = std::sync::atomic::AtomicU64::new(0);
    let clock = || ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let report = store.checkpoint_timed(&clock).unwrap().unwrap();
    assert_eq!(report.block, store.latest().block());
    assert!(report.bytes > 3 * 4_096, "{}", report.bytes);
    // Each piece is one tick of this clock.
    assert!(report.hold_ns_max == 1 && report.duration_ns > 5, "{report:?}");
    let in_memory = MetisStore::in_memory([], config()).unwrap();
    assert_eq!(in_memory.checkpoint_timed(&clock), Ok(None));
}
