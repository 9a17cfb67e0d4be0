//! What executors tell the state of transactions that are about to run.

use std::sync::{Arc, Mutex};

use alloy_consensus::{Header, SignableTransaction, TxEip2930};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use metis_db::{GenesisAccount, MemorySnapshot, MemoryStore, MissingState, StateStore};
use metis_executor::{Executor, ParallelExecutor, SequentialExecutor};
use metis_state_transition::{
    Account, Ancestors, BlockEnvironment, ChainSpec, ChangeSet, Code, Fork, InterpreterRunner, RanTransactions,
    RecoveredTransaction, StateCommitment, StateView,
};

const COUNT: u64 = 100;
/// Reads what its two slots hold.
const CODE: [u8; 8] = [0x5f, 0x54, 0x50, 0x60, 0x01, 0x54, 0x50, 0x00];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Account(Address),
    Slot(Address, U256),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Told(Place),
    Read(Place),
}

/// A state that notes what it is told and asked.
struct Listening {
    snapshot: Arc<MemorySnapshot>,
    events: Mutex<Vec<Event>>,
}

impl Listening {
    fn note(&self, event: Event) {
        self.events.lock().unwrap().push(event);
    }
}

impl StateView for Listening {
    type Error = MissingState;

    fn account(&self, address: &Address) -> Result<Option<Account>, MissingState> {
        self.note(Event::Read(Place::Account(*address)));
        self.snapshot.account(address)
    }

    fn code(&self, code_hash: &B256) -> Result<Code, MissingState> {
        self.snapshot.code(code_hash)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, MissingState> {
        self.note(Event::Read(Place::Slot(*address, *slot)));
        self.snapshot.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, MissingState> {
        self.snapshot.has_storage(address)
    }

    fn prefetch(&self, address: &Address, slots: &[B256]) {
        self.note(Event::Told(Place::Account(*address)));
        slots.iter().for_each(|slot| self.note(Event::Told(Place::Slot(*address, U256::from_be_bytes(slot.0)))));
    }
}

impl StateCommitment for Listening {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, MissingState> {
        self.snapshot.state_root_after(changes)
    }
}

fn numbered(kind: u8, number: u64) -> Address {
    Address::left_padding_from(&[&[kind][..], &number.to_be_bytes()].concat())
}

/// Calls, each by a sender of its own to a contract of its own, whose second slot is in the access list.
fn calls() -> (Arc<MemorySnapshot>, Vec<RecoveredTransaction>) {
    let genesis = (0..COUNT).flat_map(|number| {
        let rich = GenesisAccount { balance: U256::from(10u64.pow(18)), ..GenesisAccount::default() };
        let contract = GenesisAccount { nonce: 1, code: CODE.into(), ..GenesisAccount::default() };
        [(numbered(0xaa, number), rich), (numbered(0xcc, number), contract)]
    });
    let snapshot = MemoryStore::new(genesis, 0).latest();
    let call = |number| {
        let storage_keys = vec![B256::with_last_byte(1)];
        let fields = TxEip2930 {
            chain_id: 1,
            gas_price: 10,
            gas_limit: 100_000,
            to: TxKind::Call(numbered(0xcc, number)),
            access_list: AccessList(vec![AccessListItem { address: numbered(0xcc, number), storage_keys }]),
            ..TxEip2930::default()
        };
        let envelope = fields.into_signed(Signature::new(U256::ONE, U256::ONE, false)).into();
        RecoveredTransaction { envelope, sender: numbered(0xaa, number) }
    };
    (snapshot, (0..COUNT).map(call).collect())
}

fn run(
    executor: &impl Executor,
    view: impl StateCommitment<Error = MissingState> + Sync,
    calls: &[RecoveredTransaction],
) -> RanTransactions {
    let header = Header { number: 1, gas_limit: 100_000_000, base_fee_per_gas: Some(7), ..Header::default() };
    let environment = BlockEnvironment::of(&header, Ancestors::default());
    let spec = ChainSpec::at_fork(Fork::Shanghai, 1);
    executor.run(view, &spec, environment, &calls.iter().collect::<Vec<_>>(), &InterpreterRunner).unwrap()
}

/// What the state was told and asked, after a comparison with one that is not listened to.
fn events(executor: &impl Executor) -> Vec<Event> {
    let (snapshot, calls) = calls();
    let expected = run(&SequentialExecutor, &*snapshot, &calls);
    let view = Listening { snapshot, events: Mutex::default() };
    let got = run(executor, &view, &calls);
    assert_eq!(got.receipts.len(), calls.len());
    assert_eq!((got.receipts, got.changes), (expected.receipts, expected.changes));
    view.events.into_inner().unwrap()
}

/// What a call is known to read before it runs.
fn known(number: u64) -> [Place; 3] {
    let contract = numbered(0xcc, number);
    [Place::Account(numbered(0xaa, number)), Place::Account(contract), Place::Slot(contract, U256::ONE)]
}

fn is_told_before_read(events: &[Event]) -> bool {
    let first = |event| events.iter().position(|seen| *seen == event);
    let places: Vec<Place> = (0..COUNT).flat_map(known).collect();
    places.iter().all(|place| {
        let (told, read) = (first(Event::Told(*place)), first(Event::Read(*place)));
        told.is_some() && read.is_some() && told < read
    })
}

#[test]
fn state__of_a_block_in_order__is_told_what_is_read_before_it_is() {
    assert!(is_told_before_read(&events(&SequentialExecutor)));
}

#[test]
fn state__of_a_block_of_many_workers__is_told_what_is_read_before_it_is() {
    assert!(is_told_before_read(&events(&ParallelExecutor::new(4).forced())));
}
