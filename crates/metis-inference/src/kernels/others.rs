//! Pools, reductions, choices: operators that are no sums of products and give no whole rows.

use alloc::collections::BinaryHeap;
use core::cmp::Reverse;

use super::{lanes, share};
use crate::{
    graph::Windows,
    memory::{Element, Memory, Slot, with_type},
    plan::{Reduction, Wide},
};

/// The windows of one dimension whose element at `offset` is inside: `first..end`.
#[inline(always)]
fn inside(size: usize, count: usize, offset: isize, stride: usize) -> (usize, usize) {
    let stride = stride as isize;
    let first = if offset < 0 { (-offset + stride - 1) / stride } else { 0 };
    let end = (size as isize - offset + stride - 1).div_euclid(stride).clamp(0, count as isize);
    (first as usize, end.max(first) as usize)
}

/// A thread's share of the planes of a pool.
#[allow(clippy::too_many_arguments)] // the operator's own
#[inline(always)]
pub(super) fn pool(
    [x, out]: [&Slot; 2],
    planes: usize,
    image: [usize; 2],
    plane: [usize; 2],
    windows: &Windows,
    is_sum: bool,
    memory: Memory<'_>,
    (part, parts): (usize, usize),
) {
    let (pixels, places) = (image[0] * image[1], plane[0] * plane[1]);
    with_type!(x.dtype, X => with_type!(out.dtype, T => {
        for item in share(planes, part, parts) {
            // SAFETY: an operand from a step before; each plane of the result is one thread's.
            let (source, target) = unsafe {
                let source: &[X] = memory.read(x, item * pixels, pixels);
                (source, memory.write::<T>(out, item * places, places))
            };
            // Every window holds an element of the image, and none of those is below the least of the type.
            target.fill(T::of_wide(if is_sum { 0 } else { X::DTYPE.lo() }));
            for row in 0..windows.kernel[0] {
                let down = row as isize - windows.pads[0] as isize;
                let (top, bottom) = inside(image[0], plane[0], down, windows.strides[0]);
                for column in 0..windows.kernel[1] {
                    let right = column as isize - windows.pads[1] as isize;
                    let (left, end) = inside(image[1], plane[1], right, windows.strides[1]);
                    for i in top..bottom {
                        let y = ((i * windows.strides[0]) as isize + down) as usize;
                        for j in left..end {
                            let at = y * image[1] + ((j * windows.strides[1]) as isize + right) as usize;
                            let to = &mut target[i * plane[1] + j];
                            let (have, found) = (to.wide(), source[at].wide());
                            *to = T::of_wide(if is_sum { have.wrapping_add(found) } else { have.max(found) });
                        }
                    }
                }
            }
        }
    }));
}

/// A thread's share of a reduction.
#[inline(always)]
pub(super) fn reduce(work: &Reduction, memory: Memory<'_>, part: usize, parts: usize) {
    let Reduction { outer, count, inner, is_sum, .. } = *work;
    with_type!(work.x.dtype, X => with_type!(work.out.dtype, T => {
        for item in share(outer, part, parts) {
            // SAFETY: an operand from a step before; each entry of the result is one thread's.
            let (source, target) = unsafe {
                let source: &[X] = memory.read(&work.x, item * count * inner, count * inner);
                (source, memory.write::<T>(&work.out, item * inner, inner))
            };
            if inner == 1 {
                let one = if is_sum {
                    lanes::sum(source)
                } else {
                    source.iter().fold(i64::MIN, |greatest, value| greatest.max(value.wide()))
                };
                target[0] = T::of_wide(one);
                continue;
            }
            lanes::map(target, &source[..inner], |value| T::of_wide(value.wide()));
            for entry in source[inner..].chunks_exact(inner) {
                for (to, found) in target.iter_mut().zip(entry) {
                    let (have, found) = (to.wide(), found.wide());
                    *to = T::of_wide(if is_sum { have.wrapping_add(found) } else { have.max(found) });
                }
            }
        }
    }));
}

/// Elements of a long row that are computed at a time.
const PART: usize = 2048;

/// A thread's share of rows that are too long for registers.
#[inline(always)]
pub(super) fn wide_rows(
    [x, out]: [&Slot; 2],
    rows: usize,
    width: usize,
    wide: &Wide,
    memory: Memory<'_>,
    (part, parts): (usize, usize),
) {
    let mut buffer = [0_i32; PART];
    with_type!(x.dtype, X => with_type!(out.dtype, T => {
        for row in share(rows, part, parts) {
            // SAFETY: an operand from a step before; each row of the results is one thread's.
            let (source, target) = unsafe {
                let source: &[X] = memory.read(x, row * width, width);
                (source, memory.write::<T>(out, row * width, width))
            };
            match *wide {
                Wide::QuantiseRows { dtype, greatest } => {
                    let found = source.iter().fold(1, |most: i64, value| most.max(value.wide().abs())) as i32;
                    let quantiser = lanes::quantiser(found, dtype.hi());
                    for (to, from) in target.chunks_mut(PART).zip(source.chunks(PART)) {
                        let mut values = [0; PART];
                        lanes::map(&mut values, from, Element::narrow);
                        lanes::quantise(&mut buffer[..to.len()], &values[..to.len()], quantiser);
                        lanes::map(to, &buffer, T::of_narrow);
                    }
                    // SAFETY: as above.
                    unsafe { memory.write::<i32>(&greatest, row, 1)[0] = found };
                }
                Wide::LayerNorm { center, shift, epsilon, fraction_bits } => {
                    let mean = if center { lanes::divide_rounded(lanes::sum(source), width as i64) } else { 0 };
                    let squares = source.chunks(PART).fold(0_i64, |squares, from| {
                        let c = &mut buffer[..from.len()];
                        lanes::deviations(c, from, mean, shift);
                        squares.wrapping_add(lanes::sum_of_squares(c))
                    });
                    let variance = lanes::divide_rounded(squares, width as i64) + epsilon;
                    let normaliser = lanes::normaliser(variance, fraction_bits);
                    for (to, from) in target.chunks_mut(PART).zip(source.chunks(PART)) {
                        let c = &mut buffer[..from.len()];
                        lanes::deviations(c, from, mean, shift);
                        lanes::scale(c, normaliser);
                        lanes::map(to, c, T::of_narrow);
                    }
                }
            }
        }
    }));
}

/// The place of the greatest element of each row, the lowest of several.
#[inline(always)]
pub(super) fn arg_max([x, out]: [&Slot; 2], width: usize, memory: Memory<'_>, part: usize, parts: usize) {
    with_type!(x.dtype, X => {
        for row in share(out.elements, part, parts) {
            // SAFETY: an operand from a step before; each element of the result is one thread's.
            let (source, target) = unsafe {
                let source: &[X] = memory.read(x, row * width, width);
                (source, memory.write::<i32>(out, row, 1))
            };
            let greatest = source.iter().fold(i64::MIN, |greatest, value| greatest.max(value.wide()));
            let place = source.iter().position(|value| value.wide() == greatest);
            target[0] = place.unwrap_or_default() as i32;
        }
    });
}

/// The greatest elements of each row in descending order, equal ones in ascending order of place.
#[inline(always)]
pub(super) fn top_k(
    [x, values, places]: [&Slot; 3],
    width: usize,
    k: usize,
    memory: Memory<'_>,
    (part, parts): (usize, usize),
) {
    with_type!(x.dtype, X => {
        let mut heap: BinaryHeap<Reverse<(i64, Reverse<usize>)>> = BinaryHeap::with_capacity(k + 1);
        for row in share(x.elements / width, part, parts) {
            // SAFETY: an operand from a step before; each row of the results is one thread's.
            let (source, value, place) = unsafe {
                let source: &[X] = memory.read(x, row * width, width);
                (source, memory.write::<X>(values, row * k, k), memory.write::<i32>(places, row * k, k))
            };
            // The least of those kept is on top; of equal ones the last.
            for (at, element) in source.iter().enumerate() {
                let candidate = (element.wide(), Reverse(at));
                if heap.len() < k {
                    heap.push(Reverse(candidate));
                } else if heap.peek().is_some_and(|Reverse(least)| candidate > *least) {
                    heap.pop();
                    heap.push(Reverse(candidate));
                }
            }
            for to in (0..k).rev() {
                if let Some(Reverse((element, Reverse(at)))) = heap.pop() {
                    (value[to], place[to]) = (X::of_wide(element), at as i32);
                }
            }
        }
    });
}

/// SplitMix64's output number `row` from a seed.
#[inline(always)]
const fn mixed(seed: u64, row: u64) -> u64 {
    let mut word = seed.wrapping_add((row + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ (word >> 31)
}

/// A place of each row, chosen in proportion to its weight.
#[inline(always)]
pub(super) fn sample([weights, seed, out]: [&Slot; 3], width: usize, memory: Memory<'_>, part: usize, parts: usize) {
    with_type!(weights.dtype, X => {
        for row in share(out.elements, part, parts) {
            // SAFETY: operands from steps before; each element of the result is one thread's.
            let (source, seed, target) = unsafe {
                let source: &[X] = memory.read(weights, row * width, width);
                (source, memory.element(seed, 0), memory.write::<i32>(out, row, 1))
            };
            let total = lanes::sum(source);
            let bar = ((u128::from(mixed(seed as u64, row as u64)) * total as u128) >> 64) as i64;
            let mut sum = 0;
            let place = source.iter().position(|weight| {
                sum += weight.wide();
                sum > bar
            });
            target[0] = place.unwrap_or_default() as i32;
        }
    });
}
