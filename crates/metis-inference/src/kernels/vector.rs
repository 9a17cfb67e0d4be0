//! Products and convolutions with panels: what is packed when, and who computes what.

use alloc::vec::Vec;

use super::{
    dots::{self, PackedRows, Target},
    linear::{Columns, Matrix, Seen},
    panels::{self, Format, GROUP, PANEL, Packed, PackedPanels, Panels, ROWS, STEP_BYTES, TERMS_MAX, row_bytes},
    share, tiles,
};
use crate::{
    graph::DType,
    memory::{Element, Memory, Place, Slot, with_type},
    plan::{Convolution, Product, Step, Table, Work},
};

/// Products of fewer columns are not worth panels.
const COLUMNS_MIN: usize = 8;

/// Which instructions multiply panels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Avx2,
    Avx512,
    Amx,
}

impl Unit {
    /// What panels of two factors are, if there are any.
    fn format(self, a: &Slot, b: &Slot, terms: usize, columns: usize, fits_int32: bool, out: DType) -> Option<Format> {
        let widest = a.dtype.max(b.dtype);
        let suits = fits_int32 && out == DType::Int32 && terms <= TERMS_MAX && columns >= COLUMNS_MIN;
        match widest {
            _ if !suits => None,
            DType::Int8 if self != Self::Avx2 => Some(Format::Quads),
            DType::Int8 | DType::Int16 => Some(Format::Pairs),
            _ => None,
        }
    }

    /// Packed rows times panels.
    ///
    /// # Safety
    /// The processor has the unit; the target has as many rows, of `columns`, which nobody else uses.
    #[inline(always)]
    unsafe fn times(self, rows: PackedRows<'_>, panels: Panels<'_>, to: Target, columns: usize) {
        // SAFETY: as the caller says.
        unsafe {
            match (self, panels.format) {
                (Self::Avx2, _) => dots::times_pairs256(rows, panels, to, columns),
                (_, Format::Pairs) => dots::times_pairs512(rows, panels, to, columns),
                (Self::Amx, Format::Quads) if is_tiled(self, rows.count) => tiles::times(rows, panels, to, columns),
                (_, Format::Quads) => dots::times_quads512(rows, panels, to, columns),
            }
        }
    }
}

/// Whether so many rows are multiplied as tiles; fewer are faster in registers.
const fn is_tiled(unit: Unit, count: usize) -> bool {
    matches!(unit, Unit::Amx) && count > 6
}

/// What is made of a step's constants, once.
pub(super) fn packed(unit: Unit, step: &Step, weights: &[u8]) -> Option<Packed> {
    match &step.work {
        Work::Product(work) => panels_of(unit, work, weights).map(Packed::Panels),
        Work::Rows(program) if !program.tables.is_empty() => {
            Some(Packed::Tables(program.tables.iter().map(|table| pairs_of(table, weights)).collect()))
        }
        _ => None,
    }
}

/// The panels of a product's second factor, where that is a constant.
fn panels_of(unit: Unit, work: &Product, weights: &[u8]) -> Option<PackedPanels> {
    let format = unit.format(&work.a, &work.b, work.k, work.n, work.fits_int32, work.out.dtype)?;
    if !work.is_b_shared {
        return None;
    }
    let steps = if work.transpose_b { [1, work.k] } else { [work.n, 1] };
    with_type!(work.b.dtype, B => {
        let elements: &[B] = constant(&work.b, weights)?;
        Some(PackedPanels::of(&Matrix { elements, steps }, format, work.k, work.n))
    })
}

/// A table's neighbours in pairs; none where they have more than 16 bits, or the table is no constant.
fn pairs_of(table: &Table, weights: &[u8]) -> Vec<u32> {
    fn pairs<T: Element>(elements: &[T]) -> Vec<u32> {
        let next = elements.iter().skip(1).chain(elements.last());
        let pair = |(a, b): (&T, &T)| u32::from(a.narrow() as u16) | u32::from(b.narrow() as u16) << 16;
        elements.iter().zip(next).map(pair).collect()
    }
    match table.slot.dtype {
        _ if !table.short => Vec::new(),
        DType::Int8 => constant::<i8>(&table.slot, weights).map_or_else(Vec::new, pairs),
        _ => constant::<i16>(&table.slot, weights).map_or_else(Vec::new, pairs),
    }
}

/// The elements of a constant.
fn constant<'a, T: Element>(slot: &Slot, weights: &'a [u8]) -> Option<&'a [T]> {
    let Place::Weights(begin) = slot.place else { return None };
    assert!(slot.dtype == T::DTYPE, "elements of another type");
    let bytes = &weights[begin..][..slot.elements * size_of::<T>()];
    // SAFETY: constants begin at multiples of 64 bytes, and any bits are an integer.
    Some(unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast(), slot.elements) })
}

/// Rows of the first factor, and where a product of them goes.
struct Rows<'a, A> {
    a: &'a [A],
    terms: usize,
    to: Target,
}

/// A thread's scratch, as a product divides it.
struct Scratch<'a> {
    rows: &'a mut [u8],
    panels: &'a mut [u8],
    sums: &'a mut [i32],
}

impl<'a> Scratch<'a> {
    fn of(scratch: &'a mut [u8], steps: usize) -> Self {
        let (rows, rest) = scratch.split_at_mut(ROWS * row_bytes(steps));
        let (panels, rest) = rest.split_at_mut(GROUP * steps * STEP_BYTES);
        // SAFETY: any bits are integers.
        let (_, sums, _) = unsafe { rest.align_to_mut::<i32>() };
        Self { rows, panels, sums: &mut sums[..GROUP * PANEL] }
    }
}

/// All rows times some panels.
///
/// # Safety
/// As [`Unit::times`], for as many rows as there are.
#[inline(always)]
unsafe fn all_rows<A: Element>(
    unit: Unit,
    rows: &Rows<'_, A>,
    panels: Panels<'_>,
    columns: usize,
    packed_rows: &mut [u8],
) {
    for (block, a) in rows.a.chunks(ROWS * rows.terms).enumerate() {
        let count = a.len() / rows.terms;
        let is_as_packed = panels.format == Format::Pairs && A::DTYPE == DType::Int16 && rows.terms.is_multiple_of(2);
        let packed = if is_as_packed {
            // SAFETY: elements are bytes, two each.
            let bytes = unsafe { core::slice::from_raw_parts(a.as_ptr().cast::<u8>(), size_of_val(a)) };
            PackedRows { bytes, count, pitch: 2 * rows.terms }
        } else {
            panels::pack_rows(a, rows.terms, panels.format, !is_tiled(unit, count), packed_rows);
            PackedRows { bytes: packed_rows, count, pitch: row_bytes(panels.steps) }
        };
        // SAFETY: the target is as large as the caller says, and these are its rows.
        unsafe {
            let to = Target { first: rows.to.first.add(block * ROWS * rows.to.pitch), ..rows.to };
            unit.times(packed, panels, to, columns);
        }
    }
}

/// All rows times the columns of one group, packed now.
///
/// # Safety
/// As [`all_rows`].
#[inline(always)]
unsafe fn one_group<A: Element>(
    unit: Unit,
    format: Format,
    rows: &Rows<'_, A>,
    columns: &impl Columns,
    first: usize,
    count: usize,
    scratch: &mut Scratch<'_>,
) {
    let steps = format.steps(rows.terms);
    let panel_count = count.div_ceil(PANEL);
    let bytes = &mut scratch.panels[..panel_count * steps * STEP_BYTES];
    panels::pack(columns, format, rows.terms, first, count, bytes, &mut scratch.sums[..panel_count * PANEL]);
    let panels = Panels { format, steps, bytes, sums: scratch.sums };
    // SAFETY: as the caller says.
    unsafe { all_rows(unit, rows, panels, count, scratch.rows) };
}

/// A thread's share of a product; false where it is none for panels.
///
/// # Safety
/// The processor has the unit.
#[inline(always)]
pub(super) unsafe fn product(
    unit: Unit,
    work: &Product,
    packed: Option<&PackedPanels>,
    memory: Memory<'_>,
    scratch: &mut [u8],
    (part, parts): (usize, usize),
) -> bool {
    let Some(format) = unit.format(&work.a, &work.b, work.k, work.n, work.fits_int32, work.out.dtype) else {
        return false;
    };
    match work.a.dtype {
        // SAFETY: as the caller says.
        DType::Int8 => unsafe { product_of::<i8>(unit, format, work, packed, memory, scratch, (part, parts)) },
        // SAFETY: as the caller says; the format is none for wider factors.
        _ => unsafe { product_of::<i16>(unit, format, work, packed, memory, scratch, (part, parts)) },
    }
    true
}

#[inline(always)]
unsafe fn product_of<A: Element>(
    unit: Unit,
    format: Format,
    work: &Product,
    packed: Option<&PackedPanels>,
    memory: Memory<'_>,
    scratch: &mut [u8],
    (part, parts): (usize, usize),
) {
    let Product { m, k, n, .. } = *work;
    let mut scratch = Scratch::of(scratch, format.steps(k));
    if let Some(packed) = packed {
        let (blocks, groups) = (m.div_ceil(ROWS), n.div_ceil(GROUP * PANEL));
        let (blocks, groups) = if blocks >= parts {
            (share(blocks, part, parts), 0..groups)
        } else {
            (0..blocks, share(groups, part, parts))
        };
        let (top, bottom) = (blocks.start * ROWS, m.min(blocks.end * ROWS));
        let (left, right) = (groups.start * GROUP * PANEL, n.min(groups.end * GROUP * PANEL));
        if top >= bottom || left >= right {
            return;
        }
        // SAFETY: an operand from a step before; these rows and columns of the result are this thread's.
        unsafe {
            let a: &[A] = memory.read(&work.a, top * k, (bottom - top) * k);
            let first = memory.block(&work.out, top * n + left, (bottom - top - 1) * n + (right - left));
            let rows = Rows { a, terms: k, to: Target { first, pitch: n } };
            all_rows(unit, &rows, packed.panels().from(left / PANEL), right - left, scratch.rows);
        }
        return;
    }
    let groups = n.div_ceil(GROUP * PANEL);
    for one in share(work.batch * groups, part, parts) {
        let (item, first) = (one / groups, one % groups * GROUP * PANEL);
        let count = (GROUP * PANEL).min(n - first);
        let item_b = if work.is_b_shared { 0 } else { item };
        let steps = if work.transpose_b { [1, k] } else { [n, 1] };
        // SAFETY: operands from steps before; these columns of the result are this thread's.
        unsafe {
            let a: &[A] = memory.read(&work.a, item * m * k, m * k);
            let to = memory.block(&work.out, item * m * n + first, (m - 1) * n + count);
            let rows = Rows { a, terms: k, to: Target { first: to, pitch: n } };
            if work.b.dtype == DType::Int8 {
                let elements: &[i8] = memory.read(&work.b, item_b * k * n, k * n);
                one_group(unit, format, &rows, &Matrix { elements, steps }, first, count, &mut scratch);
            } else {
                let elements: &[i16] = memory.read(&work.b, item_b * k * n, k * n);
                one_group(unit, format, &rows, &Matrix { elements, steps }, first, count, &mut scratch);
            }
        }
    }
}

/// A thread's share of a convolution; false where it is none for panels.
///
/// # Safety
/// The processor has the unit.
#[inline(always)]
pub(super) unsafe fn convolution(
    unit: Unit,
    work: &Convolution,
    memory: Memory<'_>,
    scratch: &mut [u8],
    (part, parts): (usize, usize),
) -> bool {
    let (terms, places) = (work.terms(), work.plane[0] * work.plane[1]);
    let Some(format) = unit.format(&work.weights, &work.x, terms, places, work.fits_int32, work.out.dtype) else {
        return false;
    };
    // SAFETY: as the caller says; the format is none for wider factors.
    unsafe {
        match (work.weights.dtype, work.x.dtype) {
            (DType::Int8, DType::Int8) => convolution_of::<i8, i8>(unit, format, work, memory, scratch, (part, parts)),
            (DType::Int8, _) => convolution_of::<i8, i16>(unit, format, work, memory, scratch, (part, parts)),
            (_, DType::Int8) => convolution_of::<i16, i8>(unit, format, work, memory, scratch, (part, parts)),
            _ => convolution_of::<i16, i16>(unit, format, work, memory, scratch, (part, parts)),
        }
    }
    true
}

#[inline(always)]
unsafe fn convolution_of<W: Element, X: Element>(
    unit: Unit,
    format: Format,
    work: &Convolution,
    memory: Memory<'_>,
    scratch: &mut [u8],
    (part, parts): (usize, usize),
) {
    let Convolution { batch, groups, filters, depth, image, plane, .. } = *work;
    let (terms, pixels, places) = (work.terms(), image[0] * image[1], plane[0] * plane[1]);
    let mut scratch = Scratch::of(scratch, format.steps(terms));
    let across = places.div_ceil(GROUP * PANEL);
    for one in share(batch * groups * across, part, parts) {
        let (item, first) = (one / across, one % across * GROUP * PANEL);
        let count = (GROUP * PANEL).min(places - first);
        let group = item % groups;
        // SAFETY: operands from steps before; these columns of the result are this thread's.
        unsafe {
            let elements: &[X] = memory.read(&work.x, item * depth * pixels, depth * pixels);
            let a: &[W] = memory.read(&work.weights, group * filters * terms, filters * terms);
            let to = memory.block(&work.out, item * filters * places + first, (filters - 1) * places + count);
            let rows = Rows { a, terms, to: Target { first: to, pitch: places } };
            one_group(unit, format, &rows, &Seen { elements, convolution: work }, first, count, &mut scratch);
        }
    }
}
