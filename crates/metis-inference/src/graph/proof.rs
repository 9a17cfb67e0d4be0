//! From a graph to what is proven of it: shapes, types, bounds of every element, work and memory. Nothing runs.

use alloc::{vec, vec::Vec};

use super::{
    error::{Field, InvalidGraph, Problem},
    rules::effect_of,
    types::{Declaration, Facts, Graph},
    work::work_of,
};

/// What one run may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all constants, each padded to 64.
    pub weights_bytes: u128,
    /// The most bytes that inputs, states and results need at one time.
    pub memory_bytes: u128,
    /// Multiplications with addition, or their equivalent.
    pub macs: u128,
}

impl Default for Limits {
    fn default() -> Self {
        Self { weights_bytes: 1 << 32, memory_bytes: 1 << 32, macs: 1 << 44 }
    }
}

/// What one run costs, known before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Multiplications with addition, or their equivalent.
    pub macs: u128,
    /// Bytes of all operands that nodes read and all results that they write.
    pub moved_bytes: u128,
    /// The most bytes that inputs, states and results take at one time, each padded to 64.
    pub memory_bytes: u128,
    /// Bytes of all constants, each padded to 64.
    pub weights_bytes: u128,
}

/// A graph of which it is proven that it runs without overflow, and at what cost.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The graph.
    pub graph: Graph,
    /// What is known of each tensor, by its number.
    pub tensors: Vec<Facts>,
    /// The number of each node's first result.
    pub first_results: Vec<usize>,
    /// The work of each node.
    pub node_macs: Vec<u128>,
    /// What a run costs.
    pub cost: Cost,
}

/// Proves that a graph runs on every input in its declared range, and what that costs.
///
/// # Errors
/// The field names the node or limit, the problem the values.
pub fn prove(graph: Graph, limits: &Limits) -> Result<Proven, InvalidGraph> {
    let mut tensors: Vec<Facts> = graph.declarations().map(|tensor| tensor.facts).collect();
    let weights_bytes = graph.constants.iter().map(|tensor| tensor.facts.padded_bytes() as u128).sum();
    check_limit("weights_bytes", weights_bytes, limits.weights_bytes)?;
    let mut first_results = Vec::with_capacity(graph.nodes.len());
    let mut node_macs = Vec::with_capacity(graph.nodes.len());
    let mut moved_bytes = 0;
    let mut operands = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        operands.clear();
        operands.extend(node.inputs.iter().map(|&number| tensors[number as usize]));
        let effect = effect_of(&node.operator, &operands)
            .map_err(|problem| InvalidGraph { field: Field::item("nodes", index), problem })?;
        first_results.push(tensors.len());
        let second = node.inputs[node.inputs.len() - 1] as usize;
        let is_packed = (graph.first_constant()..graph.first_result()).contains(&second);
        node_macs.push(work_of(&node.operator, &operands, &effect.first, is_packed));
        for facts in [Some(effect.first), effect.second].into_iter().flatten() {
            moved_bytes += facts.size_bytes() as u128;
            tensors.push(facts);
        }
        moved_bytes += operands.iter().map(|facts| facts.size_bytes() as u128).sum::<u128>();
    }
    for (index, (state, &number)) in graph.states.iter().zip(&graph.updates).enumerate() {
        check_state(index, state, &tensors[number as usize])?;
    }
    let memory_bytes = peak_bytes(&graph, &tensors, &first_results);
    let cost = Cost { macs: node_macs.iter().sum(), moved_bytes, memory_bytes, weights_bytes };
    check_limit("macs", cost.macs, limits.macs)?;
    check_limit("memory_bytes", cost.memory_bytes, limits.memory_bytes)?;
    Ok(Proven { graph, tensors, first_results, node_macs, cost })
}

const fn check_limit(field: &'static str, value: u128, limit: u128) -> Result<(), InvalidGraph> {
    if value > limit {
        return Err(InvalidGraph { field: Field::whole(field), problem: Problem::Limit { value, limit } });
    }
    Ok(())
}

/// By induction a state stays within its range: it begins as zeros, and each run's update is within it.
fn check_state(index: usize, state: &Declaration, update: &Facts) -> Result<(), InvalidGraph> {
    let state = &state.facts;
    if state.lo > 0 || state.hi < 0 {
        let field = Field::item("states", index).leaf("lo");
        return Err(InvalidGraph {
            field,
            problem: Problem::Refused("the range leaves out zero, with which a state begins"),
        });
    }
    let field = Field::item("updates", index);
    if (update.dtype, update.shape) != (state.dtype, state.shape) {
        return Err(InvalidGraph { field, problem: Problem::Refused("it is not of the state's type and shape") });
    }
    if update.lo < state.lo || update.hi > state.hi {
        return Err(InvalidGraph { field, problem: Problem::Refused("it may leave the state's range") });
    }
    Ok(())
}

/// The most bytes in use at one time: a result lives from its node to the last that reads it, others throughout.
fn peak_bytes(graph: &Graph, tensors: &[Facts], first_results: &[usize]) -> u128 {
    let base = graph.first_result();
    let fixed: u128 = tensors[..graph.first_constant()].iter().map(|facts| facts.padded_bytes() as u128).sum();
    let mut begins = vec![0; tensors.len() - base];
    for (index, &first) in first_results.iter().enumerate() {
        let end = first_results.get(index + 1).map_or(tensors.len(), |next| *next);
        begins[first - base..end - base].fill(index);
    }
    let mut ends = begins.clone();
    for (index, node) in graph.nodes.iter().enumerate() {
        for &number in &node.inputs {
            if let Some(place) = (number as usize).checked_sub(base) {
                ends[place] = index;
            }
        }
    }
    for number in graph.updates.iter().copied().chain(graph.outputs.iter().map(|output| output.tensor)) {
        if let Some(place) = (number as usize).checked_sub(base) {
            ends[place] = graph.nodes.len();
        }
    }
    let mut change = vec![0_i128; graph.nodes.len() + 2];
    for (facts, (&begin, &end)) in tensors[base..].iter().zip(begins.iter().zip(&ends)) {
        change[begin] += facts.padded_bytes() as i128;
        change[end + 1] -= facts.padded_bytes() as i128;
    }
    let (mut live, mut peak) = (fixed as i128, fixed);
    for difference in change {
        live += difference;
        peak = peak.max(live as u128);
    }
    peak
}
