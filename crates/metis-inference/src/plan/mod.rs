//! From a proven graph to steps: what is computed together, and where everything lies.

mod fusion;
mod layout;
mod registers;
mod rows;
mod steps;
mod storage;

use alloc::vec::Vec;

pub(crate) use rows::{Home, Instruction, Operand, Rescaling, RowProgram, Side, Table};
pub(crate) use steps::{Convolution, Copy, Product, Reduction, Step, Wide, Work};

use crate::{
    graph::Proven,
    memory::{Place, Slot},
};

/// How a graph is run: steps, each after the one before it.
#[derive(Debug)]
pub(crate) struct Plan {
    pub steps: Vec<Step>,
    /// Where each tensor lies; None for one that is only ever in registers.
    pub places: Vec<Option<Place>>,
    pub arena_bytes: usize,
    /// Bytes that each thread needs for registers.
    pub scratch_bytes: usize,
}

impl Plan {
    /// The plan of a graph.
    ///
    /// `fused` joins operators on rows so that what lies between them need not be written; else every operator is a
    /// step, and every tensor has a place. Results of the numbers in `kept` have places that nothing else takes: they
    /// are there when the run has ended. Steps are the same with and without them.
    pub(crate) fn of(proven: &Proven, fused: bool, kept: &[usize]) -> Self {
        let groups = fusion::groups(proven, fused);
        let storage = storage::assign(proven, &groups, kept);
        let steps: Vec<Step> = groups.iter().map(|group| steps::step_of(proven, &storage.places, group)).collect();
        let scratch_bytes = steps.iter().map(Step::scratch_bytes).max().unwrap_or(0);
        Self { steps, places: storage.places, arena_bytes: storage.arena_bytes, scratch_bytes }
    }

    /// Where a tensor lies that has a place.
    pub(crate) fn slot(&self, proven: &Proven, number: usize) -> Slot {
        slot_of(proven, &self.places, number)
    }
}

fn slot_of(proven: &Proven, places: &[Option<Place>], number: usize) -> Slot {
    let facts = &proven.tensors[number];
    let place = places[number].unwrap_or_else(|| panic!("tensor {number} has no place"));
    Slot { place, dtype: facts.dtype, elements: facts.elements() }
}
