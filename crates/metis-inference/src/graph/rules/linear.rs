//! Operators that add up products or windows.

use super::{Bounds, Effect, checked_shape, facts, fits, product_bounds};
use crate::graph::{
    error::Problem,
    operator::Windows,
    types::{DType, Facts, RANK_MAX, Shape},
};

/// Bounds of a sum of up to `count` terms, each within `bounds`.
///
/// BOUND: every partial sum, in whatever order, is at most `count` times the greatest magnitude, so an accumulator
/// of `dtype` holds each of them.
fn accumulated(count: u64, (lo, hi): Bounds, dtype: DType) -> Result<Bounds, Problem> {
    let count = i128::from(count);
    let widest = count * lo.abs().max(hi.abs());
    fits("the accumulator", dtype, (-widest, widest))?;
    Ok((count * lo, count * hi))
}

fn narrow(factors: [&Facts; 2]) -> Result<(), Problem> {
    if factors.iter().any(|factor| factor.dtype == DType::Int64) {
        return Err(Problem::Refused("a factor is int64; at most int32 is multiplied and accumulated"));
    }
    Ok(())
}

pub(super) fn matmul(a: &Facts, b: &Facts, transpose_b: bool, dtype: DType) -> Result<Effect, Problem> {
    narrow([a, b])?;
    let (left, right) = (a.shape.dimensions(), b.shape.dimensions());
    let ([.., _, width], [.., rows, columns]) = (left, right) else {
        return Err(Problem::Refused("both operands must have two dimensions or more"));
    };
    let (inner, columns) = if transpose_b { (columns, rows) } else { (rows, columns) };
    if width != inner {
        return Err(Problem::Refused("the rows of one operand and the columns of the other have different lengths"));
    }
    if right.len() > 2 && right[..right.len() - 2] != left[..left.len() - 2] {
        return Err(Problem::Refused("the operands differ before their last two dimensions"));
    }
    let mut dimensions = [1; RANK_MAX];
    for (dimension, size) in dimensions.iter_mut().zip(left) {
        *dimension = u64::from(*size);
    }
    dimensions[left.len() - 1] = u64::from(*columns);
    let shape = checked_shape(&dimensions[..left.len()])?;
    let inner = u64::from(*inner);
    let bounds = accumulated(inner, product_bounds(a.bounds(), b.bounds()), dtype)?;
    Ok(Effect::one(facts("the sum", dtype, shape, bounds)?))
}

/// Batch, channels, height and width.
fn image(x: &Facts) -> Result<[u64; 4], Problem> {
    let [batch, channels, height, width] = *x.shape.dimensions() else {
        return Err(Problem::Refused("an image must be (batch, channels, height, width)"));
    };
    Ok([batch, channels, height, width].map(u64::from))
}

/// How many windows of `extent` fit one dimension.
fn windows_of(size: u64, pads: u64, extent: u64, stride: usize) -> Result<u64, Problem> {
    let span =
        (size + pads).checked_sub(extent).ok_or(Problem::Refused("a window is wider than what it moves over"))?;
    Ok(span / stride as u64 + 1)
}

/// Height and width of what windows over a plane give.
fn plane(windows: &Windows, height: u64, width: u64, extents: [u64; 2]) -> Result<[u64; 2], Problem> {
    let [top, left, bottom, right] = windows.pads.map(|pad| pad as u64);
    Ok([
        windows_of(height, top + bottom, extents[0], windows.strides[0])?,
        windows_of(width, left + right, extents[1], windows.strides[1])?,
    ])
}

pub(super) fn conv2d(
    x: &Facts,
    weights: &Facts,
    windows: &Windows,
    groups: usize,
    dtype: DType,
) -> Result<Effect, Problem> {
    narrow([x, weights])?;
    let [batch, channels, height, width] = image(x)?;
    let [filters, depth, rows, columns] = image(weights)?;
    let groups = groups as u64;
    if !channels.is_multiple_of(groups) || !filters.is_multiple_of(groups) || channels / groups != depth {
        return Err(Problem::Refused("channels and filters do not split into the groups"));
    }
    let [deep, wide] = windows.dilations.map(|step| step as u64);
    let out = plane(windows, height, width, [(rows - 1) * deep + 1, (columns - 1) * wide + 1])?;
    let shape = checked_shape(&[batch, filters, out[0], out[1]])?;
    let terms = depth * rows * columns;
    let (lo, hi) = product_bounds(x.bounds(), weights.bounds());
    // Padding is zeros, and so is the product with one.
    let bounds = accumulated(terms, (lo.min(0), hi.max(0)), dtype)?;
    Ok(Effect::one(facts("the sum", dtype, shape, bounds)?))
}

/// The greatest of each window, or its sum in an accumulator.
pub(super) fn pool(x: &Facts, windows: &Windows, accumulator: Option<DType>) -> Result<Effect, Problem> {
    let [batch, channels, height, width] = image(x)?;
    let [rows, columns] = windows.kernel;
    let [top, left, bottom, right] = windows.pads;
    // BOUND: a window so holds one element of the image at least.
    if top.max(bottom) >= rows || left.max(right) >= columns {
        return Err(Problem::Refused("a pad reaches the size of the window"));
    }
    let out = plane(windows, height, width, [rows as u64, columns as u64])?;
    let shape = checked_shape(&[batch, channels, out[0], out[1]])?;
    let window = rows as u64 * columns as u64;
    let Some(dtype) = accumulator else {
        return Ok(Effect::one(Facts { shape, ..*x }));
    };
    let bounds = accumulated(window, (x.bounds().0.min(0), x.bounds().1.max(0)), dtype)?;
    Ok(Effect::one(facts("the sum", dtype, shape, bounds)?))
}

/// The sum along an axis, or the greatest.
pub(super) fn reduce(x: &Facts, axis: usize, accumulator: Option<DType>) -> Result<Effect, Problem> {
    let Some(&count) = x.shape.dimensions().get(axis) else {
        return Err(Problem::Refused("the operand has no such axis"));
    };
    let shape: Shape = x.shape.with(axis, 1);
    let reduced = match accumulator {
        Some(dtype) => facts("the sum", dtype, shape, accumulated(count.into(), x.bounds(), dtype)?)?,
        None => Facts { shape, ..*x },
    };
    Ok(Effect::one(reduced))
}
