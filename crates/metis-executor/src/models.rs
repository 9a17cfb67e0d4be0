//! The models of this machine, as precompiles ask for them.

use std::{collections::HashMap, sync::Arc};

use alloy_primitives::{B256, Bytes};
use metis_inference::{How, InvalidInput, Kernel, Model, WeightBytes, graph::Facts};
use metis_state_transition::{InferenceError, InferenceHost, ModelCost};
use parking_lot::RwLock;

/// Models by id. Whoever adds one has checked that it is the one with this id.
#[derive(Default)]
pub struct ModelSet(RwLock<HashMap<B256, Arc<Ready>>>);

struct Ready {
    model: Arc<Model<WeightBytes>>,
    cost: ModelCost,
}

impl ModelSet {
    /// Adds a model; one that is there stays.
    pub fn add(&self, id: B256, model: Arc<Model<WeightBytes>>) {
        let cost = cost_of(&model);
        let ready = || Arc::new(Ready { model, cost });
        self.0.write().entry(id).or_insert_with(ready);
    }

    /// Takes a model away; runs in progress end as they would have.
    pub fn remove(&self, id: &B256) -> bool {
        self.0.write().remove(id).is_some()
    }

    /// The models that are here, in order.
    pub fn ids(&self) -> Vec<B256> {
        let mut ids: Vec<B256> = self.0.read().keys().copied().collect();
        ids.sort_unstable();
        ids
    }

    fn get(&self, id: &B256) -> Option<Arc<Ready>> {
        self.0.read().get(id).cloned()
    }
}

impl std::fmt::Debug for ModelSet {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("ModelSet").field(&self.ids()).finish()
    }
}

fn cost_of(model: &Model<WeightBytes>) -> ModelCost {
    let proven = model.proven();
    // A cost that does not fit 64 bits is above the limits that the model was opened with, whose greatest fit.
    let number = |value: u128| u64::try_from(value).unwrap_or(u64::MAX);
    let size = |facts: &Facts| facts.size_bytes() as u64;
    ModelCost {
        macs: number(proven.cost.macs),
        moved_bytes: number(proven.cost.moved_bytes),
        input_bytes: proven.graph.inputs.iter().map(|input| size(&input.facts)).sum(),
        output_bytes: proven.graph.outputs.iter().map(|output| size(&proven.tensors[output.tensor as usize])).sum(),
    }
}

impl InferenceHost for ModelSet {
    fn cost(&self, model: &B256) -> Option<ModelCost> {
        self.get(model).map(|ready| ready.cost)
    }

    fn infer(&self, model: &B256, input: &[u8]) -> Result<Bytes, InferenceError> {
        let ready = self.get(model).ok_or_else(|| InferenceError::Fault(format!("model {model} is gone")))?;
        ready.run(input)
    }
}

impl Ready {
    fn run(&self, input: &[u8]) -> Result<Bytes, InferenceError> {
        let graph = &self.model.proven().graph;
        let mut rest = input;
        let mut given = Vec::with_capacity(graph.first_constant());
        for declaration in &graph.inputs {
            let (tensor, behind) = rest
                .split_at_checked(declaration.facts.size_bytes())
                .ok_or_else(|| InferenceError::Fault(format!("{} bytes of input", input.len())))?;
            given.push(Some(tensor));
            rest = behind;
        }
        given.resize(graph.first_constant(), None);
        // One thread: the executor runs transactions beside each other.
        let output = self.model.with_workspace(1, |workspace| {
            let run = self.model.run(How { kernel: Kernel::best(), threads: 1 }, &given, workspace);
            run.map(|()| self.model.outputs(workspace).concat())
        });
        match output {
            Ok(output) => Ok(output.into()),
            Err(InvalidInput::Range { .. }) => Err(InferenceError::InputOutOfRange),
            Err(error @ InvalidInput::Length { .. }) => Err(InferenceError::Fault(error.to_string())),
        }
    }
}
