//! Which nodes are computed together: chains of operators on elements and rows of one shape.
//!
//! A group is open while nobody outside reads what it gives. It becomes a step when somebody does, and all its
//! operands come from steps before it, so the order of steps is an order of evaluation.

use alloc::{vec, vec::Vec};

use crate::graph::{Operator, Proven, Shape};

/// Nodes that are one step, in the order of evaluation.
#[derive(Debug)]
pub(crate) struct Group {
    pub nodes: Vec<usize>,
    /// The shape of rows that all its nodes work on; None for a node that is no operator on rows.
    pub shape: Option<Shape>,
}

/// BOUND: what one group may hold, so that its registers stay in the processor's caches.
const GROUP_NODES_MAX: usize = 48;
/// BOUND: rows longer than this are computed in parts, each operator alone.
pub(crate) const ROW_MAX: usize = 1 << 14;

/// The shape of rows that a node works on, if it is an operator on elements or rows.
fn row_shape(proven: &Proven, node: usize) -> Option<Shape> {
    let result = proven.tensors[proven.first_results[node]].shape;
    match proven.graph.nodes[node].operator {
        Operator::Pair { .. }
        | Operator::Divide { .. }
        | Operator::Equal
        | Operator::Less
        | Operator::Select { .. }
        | Operator::Clip { .. }
        | Operator::Rescale { .. }
        | Operator::Lookup { .. }
        | Operator::Softmax { .. } => Some(result),
        Operator::QuantiseRows { .. } | Operator::LayerNorm { .. } => (result.width() <= ROW_MAX).then_some(result),
        _ => None,
    }
}

struct Open {
    group: Group,
    is_open: bool,
}

/// The groups of a graph in the order of evaluation; without `fused`, every node is one.
pub(super) fn groups(proven: &Proven, fused: bool) -> Vec<Group> {
    let graph = &proven.graph;
    let base = graph.first_result();
    // For each result the group that it is made in.
    let mut made_in: Vec<usize> = Vec::with_capacity(proven.tensors.len() - base);
    let mut all: Vec<Open> = Vec::new();
    let mut order: Vec<usize> = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let shape = row_shape(proven, index);
        let mut joined: Option<usize> = None;
        let producers = node.inputs.iter().filter_map(|&number| (number as usize).checked_sub(base));
        let producers: Vec<usize> = producers.map(|place| made_in[place]).collect();
        for &producer in &producers {
            if !all[producer].is_open || joined == Some(producer) {
                continue;
            }
            let fits = fused
                && shape.is_some()
                && all[producer].group.shape == shape
                && reads_as_rows(proven, index, base, &made_in, producer);
            match joined {
                None if fits && all[producer].group.nodes.len() < GROUP_NODES_MAX => joined = Some(producer),
                _ => close(&mut all, &mut order, producer),
            }
        }
        let group = joined.unwrap_or_else(|| {
            all.push(Open { group: Group { nodes: vec![], shape }, is_open: true });
            all.len() - 1
        });
        all[group].group.nodes.push(index);
        if shape.is_none() || !fused {
            close(&mut all, &mut order, group);
        }
        let count = proven.first_results.get(index + 1).copied().unwrap_or(proven.tensors.len());
        made_in.resize(count - base, group);
    }
    for group in 0..all.len() {
        if all[group].is_open {
            close(&mut all, &mut order, group);
        }
    }
    let mut groups: Vec<Option<Group>> = all.into_iter().map(|open| Some(open.group)).collect();
    order.into_iter().filter_map(|group| groups[group].take()).collect()
}

fn close(all: &mut [Open], order: &mut Vec<usize>, group: usize) {
    all[group].is_open = false;
    order.push(group);
}

/// Whether a node finds all that it takes from a group in that group's registers: whole rows of its own shape. A table
/// is read at any place, and a multiplier for each row is not a row.
fn reads_as_rows(proven: &Proven, node: usize, base: usize, made_in: &[usize], group: usize) -> bool {
    let operator = &proven.graph.nodes[node].operator;
    let shape = row_shape(proven, node);
    proven.graph.nodes[node].inputs.iter().enumerate().all(|(place, &number)| {
        let number = number as usize;
        let own = number.checked_sub(base).is_some_and(|result| made_in[result] == group);
        let is_table = matches!(operator, Operator::Lookup { .. }) && place == 1;
        let is_first = proven.first_results.binary_search(&number).is_ok();
        !own || (Some(proven.tensors[number].shape) == shape && is_first && !is_table)
    })
}
