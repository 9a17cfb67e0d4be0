//! Sums under shuttle: two calls add to a slot as long as that is not too much, each on a thread of its own.

#![allow(non_snake_case)] // subject__condition__outcome

use std::panic::catch_unwind;

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, Bytes, Signature, TxKind, U256, hex};
use metis_db::{GenesisAccount, MemorySnapshot, MemoryStore, StateStore};
use metis_state_transition::{
    BlockEnvironment, ChainPrecompiles, ChainSpec, Evm, Following, Fork, InterpreterRunner, Ledger,
    RecoveredTransaction, Rules,
};
use shuttle::scheduler::RandomScheduler;

use super::{
    attempt::{Attempt, Ran},
    memory::{AccountCell, Index, Memory},
    model::{explore, world::World},
    pace::Freely,
    sums::Finding,
    sync::{Mutex, scope},
    table::Table,
    view::VersionedView,
};

/// Adds one to slot 0, and reverts where that holds more than one.
const BOUNDED: [u8; 19] = hex!("5f54 80 6001 10 15 600d 57 5f80fd 5b 6001 01 5f 55");

const CONTRACT: Address = Address::repeat_byte(0xcc);
const WORD_BEFORE: U256 = U256::ONE;

/// How the desk settles a run.
#[derive(Clone, Copy)]
enum Desk {
    /// As it does: what does not hold is run again.
    Checks,
    /// It takes over the sums without a look at the conditions.
    Trusts,
}

fn world() -> World {
    let senders = [1, 2].map(Address::repeat_byte);
    let rich = GenesisAccount { balance: U256::from(10u64.pow(18)), ..GenesisAccount::default() };
    let storage = [(U256::ZERO, WORD_BEFORE)].into();
    let contract = GenesisAccount { nonce: 1, code: Bytes::from(BOUNDED), storage, ..GenesisAccount::default() };
    let genesis = senders.map(|sender| (sender, rich.clone())).into_iter().chain([(CONTRACT, contract)]);
    let candidates = senders.map(|sender| {
        let fields = TxLegacy {
            chain_id: Some(1),
            gas_price: 1_000_000,
            gas_limit: 100_000,
            to: TxKind::Call(CONTRACT),
            ..TxLegacy::default()
        };
        let envelope = fields.into_signed(Signature::new(U256::ONE, U256::ONE, false)).into();
        RecoveredTransaction { envelope, sender }
    });
    World {
        spec: ChainSpec::at_fork(Fork::Osaka, 1),
        snapshot: MemoryStore::new(genesis, 0).latest(),
        candidates: candidates.to_vec(),
        ..World::random(0)
    }
}

/// A block of the two calls.
struct Calls<'m, 'a> {
    world: &'m World,
    memory: &'m Memory<'a>,
    rules: Rules,
    environment: BlockEnvironment,
}

type Machine<'m, 'a> =
    Evm<VersionedView<'m, 'a, MemorySnapshot, Freely>, Following<InterpreterRunner>, ChainPrecompiles>;

impl<'m, 'a: 'm> Calls<'m, 'a> {
    fn machine(&self) -> Machine<'m, 'a> {
        let view = VersionedView::new(self.memory, &*self.world.snapshot, &Freely);
        let runner = Following::new(InterpreterRunner);
        Evm::new(view, &self.rules, &self.environment, runner, ChainPrecompiles::default())
    }

    fn run(&self, attempt: &mut Attempt<'m>, index: Index, is_final: bool) {
        let (mut evm, transaction) = (self.machine(), &self.world.candidates[index as usize]);
        attempt.clear();
        evm.view().begin(index, is_final, !is_final);
        evm.runner_mut().begin(!is_final);
        let (outcome, mut effects) = evm.execute_to_order(transaction, false).unwrap();
        evm.view().swap_reads(&mut attempt.reads);
        evm.runner_mut().swap_formulas(&mut attempt.sums.formulas);
        let draft = Ledger::draft(&self.rules, &self.environment, transaction, outcome, &mut Default::default());
        let ran = Ran::of(transaction, draft, 0, &mut effects, false);
        attempt.fill(transaction, ran, effects, self.memory);
    }
}

fn two_calls(world: &World, desk: Desk) {
    let accounts: Table<Address, AccountCell> = Table::new(8);
    let memory = Memory::new(&accounts, 8);
    let environment = world.environment();
    let rules = world.spec.rules_at(environment.number, environment.timestamp);
    let calls = Calls { world, memory: &memory, rules, environment };
    let attempts = [(); 2].map(|()| Mutex::new(Attempt::default()));
    let work = |index: Index| {
        let mut attempt = attempts[index as usize].lock();
        calls.run(&mut attempt, index, false);
        attempt.writes.publish(index);
    };
    scope(|threads| {
        threads.spawn(|| work(1));
        work(0);
    });
    let machine = calls.machine();
    for index in 0..2 {
        let mut attempt = attempts[index as usize].lock();
        attempt.writes.withdraw(index);
        let Attempt { reads, writes, sums, .. } = &mut *attempt;
        match desk {
            Desk::Checks => {
                if sums.settle(machine.view(), reads, writes) == Finding::Different {
                    calls.run(&mut attempt, index, true);
                }
            }
            Desk::Trusts => {
                let _holds = sums.replay(reads);
                sums.rewrite(writes);
            }
        }
        attempt.writes.commit(index, &memory, &mut Vec::new(), &mut Vec::new());
    }
    let committed = memory.slot(CONTRACT, U256::ZERO).committed();
    assert_eq!(committed, Some(U256::from(2)), "the second call finds two, and reverts");
}

fn explored(desk: Desk) {
    let world = world();
    explore(RandomScheduler::new_from_seed(1, 300), move || two_calls(&world, desk));
}

#[test]
fn sums__conditions_are_checked_at_the_commit__stay_within_the_bound() {
    explored(Desk::Checks);
}

#[test]
fn sums__conditions_are_not_checked__exceed_the_bound() {
    assert!(catch_unwind(|| explored(Desk::Trusts)).is_err(), "both found one, and added to it");
}
