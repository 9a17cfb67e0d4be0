//! Steps that are no operators on rows, with all that their kernels need to know.

use alloc::{vec, vec::Vec};

use super::{
    fusion::{Group, ROW_MAX},
    layout::broadcast_strides,
    rows::RowProgram,
    slot_of,
};
use crate::{
    graph::{DType, Facts, Operator, Proven, RANK_MAX, Shape, Windows},
    kernels::panels,
    memory::{Place, Slot},
};

/// A step, and the node that it ends with.
#[derive(Debug)]
pub(crate) struct Step {
    pub work: Work,
    pub node: usize,
    /// Multiplications with addition, or their equivalent: whether threads are worth it.
    pub macs: u128,
}

/// `batch` products of m × k and k × n matrices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub a: Slot,
    pub b: Slot,
    pub out: Slot,
    pub batch: usize,
    pub m: usize,
    pub k: usize,
    pub n: usize,
    /// Whether all products have the same b.
    pub is_b_shared: bool,
    pub transpose_b: bool,
    /// Every partial sum fits 32 bits.
    pub fits_int32: bool,
}

/// A convolution: for each image and group, a product of filters with what windows see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Convolution {
    pub x: Slot,
    pub weights: Slot,
    pub out: Slot,
    pub batch: usize,
    pub groups: usize,
    pub filters: usize,
    pub depth: usize,
    pub image: [usize; 2],
    pub plane: [usize; 2],
    pub windows: Windows,
    pub fits_int32: bool,
}

impl Convolution {
    /// Terms of a sum.
    pub(crate) const fn terms(&self) -> usize {
        self.depth * self.windows.kernel[0] * self.windows.kernel[1]
    }
}

/// Elements along an axis become one: their sum, or the greatest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reduction {
    pub x: Slot,
    pub out: Slot,
    pub outer: usize,
    pub count: usize,
    pub inner: usize,
    pub is_sum: bool,
}

/// Elements moved from places with some strides to places with others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copy {
    pub from: Slot,
    pub to: Slot,
    pub first_from: usize,
    pub first_to: usize,
    pub sizes: [usize; RANK_MAX],
    pub from_strides: [usize; RANK_MAX],
    pub to_strides: [usize; RANK_MAX],
    /// Where the destination begins besides: one element of a tensor, times a stride.
    pub at: Option<(Slot, usize)>,
}

/// An operator on rows too long for registers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wide {
    QuantiseRows { dtype: DType, greatest: Slot },
    LayerNorm { center: bool, shift: u32, epsilon: i64, fraction_bits: u32 },
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Work {
    Rows(RowProgram),
    Product(Product),
    Convolution(Convolution),
    Pool {
        x: Slot,
        out: Slot,
        planes: usize,
        image: [usize; 2],
        plane: [usize; 2],
        windows: Windows,
        is_sum: bool,
    },
    Reduce(Reduction),
    Wide {
        x: Slot,
        out: Slot,
        rows: usize,
        width: usize,
        wide: Wide,
    },
    ArgMax {
        x: Slot,
        out: Slot,
        width: usize,
    },
    TopK {
        x: Slot,
        values: Slot,
        places: Slot,
        width: usize,
        k: usize,
    },
    Sample {
        weights: Slot,
        seed: Slot,
        out: Slot,
        width: usize,
    },
    Gather {
        table: Slot,
        places: Slot,
        out: Slot,
        entry: usize,
    },
    /// One after the other.
    Copies(Vec<Copy>),
    /// A tensor in another shape: its bytes are those of the one before.
    Nothing,
}

impl Step {
    /// Bytes that a thread needs beside the arena.
    pub(crate) fn scratch_bytes(&self) -> usize {
        match &self.work {
            Work::Rows(program) => program.registers * program.register_bytes,
            Work::Product(work) => panels::scratch_bytes(work.k),
            Work::Convolution(work) => panels::scratch_bytes(work.terms()),
            _ => 0,
        }
    }
}

/// The step of a group.
pub(super) fn step_of(proven: &Proven, places: &[Option<Place>], group: &Group) -> Step {
    let node = group.nodes[group.nodes.len() - 1];
    let work = match group.shape {
        Some(shape) => Work::Rows(RowProgram::of(proven, places, group, shape)),
        None => work_of(proven, places, node),
    };
    let macs = group.nodes.iter().map(|&node| proven.node_macs[node]).sum();
    Step { work, node, macs }
}

fn work_of(proven: &Proven, places: &[Option<Place>], node: usize) -> Work {
    let first = proven.first_results[node];
    let inputs: Vec<usize> = proven.graph.nodes[node].inputs.iter().map(|&number| number as usize).collect();
    let facts = |number: usize| &proven.tensors[number];
    let slot = |number: usize| slot_of(proven, places, number);
    let (x, out) = (slot(inputs[0]), slot(first));
    let (x_facts, out_facts) = (facts(inputs[0]), facts(first));
    let width = x_facts.shape.width();
    let rows = x_facts.elements() / width;
    match proven.graph.nodes[node].operator {
        Operator::MatMul { transpose_b, .. } => {
            let is_b_shared = facts(inputs[1]).shape.rank() == 2;
            let n = out_facts.shape.width();
            let rows_each = if is_b_shared { rows } else { x_facts.shape.size(x_facts.shape.rank() - 2) };
            Work::Product(Product {
                a: x,
                b: slot(inputs[1]),
                out,
                batch: rows / rows_each,
                m: rows_each,
                k: width,
                n,
                is_b_shared,
                transpose_b,
                fits_int32: fits_int32(facts(inputs[0]), facts(inputs[1]), width),
            })
        }
        Operator::Conv2d { windows, groups, .. } => {
            let weights = &facts(inputs[1]).shape;
            let terms = weights.elements() as usize / weights.size(0);
            Work::Convolution(Convolution {
                x,
                weights: slot(inputs[1]),
                out,
                batch: x_facts.shape.size(0),
                groups,
                filters: weights.size(0) / groups,
                depth: weights.size(1),
                image: [x_facts.shape.size(2), x_facts.shape.size(3)],
                plane: [out_facts.shape.size(2), out_facts.shape.size(3)],
                windows: Windows { kernel: [weights.size(2), weights.size(3)], ..windows },
                fits_int32: fits_int32(x_facts, facts(inputs[1]), terms),
            })
        }
        Operator::MaxPool2d(windows) | Operator::SumPool2d { windows, .. } => Work::Pool {
            x,
            out,
            planes: x_facts.shape.size(0) * x_facts.shape.size(1),
            image: [x_facts.shape.size(2), x_facts.shape.size(3)],
            plane: [out_facts.shape.size(2), out_facts.shape.size(3)],
            windows,
            is_sum: matches!(proven.graph.nodes[node].operator, Operator::SumPool2d { .. }),
        },
        Operator::ReduceSum { axis, .. } | Operator::ReduceMax { axis } => {
            let count = x_facts.shape.size(axis);
            let inner = x_facts.shape.strides()[axis];
            let is_sum = matches!(proven.graph.nodes[node].operator, Operator::ReduceSum { .. });
            Work::Reduce(Reduction { x, out, outer: x_facts.elements() / (count * inner), count, inner, is_sum })
        }
        Operator::QuantiseRows { dtype } => {
            debug_assert!(width > ROW_MAX);
            Work::Wide { x, out, rows, width, wide: Wide::QuantiseRows { dtype, greatest: slot(first + 1) } }
        }
        Operator::LayerNorm { center, shift, epsilon, fraction_bits } => {
            Work::Wide { x, out, rows, width, wide: Wide::LayerNorm { center, shift, epsilon, fraction_bits } }
        }
        Operator::ArgMax => Work::ArgMax { x, out, width },
        Operator::TopK { k } => Work::TopK { x, values: out, places: slot(first + 1), width, k },
        Operator::Sample => Work::Sample { weights: x, seed: slot(inputs[1]), out, width },
        Operator::Gather => {
            let entry = x_facts.elements() / x_facts.shape.size(0);
            Work::Gather { table: x, places: slot(inputs[1]), out, entry }
        }
        Operator::Transpose(order) => {
            let own = x_facts.shape.strides();
            let mut strides = [0; RANK_MAX];
            for (place, &axis) in order.dimensions().iter().enumerate() {
                strides[place] = own[axis as usize];
            }
            Work::Copies(vec![whole(x, out, &out_facts.shape, 0, strides)])
        }
        Operator::Slice { starts, steps, .. } => {
            let mut strides = x_facts.shape.strides();
            let mut begin = 0;
            let cuts = starts.dimensions().iter().zip(steps.dimensions());
            for (stride, (start, step)) in strides.iter_mut().zip(cuts) {
                begin += *start as usize * *stride;
                *stride *= *step as usize;
            }
            Work::Copies(vec![whole(x, out, &out_facts.shape, begin, strides)])
        }
        Operator::Broadcast(_) => {
            let strides = broadcast_strides(x_facts, &out_facts.shape);
            Work::Copies(vec![whole(x, out, &out_facts.shape, 0, strides)])
        }
        Operator::Concat { axis } => {
            let stride = out_facts.shape.strides()[axis];
            let mut begin = 0;
            let copies = inputs.iter().map(|&number| {
                let shape = &facts(number).shape;
                let copy = part(slot(number), out, shape, &out_facts.shape, begin);
                begin += shape.size(axis) * stride;
                copy
            });
            Work::Copies(copies.collect())
        }
        Operator::CacheAppend { axis } => {
            let stride = out_facts.shape.strides()[axis];
            let appended = part(slot(inputs[1]), out, &facts(inputs[1]).shape, &out_facts.shape, 0);
            let kept = whole(x, out, &out_facts.shape, 0, out_facts.shape.strides());
            Work::Copies(vec![kept, Copy { at: Some((slot(inputs[2]), stride)), ..appended }])
        }
        _ => Work::Nothing,
    }
}

fn fits_int32(a: &Facts, b: &Facts, terms: usize) -> bool {
    terms as i128 * a.magnitude() * b.magnitude() <= i128::from(i32::MAX)
}

fn sizes(shape: &Shape) -> [usize; RANK_MAX] {
    let mut sizes = [1; RANK_MAX];
    for (size, own) in sizes.iter_mut().zip(shape.dimensions()) {
        *size = *own as usize;
    }
    sizes
}

/// All of a result, read with strides.
fn whole(from: Slot, to: Slot, shape: &Shape, first_from: usize, from_strides: [usize; RANK_MAX]) -> Copy {
    let to_strides = shape.strides();
    Copy { from, to, first_from, first_to: 0, sizes: sizes(shape), from_strides, to_strides, at: None }.merged()
}

/// All of an operand, as a part of a result.
fn part(from: Slot, to: Slot, shape: &Shape, result: &Shape, first_to: usize) -> Copy {
    let (from_strides, to_strides) = (shape.strides(), result.strides());
    Copy { from, to, first_from: 0, first_to, sizes: sizes(shape), from_strides, to_strides, at: None }.merged()
}

impl Copy {
    /// Neighbouring dimensions that both sides walk in one go become one; the last dimensions come last.
    fn merged(self) -> Self {
        let mut axes: Vec<(usize, usize, usize)> = Vec::with_capacity(RANK_MAX);
        for axis in 0..RANK_MAX {
            let (size, from, to) = (self.sizes[axis], self.from_strides[axis], self.to_strides[axis]);
            match axes.last_mut() {
                _ if size == 1 => {}
                Some(last) if last.1 == from * size && last.2 == to * size => *last = (last.0 * size, from, to),
                _ => axes.push((size, from, to)),
            }
        }
        let missing = RANK_MAX - axes.len();
        let mut merged = Self { sizes: [1; RANK_MAX], from_strides: [0; RANK_MAX], to_strides: [0; RANK_MAX], ..self };
        for (axis, (size, from, to)) in axes.into_iter().enumerate() {
            merged.sizes[missing + axis] = size;
            merged.from_strides[missing + axis] = from;
            merged.to_strides[missing + axis] = to;
        }
        merged
    }
}
