//! The executor on schedules that shuttle chooses: at every lock and every atomic it is decided anew who goes on.

#![allow(non_snake_case, dead_code)] // subject__condition__outcome; the worlds are of the integration tests

#[path = "../../tests/parallel/code.rs"]
mod code;
#[path = "../../tests/parallel/dice.rs"]
mod dice;
#[path = "../../tests/parallel/world.rs"]
pub(super) mod world;

use std::panic::catch_unwind;

use alloy_primitives::{Address, U256};
use metis_state_transition::{InterpreterRunner, RanTransactions};
use shuttle::{
    Config, MaxSteps, Runner,
    scheduler::{PctScheduler, RandomScheduler, Scheduler},
};

use super::{
    memory::{AccountCell, Found, Memory},
    order::Order,
    pace::Freely,
    sync::{Mutex, scope},
    table::Table,
};
use crate::{Executor, ParallelExecutor, SequentialExecutor};
use world::World;

/// As many as the block of a model has: what matters happens between two or three.
const TRANSACTION_COUNT: usize = 6;
const WORKERS: usize = 3;
/// Where a change of the running thread matters, few of them do (Burckhardt et al., ASPLOS 2010).
const PCT_DEPTH: usize = 3;

pub(super) fn explore(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    // The machine runs on the stacks of shuttle's threads.
    config.stack_size = 1 << 20;
    // Nobody waits for what never comes.
    config.max_steps = MaxSteps::FailAfter(1_000_000);
    Runner::new(scheduler, config).run(model);
}

fn run(world: &World, executor: &impl Executor) -> RanTransactions {
    let candidates: Vec<_> = world.candidates.iter().take(TRANSACTION_COUNT).collect();
    let environment = world.environment();
    executor.run(&*world.snapshot, &world.spec, environment, &candidates, &InterpreterRunner).unwrap()
}

fn equals_sequential(seed: u64, scheduler: impl Scheduler + 'static) {
    let world = World::random(seed);
    let expected = run(&world, &SequentialExecutor);
    explore(scheduler, move || {
        let executor = ParallelExecutor::new(WORKERS).forced();
        let executor = match seed % 6 {
            0 => executor.with_versions(),
            1 => executor.following(),
            2 => executor.with_versions().impatient(),
            3 => executor.in_batches(2).impatient(),
            _ => executor.in_batches(1 + (seed / 6 % 3) as usize),
        };
        let got = run(&world, &executor);
        assert_eq!(format!("{:?}", got.skipped), format!("{:?}", expected.skipped), "seed {seed}");
        assert_eq!(got.receipts, expected.receipts, "seed {seed}");
        assert_eq!(got.changes, expected.changes, "seed {seed}");
    });
}

fn many_schedules(seeds: std::ops::Range<u64>, schedules: usize) {
    for seed in seeds {
        equals_sequential(seed, RandomScheduler::new_from_seed(seed, schedules));
        equals_sequential(seed, PctScheduler::new_from_seed(seed, PCT_DEPTH, schedules));
    }
}

#[test]
fn executor__on_random_and_prioritised_schedules__equals_sequential() {
    many_schedules(0..60, 20);
}

#[test]
#[ignore = "takes minutes; make test-long runs it"]
fn executor__on_many_more_schedules__equals_sequential() {
    many_schedules(1_000..2_000, 40);
}

/// Workers as they are, with transactions that do nothing.
fn empty_block(looks_again: bool) {
    let order = Order::new(4);
    let work = || {
        let mut own = None;
        while !order.is_over() {
            let Some(index) = own.take().or_else(|| order.take(&Freely)) else { return };
            own = order.ran(index);
            while order.head_has_run() && order.take_desk() {
                while !order.is_over() && order.head_has_run() {
                    assert!(order.committed(order.head()).is_none(), "nobody waits here");
                }
                order.leave_desk();
                if !looks_again {
                    break;
                }
            }
        }
    };
    scope(|threads| {
        threads.spawn(work);
        work();
    });
    assert_eq!(order.head(), 4);
}

#[test]
fn order__two_workers__end_the_block() {
    explore(RandomScheduler::new_from_seed(1, 5_000), || empty_block(true));
    explore(PctScheduler::new_from_seed(1, PCT_DEPTH, 5_000), || empty_block(true));
}

#[test]
fn order__nobody_looks_after_leaving_the_desk__sleeps_for_ever() {
    let found = catch_unwind(|| explore(RandomScheduler::new_from_seed(1, 5_000), || empty_block(false)));
    assert!(found.is_err(), "a transaction that ran while the desk was left stays there");
}

/// Two transactions add one to a slot, each on a thread of its own; they are committed in order.
fn two_additions(compares: bool) {
    let accounts: Table<Address, AccountCell> = Table::new(1);
    let memory = Memory::new(&accounts, 1);
    let cell = memory.slot(Address::ZERO, U256::ZERO);
    let seen = [Mutex::new(None), Mutex::new(None)];
    let work = |index: usize| {
        let read = match cell.read(index as u32) {
            Found::Value(value, _) => value,
            Found::Base | Found::Blocked(_) => U256::ZERO,
        };
        cell.publish(index as u32, Some(read + U256::ONE));
        *seen[index].lock() = Some(read);
    };
    scope(|threads| {
        threads.spawn(|| work(1));
        work(0);
    });
    for (index, seen) in seen.iter().enumerate() {
        let committed = cell.committed().unwrap_or_default();
        let read = if compares { committed } else { seen.lock().unwrap_or_default() };
        cell.commit(index as u32, read + U256::ONE);
    }
    assert_eq!(cell.committed(), Some(U256::from(2)));
}

#[test]
fn memory__reads_are_compared_at_the_commit__adds_both() {
    explore(RandomScheduler::new_from_seed(1, 2_000), || two_additions(true));
}

#[test]
fn memory__reads_are_not_compared__loses_one() {
    let found = catch_unwind(|| explore(RandomScheduler::new_from_seed(1, 2_000), || two_additions(false)));
    assert!(found.is_err(), "both read the slot before either wrote it");
}
