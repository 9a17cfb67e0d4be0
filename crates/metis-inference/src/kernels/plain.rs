//! One source of all kernels, compiled for what every processor has, and again for those that have more.

#[cfg(vectors)]
use alloc::vec::Vec;

#[cfg(vectors)]
use super::{Prepared, panels::Packed, vector};
use super::{linear, moves, others, rows};
use crate::{
    memory::Memory,
    plan::{Step, Work},
};

/// A thread's share of a step.
#[inline(always)]
pub(super) fn run(step: &Step, memory: Memory<'_>, scratch: &mut [u8], part: usize, parts: usize) {
    match &step.work {
        Work::Rows(program) => rows::run(program, &[], memory, scratch, (part, parts)),
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

/// A thread's share of a step, with panels where there are some.
///
/// # Safety
/// The processor has the unit.
#[cfg(vectors)]
#[inline(always)]
unsafe fn run_with(
    unit: vector::Unit,
    prepared: Prepared<'_>,
    memory: Memory<'_>,
    scratch: &mut [u8],
    part: usize,
    parts: usize,
) {
    // SAFETY: as the caller says.
    let is_done = unsafe {
        match &prepared.step.work {
            Work::Product(work) => {
                let packed = match prepared.packed {
                    Some(Packed::Panels(packed)) => Some(packed),
                    _ => None,
                };
                vector::product(unit, work, packed, memory, scratch, (part, parts))
            }
            Work::Convolution(work) => vector::convolution(unit, work, memory, scratch, (part, parts)),
            Work::Rows(program) => {
                let tables: &[Vec<u32>] = match prepared.packed {
                    Some(Packed::Tables(tables)) => tables,
                    _ => &[],
                };
                rows::run(program, tables, memory, scratch, (part, parts));
                true
            }
            _ => false,
        }
    };
    if !is_done {
        run(prepared.step, memory, scratch, part, parts);
    }
}

/// With AVX2.
///
/// # Safety
/// The processor has it.
#[cfg(vectors)]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn run_avx2(step: Prepared<'_>, memory: Memory<'_>, scratch: &mut [u8], part: usize, parts: usize) {
    // SAFETY: as the caller says.
    unsafe { run_with(vector::Unit::Avx2, step, memory, scratch, part, parts) };
}

/// With AVX-512 and VNNI, and what `unit` says.
///
/// # Safety
/// The processor has them.
#[cfg(vectors)]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
pub(super) unsafe fn run_avx512(
    unit: vector::Unit,
    step: Prepared<'_>,
    memory: Memory<'_>,
    scratch: &mut [u8],
    part: usize,
    parts: usize,
) {
    // SAFETY: as the caller says.
    unsafe { run_with(unit, step, memory, scratch, part, parts) };
}
