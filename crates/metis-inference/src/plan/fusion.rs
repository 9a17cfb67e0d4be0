//! Which nodes are computed together: chains of operators on elements and rows of one shape.
//!
//! A group is open while nobody outside reads what it gives. It becomes a step when somebody does, and all its
//! operands come from steps before it, so the order of steps is an order of evaluation.

use alloc::{vec, vec::Vec};

use crate::graph::{Node, Operator, Proven, Shape, run_length};

/// Nodes that are one step, in the order of evaluation.
#[derive(Debug)]
pub(crate) struct Group {
    pub nodes: Vec<usize>,
    /// The shape of rows that all its nodes work on; None for a node that is no operator on rows.
    pub shape: Option<Shape>,
    /// Elements that the node with the longest runs would compute in one go if it were alone, up to [`RUN_MIN`].
    longest_run: u128,
}

/// BOUND: what one group may hold, so that its registers stay in the processor's caches.
const GROUP_NODES_MAX: usize = 48;
/// Runs of so many elements cost nothing beside their elements. Shorter ones do, so that no node is computed in shorter
/// ones than it has alone: its price is of those.
const RUN_MIN: u128 = 32;
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
                None if fits && keeps_runs(proven, &all[producer].group, index) => joined = Some(producer),
                _ => close(&mut all, &mut order, producer),
            }
        }
        let group = joined.unwrap_or_else(|| {
            all.push(Open { group: Group { nodes: vec![], shape, longest_run: 1 }, is_open: true });
            all.len() - 1
        });
        all[group].group.nodes.push(index);
        if let Some(shape) = shape {
            let longest = &mut all[group].group.longest_run;
            *longest = run_of(proven, [index].iter(), &shape).max(*longest);
        }
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

/// Elements that nodes on rows of a shape compute in one go, up to [`RUN_MIN`].
fn run_of<'a>(proven: &Proven, nodes: impl Iterator<Item = &'a usize> + Clone, shape: &Shape) -> u128 {
    let operators = || nodes.clone().map(|&node| &proven.graph.nodes[node]);
    let needs_rows = |node: &Node| {
        matches!(node.operator, Operator::QuantiseRows { .. } | Operator::LayerNorm { .. } | Operator::Softmax { .. })
    };
    if operators().any(needs_rows) {
        return (shape.width() as u128).min(RUN_MIN);
    }
    let mut operands = Vec::new();
    for node in operators() {
        let is_lookup = matches!(node.operator, Operator::Lookup { .. });
        let visited = node.inputs.iter().take(if is_lookup { 1 } else { usize::MAX });
        operands.extend(visited.map(|&number| proven.tensors[number as usize].shape));
    }
    operands.sort_unstable_by(|a, b| a.dimensions().cmp(b.dimensions()));
    operands.dedup();
    // BOUND: one bit for each; more different shapes are taken for the shortest run.
    if operands.len() > 64 { 1 } else { run_length(operands.iter(), shape).min(RUN_MIN) }
}

/// Whether a node may join a group without making runs shorter than each node's own.
fn keeps_runs(proven: &Proven, group: &Group, node: usize) -> bool {
    let Some(shape) = group.shape.filter(|_| group.nodes.len() < GROUP_NODES_MAX) else { return false };
    let own = run_of(proven, [node].iter(), &shape);
    run_of(proven, group.nodes.iter().chain([&node]), &shape) >= own.max(group.longest_run)
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
