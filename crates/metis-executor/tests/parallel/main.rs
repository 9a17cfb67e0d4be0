//! Blocks run in parallel against the same blocks run in order.

#![allow(non_snake_case)] // subject__condition__outcome

mod announced;
mod code;
mod dice;
mod record;
mod refusals;
mod world;

use metis_executor::{Executor, ParallelExecutor, Sealed, SequentialExecutor};
use metis_state_transition::{BuiltBlock, InterpreterRunner};
use world::World;

impl World {
    fn build(&self, executor: &impl Executor) -> BuiltBlock {
        let candidates: Vec<_> = self.candidates.iter().collect();
        let (parent, attributes) = (&self.parent, self.attributes.clone());
        executor.build(&*self.snapshot, &self.spec, parent, attributes, &candidates, &InterpreterRunner).unwrap()
    }

    /// Builds with both, compares everything, and verifies what was built.
    fn compare(&self, executor: &impl Executor, what: &str) {
        let expected = self.build(&SequentialExecutor);
        let got = self.build(executor);
        assert_eq!(got.included, expected.included, "{what}: included");
        assert_eq!(format!("{:?}", got.skipped), format!("{:?}", expected.skipped), "{what}: skipped");
        assert_eq!(got.outcome.receipts, expected.outcome.receipts, "{what}: receipts");
        assert_eq!(got.outcome.changes, expected.outcome.changes, "{what}: changes");
        assert_eq!(got.block.header, expected.block.header, "{what}: header");
        let included: Vec<_> = expected.included.iter().map(|index| self.candidates[*index].clone()).collect();
        let sealed = Sealed {
            parent: &self.parent,
            block: &expected.block,
            transactions: &included,
            ancestors: self.attributes.ancestors.clone(),
        };
        let verified = executor.verify(&*self.snapshot, &self.spec, sealed, &InterpreterRunner).unwrap();
        assert_eq!(verified.changes, expected.outcome.changes, "{what}: changes when verified");
        assert_eq!(verified.receipts, expected.outcome.receipts, "{what}: receipts when verified");
    }
}

fn random_blocks(seeds: std::ops::Range<u64>, workers: usize) {
    for seed in seeds {
        let world = World::random(seed);
        let what = format!("seed {seed}, {:?}, {workers} workers", world.fork);
        let executor = ParallelExecutor::new(workers).forced();
        world.compare(&executor, &what);
        world.compare(&executor.in_batches(1 + (seed % 7) as usize), &format!("{what}, in batches"));
        world.compare(&executor.with_versions(), &format!("{what}, with versions"));
        world.compare(&executor.following(), &format!("{what}, following"));
        world.compare(&executor.impatient(), &format!("{what}, impatient"));
    }
}

#[test]
fn random_block__with_one_worker__equals_sequential() {
    random_blocks(0..400, 1);
}

#[test]
fn random_block__with_two_workers__equals_sequential() {
    random_blocks(400..800, 2);
}

#[test]
fn random_block__with_eight_workers__equals_sequential() {
    random_blocks(800..1200, 8);
}

/// Many schedules of few transactions: the dice choose at every read, publication and commit which worker goes on.
#[test]
fn random_block__on_any_chosen_schedule__equals_sequential() {
    for seed in 0..2000u64 {
        let world = World::random(10_000 + seed / 4);
        let candidates: Vec<_> = world.candidates.iter().take(24).collect();
        let environment = world.environment();
        let (view, spec) = (&*world.snapshot, &world.spec);
        let expected =
            SequentialExecutor.run(view, spec, environment.clone(), &candidates, &InterpreterRunner).unwrap();
        let workers = 2 + (seed % 3) as usize;
        let runner = InterpreterRunner;
        let executor = ParallelExecutor::new(workers);
        let executor = match seed % 8 {
            0 => executor.with_versions(),
            1 => executor.following(),
            2 => executor.with_versions().impatient(),
            3 => executor.following().impatient(),
            4 => executor.in_batches(4).impatient(),
            _ => executor.in_batches(1 + (seed / 8 % 3) as usize),
        };
        let got = executor.run_chosen(seed, view, spec, environment, &candidates, &runner).unwrap();
        let what = format!("seed {seed}, {:?}, {workers} workers", world.fork);
        assert_eq!(format!("{:?}", got.skipped), format!("{:?}", expected.skipped), "{what}");
        assert_eq!(got.receipts, expected.receipts, "{what}");
        assert_eq!(got.changes, expected.changes, "{what}");
    }
}

#[test]
fn random_blocks__taken_together__include_skip_and_fail() {
    let (mut included, mut skipped, mut failed) = (0, 0, 0);
    for seed in 0..100 {
        let built = World::random(seed).build(&SequentialExecutor);
        included += built.included.len();
        skipped += built.skipped.len();
        failed += built.outcome.receipts.iter().filter(|receipt| receipt.failure.is_some()).count();
    }
    assert!(included > 1000 && skipped > 100 && failed > 100, "{included} {skipped} {failed}");
}
