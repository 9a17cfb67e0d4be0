//! Where tensors lie: those that live at one time beside each other, others in the same bytes.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};

use super::fusion::Group;
use crate::{
    graph::{Operator, Proven},
    memory::Place,
};

/// Where each tensor lies, and how large the arena is.
pub(super) struct Storage {
    pub places: Vec<Option<Place>>,
    pub arena_bytes: usize,
}

/// Free parts of the arena, found by size and by place.
#[derive(Default)]
struct Free {
    by_size: BTreeSet<(usize, usize)>,
    by_begin: BTreeMap<usize, usize>,
    end: usize,
}

impl Free {
    fn take(&mut self, size: usize) -> usize {
        let Some(&(found, begin)) = self.by_size.range((size, 0)..).next() else {
            // The last free part grows where it reaches the end.
            let begin = match self.by_begin.last_key_value() {
                Some((&begin, &last)) if begin + last == self.end => {
                    self.remove(begin, last);
                    begin
                }
                _ => self.end,
            };
            self.end = begin + size;
            return begin;
        };
        self.remove(begin, found);
        if found > size {
            self.insert(begin + size, found - size);
        }
        begin
    }

    fn give(&mut self, mut begin: usize, mut size: usize) {
        if let Some((&before, &before_size)) = self.by_begin.range(..begin).next_back()
            && before + before_size == begin
        {
            self.remove(before, before_size);
            (begin, size) = (before, before_size + size);
        }
        if let Some(&after_size) = self.by_begin.get(&(begin + size)) {
            self.remove(begin + size, after_size);
            size += after_size;
        }
        self.insert(begin, size);
    }

    fn insert(&mut self, begin: usize, size: usize) {
        self.by_size.insert((size, begin));
        self.by_begin.insert(begin, size);
    }

    fn remove(&mut self, begin: usize, size: usize) {
        self.by_size.remove(&(size, begin));
        self.by_begin.remove(&begin);
    }
}

/// For each tensor the one whose bytes it has: its own, or for a reshaped one those of what was reshaped.
fn owners(proven: &Proven) -> Vec<usize> {
    let mut owners: Vec<usize> = (0..proven.tensors.len()).collect();
    for (node, &first) in proven.graph.nodes.iter().zip(&proven.first_results) {
        if matches!(node.operator, Operator::Reshape(_)) {
            owners[first] = owners[node.inputs[0] as usize];
        }
    }
    owners
}

/// Assigns places, given the steps' order; what is kept keeps its place to the end.
pub(super) fn assign(proven: &Proven, groups: &[Group], kept: &[usize]) -> Storage {
    let graph = &proven.graph;
    let base = graph.first_result();
    let owners = owners(proven);
    let count = proven.tensors.len();
    let mut made_at = vec![0; count];
    let mut last_use = vec![0; count];
    let mut is_stored = vec![false; count];
    for (step, group) in groups.iter().enumerate() {
        for &node in &group.nodes {
            let results = proven.first_results.get(node + 1).map_or(count, |next| *next);
            for number in proven.first_results[node]..results {
                made_at[number] = step;
                last_use[owners[number]] = last_use[owners[number]].max(step);
                // A tensor that nobody reads is still computed where it is the only result of a step.
                is_stored[owners[number]] |= group.shape.is_none() || group.nodes.len() == 1;
            }
        }
    }
    for (step, group) in groups.iter().enumerate() {
        for number in group.nodes.iter().flat_map(|&node| &graph.nodes[node].inputs).map(|&number| number as usize) {
            let owner = owners[number];
            last_use[owner] = last_use[owner].max(step);
            is_stored[owner] |= number < base || made_at[number] != step;
        }
    }
    let given = graph.updates.iter().copied().chain(graph.outputs.iter().map(|output| output.tensor));
    for number in given.map(|number| number as usize).chain(kept.iter().copied()) {
        let owner = owners[number];
        (last_use[owner], is_stored[owner]) = (groups.len(), true);
    }
    let mut places = vec![None; count];
    let mut free = Free::default();
    let mut weights = 0;
    for (number, facts) in proven.tensors[..base].iter().enumerate() {
        if number < graph.first_constant() {
            places[number] = Some(Place::Arena(free.take(facts.padded_bytes())));
        } else {
            places[number] = Some(Place::Weights(weights));
            weights += facts.padded_bytes();
        }
    }
    let mut ending = vec![Vec::new(); groups.len() + 1];
    for (step, group) in groups.iter().enumerate() {
        for &node in &group.nodes {
            let results = proven.first_results.get(node + 1).map_or(count, |next| *next);
            for number in proven.first_results[node]..results {
                if owners[number] == number && is_stored[number] {
                    let begin = free.take(proven.tensors[number].padded_bytes());
                    places[number] = Some(Place::Arena(begin));
                    ending[last_use[number]].push(number);
                }
            }
        }
        for number in core::mem::take(&mut ending[step]) {
            if let Some(Place::Arena(begin)) = places[number] {
                free.give(begin, proven.tensors[number].padded_bytes());
            }
        }
    }
    for number in 0..count {
        places[number] = places[owners[number]];
    }
    Storage { places, arena_bytes: free.end }
}
