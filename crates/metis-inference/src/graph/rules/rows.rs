//! Operators on rows, the last dimension.

use super::{Bounds, Effect, broadcast_shapes, fits_int64, shift_rounded};
use crate::graph::{
    error::Problem,
    types::{DType, Facts},
};

const SOFTMAX_ROW_MAX: usize = 1 << 16;
const EXP2_MAX: i128 = 1 << 24;
const INT32_HI: i128 = i32::MAX as i128;

pub(super) fn quantise_rows(x: &Facts, dtype: DType) -> Result<Effect, Problem> {
    if x.magnitude() > INT32_HI {
        return Err(Problem::Refused("a magnitude may be more than 2^31 - 1"));
    }
    let lo = if x.lo < 0 { -dtype.hi() } else { 0 };
    let hi = if x.hi > 0 { dtype.hi() } else { 0 };
    let greatest = x.magnitude().max(1) as i64;
    Ok(Effect {
        first: Facts { dtype, shape: x.shape, lo, hi },
        second: Some(Facts { dtype: DType::Int32, shape: x.shape.rows(), lo: 1, hi: greatest }),
    })
}

pub(super) fn layer_norm(
    x: &Facts,
    center: bool,
    shift: u32,
    epsilon: i64,
    fraction_bits: u32,
) -> Result<Effect, Problem> {
    let width = x.shape.width() as i128;
    let sum = 2 * width * x.magnitude();
    fits_int64("twice the sum of a row", -sum, sum + width)?;
    let spread = if center { x.bounds().1 - x.bounds().0 } else { x.magnitude() };
    fits_int64("the difference from the mean", -spread, spread + (1 << shift >> 1))?;
    let deviation = shift_rounded(-spread, shift).abs().max(shift_rounded(spread, shift));
    if deviation > INT32_HI {
        return Err(Problem::Refused("a shifted deviation may not fit int32; raise shift"));
    }
    fits_int64("twice the sum of squares of a row", 0, 2 * width * deviation * deviation + width)?;
    if deviation * deviation + i128::from(epsilon) >= 1 << 62 {
        return Err(Problem::Refused("the variance may be 2^62 or more"));
    }
    // BOUND: a deviation is below √(width · variance), for no square exceeds the sum of squares; the integer root and
    // the reciprocal add less than one part in 2^29. docs/ai-graph.md derives it.
    let bound = (width << (2 * fraction_bits)).isqrt() + 1;
    let bound = bound + (bound >> 29) + 1;
    if bound > INT32_HI {
        return Err(Problem::Refused("the result may not fit int32; lower fraction_bits"));
    }
    let normed = Facts { dtype: DType::Int32, shape: x.shape, lo: -bound as i64, hi: bound as i64 };
    Ok(Effect::one(normed))
}

/// Bounds of the polynomial that softmax evaluates, for every fraction from 0 to 65535.
fn exp2_bounds(coefficients: &[i64; 4]) -> Bounds {
    let start = i128::from(coefficients[3]);
    coefficients[..3].iter().rev().fold((start, start), |(lo, hi), coefficient| {
        let (p, q) = (shift_rounded(lo * 0xFFFF, 16), shift_rounded(hi * 0xFFFF, 16));
        let coefficient = i128::from(*coefficient);
        (coefficient + p.min(q).min(0), coefficient + p.max(q).max(0))
    })
}

pub(super) fn softmax(
    operands: &[Facts],
    multiplier: i64,
    shift: u32,
    exp2: &[i64; 4],
    dtype: DType,
) -> Result<Effect, Problem> {
    let x = &operands[0];
    if x.shape.width() > SOFTMAX_ROW_MAX {
        return Err(Problem::Refused("rows are longer than 65536"));
    }
    if let Some(mask) = operands.get(1)
        && broadcast_shapes(&[x.shape, mask.shape])? != x.shape
    {
        return Err(Problem::Refused("the mask does not fit the operand"));
    }
    let distance = x.bounds().1 - x.bounds().0;
    fits_int64("the difference from the greatest", 0, distance)?;
    let scaled = distance * i128::from(multiplier) + (1 << shift >> 1);
    fits_int64("the scaled difference from the greatest", 0, scaled)?;
    let (lo, hi) = exp2_bounds(exp2);
    if exp2[0] < 1 || lo < 0 || hi > EXP2_MAX {
        return Err(Problem::Refused("the polynomial exp2 leaves 0 to 2^24, or begins below 1"));
    }
    let shares = Facts { dtype, shape: x.shape, lo: 0, hi: dtype.hi() };
    Ok(Effect::one(shares))
}

/// Places in a row.
fn places(x: &Facts) -> Facts {
    Facts { dtype: DType::Int32, shape: x.shape.rows(), lo: 0, hi: x.shape.width() as i64 - 1 }
}

#[allow(clippy::unnecessary_wraps)] // a rule like the others, which refuses nothing
pub(super) fn arg_max(x: &Facts) -> Result<Effect, Problem> {
    Ok(Effect::one(places(x)))
}

pub(super) fn top_k(x: &Facts, k: usize) -> Result<Effect, Problem> {
    if k > x.shape.width() {
        return Err(Problem::Refused("rows are shorter than k"));
    }
    let shape = x.shape.with(x.shape.rank() - 1, k as u32);
    Ok(Effect { first: Facts { shape, ..*x }, second: Some(Facts { shape, ..places(x) }) })
}

pub(super) fn sample(weights: &Facts, seed: &Facts) -> Result<Effect, Problem> {
    if weights.lo < 0 {
        return Err(Problem::Refused("a weight may be negative"));
    }
    if seed.shape.dimensions() != [1] {
        return Err(Problem::Refused("the seed's shape must be (1,)"));
    }
    fits_int64("the sum of weights", 0, weights.shape.width() as i128 * weights.bounds().1)?;
    Ok(Effect::one(places(weights)))
}
