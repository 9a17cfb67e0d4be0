//! Shapes and bounds of every operator: an interval in, an interval out, and a refusal where one may overflow.
//!
//! All bounds are computed in 128 bits. BOUND: the widest value that a rule forms is a product of two int64, or an
//! int64 shifted by 62, doubled: below 2^127.

mod elementwise;
mod linear;
mod rows;
mod shape;

use super::{
    error::Problem,
    operator::Operator,
    types::{DIMENSION_MAX, DType, ELEMENTS_MAX, Facts, RANK_MAX, Shape},
};

/// The least and the greatest value.
type Bounds = (i128, i128);

/// What an operator gives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effect {
    pub first: Facts,
    pub second: Option<Facts>,
}

impl Effect {
    const fn one(first: Facts) -> Self {
        Self { first, second: None }
    }
}

/// What a node gives, given what is known of its operands.
pub(super) fn effect_of(operator: &Operator, operands: &[Facts]) -> Result<Effect, Problem> {
    let x = &operands[0];
    match *operator {
        Operator::MatMul { transpose_b, accumulator } => linear::matmul(x, &operands[1], transpose_b, accumulator),
        Operator::Conv2d { windows, groups, accumulator } => {
            linear::conv2d(x, &operands[1], &windows, groups, accumulator)
        }
        Operator::MaxPool2d(windows) => linear::pool(x, &windows, None),
        Operator::SumPool2d { windows, accumulator } => linear::pool(x, &windows, Some(accumulator)),
        Operator::Gather => shape::gather(x, &operands[1]),
        Operator::Pair { pair, dtype } => elementwise::pair(x, &operands[1], pair, dtype),
        Operator::Divide { fraction_bits, dtype } => elementwise::divide(x, &operands[1], fraction_bits, dtype),
        Operator::Equal | Operator::Less => elementwise::compare(x, &operands[1]),
        Operator::Select { dtype } => elementwise::select(operands, dtype),
        Operator::Clip { lo, hi, dtype } => elementwise::clip(x, lo, hi, dtype),
        Operator::Rescale { shift, dtype } => elementwise::rescale(x, &operands[1], shift, dtype),
        Operator::Lookup { first, shift } => elementwise::lookup(x, &operands[1], first, shift),
        Operator::QuantiseRows { dtype } => rows::quantise_rows(x, dtype),
        Operator::LayerNorm { center, shift, epsilon, fraction_bits } => {
            rows::layer_norm(x, center, shift, epsilon, fraction_bits)
        }
        Operator::Softmax { multiplier, shift, exp2, dtype } => {
            rows::softmax(operands, multiplier, shift, &exp2, dtype)
        }
        Operator::ReduceSum { axis, accumulator } => linear::reduce(x, axis, Some(accumulator)),
        Operator::ReduceMax { axis } => linear::reduce(x, axis, None),
        Operator::ArgMax => rows::arg_max(x),
        Operator::TopK { k } => rows::top_k(x, k),
        Operator::Sample => rows::sample(x, &operands[1]),
        Operator::Reshape(to) => shape::reshape(x, to),
        Operator::Transpose(order) => shape::transpose(x, order),
        Operator::Slice { starts, stops, steps } => shape::slice(x, starts, stops, steps),
        Operator::Concat { axis } => shape::concat(operands, axis),
        Operator::Broadcast(to) => shape::broadcast(x, to),
        Operator::CacheAppend { axis } => shape::cache_append(operands, axis),
    }
}

/// ⌊value / 2^shift + 1/2⌋.
pub(super) const fn shift_rounded(value: i128, shift: u32) -> i128 {
    (value + (1 << shift >> 1)) >> shift
}

/// ⌊dividend / divisor + 1/2⌋ for a divisor above 0.
fn divide_rounded(dividend: i128, divisor: i128) -> i128 {
    (2 * dividend + divisor).div_euclid(2 * divisor)
}

/// The least and the greatest of a formula at the four pairs of ends.
fn corners(a: Bounds, b: Bounds, formula: impl Fn(i128, i128) -> i128) -> Bounds {
    let values = [formula(a.0, b.0), formula(a.0, b.1), formula(a.1, b.0), formula(a.1, b.1)];
    values.into_iter().fold((i128::MAX, i128::MIN), |(lo, hi), value| (lo.min(value), hi.max(value)))
}

fn product_bounds(a: Bounds, b: Bounds) -> Bounds {
    corners(a, b, |a, b| a * b)
}

fn fits(what: &'static str, dtype: DType, (lo, hi): Bounds) -> Result<(), Problem> {
    if lo < dtype.lo().into() || hi > dtype.hi().into() {
        return Err(Problem::Overflow { what, lo, hi, dtype });
    }
    Ok(())
}

fn fits_int64(what: &'static str, lo: i128, hi: i128) -> Result<(), Problem> {
    fits(what, DType::Int64, (lo, hi))
}

/// A tensor of which it is known that its bounds fit its type.
fn facts(what: &'static str, dtype: DType, shape: Shape, bounds: Bounds) -> Result<Facts, Problem> {
    fits(what, dtype, bounds)?;
    Ok(Facts { dtype, shape, lo: bounds.0 as i64, hi: bounds.1 as i64 })
}

/// A result's shape, unless it is larger than a tensor may be.
fn checked_shape(dimensions: &[u64]) -> Result<Shape, Problem> {
    if dimensions.len() > RANK_MAX {
        return Err(Problem::Refused("the result would have more than 6 dimensions"));
    }
    let mut sizes = [1; RANK_MAX];
    for (size, dimension) in sizes.iter_mut().zip(dimensions) {
        if !(1..=DIMENSION_MAX).contains(dimension) {
            return Err(Problem::Refused("a dimension of the result is not from 1 to 2^24"));
        }
        *size = *dimension as u32;
    }
    let shape = Shape::new(&sizes[..dimensions.len()]);
    if shape.elements() > ELEMENTS_MAX {
        return Err(Problem::Elements(shape.elements()));
    }
    Ok(shape)
}

/// The common shape of operands: aligned at their last dimension, each dimension equal to the others or 1.
fn broadcast_shapes(shapes: &[Shape]) -> Result<Shape, Problem> {
    let rank = shapes.iter().map(Shape::rank).max().unwrap_or(1);
    let mut common = [1; RANK_MAX];
    for shape in shapes {
        for (size, &own) in common[rank - shape.rank()..rank].iter_mut().zip(shape.dimensions()) {
            if own != 1 && *size != 1 && *size != u64::from(own) {
                return Err(Problem::Refused("the operands' shapes have no common one"));
            }
            *size = (*size).max(own.into());
        }
    }
    checked_shape(&common[..rank])
}
