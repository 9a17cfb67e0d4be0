//! The second factor of a product as vector instructions take it: panels of 16 columns, in steps of 64 bytes that hold
//! some terms of each column side by side.

use alloc::{vec, vec::Vec};

use super::linear::Columns;
use crate::memory::{Aligned, Element};

/// Columns of a panel.
pub(crate) const PANEL: usize = 16;
/// Bytes of one step of a panel.
pub(crate) const STEP_BYTES: usize = 64;
/// Panels that are packed at a time.
pub(crate) const GROUP: usize = 4;
/// BOUND: terms of a product that is computed with panels, so that rows of it fit the scratch.
pub(crate) const TERMS_MAX: usize = 1 << 14;
/// Rows of the first factor that are packed at a time.
pub(crate) const ROWS: usize = 32;

/// What a step of a panel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Four terms of 8 bits of each column.
    Quads,
    /// Two terms of 16 bits of each column.
    Pairs,
}

impl Format {
    /// Terms of a step.
    pub(crate) const fn terms(self) -> usize {
        match self {
            Self::Quads => 4,
            Self::Pairs => 2,
        }
    }

    /// Steps of so many terms. Quads come in whole tiles of 16 steps.
    pub(crate) const fn steps(self, terms: usize) -> usize {
        match self {
            Self::Quads => terms.div_ceil(64) * 16,
            Self::Pairs => terms.div_ceil(2),
        }
    }
}

/// Bytes of scratch for a product of so many terms: packed rows, packed panels, sums.
pub(crate) const fn scratch_bytes(terms: usize) -> usize {
    let terms = if terms < TERMS_MAX { terms } else { TERMS_MAX };
    let steps = if terms.div_ceil(2) > terms.div_ceil(64) * 16 { terms.div_ceil(2) } else { terms.div_ceil(64) * 16 };
    ROWS * row_bytes(steps) + GROUP * (steps + 1) * STEP_BYTES
}

/// Bytes from one packed row to the next: whole cache lines.
pub(crate) const fn row_bytes(steps: usize) -> usize {
    (steps * 4).next_multiple_of(64)
}

/// Packed panels, and for each column -128 times the sum of its terms: what makes up for factors of 8 bits that are
/// taken as unsigned ones, 128 greater.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    pub format: Format,
    pub steps: usize,
    pub bytes: &'a [u8],
    pub sums: &'a [i32],
}

impl<'a> Panels<'a> {
    /// The panels from one on.
    pub(crate) fn from(self, panel: usize) -> Self {
        let bytes = &self.bytes[panel * self.steps * STEP_BYTES..];
        Self { bytes, sums: &self.sums[panel * PANEL..], ..self }
    }
}

/// What a kernel makes of a step's constants.
pub(crate) enum Packed {
    Panels(PackedPanels),
    /// For each table of a row program its neighbours in pairs of 16 bits; empty where they have more.
    Tables(Vec<Vec<u32>>),
}

/// Panels of a constant, packed once.
pub(crate) struct PackedPanels {
    format: Format,
    steps: usize,
    bytes: Aligned,
    sums: Vec<i32>,
}

impl PackedPanels {
    /// Packs all columns.
    pub(crate) fn of(columns: &impl Columns, format: Format, terms: usize, count: usize) -> Self {
        let steps = format.steps(terms);
        let panels = count.div_ceil(PANEL);
        let mut bytes = Aligned::zeroed(panels * steps * STEP_BYTES);
        let mut sums = vec![0; panels * PANEL];
        let groups = bytes.bytes_mut().chunks_mut(GROUP * steps * STEP_BYTES).zip(sums.chunks_mut(GROUP * PANEL));
        for (group, (bytes, sums)) in groups.enumerate() {
            let first = group * GROUP * PANEL;
            pack(columns, format, terms, first, (GROUP * PANEL).min(count - first), bytes, sums);
        }
        Self { format, steps, bytes, sums }
    }

    pub(crate) fn panels(&self) -> Panels<'_> {
        Panels { format: self.format, steps: self.steps, bytes: self.bytes.bytes(), sums: &self.sums }
    }
}

/// Packs up to four panels: the columns `first..first + count`, and zeros after them.
#[inline(always)]
pub(crate) fn pack(
    columns: &impl Columns,
    format: Format,
    terms: usize,
    first: usize,
    count: usize,
    bytes: &mut [u8],
    sums: &mut [i32],
) {
    let steps = format.steps(terms);
    let panel_bytes = steps * STEP_BYTES;
    if format == Format::Pairs && columns.column(first).is_some() {
        for (panel, to) in bytes.chunks_exact_mut(panel_bytes).enumerate() {
            let to = words(to);
            for at in 0..PANEL {
                let column = panel * PANEL + at;
                let elements = if column < count { columns.column(first + column) } else { None };
                pack_column(elements.unwrap_or(&[]), to, at);
            }
        }
        return;
    }
    let mut lines = [[0_i16; GROUP * PANEL]; 4];
    sums.fill(0);
    for step in 0..steps {
        for (at, line) in lines[..format.terms()].iter_mut().enumerate() {
            let term = step * format.terms() + at;
            if term < terms {
                columns.fill(term, first, &mut line[..count]);
            } else {
                line.fill(0);
            }
        }
        let panels = bytes.chunks_exact_mut(panel_bytes);
        for (panel, to) in panels.enumerate() {
            let to = &mut to[step * STEP_BYTES..][..STEP_BYTES];
            let part = panel * PANEL..(panel + 1) * PANEL;
            match format {
                Format::Quads => {
                    let [a, b, c, d] = [0, 1, 2, 3].map(|at| &lines[at][part.clone()]);
                    let sums = &mut sums[part.clone()];
                    for column in 0..PANEL {
                        let quad = [a[column], b[column], c[column], d[column]];
                        to[4 * column..][..4].copy_from_slice(&quad.map(|value| value as u8));
                        sums[column] -= 128 * quad.iter().map(|value| i32::from(*value)).sum::<i32>();
                    }
                }
                Format::Pairs => {
                    let halves = lines[0][part.clone()].iter().zip(&lines[1][part]);
                    for (to, (a, b)) in words(to).iter_mut().zip(halves) {
                        *to = u32::from(*a as u16) | u32::from(*b as u16) << 16;
                    }
                }
            }
        }
    }
}

/// The pairs of one column of a panel.
#[inline(always)]
fn pack_column<T: Element>(elements: &[T], to: &mut [u32], at: usize) {
    let (pairs, last) = elements.as_chunks::<2>();
    let mut lines = to.chunks_exact_mut(PANEL).map(|line| &mut line[at]);
    // The pairs first: they end before the lines do, and a line that is taken is not given back.
    for ([a, b], to) in pairs.iter().zip(lines.by_ref()) {
        *to = u32::from(a.narrow() as u16) | u32::from(b.narrow() as u16) << 16;
    }
    for (place, to) in lines.enumerate() {
        *to = if place == 0 { last.first().map_or(0, |a| u32::from(a.narrow() as u16)) } else { 0 };
    }
}

/// Bytes that begin at a multiple of 64 as words.
#[inline(always)]
fn words(bytes: &mut [u8]) -> &mut [u32] {
    // SAFETY: any bits are an integer.
    unsafe { bytes.align_to_mut() }.1
}

/// Packs rows of the first factor: each in steps of 4 bytes, zeros after its last term. Of 8 bits, `flip` adds 128.
#[inline(always)]
pub(crate) fn pack_rows<A: Element>(a: &[A], terms: usize, format: Format, flip: bool, to: &mut [u8]) {
    let pitch = row_bytes(format.steps(terms));
    for (row, to) in a.chunks_exact(terms).zip(to.chunks_exact_mut(pitch)) {
        match format {
            Format::Quads => {
                let flip = if flip { 0x80 } else { 0 };
                let (elements, rest) = to.split_at_mut(terms);
                for (to, value) in elements.iter_mut().zip(row) {
                    *to = value.narrow() as u8 ^ flip;
                }
                rest.fill(0);
            }
            Format::Pairs => {
                // SAFETY: any bits are an integer.
                let (elements, rest) = unsafe { to.align_to_mut::<i16>() }.1.split_at_mut(terms);
                for (to, value) in elements.iter_mut().zip(row) {
                    *to = value.narrow() as i16;
                }
                rest.fill(0);
            }
        }
    }
}
