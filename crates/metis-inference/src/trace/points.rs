//! Which tensors a trace commits to. Python's `metis.ai.trace.points` has the same rule; tests compare the two.

use alloc::{collections::BTreeSet, vec, vec::Vec};

use crate::graph::{Operator, Proven};

/// Nodes that a point may be computed with from other points, elements that are only moved aside.
pub const STEP_NODES_MAX: usize = 64;

/// What the products may weigh that a point is computed with from other points: one with a constant weighs 2, others 1.
pub const STEP_WEIGHT_MAX: usize = 4;

/// The numbers of the tensors that a trace commits to, ascending: inputs, states, and the results without which a point
/// would need products of more than [`STEP_WEIGHT_MAX`], or more than [`STEP_NODES_MAX`] nodes, to be computed from other
/// points.
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

    /// What the products among some nodes weigh.
    fn weight(&self, tree: &BTreeSet<usize>) -> usize {
        tree.iter().map(|node| self.product_weight(*node)).sum()
    }

    /// What a node weighs: 0 where it is no sum of products, which is what takes time.
    fn product_weight(&self, node: usize) -> usize {
        let graph = &self.proven.graph;
        match graph.nodes[node].operator {
            Operator::MatMul { .. } | Operator::Conv2d { .. } => {
                let constants = graph.first_constant()..graph.first_result();
                1 + usize::from(graph.nodes[node].inputs.iter().any(|number| constants.contains(&(*number as usize))))
            }
            _ => 0,
        }
    }

    /// Bytes of all results of the node that gives a tensor.
    fn result_bytes(&self, number: usize) -> usize {
        self.results(self.maker(number)).map(|result| self.proven.tensors[result].size_bytes()).sum()
    }

    fn results(&self, node: usize) -> core::ops::Range<usize> {
        let next = self.proven.first_results.get(node + 1);
        self.proven.first_results[node]..next.map_or(self.proven.tensors.len(), |next| *next)
    }

    /// Commits to all results of the node that gives a tensor.
    fn commit(&mut self, number: usize) {
        let results = self.results(self.maker(number));
        self.is_point[results].fill(true);
    }

    fn visit(&mut self, node: usize) {
        if is_move(&self.proven.graph.nodes[node].operator) {
            return;
        }
        let operands = self.operands(node);
        let mut tree = self.tree(node, &operands);
        // What costs least to commit to is committed to first.
        let is_heavy = |number: &usize| !self.is_point[*number] && self.weight(&self.trees[self.maker(*number)]) > 0;
        let mut heavy: Vec<usize> = operands.iter().copied().filter(is_heavy).collect();
        heavy.sort_by_key(|number| (self.result_bytes(*number), *number));
        for number in heavy {
            if self.weight(&tree) > STEP_WEIGHT_MAX {
                self.commit(number);
                tree = self.tree(node, &operands);
            }
        }
        if tree.len() > STEP_NODES_MAX {
            for &number in &operands {
                self.commit(number);
            }
            tree = self.tree(node, &operands);
        }
        let is_heavy = self.weight(&tree) > 0;
        self.trees[node] = tree;
        if is_heavy && self.results(node).any(|number| self.readers[number] > 1) {
            self.commit(self.proven.first_results[node]);
        }
    }
}

/// Elements are only moved: a point is what was moved.
fn is_move(operator: &Operator) -> bool {
    matches!(operator, Operator::Reshape(_) | Operator::Transpose(_))
}
