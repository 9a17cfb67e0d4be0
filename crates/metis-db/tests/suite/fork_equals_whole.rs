//! A forked store that is supplied on demand against a store that holds everything from the start.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use metis_db::{
    CommittedBlock, ForkOrigin, GenesisAccount, MemorySnapshot, MemoryStore, MissingState, StateKey, StateStore, Supply,
};
use metis_state_transition::{Account, AccountChange, ChangeSet, Code, StateCommitment, StateView};
use proptest::prelude::*;

const ACCOUNTS: u8 = 5;
const SLOTS: u8 = 4;

type Whole = BTreeMap<u8, (u64, BTreeMap<u8, u64>)>;
/// One account's change: deleted, or a balance, with or without clearing, and some slots.
type Edit = (u8, Option<(u64, bool, Vec<(u8, u64)>)>);

fn address(index: u8) -> Address {
    Address::repeat_byte(index + 1)
}

fn storage(slots: impl IntoIterator<Item = (u8, u64)>) -> BTreeMap<U256, U256> {
    slots.into_iter().map(|(slot, value)| (U256::from(slot), U256::from(value))).collect()
}

fn origin_states() -> impl Strategy<Value = Whole> {
    let account = (1u64..5, proptest::collection::btree_map(0..SLOTS, 0u64..3, 0..4));
    proptest::collection::btree_map(0..ACCOUNTS, account, 0..5)
}

fn blocks() -> impl Strategy<Value = Vec<Vec<Edit>>> {
    let change = (1u64..5, any::<bool>(), proptest::collection::vec((0..SLOTS, 0u64..3), 0..4));
    let edits = proptest::collection::vec((0..ACCOUNTS, proptest::option::weighted(0.8, change)), 0..4);
    proptest::collection::vec(edits, 1..5)
}

fn changes(edits: &[Edit]) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for (index, edit) in edits {
        let change = match edit {
            None => AccountChange { account: None, storage_cleared: true, ..AccountChange::default() },
            Some((balance, storage_cleared, slots)) => AccountChange {
                account: Some(Account { nonce: 1, balance: U256::from(*balance), ..Account::default() }),
                storage_cleared: *storage_cleared,
                storage: storage(slots.iter().copied()),
            },
        };
        let mut one = ChangeSet::default();
        one.accounts.insert(address(*index), change);
        changes.merge(one);
    }
    changes
}

/// Reads, and supplies what is missing until the read is answered.
fn read<T>(
    origin: &ForkOrigin,
    state: &Whole,
    mut ask: impl FnMut() -> Result<T, MissingState>,
) -> Result<T, TestCaseError> {
    let mut asked = Vec::new();
    loop {
        let key = match ask() {
            Ok(found) => return Ok(found),
            Err(MissingState(key)) => key,
        };
        prop_assert!(!asked.contains(&key), "asked twice for {key:?}");
        asked.push(key);
        let mut supply = Supply::default();
        let of = |address: Address| state.get(&(address[0] - 1));
        match key {
            StateKey::Account(address) => {
                let balance = of(address).map_or(0, |(balance, _)| *balance);
                supply.accounts.push((address, u64::from(balance > 0), U256::from(balance), Code::default()));
            }
            StateKey::Slot(address, slot) => {
                let value = of(address).and_then(|(_, slots)| slots.get(&slot.to::<u8>())).copied().unwrap_or(0);
                supply.slots.push((address, slot, U256::from(value)));
            }
            StateKey::BlockHash(_) => prop_assert!(false, "a store does not ask for block hashes"),
        }
        origin.supply(supply);
    }
}

fn block(number: u64, state_root: B256) -> CommittedBlock {
    CommittedBlock { number, hash: B256::with_last_byte(number as u8), parent_hash: B256::ZERO, state_root }
}

fn assert_equal(
    origin: &ForkOrigin,
    state: &Whole,
    forked: &MemorySnapshot,
    whole: &MemorySnapshot,
) -> Result<(), TestCaseError> {
    for index in 0..ACCOUNTS {
        let address = address(index);
        let expected = whole.account(&address).unwrap();
        prop_assert_eq!(read(origin, state, || forked.account(&address))?, expected);
        for slot in 0..SLOTS {
            let slot = U256::from(slot);
            let expected = whole.storage(&address, &slot).unwrap();
            prop_assert_eq!(read(origin, state, || forked.storage(&address, &slot))?, expected);
        }
        // All of the origin's slots are known by now.
        prop_assert_eq!(forked.has_storage(&address).unwrap(), whole.has_storage(&address).unwrap());
    }
    Ok(())
}

proptest! {
    #[test]
    fn forked_store__with_any_changes__reads_as_one_that_holds_everything(
        state in origin_states(), blocks in blocks(),
    ) {
        let alloc = state.iter().map(|(index, (balance, slots))| {
            let storage = storage(slots.iter().map(|(slot, value)| (*slot, *value)));
            (address(*index), GenesisAccount { nonce: 1, balance: U256::from(*balance), storage, ..Default::default() })
        });
        let whole = MemoryStore::new(alloc, 100);
        let origin = Arc::new(ForkOrigin::default());
        let forked = MemoryStore::forked(Arc::clone(&origin), block(0, B256::ZERO), &ChangeSet::default(), 100);
        for (index, edits) in blocks.iter().enumerate() {
            let changes = changes(edits);
            for store in [&whole, &forked] {
                let parent = store.latest();
                let root = parent.state_root_after(&changes).unwrap();
                store.commit(&parent, block(index as u64 + 1, root), &changes).unwrap();
            }
            // The state before is asked as well: what was fetched late must not show through.
            for number in [index as u64, index as u64 + 1] {
                assert_equal(&origin, &state, &forked.at(number).unwrap(), &whole.at(number).unwrap())?;
            }
        }
        forked.revert_to(0).unwrap();
        assert_equal(&origin, &state, &forked.latest(), &whole.at(0).unwrap())?;
    }

    #[test]
    fn forked_root__of_different_changes__differs(one in blocks(), other in blocks()) {
        let root = |blocks: &[Vec<Edit>]| {
            let store = MemoryStore::forked(Arc::default(), block(0, B256::ZERO), &ChangeSet::default(), 1);
            let merged: Vec<Edit> = blocks.concat();
            store.latest().state_root_after(&changes(&merged)).unwrap()
        };
        let same = changes(&one.concat()) == changes(&other.concat());
        prop_assert_eq!(root(&one) == root(&other), same);
    }
}

#[test]
fn probe__of_missing_state__goes_on_and_notes_every_key() {
    let store = MemoryStore::forked(Arc::default(), block(7, B256::ZERO), &ChangeSet::default(), 1);
    let (one, two) = (address(1), address(2));
    assert_eq!(store.latest().account(&one), Err(MissingState(StateKey::Account(one))));
    let probe = store.latest().probe();
    assert_eq!(probe.account(&one), Ok(None));
    assert_eq!(probe.storage(&two, &U256::from(9)), Ok(U256::ZERO));
    assert_eq!(probe.missed(), [StateKey::Account(one), StateKey::Slot(two, U256::from(9))]);
}

#[test]
fn probe__given_to_commit__is_refused() {
    let store = MemoryStore::forked(Arc::default(), block(7, B256::ZERO), &ChangeSet::default(), 1);
    let changes = ChangeSet::default();
    let probe = store.latest().probe();
    let root = probe.state_root_after(&changes).unwrap();
    assert!(store.commit(&probe, block(8, root), &changes).is_err());
    assert_eq!(store.latest().missed(), []);
}

#[test]
fn forked_store__of_a_removed_account__shows_nothing_of_the_origin() {
    let origin = Arc::new(ForkOrigin::default());
    let account = address(0);
    origin.supply(Supply {
        accounts: vec![(account, 3, U256::from(5), Code::new([0x60, 0x00].into()))],
        slots: vec![(account, U256::from(1), U256::from(2))],
        ..Supply::default()
    });
    let store = MemoryStore::forked(origin, block(0, B256::ZERO), &ChangeSet::default(), 1);
    let parent = store.latest();
    let removed = changes(&[(0, None)]);
    store.commit(&parent, block(1, parent.state_root_after(&removed).unwrap()), &removed).unwrap();
    assert_eq!(store.latest().account(&account), Ok(None));
    assert_eq!(store.latest().storage(&account, &U256::from(1)), Ok(U256::ZERO));
    assert!(!store.latest().has_storage(&account).unwrap());
    assert!(store.latest().is_changed(&account));
}
