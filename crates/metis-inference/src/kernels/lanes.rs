//! Loops over lanes: the only place where elements are computed with.
//!
//! Each is plain integer code that is always inlined into a caller compiled for a processor, so that one source gives
//! all variants. Validation has proven that nothing here overflows.

use crate::{graph::Pair, memory::Element};

/// Lanes of a register: 32 or 64 bits.
pub(super) trait Lane: Element + Ord {
    fn add(self, other: Self) -> Self;
    fn subtract(self, other: Self) -> Self;
    fn multiply(self, other: Self) -> Self;
    fn clipped(lo: i64, hi: i64) -> (Self, Self);
}

macro_rules! lane {
    ($($type:ty),*) => {$(
        impl Lane for $type {
            #[inline(always)]
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn subtract(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn multiply(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn clipped(lo: i64, hi: i64) -> (Self, Self) {
                let (least, most) = (i64::from(Self::MIN), i64::from(Self::MAX));
                (lo.clamp(least, most) as Self, hi.clamp(least, most) as Self)
            }
        }
    )*};
}
lane!(i32, i64);

/// A second operand: a row, or one value for all of a row.
#[derive(Clone, Copy)]
pub(super) enum With<'a, T> {
    Row(&'a [T]),
    One(T),
}

/// ⌊value / 2^shift + 1/2⌋.
#[inline(always)]
pub(super) const fn shift_rounded(value: i64, shift: u32) -> i64 {
    (value.wrapping_add(1 << shift >> 1)) >> shift
}

/// ⌊dividend / divisor + 1/2⌋ for a divisor above 0.
#[inline(always)]
pub(super) const fn divide_rounded(dividend: i64, divisor: i64) -> i64 {
    (2 * dividend + divisor).div_euclid(2 * divisor)
}

#[inline(always)]
pub(super) fn map<A: Copy, T>(to: &mut [T], a: &[A], each: impl Fn(A) -> T) {
    for (to, a) in to.iter_mut().zip(a) {
        *to = each(*a);
    }
}

#[inline(always)]
pub(super) fn map_two<A: Copy, B: Copy, T>(to: &mut [T], a: &[A], b: &[B], each: impl Fn(A, B) -> T) {
    for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
        *to = each(*a, *b);
    }
}

#[inline(always)]
fn map_with<T: Copy>(to: &mut [T], a: &[T], b: With<'_, T>, each: impl Fn(T, T) -> T) {
    match b {
        With::Row(b) => map_two(to, a, b, each),
        With::One(b) => map(to, a, |a| each(a, b)),
    }
}

#[inline(always)]
pub(super) fn pair<T: Lane>(to: &mut [T], a: &[T], b: With<'_, T>, pair: Pair) {
    match pair {
        Pair::Add => map_with(to, a, b, T::add),
        Pair::Subtract => map_with(to, a, b, T::subtract),
        Pair::Multiply => map_with(to, a, b, T::multiply),
        Pair::Minimum => map_with(to, a, b, Ord::min),
        Pair::Maximum => map_with(to, a, b, Ord::max),
    }
}

#[inline(always)]
pub(super) fn divide(to: &mut [i64], a: &[i64], b: &[i64], fraction_bits: u32) {
    map_two(to, a, b, |a, b| divide_rounded(a << fraction_bits, b));
}

#[inline(always)]
pub(super) fn compare<T: Lane>(to: &mut [T], a: &[T], b: &[T], is_less: bool) {
    if is_less {
        map_two(to, a, b, |a, b| T::of_narrow(i32::from(a < b)));
    } else {
        map_two(to, a, b, |a, b| T::of_narrow(i32::from(a == b)));
    }
}

#[inline(always)]
pub(super) fn select<T: Lane>(to: &mut [T], c: &[T], a: &[T], b: &[T]) {
    for (((to, c), a), b) in to.iter_mut().zip(c).zip(a).zip(b) {
        *to = if c.wide() == 0 { *b } else { *a };
    }
}

#[inline(always)]
pub(super) fn clip<T: Lane>(to: &mut [T], a: &[T], lo: i64, hi: i64) {
    let (lo, hi) = T::clipped(lo, hi);
    map(to, a, |a| a.max(lo).min(hi));
}

/// Product and rounding fit 32 bits.
#[inline(always)]
pub(super) fn rescale_short(to: &mut [i32], a: &[i32], b: With<'_, i32>, shift: u32, lo: i32, hi: i32) {
    let half = 1 << shift >> 1;
    map_with(to, a, b, |a, b| ((a.wrapping_mul(b).wrapping_add(half)) >> shift).max(lo).min(hi));
}

/// No product leaves the result's type: nothing is clamped.
#[inline(always)]
pub(super) fn rescale_freely(to: &mut [i32], a: &[i32], b: With<'_, i32>, shift: u32) {
    let half = 1_i64 << shift >> 1;
    map_with(to, a, b, |a, b| ((i64::from(a) * i64::from(b) + half) >> shift) as i32);
}

#[inline(always)]
pub(super) fn rescale<T: Lane>(to: &mut [T], a: &[T], b: With<'_, T>, shift: u32, lo: i64, hi: i64) {
    let half = 1_i64 << shift >> 1;
    map_with(to, a, b, |a, b| {
        let scaled = a.wide().wrapping_mul(b.wide()).wrapping_add(half) >> shift;
        T::of_wide(scaled.max(lo).min(hi))
    });
}

/// Without interpolation.
#[inline(always)]
pub(super) fn look_up<T: Lane, E: Element>(to: &mut [T], a: &[T], table: &[E], first: i64) {
    let last = T::of_wide(table.len() as i64 - 1);
    let first = T::of_wide(first);
    map(to, a, |a| {
        let index = a.subtract(first).max(T::of_narrow(0)).min(last).wide() as usize;
        // SAFETY: the index is from 0 to the table's last.
        T::of_wide(unsafe { *table.get_unchecked(index) }.wide())
    });
}

#[inline(always)]
pub(super) fn interpolate<T: Lane, E: Element>(to: &mut [T], a: &[T], table: &[E], first: i64, shift: u32) {
    let last = table.len() - 1;
    let (end, mask) = ((last as i64) << shift, (1_i64 << shift) - 1);
    map(to, a, |a| {
        let place = a.wide().wrapping_sub(first).max(0).min(end);
        let index = (place >> shift) as usize;
        // SAFETY: both indices are from 0 to the table's last.
        let (here, next) =
            unsafe { (table.get_unchecked(index).wide(), table.get_unchecked((index + 1).min(last)).wide()) };
        T::of_wide(here + shift_rounded((next - here).wrapping_mul(place & mask), shift))
    });
}

/// The same in 32 bits, where that is proven, from pairs of 16-bit neighbours that one load brings together.
#[inline(always)]
pub(super) fn interpolate_pairs(to: &mut [i32], a: &[i32], pairs: &[u32], first: i64, shift: u32) {
    let (first, last) = (first as i32, pairs.len() as i32 - 1);
    let (end, mask, half) = (last << shift, (1 << shift) - 1, 1 << shift >> 1);
    map(to, a, |a| {
        let place = a.wrapping_sub(first).max(0).min(end);
        // SAFETY: the index is from 0 to the last pair's.
        let pair = unsafe { *pairs.get_unchecked((place >> shift) as usize) } as i32;
        let (here, next) = (pair << 16 >> 16, pair >> 16);
        here.wrapping_add(((next - here).wrapping_mul(place & mask).wrapping_add(half)) >> shift)
    });
}

/// The greatest magnitude, of values that are above the least of their type.
#[inline(always)]
pub(super) fn greatest_magnitude(row: &[i32]) -> i32 {
    row.iter().fold(0, |greatest: i32, value| greatest.max(value.wrapping_abs()))
}

/// The factor and the shift that quantise a row whose greatest magnitude is `greatest`.
#[inline(always)]
pub(super) const fn quantiser(greatest: i32, largest: i64) -> (i64, u32) {
    let bits = 32 - (greatest as u32).leading_zeros();
    let shift = bits + if largest > 127 { 15 } else { 23 };
    ((largest << shift) / greatest as i64, shift)
}

#[inline(always)]
pub(super) fn quantise(to: &mut [i32], row: &[i32], (reciprocal, shift): (i64, u32)) {
    let reciprocal = reciprocal as i32;
    let half = 1_i64 << shift >> 1;
    map(to, row, |value| ((i64::from(value) * i64::from(reciprocal) + half) >> shift) as i32);
}

#[inline(always)]
pub(super) fn sum<T: Element>(row: &[T]) -> i64 {
    row.iter().fold(0, |sum: i64, value| sum.wrapping_add(value.wide()))
}

/// Shifted differences from a mean.
#[inline(always)]
pub(super) fn deviations<T: Element>(to: &mut [i32], row: &[T], mean: i64, shift: u32) {
    let half = 1_i64 << shift >> 1;
    map(to, row, |value| ((value.wide().wrapping_sub(mean).wrapping_add(half)) >> shift) as i32);
}

#[inline(always)]
pub(super) fn sum_of_squares(row: &[i32]) -> i64 {
    row.iter().fold(0, |sum: i64, value| sum.wrapping_add(i64::from(*value) * i64::from(*value)))
}

/// The factor and the shift that bring deviations of a variance to their unit.
#[inline(always)]
pub(super) const fn normaliser(variance: i64, fraction_bits: u32) -> (i64, u32) {
    let bits = 64 - variance.leading_zeros();
    let half = (62 - bits) / 2;
    let root = ((variance as u64) << (2 * half)).isqrt();
    ((1 << 60) / root as i64, 60 - half - fraction_bits)
}

/// In place: each value times a factor below 2^31, shifted.
#[inline(always)]
pub(super) fn scale(row: &mut [i32], (factor, shift): (i64, u32)) {
    let factor = factor as i32;
    let half = 1_i64 << shift >> 1;
    for value in row {
        *value = ((i64::from(*value) * i64::from(factor) + half) >> shift) as i32;
    }
}

/// What softmax computes with.
#[derive(Clone, Copy)]
pub(super) struct Softmax {
    pub multiplier: i64,
    pub shift: u32,
    pub exp2: [i64; 4],
    pub largest: i32,
}

impl Softmax {
    /// Distances from the greatest as powers of two in units of 2^-16.
    #[inline(always)]
    fn exponent(&self, distance: i64) -> i32 {
        let scaled = (distance.wrapping_mul(self.multiplier).wrapping_add(1 << self.shift >> 1)) >> self.shift;
        scaled.min((1 << 21) - 1) as i32
    }

    /// The same of a distance below 2^32.
    #[inline(always)]
    fn exponent_short(&self, distance: u32) -> i32 {
        let product = u64::from(distance) * u64::from(self.multiplier as u32);
        ((product + (1 << self.shift >> 1)) >> self.shift).min((1 << 21) - 1) as i32
    }

    /// In place: exponents become powers, 2^24 for 0.
    #[inline(always)]
    fn powers(&self, row: &mut [i32]) {
        let [c0, c1, c2, c3] = self.exp2.map(|coefficient| coefficient as i32);
        for value in row {
            let (whole, fraction) = ((*value >> 16) as u32 & 31, (*value & 0xFFFF) as u32);
            // ⌊(a · fraction + 2^15) / 2^16⌋ by halves of a, each of whose products fits 32 bits.
            let step = |a: i32, c: i32| {
                let low = (a as u32 & 0xFFFF).wrapping_mul(fraction).wrapping_add(1 << 15) >> 16;
                c.wrapping_add((a >> 16).wrapping_mul(fraction as i32)).wrapping_add(low as i32)
            };
            let power = step(step(step(c3, c2), c1), c0) as u32;
            *value = ((power + (1 << whole >> 1)) >> whole) as i32;
        }
    }

    #[inline(always)]
    fn exponents<T: Lane>(&self, to: &mut [i32], row: &[T], greatest: T) {
        if T::DTYPE == crate::graph::DType::Int32 {
            let greatest = greatest.narrow();
            map(to, row, |value| self.exponent_short(greatest.wrapping_sub(value.narrow()) as u32));
        } else {
            map(to, row, |value| self.exponent(greatest.wide().wrapping_sub(value.wide())));
        }
    }

    /// The shares of a row of which all elements take part.
    #[inline(always)]
    pub(super) fn whole_row<T: Lane>(&self, to: &mut [i32], row: &[T]) {
        let greatest = row.iter().fold(T::clipped(i64::MIN, 0).0, |greatest, value| greatest.max(*value));
        self.exponents(to, row, greatest);
        self.powers(to);
        self.shares(to);
    }

    /// The shares of a row of which those elements take part whose mask is not 0.
    #[inline(always)]
    pub(super) fn masked_row<T: Lane, M: Lane>(&self, to: &mut [i32], row: &[T], mask: &[M]) {
        let (least, zero) = (T::clipped(i64::MIN, 0).0, M::of_narrow(0));
        let kept_or_least = |value: T, kept: M| if kept == zero { least } else { value };
        let greatest =
            row.iter().zip(mask).fold(least, |greatest, (value, kept)| greatest.max(kept_or_least(*value, *kept)));
        // What does not take part may be above the greatest: its power is taken as 1, then left out.
        for ((to, value), kept) in to.iter_mut().zip(row).zip(mask) {
            let value = if *kept == zero { greatest } else { *value };
            *to = if T::DTYPE == crate::graph::DType::Int32 {
                self.exponent_short(greatest.narrow().wrapping_sub(value.narrow()) as u32)
            } else {
                self.exponent(greatest.wide().wrapping_sub(value.wide()))
            };
        }
        self.powers(to);
        for (to, kept) in to.iter_mut().zip(mask) {
            *to = if *kept == zero { 0 } else { *to };
        }
        self.shares(to);
    }

    #[inline(always)]
    fn shares(&self, row: &mut [i32]) {
        let total = sum(row).max(1);
        let shift = 64 - total.leading_zeros() + 21;
        // BOUND: below 2^22, for the total has all bits but 21 of the dividend's.
        let reciprocal = ((1_i64 << shift) / total) as i32;
        let shift = shift - (32 - self.largest.leading_zeros());
        let half = 1_i64 << shift >> 1;
        for value in row {
            let share = ((i64::from(*value) * i64::from(reciprocal) + half) >> shift) as i32;
            *value = share.min(self.largest);
        }
    }
}
