//! Kernels: how steps are computed. One source, compiled for each kind of processor; only products have code of their
//! own for some.

mod lanes;
mod linear;
mod moves;
mod others;
mod rows;

use core::ops::Range;

use crate::{
    memory::Memory,
    plan::{Step, Work},
};

/// Which instructions kernels use. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kernel {
    /// What every processor has.
    Scalar,
}

impl Kernel {
    /// Those that this machine has, the fastest last.
    pub fn available() -> &'static [Self] {
        &[Self::Scalar]
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
        }
    }

    /// The one with a name, if this machine has it.
    pub fn named(name: &str) -> Option<Self> {
        Self::available().iter().copied().find(|kernel| kernel.name() == name)
    }

    /// The fastest that this machine has.
    pub fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Scalar)
    }
}

/// A thread's share of so many equal parts.
#[inline(always)]
fn share(count: usize, part: usize, parts: usize) -> Range<usize> {
    count * part / parts..count * (part + 1) / parts
}

/// Computes a thread's share of a step.
pub(crate) fn run(kernel: Kernel, step: &Step, memory: Memory<'_>, scratch: &mut [u8], part: usize, parts: usize) {
    match kernel {
        Kernel::Scalar => run_plainly(step, memory, scratch, part, parts),
    }
}

#[inline(always)]
fn run_plainly(step: &Step, memory: Memory<'_>, scratch: &mut [u8], part: usize, parts: usize) {
    match &step.work {
        Work::Rows(program) => rows::run(program, memory, scratch, part, parts),
        Work::Product(work) => linear::product(work, memory, part, parts),
        Work::Convolution(work) => linear::convolution(work, memory, part, parts),
        Work::Pool { x, out, planes, image, plane, windows, is_sum } => {
            others::pool([x, out], *planes, *image, *plane, windows, *is_sum, memory, (part, parts));
        }
        Work::Reduce(work) => others::reduce(work, memory, part, parts),
        Work::Wide { x, out, rows, width, wide } => {
            others::wide_rows([x, out], *rows, *width, wide, memory, (part, parts));
        }
        Work::ArgMax { x, out, width } => others::arg_max([x, out], *width, memory, part, parts),
        Work::TopK { x, values, places, width, k } => {
            others::top_k([x, values, places], *width, *k, memory, (part, parts));
        }
        Work::Sample { weights, seed, out, width } => {
            others::sample([weights, seed, out], *width, memory, part, parts);
        }
        Work::Gather { table, places, out, entry } => {
            moves::gather([table, places, out], *entry, memory, part, parts);
        }
        Work::Copies(copies) => {
            // What is appended to a cache is written over the copied cache: by one thread, in this order.
            let (part, parts) = if copies.iter().any(|copy| copy.at.is_some()) {
                if part > 0 {
                    return;
                }
                (0, 1)
            } else {
                (part, parts)
            };
            copies.iter().for_each(|copy| moves::copy(copy, memory, part, parts));
        }
        Work::Nothing => {}
    }
}
