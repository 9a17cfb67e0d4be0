//! Operators that only move elements.

use super::share;
use crate::{
    graph::RANK_MAX,
    memory::{Element, Memory, Slot, with_type},
    plan::Copy,
};

/// A thread's share of what is copied.
#[inline(always)]
pub(super) fn copy(copy: &Copy, memory: Memory<'_>, part: usize, parts: usize) {
    with_type!(copy.to.dtype, T => copy_in::<T>(copy, memory, part, parts));
}

#[inline(always)]
fn copy_in<T: Element>(copy: &Copy, memory: Memory<'_>, part: usize, parts: usize) {
    let [outer @ .., count] = copy.sizes;
    let [from_outer @ .., from_step] = copy.from_strides;
    let [to_outer @ .., to_step] = copy.to_strides;
    let begin = copy.at.map_or(0, |(slot, stride)| {
        // SAFETY: an operand from a step before.
        unsafe { memory.element(&slot, 0) as usize * stride }
    });
    let lines: usize = outer.iter().product();
    let is_contiguous = count == 1 || (from_step == 1 && to_step == 1);
    // One long line is shared too.
    let pieces = if lines == 1 && is_contiguous { parts.min(count) } else { 1 };
    let units = share(lines * pieces, part, parts);
    // The index of the first line, counted on from there.
    let mut index = [0; RANK_MAX - 1];
    let mut line = units.start / pieces;
    for axis in (0..RANK_MAX - 1).rev() {
        (index[axis], line) = (line % outer[axis], line / outer[axis]);
    }
    for unit in units {
        let piece = unit % pieces;
        let (mut from, mut to) = (copy.first_from, copy.first_to + begin);
        for axis in 0..RANK_MAX - 1 {
            from += index[axis] * from_outer[axis];
            to += index[axis] * to_outer[axis];
        }
        if piece + 1 == pieces {
            for axis in (0..RANK_MAX - 1).rev() {
                index[axis] += 1;
                if index[axis] < outer[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        if is_contiguous {
            let range = share(count, piece, pieces);
            // SAFETY: an operand from a step before; each line of the result is written by one thread.
            unsafe {
                let source: &[T] = memory.read(&copy.from, from + range.start, range.len());
                memory.write::<T>(&copy.to, to + range.start, range.len()).copy_from_slice(source);
            }
        } else {
            // SAFETY: an operand from a step before; a line with strides ends with its last element.
            let source: &[T] = unsafe { memory.read(&copy.from, from, (count - 1) * from_step + 1) };
            if to_step == 1 {
                // SAFETY: each line of the result is written by one thread.
                let target: &mut [T] = unsafe { memory.write(&copy.to, to, count) };
                for (to, from) in target.iter_mut().zip(source.iter().step_by(from_step.max(1))) {
                    *to = *from;
                }
                if from_step == 0 {
                    target.fill(source[0]);
                }
            } else {
                for at in 0..count {
                    // SAFETY: each element of the result is written by one thread.
                    unsafe { memory.write::<T>(&copy.to, to + at * to_step, 1)[0] = source[at * from_step] };
                }
            }
        }
    }
}

/// A thread's share of the entries that are gathered.
#[inline(always)]
pub(super) fn gather([table, places, out]: [&Slot; 3], entry: usize, memory: Memory<'_>, part: usize, parts: usize) {
    with_type!(table.dtype, T => {
        for at in share(places.elements, part, parts) {
            // SAFETY: operands from steps before; each entry of the result is written by one thread.
            unsafe {
                let place = memory.element(places, at) as usize;
                let source: &[T] = memory.read(table, place * entry, entry);
                memory.write::<T>(out, at * entry, entry).copy_from_slice(source);
            }
        }
    });
}
