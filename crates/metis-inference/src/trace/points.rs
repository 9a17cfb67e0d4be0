//! Which tensors a trace commits to. Python's `metis.ai.trace.points` has the same rule; tests compare the two.

use alloc::{collections::BTreeSet, vec, vec::Vec};

use crate::graph::{Operator, Proven};

/// Nodes that a point may be computed with from other points, elements that are only moved aside.
pub const STEP_NODES_MAX: usize = 64;

/// The numbers of the tensors that a trace commits to, ascending: inputs, states, and the results without which a point
/// would need two sums of products, or more than [`STEP_NODES_MAX`] nodes, to be computed from other points.
pub fn points(proven: &Proven) -> Vec<usize> {
    let graph = &proven.graph;
    let mut rule = Rule::of(proven);
    for node in 0..graph.nodes.len() {
        rule.visit(node);
    }
    for number in graph.updates.iter().copied().chain(graph.outputs.iter().map(|output| output.tensor)) {
        rule.is_point[number as usize] = true;
    }
    let first_result = graph.first_result();
    let declared = 0..graph.first_constant();
    declared.chain((first_result..proven.tensors.len()).filter(|number| rule.is_point[*number])).collect()
}

struct Rule<'a> {
    proven: &'a Proven,
    /// The node that gives each result, counted from the first.
    made_by: Vec<usize>,
    /// For each tensor how many nodes that do not only move it read it; one more where a run gives it back.
    readers: Vec<usize>,
    is_point: Vec<bool>,
    /// For each node those that its results are computed with from points.
    trees: Vec<BTreeSet<usize>>,
}

impl<'a> Rule<'a> {
    fn of(proven: &'a Proven) -> Self {
        let graph = &proven.graph;
        let mut made_by = Vec::with_capacity(proven.tensors.len());
        for (node, &first) in proven.first_results.iter().enumerate() {
            let end = proven.first_results.get(node + 1).map_or(proven.tensors.len(), |next| *next);
            made_by.extend((first..end).map(|_| node));
        }
        let trees = vec![BTreeSet::new(); graph.nodes.len()];
        let (readers, is_point) = (vec![0; proven.tensors.len()], vec![false; proven.tensors.len()]);
        let mut rule = Self { proven, made_by, readers, is_point, trees };
        for node in 0..graph.nodes.len() {
            if !is_move(&graph.nodes[node].operator) {
                for number in rule.operands(node) {
                    rule.readers[number] += 1;
                }
            }
        }
        for number in graph.updates.iter().copied().chain(graph.outputs.iter().map(|output| output.tensor)) {
            if let Some(moved) = rule.moved(number as usize) {
                rule.readers[moved] += 1;
            }
        }
        rule
    }

    /// The result that a tensor is, before its elements were only moved; None where that is no result.
    fn moved(&self, mut number: usize) -> Option<usize> {
        let first_result = self.proven.graph.first_result();
        loop {
            let node = &self.proven.graph.nodes[self.made_by[number.checked_sub(first_result)?]];
            if !is_move(&node.operator) {
                return Some(number);
            }
            number = node.inputs[0] as usize;
        }
    }

    /// The results that a node reads, each once.
    fn operands(&self, node: usize) -> BTreeSet<usize> {
        let inputs = &self.proven.graph.nodes[node].inputs;
        inputs.iter().filter_map(|&number| self.moved(number as usize)).collect()
    }

    fn maker(&self, number: usize) -> usize {
        self.made_by[number - self.proven.graph.first_result()]
    }

    fn tree(&self, node: usize, operands: &BTreeSet<usize>) -> BTreeSet<usize> {
        let mut tree = BTreeSet::from([node]);
        for &number in operands.iter().filter(|number| !self.is_point[**number]) {
            tree.extend(&self.trees[self.maker(number)]);
        }
        tree
    }

    fn sums(&self, tree: &BTreeSet<usize>) -> usize {
        tree.iter().filter(|node| is_sum(&self.proven.graph.nodes[**node].operator)).count()
    }

    /// Commits to all results of the node that gives a tensor.
    fn commit(&mut self, number: usize) {
        let node = self.maker(number);
        let first = self.proven.first_results[node];
        let end = self.proven.first_results.get(node + 1).map_or(self.proven.tensors.len(), |next| *next);
        self.is_point[first..end].fill(true);
    }

    fn visit(&mut self, node: usize) {
        if is_move(&self.proven.graph.nodes[node].operator) {
            return;
        }
        let operands = self.operands(node);
        let mut tree = self.tree(node, &operands);
        if self.sums(&tree) > 1 {
            for &number in &operands {
                if !self.is_point[number] && self.sums(&self.trees[self.maker(number)]) > 0 {
                    self.commit(number);
                }
            }
            tree = self.tree(node, &operands);
        }
        if tree.len() > STEP_NODES_MAX {
            for &number in &operands {
                self.commit(number);
            }
            tree = self.tree(node, &operands);
        }
        let is_heavy = self.sums(&tree) > 0;
        self.trees[node] = tree;
        let first = self.proven.first_results[node];
        let end = self.proven.first_results.get(node + 1).map_or(self.proven.tensors.len(), |next| *next);
        if is_heavy && (first..end).any(|number| self.readers[number] > 1) {
            self.commit(first);
        }
    }
}

/// Elements are only moved: a point is what was moved.
fn is_move(operator: &Operator) -> bool {
    matches!(operator, Operator::Reshape(_) | Operator::Transpose(_))
}

/// A sum of products of two tensors, which is what takes time.
fn is_sum(operator: &Operator) -> bool {
    matches!(operator, Operator::MatMul { .. } | Operator::Conv2d { .. })
}
