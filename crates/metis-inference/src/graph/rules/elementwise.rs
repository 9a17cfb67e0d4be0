//! Operators that treat every element alone.

use super::{
    Effect, broadcast_shapes, corners, divide_rounded, facts, fits, fits_int64, product_bounds, shift_rounded,
};
use crate::graph::{
    error::Problem,
    operator::Pair,
    types::{DType, Facts},
};

pub(super) fn pair(a: &Facts, b: &Facts, pair: Pair, dtype: DType) -> Result<Effect, Problem> {
    let shape = broadcast_shapes(&[a.shape, b.shape])?;
    let ((a_lo, a_hi), (b_lo, b_hi)) = (a.bounds(), b.bounds());
    let bounds = match pair {
        Pair::Add => (a_lo + b_lo, a_hi + b_hi),
        Pair::Subtract => (a_lo - b_hi, a_hi - b_lo),
        Pair::Multiply => product_bounds(a.bounds(), b.bounds()),
        Pair::Minimum => (a_lo.min(b_lo), a_hi.min(b_hi)),
        Pair::Maximum => (a_lo.max(b_lo), a_hi.max(b_hi)),
    };
    Ok(Effect::one(facts("the result", dtype, shape, bounds)?))
}

pub(super) fn compare(a: &Facts, b: &Facts) -> Result<Effect, Problem> {
    let shape = broadcast_shapes(&[a.shape, b.shape])?;
    Ok(Effect::one(Facts { dtype: DType::Int8, shape, lo: 0, hi: 1 }))
}

pub(super) fn divide(a: &Facts, b: &Facts, fraction_bits: u32, dtype: DType) -> Result<Effect, Problem> {
    let shape = broadcast_shapes(&[a.shape, b.shape])?;
    if b.lo < 1 {
        return Err(Problem::Refused("the divisor may be 0 or less"));
    }
    let (b_lo, b_hi) = b.bounds();
    let (lo, hi) = (i128::from(a.lo) << fraction_bits, i128::from(a.hi) << fraction_bits);
    // The rounded quotient is computed as ⌊(2·dividend + divisor) / (2·divisor)⌋.
    fits_int64("twice the dividend and the divisor", 2 * lo + b_lo, 2 * hi + b_hi)?;
    fits_int64("twice the divisor", 0, 2 * b_hi)?;
    fits_int64("twice the dividend", 2 * lo, 2 * hi)?;
    let bounds = corners((lo, hi), (b_lo, b_hi), divide_rounded);
    Ok(Effect::one(facts("the quotient", dtype, shape, bounds)?))
}

pub(super) fn select(operands: &[Facts], dtype: DType) -> Result<Effect, Problem> {
    let (c, a, b) = (&operands[0], &operands[1], &operands[2]);
    let shape = broadcast_shapes(&[c.shape, a.shape, b.shape])?;
    let bounds = (a.bounds().0.min(b.bounds().0), a.bounds().1.max(b.bounds().1));
    Ok(Effect::one(facts("the selected value", dtype, shape, bounds)?))
}

pub(super) fn clip(x: &Facts, lo: i64, hi: i64, dtype: DType) -> Result<Effect, Problem> {
    if lo > hi {
        return Err(Problem::Refused("the range is empty"));
    }
    fits("the range", dtype, (lo.into(), hi.into()))?;
    let clipped = Facts { dtype, shape: x.shape, lo: x.lo.clamp(lo, hi), hi: x.hi.clamp(lo, hi) };
    Ok(Effect::one(clipped))
}

pub(super) fn rescale(x: &Facts, multiplier: &Facts, shift: u32, dtype: DType) -> Result<Effect, Problem> {
    let shape = broadcast_shapes(&[x.shape, multiplier.shape])?;
    let (lo, hi) = product_bounds(x.bounds(), multiplier.bounds());
    fits_int64("the product", lo, hi + (1 << shift >> 1))?;
    let clipped = |bound| shift_rounded(bound, shift).clamp(dtype.lo().into(), dtype.hi().into());
    Ok(Effect::one(facts("the result", dtype, shape, (clipped(lo), clipped(hi)))?))
}

pub(super) fn lookup(x: &Facts, table: &Facts, first: i64, shift: u32) -> Result<Effect, Problem> {
    if table.shape.rank() != 1 {
        return Err(Problem::Refused("the table must have one dimension"));
    }
    let ((lo, hi), first) = (x.bounds(), i128::from(first));
    fits_int64("the distance from the table's first value", lo - first, hi - first)?;
    fits_int64("the table's length in steps", 0, (table.elements() as i128 - 1) << shift)?;
    let (step, half) = ((1_i128 << shift) - 1, 1_i128 << shift >> 1);
    // BOUND: the difference of neighbours times the fraction, with what rounding adds.
    let widest = table.bounds().1 - table.bounds().0;
    fits_int64("the interpolated difference", -widest * step, widest * step + half)?;
    fits_int64("the difference of neighbours", -widest, widest)?;
    Ok(Effect::one(Facts { shape: x.shape, ..*table }))
}
