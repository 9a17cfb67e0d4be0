//! Sums of products of any integers, block by block: the way that every processor has.

use alloc::{vec, vec::Vec};

use super::{lanes, share};
use crate::{
    graph::DType,
    memory::{Element, Memory, Slot, with_type},
    plan::{Convolution, Product},
};

/// Columns and terms of a block.
const COLUMNS: usize = 64;
const TERMS: usize = 128;

/// Room for elements of the second factor: terms, and columns of each.
fn empty_block(terms: usize) -> Vec<[i32; COLUMNS]> {
    vec![[0; COLUMNS]; terms.min(TERMS)]
}

/// The second factor of a product as a matrix of terms and columns.
pub(crate) trait Columns {
    /// Fills `to`, whose type holds them, with the elements of one term in columns from `first` on.
    fn fill<E: Element>(&self, term: usize, first: usize, to: &mut [E]);

    /// The type of its elements.
    type Element: Element;

    /// All terms of a column, where they lie beside each other.
    fn column(&self, _: usize) -> Option<&[Self::Element]> {
        None
    }
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
pub(super) struct Matrix<'a, T> {
    pub elements: &'a [T],
    /// Elements from one term, and from one column, to the next.
    pub steps: [usize; 2],
}

impl<T: Element> Columns for Matrix<'_, T> {
    type Element = T;

    #[inline(always)]
    fn column(&self, column: usize) -> Option<&[T]> {
        // A transposed matrix: the columns are as far apart as they have terms.
        (self.steps[0] == 1).then(|| &self.elements[column * self.steps[1]..][..self.steps[1]])
    }

    #[inline(always)]
    fn fill<E: Element>(&self, term: usize, first: usize, to: &mut [E]) {
        let begin = term * self.steps[0] + first * self.steps[1];
        if self.steps[1] == 1 {
            lanes::map(to, &self.elements[begin..], |element| E::of_narrow(element.narrow()));
        } else {
            for (to, element) in to.iter_mut().zip(self.elements[begin..].iter().step_by(self.steps[1])) {
                *to = E::of_narrow(element.narrow());
            }
        }
    }
}

/// What windows over an image see: a term for each element of a window, a column for each window.
pub(super) struct Seen<'a, T> {
    pub elements: &'a [T],
    pub convolution: &'a Convolution,
}

impl<T: Element> Columns for Seen<'_, T> {
    type Element = T;

    #[inline(always)]
    fn fill<E: Element>(&self, term: usize, first: usize, to: &mut [E]) {
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
                E::of_narrow(self.elements[(channel * height + y as usize) * width + x as usize].narrow())
            } else {
                E::of_narrow(0)
            };
            j += 1;
            if j == plane[1] {
                (i, j) = (i + 1, 0);
            }
        }
    }
}

/// Rows of the first factor, from an element of it on, and the length of the result's.
struct Rows<'a> {
    memory: Memory<'a>,
    a: Slot,
    first: usize,
    count: usize,
    terms: usize,
    columns: usize,
}

impl Rows<'_> {
    /// Some terms of a row.
    #[inline(always)]
    fn load(&self, row: usize, begin: usize, to: &mut [i32]) {
        with_type!(self.a.dtype, A => {
            // SAFETY: an operand from a step before.
            let terms: &[A] = unsafe { self.memory.read(&self.a, self.first + row * self.terms + begin, to.len()) };
            lanes::map(to, terms, Element::narrow);
        });
    }
}

/// Adds a factor times each of a line to as many sums.
#[inline(always)]
fn add_products<T: Accumulator>(sums: &mut [T], a: i32, line: &[i32]) {
    for (sum, b) in sums.iter_mut().zip(line) {
        *sum = sum.accumulate(a, *b);
    }
}

/// The columns `first..first + count` of all rows; `out` gives those of one row.
#[inline(always)]
fn columns<'a, T: Accumulator>(
    block: &mut [[i32; COLUMNS]],
    rows: &Rows<'_>,
    b: &impl Columns,
    first: usize,
    count: usize,
    out: impl Fn(usize) -> &'a mut [T],
) {
    let mut line_a = [0; TERMS];
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
            rows.load(row, begin, &mut line_a[..terms]);
            for (a, line) in line_a[..terms].iter().zip(&*block) {
                if count == COLUMNS {
                    add_products(&mut sums, *a, line);
                } else {
                    add_products(&mut sums[..count], *a, &line[..count]);
                }
            }
            to.copy_from_slice(&sums[..count]);
        }
    }
}

/// A thread's share of the blocks of a product.
#[inline(always)]
pub(super) fn product(work: &Product, memory: Memory<'_>, part: usize, parts: usize) {
    with_type!(work.b.dtype, B => match work.out.dtype {
        DType::Int32 => product_of::<B, i32>(work, memory, part, parts),
        _ => product_of::<B, i64>(work, memory, part, parts),
    });
}

#[inline(always)]
fn product_of<B: Element, T: Accumulator>(work: &Product, memory: Memory<'_>, part: usize, parts: usize) {
    let Product { batch, m, k, n, .. } = *work;
    let across = n.div_ceil(COLUMNS);
    let mut block = empty_block(k);
    for unit in share(batch * across, part, parts) {
        let (item, first) = (unit / across, unit % across * COLUMNS);
        let item_b = if work.is_b_shared { 0 } else { item };
        // SAFETY: an operand from a step before.
        let elements: &[B] = unsafe { memory.read(&work.b, item_b * k * n, k * n) };
        let steps = if work.transpose_b { [1, k] } else { [n, 1] };
        let rows = Rows { memory, a: work.a, first: item * m * k, count: m, terms: k, columns: n };
        let count = COLUMNS.min(n - first);
        columns(&mut block, &rows, &Matrix { elements, steps }, first, count, |row| {
            // SAFETY: these columns of the result are this thread's, one row at a time.
            unsafe { memory.write::<T>(&work.out, (item * m + row) * rows.columns + first, count) }
        });
    }
}

/// A thread's share of the blocks of a convolution.
#[inline(always)]
pub(super) fn convolution(work: &Convolution, memory: Memory<'_>, part: usize, parts: usize) {
    with_type!(work.x.dtype, X => match work.out.dtype {
        DType::Int32 => convolution_of::<X, i32>(work, memory, part, parts),
        _ => convolution_of::<X, i64>(work, memory, part, parts),
    });
}

#[inline(always)]
fn convolution_of<X: Element, T: Accumulator>(work: &Convolution, memory: Memory<'_>, part: usize, parts: usize) {
    let Convolution { batch, groups, filters, depth, image, plane, .. } = *work;
    let (terms, pixels, places) = (work.terms(), image[0] * image[1], plane[0] * plane[1]);
    let across = places.div_ceil(COLUMNS);
    let mut block = empty_block(terms);
    for unit in share(batch * groups * across, part, parts) {
        let (item, first) = (unit / across, unit % across * COLUMNS);
        // SAFETY: an operand from a step before.
        let elements: &[X] = unsafe { memory.read(&work.x, item * depth * pixels, depth * pixels) };
        let first_a = item % groups * filters * terms;
        let rows = Rows { memory, a: work.weights, first: first_a, count: filters, terms, columns: places };
        let count = COLUMNS.min(places - first);
        columns(&mut block, &rows, &Seen { elements, convolution: work }, first, count, |row| {
            // SAFETY: these columns of the result are this thread's, one row at a time.
            unsafe { memory.write::<T>(&work.out, (item * filters + row) * rows.columns + first, count) }
        });
    }
}
