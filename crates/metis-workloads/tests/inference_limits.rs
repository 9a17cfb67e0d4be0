//! Calls of models that no longer fit into a block.

#![allow(non_snake_case)] // subject__condition__outcome

use std::sync::Arc;

use alloy_primitives::{B256, Bytes};
use metis_state_transition::{InferenceError, InferenceHost, InterpreterRunner, ModelCost, Models};
use metis_workloads::{Contest, inferences};

const MODEL: B256 = B256::repeat_byte(7);

/// A model that gives its input's beginning, at once.
#[derive(Debug)]
struct Echo;

impl InferenceHost for Echo {
    fn cost(&self, model: &B256) -> Option<ModelCost> {
        (*model == MODEL).then_some(ModelCost { macs: 1_000, moved_bytes: 1_000, input_bytes: 32, output_bytes: 4 })
    }

    fn infer(&self, _model: &B256, input: &[u8]) -> Result<Bytes, InferenceError> {
        Ok(Bytes::copy_from_slice(&input[..4]))
    }
}

/// Oracle: the block that is built in order. What no longer fits has run before that is known, and must leave nothing.
#[test]
fn inferences__more_than_a_block_may_have__are_left_out_without_a_trace() {
    for inference_count in [0, 1, 50, 99] {
        let models = Models::new(Arc::new(Echo));
        let mut workload = inferences("echo", models, MODEL, &[Bytes::from([1; 32])], 100).unwrap();
        workload.spec.inference[0].1.block_macs_max = inference_count * 1_000;
        let contest = Contest::new(workload);
        for workers in [1, 2, 4] {
            contest.compare(workers, &InterpreterRunner).unwrap();
        }
    }
}
