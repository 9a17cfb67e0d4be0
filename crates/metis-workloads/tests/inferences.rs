//! Calls of models run beside each other.

#![allow(non_snake_case)] // subject__condition__outcome

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use alloy_primitives::{B256, Bytes};
use metis_state_transition::{InferenceError, InferenceHost, ModelCost, Models};
use metis_workloads::{Contest, Contestant, inferences};

const MODEL: B256 = B256::repeat_byte(7);
const CALL_COUNT: usize = 200;
/// A call waits so long for another one to come: much longer than it takes to come, were it let.
const PATIENCE: Duration = Duration::from_millis(50);

/// A model whose runs wait for each other in pairs.
#[derive(Debug, Default)]
struct Meeting {
    arrived: AtomicUsize,
    alone: AtomicUsize,
}

impl InferenceHost for Meeting {
    fn cost(&self, model: &B256) -> Option<ModelCost> {
        (*model == MODEL).then_some(ModelCost { macs: 1_000, moved_bytes: 1_000, input_bytes: 32, output_bytes: 4 })
    }

    fn infer(&self, _model: &B256, input: &[u8]) -> Result<Bytes, InferenceError> {
        let begun = Instant::now();
        let own = self.arrived.fetch_add(1, SeqCst) + 1;
        let is_alone = || own % 2 == 1 && self.arrived.load(SeqCst) == own;
        while is_alone() && begun.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
        self.alone.fetch_add(usize::from(is_alone()), SeqCst);
        Ok(Bytes::copy_from_slice(&input[..4]))
    }
}

#[test]
fn inferences__of_one_model_for_many_users__run_beside_each_other() {
    let host = Arc::new(Meeting::default());
    let models = Models::new(host.clone());
    let workload = inferences("meeting", models, MODEL, &[Bytes::from([1; 32])], CALL_COUNT).unwrap();
    let (_, gas) = Contest::new(workload).run(Contestant::Parallel(2), Duration::ZERO).unwrap();
    assert!(gas > 0);
    let (alone, runs) = (host.alone.load(SeqCst), host.arrived.load(SeqCst));
    // The first payment makes the precompile's account: the batches that ran ahead of that run again.
    assert!(runs <= CALL_COUNT + 64, "{runs} runs");
    assert!(alone <= CALL_COUNT / 10, "{alone} of {runs} runs had no company");
}
