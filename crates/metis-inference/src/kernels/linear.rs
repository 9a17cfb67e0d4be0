//! Sums of products of any integers, block by block: the way that every processor has.

use super::share;
use crate::{
    graph::DType,
    memory::{Element, Memory, with_type},
    plan::{Convolution, Product},
};

/// Columns and terms of a block.
const COLUMNS: usize = 64;
const TERMS: usize = 128;

/// The second factor of a product as a matrix of terms and columns.
pub(super) trait Columns {
    /// Fills `to` with the elements of one term in columns from `first` on.
    fn fill(&self, term: usize, first: usize, to: &mut [i32]);
}

/// The accumulators of a product: elements of a result.
trait Accumulator: Element {
    fn accumulate(self, a: i32, b: i32) -> Self;
}

impl Accumulator for i32 {
    #[inline(always)]
    fn accumulate(self, a: i32, b: i32) -> Self {
        self.wrapping_add(a.wrapping_mul(b))
    }
}

impl Accumulator for i64 {
    #[inline(always)]
    fn accumulate(self, a: i32, b: i32) -> Self {
        self.wrapping_add(Self::from(a) * Self::from(b))
    }
}

/// A matrix in memory.
struct Matrix<'a, T> {
    elements: &'a [T],
    /// Elements from one term, and from one column, to the next.
    steps: [usize; 2],
}

impl<T: Element> Columns for Matrix<'_, T> {
    #[inline(always)]
    fn fill(&self, term: usize, first: usize, to: &mut [i32]) {
        let begin = term * self.steps[0] + first * self.steps[1];
        for (column, to) in to.iter_mut().enumerate() {
            *to = self.elements[begin + column * self.steps[1]].narrow();
        }
    }
}

/// What windows over an image see: a term for each element of a window, a column for each window.
pub(super) struct Seen<'a, T> {
    pub elements: &'a [T],
    pub convolution: &'a Convolution,
}

impl<T: Element> Columns for Seen<'_, T> {
    #[inline(always)]
    fn fill(&self, term: usize, first: usize, to: &mut [i32]) {
        let Convolution { windows, image: [height, width], plane, .. } = self.convolution;
        let [rows, columns] = windows.kernel;
        let (channel, place) = (term / (rows * columns), term % (rows * columns));
        let down = (place / columns * windows.dilations[0]) as isize - windows.pads[0] as isize;
        let right = (place % columns * windows.dilations[1]) as isize - windows.pads[1] as isize;
        let (mut i, mut j) = (first / plane[1], first % plane[1]);
        for to in to {
            let y = (i * windows.strides[0]) as isize + down;
            let x = (j * windows.strides[1]) as isize + right;
            let is_inside = (0..*height as isize).contains(&y) && (0..*width as isize).contains(&x);
            *to = if is_inside {
                self.elements[(channel * height + y as usize) * width + x as usize].narrow()
            } else {
                0
            };
            j += 1;
            if j == plane[1] {
                (i, j) = (i + 1, 0);
            }
        }
    }
}

/// Rows of the first factor, and of the result.
struct Rows<'a, A> {
    a: &'a [A],
    count: usize,
    terms: usize,
    columns: usize,
}

/// The columns `first..first + count` of all rows; `out` gives those of one row.
#[inline(always)]
fn columns<'a, A: Element, T: Accumulator>(
    rows: &Rows<'_, A>,
    b: &impl Columns,
    first: usize,
    count: usize,
    out: impl Fn(usize) -> &'a mut [T],
) {
    let mut block = [[0; COLUMNS]; TERMS];
    for begin in (0..rows.terms).step_by(TERMS) {
        let terms = TERMS.min(rows.terms - begin);
        for (term, line) in block[..terms].iter_mut().enumerate() {
            b.fill(begin + term, first, &mut line[..count]);
        }
        for row in 0..rows.count {
            let to = out(row);
            let mut sums = [T::of_narrow(0); COLUMNS];
            if begin > 0 {
                sums[..count].copy_from_slice(to);
            }
            for (a, line) in rows.a[row * rows.terms + begin..][..terms].iter().zip(&block) {
                let a = a.narrow();
                for (sum, b) in sums.iter_mut().zip(line) {
                    *sum = sum.accumulate(a, *b);
                }
            }
            to.copy_from_slice(&sums[..count]);
        }
    }
}

/// A thread's share of the blocks of a product.
#[inline(always)]
pub(super) fn product(work: &Product, memory: Memory<'_>, part: usize, parts: usize) {
    with_type!(work.a.slot.dtype, A => with_type!(work.b.slot.dtype, B => match work.out.dtype {
        DType::Int32 => product_in::<A, B, i32>(work, memory, part, parts),
        _ => product_in::<A, B, i64>(work, memory, part, parts),
    }));
}

#[inline(always)]
fn product_in<A: Element, B: Element, T: Accumulator>(work: &Product, memory: Memory<'_>, part: usize, parts: usize) {
    let Product { batch, m, k, n, .. } = *work;
    let across = n.div_ceil(COLUMNS);
    for unit in share(batch * across, part, parts) {
        let (item, first) = (unit / across, unit % across * COLUMNS);
        // SAFETY: operands from steps before.
        let (a, b): (&[A], &[B]) = unsafe {
            let item_b = if work.is_b_shared { 0 } else { item };
            (memory.read(&work.a.slot, item * m * k, m * k), memory.read(&work.b.slot, item_b * k * n, k * n))
        };
        let steps = if work.transpose_b { [1, k] } else { [n, 1] };
        let rows = Rows { a, count: m, terms: k, columns: n };
        let count = COLUMNS.min(n - first);
        columns(&rows, &Matrix { elements: b, steps }, first, count, |row| {
            // SAFETY: these columns of the result are this thread's, one row at a time.
            unsafe { memory.write::<T>(&work.out, (item * m + row) * rows.columns + first, count) }
        });
    }
}

/// A thread's share of the blocks of a convolution.
#[inline(always)]
pub(super) fn convolution(work: &Convolution, memory: Memory<'_>, part: usize, parts: usize) {
    with_type!(work.x.slot.dtype, X => with_type!(work.weights.slot.dtype, W => match work.out.dtype {
        DType::Int32 => convolution_in::<X, W, i32>(work, memory, part, parts),
        _ => convolution_in::<X, W, i64>(work, memory, part, parts),
    }));
}

#[inline(always)]
fn convolution_in<X: Element, W: Element, T: Accumulator>(
    work: &Convolution,
    memory: Memory<'_>,
    part: usize,
    parts: usize,
) {
    let Convolution { batch, groups, filters, depth, image, plane, windows, .. } = *work;
    let terms = depth * windows.kernel[0] * windows.kernel[1];
    let (pixels, places) = (image[0] * image[1], plane[0] * plane[1]);
    let across = places.div_ceil(COLUMNS);
    for unit in share(batch * groups * across, part, parts) {
        let (item, first) = (unit / across, unit % across * COLUMNS);
        // SAFETY: operands from steps before.
        let (elements, a): (&[X], &[W]) = unsafe {
            let group = item % groups;
            (
                memory.read(&work.x.slot, item * depth * pixels, depth * pixels),
                memory.read(&work.weights.slot, group * filters * terms, filters * terms),
            )
        };
        let rows = Rows { a, count: filters, terms, columns: places };
        let count = COLUMNS.min(places - first);
        columns(&rows, &Seen { elements, convolution: work }, first, count, |row| {
            // SAFETY: these columns of the result are this thread's, one row at a time.
            unsafe { memory.write::<T>(&work.out, (item * filters + row) * rows.columns + first, count) }
        });
    }
}
