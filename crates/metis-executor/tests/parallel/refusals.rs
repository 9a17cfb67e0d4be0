//! Transactions that may not be in a block: left out with a reason when it is built, refused when it is verified; and
//! nobody waits for them.

use alloy_consensus::proofs;
use metis_executor::{Executor, ParallelExecutor, Sealed, SequentialExecutor};
use metis_state_transition::{Block, BlockError, InterpreterRunner, TransactionError};

use crate::world::World;

const WORKER_COUNTS: [usize; 5] = [1, 2, 4, 8, 16];

/// A block that holds every candidate, also those that a builder leaves out.
fn with_everything(world: &World, built: &Block) -> Block {
    let mut block = built.clone();
    block.body.transactions = world.candidates.iter().map(|candidate| candidate.envelope.clone()).collect();
    block.header.transactions_root = proofs::calculate_transaction_root(&block.body.transactions);
    block
}

/// Why an executor refuses the block.
fn refusal(executor: &impl Executor, world: &World, block: &Block) -> (usize, Box<TransactionError>) {
    let sealed = Sealed {
        parent: &world.parent,
        block,
        transactions: &world.candidates,
        ancestors: world.attributes.ancestors.clone(),
    };
    match executor.verify(&*world.snapshot, &world.spec, sealed, &InterpreterRunner) {
        Err(BlockError::Transaction { index, error }) => (index, error),
        other => panic!("not refused for a transaction: {other:?}"),
    }
}

#[test]
fn verified_block__with_a_transaction_that_may_not_be_in_it__is_refused_for_the_same_one() {
    let mut reasons = std::collections::HashSet::new();
    for seed in 0..250 {
        let world = World::random(seed);
        let built = world.build(&SequentialExecutor);
        let Some(first) = built.skipped.first() else { continue };
        let block = with_everything(&world, &built.block);
        let (index, error) = refusal(&SequentialExecutor, &world, &block);
        assert_eq!(index, first.index, "seed {seed}");
        reasons.insert(std::mem::discriminant(&*error));
        for workers in WORKER_COUNTS {
            let found = refusal(&ParallelExecutor::new(workers).forced(), &world, &block);
            assert_eq!(format!("{found:?}"), format!("{:?}", (index, &error)), "seed {seed}, {workers} workers");
        }
    }
    assert!(reasons.len() >= 4, "{} reasons: nonces too low and too high, poor senders, gas", reasons.len());
}

/// Workers that find the machine busy build the same bytes.
#[test]
fn built_block__on_a_busy_machine__is_the_same_bytes_on_any_number_of_workers() {
    let stop = std::sync::atomic::AtomicBool::new(false);
    let is_busy = || !stop.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                while is_busy() {
                    std::hint::spin_loop();
                }
            });
        }
        for seed in 5_000..5_040 {
            let world = World::random(seed);
            let expected = alloy_rlp::encode(&world.build(&SequentialExecutor).block);
            for workers in WORKER_COUNTS {
                let built = world.build(&ParallelExecutor::new(workers).forced());
                assert!(alloy_rlp::encode(&built.block) == expected, "seed {seed}, {workers} workers");
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
