//! What a tortured store does, step by step, and what its state must be after each.

use std::sync::{Arc, LazyLock};

use alloy_primitives::{Address, B256, U256, keccak256};
use metis_disk::Disk;
use metis_state_transition::{Account, AccountChange, ChangeSet, Code, StateCommitment, StateView};
use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng, SeedableRng},
};

use crate::{
    CommittedBlock, GenesisAccount, MemoryStore, MetisConfig, MetisStore, StateImport, StateSnapshot, StateStore,
    StoreError, inspect,
};

const ACCOUNT_COUNT: u64 = 96;
const SLOT_COUNT: u64 = 16;
/// Older states that stay readable: few, so that pruning happens.
const KEPT_BLOCK_COUNT: usize = 6;

/// Choices that follow from a seed.
#[derive(Clone, Debug)]
pub(super) struct Choices(SplitMix64);

impl Choices {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        Self(SplitMix64::seed_from_u64(seed ^ stream.wrapping_mul(0xd6e8_feb8_6659_fd93)))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What is done next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Commit(ChangeSet),
    Undo(usize),
    Checkpoint,
    /// Without forgetting anything that the plan keeps: pages move, and the file is cut off.
    Prune,
}

/// The step with this number.
pub(super) fn step(seed: u64, number: u64) -> Step {
    let mut choices = Choices::new(seed, number);
    match choices.below(12) {
        0 => Step::Checkpoint,
        // Now and then behind what is kept whole.
        1 if choices.below(4) == 0 => Step::Undo(choices.below(12) as usize),
        1 => Step::Undo(choices.below(3) as usize),
        2 if choices.below(3) == 0 => Step::Prune,
        _ => Step::Commit(changes(&mut choices)),
    }
}

static ADDRESSES: LazyLock<Vec<Address>> = LazyLock::new(|| (0..ACCOUNT_COUNT).map(make_address).collect());
static SLOTS: LazyLock<Vec<U256>> = LazyLock::new(|| (0..SLOT_COUNT).map(make_slot).collect());

fn address(index: u64) -> Address {
    ADDRESSES[index as usize]
}

fn slot(index: u64) -> U256 {
    SLOTS[index as usize]
}

fn make_address(index: u64) -> Address {
    Address::from_slice(&keccak256(index.to_be_bytes())[..20])
}

fn make_slot(index: u64) -> U256 {
    // Small ones and hashes, as contracts have them.
    if index.is_multiple_of(2) { U256::from(index) } else { keccak256(index.to_be_bytes()).into() }
}

fn changes(choices: &mut Choices) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for _ in 0..choices.below(14) {
        let mut change = AccountChange { storage_cleared: choices.below(20) == 0, ..AccountChange::default() };
        if choices.below(10) == 0 {
            change.storage_cleared = true;
        } else {
            let code = Code::new(vec![0x5b; choices.below(4) as usize].into());
            let balance = U256::from(choices.next());
            change.account = Some(Account { nonce: choices.below(1 << 20), balance, code_hash: code.hash() });
            changes.codes.insert(code.hash(), code);
            for _ in 0..choices.below(6) {
                change.storage.insert(slot(choices.below(SLOT_COUNT)), U256::from(choices.below(3)));
            }
        }
        changes.accounts.insert(address(choices.below(ACCOUNT_COUNT)), change);
    }
    changes
}

/// Half of the plans keep an archive.
const fn is_archive(seed: u64) -> bool {
    seed / 2 % 2 == 1
}

pub(super) fn config(seed: u64) -> MetisConfig {
    let config = MetisConfig::new([seed; 4]).keeping(KEPT_BLOCK_COUNT).with_segments(6);
    if is_archive(seed) { config.archiving() } else { config }
}

fn alloc() -> Vec<(Address, GenesisAccount)> {
    let storage = (0..SLOT_COUNT).map(|index| (slot(index), U256::from(index)));
    let account = GenesisAccount { balance: U256::from(7), storage: storage.collect(), ..GenesisAccount::default() };
    (0..ACCOUNT_COUNT / 2).map(|index| (address(index), account.clone())).collect()
}

/// The store of a disk, as the plans begin it: every other one with a state that is imported.
pub(super) fn open(disk: Arc<dyn Disk>, seed: u64) -> Result<MetisStore, StoreError> {
    let is_imported = seed % 2 == 1;
    if is_imported && matches!(inspect(&*disk), Err(StoreError::Io { .. } | StoreError::Corrupt { .. })) {
        let mut import = StateImport::new(&config(seed))?;
        EXPORT.iter().try_for_each(|chunk| import.feed(chunk))?;
        match import.finish(Arc::clone(&disk)) {
            // There is one that is damaged: opening it says so.
            Ok(_) | Err(StoreError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    MetisStore::open(disk, alloc(), config(seed))
}

/// The first state, as an export.
static EXPORT: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let store = MetisStore::in_memory(alloc(), config(0)).and_then(|store| store.export(None));
    // UNWRAP: a few accounts in memory.
    store.unwrap().collect::<Result<_, _>>().unwrap()
});

fn take<S: StateStore>(store: &S, number: u64, step: &Step) -> Result<(), String>
where
    S::Snapshot: StateSnapshot,
{
    match step {
        Step::Checkpoint | Step::Prune => Ok(()),
        // Where less is kept nothing happens, in both stores alike.
        Step::Undo(count) => match store.undo(*count) {
            Err(StoreError::Unavailable { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(error.to_string()),
        },
        Step::Commit(changes) => {
            let parent = store.latest();
            let state_root = parent.state_root_after(changes).map_err(|error| error.to_string())?;
            let before = parent.block();
            let (hash, parent_hash) = (keccak256(number.to_be_bytes()), before.hash);
            let block = CommittedBlock { number: before.number + 1, hash, parent_hash, state_root };
            store.commit(&parent, block, changes).map_err(|error| error.to_string())
        }
    }
}

/// Takes a step.
pub(super) fn take_step(store: &MetisStore, number: u64, step: &Step) -> Result<(), String> {
    match step {
        Step::Checkpoint => store.checkpoint().map_err(|error| error.to_string()),
        Step::Prune => store.prune(KEPT_BLOCK_COUNT, None).map(|_| ()).map_err(|error| error.to_string()),
        _ => take(store, number, step),
    }
}

/// The states after 0, 1, 2, … steps.
#[derive(Debug)]
pub(super) struct Models {
    seed: u64,
    states: Vec<MemoryStore>,
}

impl Models {
    pub(super) fn new(seed: u64) -> Self {
        let kept = if is_archive(seed) { usize::MAX } else { KEPT_BLOCK_COUNT };
        Self { seed, states: vec![MemoryStore::new(alloc(), kept)] }
    }

    /// The state after so many steps.
    pub(super) fn after(&mut self, count: u64) -> Result<&MemoryStore, String> {
        while self.states.len() as u64 <= count {
            let number = self.states.len() as u64 - 1;
            let next = self.states[self.states.len() - 1].fork();
            take(&next, number, &step(self.seed, number))?;
            self.states.push(next);
        }
        Ok(&self.states[count as usize])
    }

    /// Checks that a store has the state after some number of steps in a range, and says which.
    pub(super) fn check(&mut self, store: &MetisStore, first: u64, last: u64) -> Result<u64, String> {
        let newest = store.latest().block();
        for count in (first..=last).rev() {
            let model = self.after(count)?;
            if model.latest().block() == newest {
                return assert_same(store, model).map(|()| count);
            }
        }
        Err(format!("newest is block {} {}, of none of steps {first} to {last}", newest.number, newest.hash))
    }
}

fn assert_same(store: &MetisStore, model: &MemoryStore) -> Result<(), String> {
    let (oldest, newest) = (model.oldest_block_number(), model.latest().block().number);
    if store.oldest_block_number() != oldest {
        return Err(format!("oldest block is {}, not {oldest}", store.oldest_block_number()));
    }
    for number in oldest..=newest {
        let (ours, theirs) = match (store.at(number), model.at(number)) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Err(ours), Err(theirs)) if ours == theirs => continue,
            _ => return Err(format!("only one of the two has block {number}")),
        };
        let root = ours.state_root_after(&ChangeSet::default()).map_err(|error| error.to_string())?;
        if ours.block() != theirs.block() || root != theirs.block().state_root {
            return Err(format!("block {number} is another one, or of another root"));
        }
        for index in 0..ACCOUNT_COUNT {
            let address = address(index);
            let is_same = ours.account(&address).ok() == theirs.account(&address).ok()
                && SLOTS.iter().all(|slot| ours.storage(&address, slot).ok() == theirs.storage(&address, slot).ok());
            if !is_same {
                return Err(format!("block {number}: account {address} differs"));
            }
            let Ok(Some(account)) = theirs.account(&address) else { continue };
            let hash: B256 = account.code_hash;
            if ours.code(&hash).ok() != theirs.code(&hash).ok() {
                return Err(format!("block {number}: code {hash} differs"));
            }
        }
    }
    Ok(())
}
