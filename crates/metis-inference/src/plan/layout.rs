//! In which order the elements of a group's tensors are visited.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{fusion::Group, rows::Operand, slot_of};
use crate::{
    graph::{Facts, Operator, Proven, RANK_MAX, Shape},
    memory::Place,
};

/// The tensors of a group by number, and the dimensions that their elements are visited in: neighbours that all tensors
/// walk in one go are one dimension.
pub(super) struct Layout {
    pub dimensions: Vec<usize>,
    pub operands: BTreeMap<usize, Operand>,
    pub whole_rows: bool,
}

impl Layout {
    pub(super) fn of(proven: &Proven, places: &[Option<Place>], group: &Group, shape: Shape) -> Self {
        let mut strides: BTreeMap<usize, [usize; RANK_MAX]> = BTreeMap::new();
        let mut whole_rows = false;
        for &node in &group.nodes {
            let operator = &proven.graph.nodes[node].operator;
            whole_rows |= matches!(
                operator,
                Operator::QuantiseRows { .. } | Operator::LayerNorm { .. } | Operator::Softmax { .. }
            );
            let taken = if matches!(operator, Operator::Lookup { .. }) { 1 } else { RANK_MAX };
            let inputs = proven.graph.nodes[node].inputs.iter().take(taken).map(|&number| number as usize);
            let end = proven.first_results.get(node + 1).map_or(proven.tensors.len(), |next| *next);
            for number in inputs.chain(proven.first_results[node]..end) {
                if places[number].is_some() {
                    strides.insert(number, broadcast_strides(&proven.tensors[number], &shape));
                }
            }
        }
        let kept = usize::from(whole_rows);
        let mut merged: Vec<usize> = Vec::new();
        let mut axes: Vec<usize> = Vec::new();
        for axis in 0..shape.rank() {
            let size = shape.size(axis);
            let is_row = axis + kept >= shape.rank();
            if size == 1 && !is_row {
                continue;
            }
            let joins = !is_row
                && axes
                    .last()
                    .is_some_and(|&before: &usize| strides.values().all(|own| own[before] == own[axis] * size));
            match merged.last_mut() {
                Some(last) if joins => {
                    *last *= size;
                    *axes.last_mut().unwrap_or(&mut 0) = axis;
                }
                _ => {
                    merged.push(size);
                    axes.push(axis);
                }
            }
        }
        if merged.is_empty() {
            merged.push(1);
            axes.push(shape.rank() - 1);
        }
        let operands = strides
            .into_iter()
            .map(|(number, own)| {
                let mut outer = [0; RANK_MAX];
                for (to, &axis) in outer.iter_mut().zip(&axes[..axes.len() - 1]) {
                    *to = own[axis];
                }
                let is_splat = own[axes[axes.len() - 1]] == 0;
                (number, Operand { slot: slot_of(proven, places, number), strides: outer, is_splat })
            })
            .collect();
        Self { dimensions: merged, operands, whole_rows }
    }
}

/// Elements from one entry of each of a shape's dimensions to the next, in a tensor that is broadcast to it.
pub(super) fn broadcast_strides(facts: &Facts, shape: &Shape) -> [usize; RANK_MAX] {
    let own = facts.shape.strides();
    let missing = shape.rank() - facts.shape.rank();
    let mut strides = [0; RANK_MAX];
    for axis in 0..facts.shape.rank() {
        if facts.shape.size(axis) > 1 {
            strides[missing + axis] = own[axis];
        }
    }
    strides
}
