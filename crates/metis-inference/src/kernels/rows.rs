//! Running row programs: every instruction on a row, or a part of one, before the next row.

use alloc::vec::Vec;

use super::{
    lanes::{self, Lane, Softmax, With},
    share,
};
use crate::{
    graph::RANK_MAX,
    memory::{Element, Memory, with_type},
    plan::{Home, Instruction, Operand, Rescaling, RowProgram, Side},
};

/// One row, or a part of one, of a program that is being run.
struct Frame<'a> {
    program: &'a RowProgram,
    memory: Memory<'a>,
    /// Tables as pairs of neighbours; none, or an empty one, where they are not.
    tables: &'a [Vec<u32>],
    registers: *mut u8,
    /// Where the row begins in each outer dimension.
    index: [usize; RANK_MAX],
    /// The first element of the part, and how many it has.
    begin: usize,
    count: usize,
}

/// Runs a thread's share of the rows; `scratch` is for registers and of the plan's size.
#[inline(always)]
pub(super) fn run(
    program: &RowProgram,
    tables: &[Vec<u32>],
    memory: Memory<'_>,
    scratch: &mut [u8],
    (part, parts): (usize, usize),
) {
    assert!(program.registers * program.register_bytes <= scratch.len(), "registers outside the scratch");
    let in_row = program.width.div_ceil(program.part);
    let mut frame =
        Frame { program, memory, tables, registers: scratch.as_mut_ptr(), index: [0; RANK_MAX], begin: 0, count: 0 };
    for unit in share(program.rows * in_row, part, parts) {
        let (mut row, piece) = (unit / in_row, unit % in_row);
        for (axis, &size) in program.outer.iter().enumerate().rev() {
            frame.index[axis] = row % size;
            row /= size;
        }
        frame.begin = piece * program.part;
        frame.count = program.part.min(program.width - frame.begin);
        for instruction in &program.instructions {
            frame.step(instruction);
        }
    }
}

impl<'a> Frame<'a> {
    /// The first element of this row's part in an operand.
    #[inline(always)]
    fn first(&self, operand: &Operand) -> usize {
        let outer: usize =
            self.index[..self.program.outer.len()].iter().zip(&operand.strides).map(|(at, stride)| at * stride).sum();
        if operand.is_splat { outer } else { outer + self.begin }
    }

    #[inline(always)]
    fn row<T: Lane>(&self, value: usize) -> &'a [T] {
        match self.program.values[value].home {
            // SAFETY: the register is inside the scratch, aligned to 64 bytes, and has bits of integers; the plan
            // gives an instruction's result another register than its operands have.
            Home::Register(register) => unsafe {
                let pointer = self.registers.add(register * self.program.register_bytes);
                core::slice::from_raw_parts(pointer.cast::<T>(), self.count)
            },
            Home::Memory(operand) => {
                let operand = &self.program.operands[operand];
                // SAFETY: what a step reads is written by nobody in that step, but by this thread for this row.
                unsafe { self.memory.read(&operand.slot, self.first(operand), self.count) }
            }
        }
    }

    #[inline(always)]
    fn row_mut<T: Lane>(&self, value: usize) -> &'a mut [T] {
        match self.program.values[value].home {
            // SAFETY: as in `row`.
            Home::Register(register) => unsafe {
                let pointer = self.registers.add(register * self.program.register_bytes);
                core::slice::from_raw_parts_mut(pointer.cast::<T>(), self.count)
            },
            Home::Memory(operand) => {
                let operand = &self.program.operands[operand];
                // SAFETY: each row of a result is written by one thread, and read by it alone.
                unsafe { self.memory.write(&operand.slot, self.first(operand), self.count) }
            }
        }
    }

    #[inline(always)]
    fn one(&self, operand: usize) -> i64 {
        let operand = &self.program.operands[operand];
        // SAFETY: an operand from a step before.
        unsafe { self.memory.element(&operand.slot, self.first(operand)) }
    }

    #[inline(always)]
    fn side<T: Lane>(&self, side: Side) -> With<'a, T> {
        match side {
            Side::Row(value) => With::Row(self.row(value)),
            Side::Splat(operand) => With::One(T::of_wide(self.one(operand))),
        }
    }

    #[inline(always)]
    fn is_wide(&self, value: usize) -> bool {
        self.program.values[value].wide
    }

    #[inline(always)]
    fn step(&self, instruction: &Instruction) {
        match *instruction {
            Instruction::Load { to, .. }
            | Instruction::Convert { to, .. }
            | Instruction::Pair { to, .. }
            | Instruction::Divide { to, .. }
            | Instruction::Compare { to, .. }
            | Instruction::Select { to, .. }
            | Instruction::Clip { to, .. }
            | Instruction::Rescale { to, .. }
            | Instruction::Lookup { to, .. }
                if self.is_wide(to) =>
            {
                self.step_in::<i64>(instruction);
            }
            Instruction::Store { from, .. } if self.is_wide(from) => self.step_in::<i64>(instruction),
            _ => self.step_in::<i32>(instruction),
        }
    }

    #[inline(always)]
    fn step_in<T: Lane>(&self, instruction: &Instruction) {
        match *instruction {
            Instruction::Load { to, from } => self.load::<T>(to, from),
            Instruction::Convert { to, from } => {
                if self.is_wide(to) {
                    lanes::map(self.row_mut::<i64>(to), self.row::<i32>(from), i64::from);
                } else {
                    lanes::map(self.row_mut::<i32>(to), self.row::<i64>(from), |value| value as i32);
                }
            }
            Instruction::Store { to, from } => self.store(to, self.row::<T>(from)),
            Instruction::Pair { pair, to, a, b } => {
                lanes::pair(self.row_mut::<T>(to), self.row(a), self.side(b), pair);
            }
            Instruction::Divide { to, a, b, fraction_bits } => {
                lanes::divide(self.row_mut(to), self.row(a), self.row(b), fraction_bits);
            }
            Instruction::Compare { is_less, to, a, b } => {
                lanes::compare::<T>(self.row_mut(to), self.row(a), self.row(b), is_less);
            }
            Instruction::Select { to, c, a, b } => {
                lanes::select::<T>(self.row_mut(to), self.row(c), self.row(a), self.row(b));
            }
            Instruction::Clip { to, from, lo, hi } => lanes::clip::<T>(self.row_mut(to), self.row(from), lo, hi),
            Instruction::Rescale { to, a, b, shift, dtype, how } => {
                let (lo, hi) = (dtype.lo(), dtype.hi());
                match how {
                    Rescaling::Short => {
                        let (lo, hi) = i32::clipped(lo, hi);
                        lanes::rescale_short(self.row_mut(to), self.row(a), self.side(b), shift, lo, hi);
                    }
                    Rescaling::Free => lanes::rescale_freely(self.row_mut(to), self.row(a), self.side(b), shift),
                    Rescaling::Clamped => {
                        lanes::rescale::<T>(self.row_mut(to), self.row(a), self.side(b), shift, lo, hi);
                    }
                }
            }
            Instruction::Lookup { to, from, table, first, shift } => {
                if let Some(pairs) = self.tables.get(table).filter(|pairs| !pairs.is_empty()) {
                    lanes::interpolate_pairs(self.row_mut(to), self.row(from), pairs, first, shift);
                    return;
                }
                let table = self.program.tables[table].slot;
                with_type!(table.dtype, E => {
                    // SAFETY: a tensor from a step before.
                    let table: &[E] = unsafe { self.memory.read(&table, 0, table.elements) };
                    if shift == 0 {
                        lanes::look_up::<T, E>(self.row_mut(to), self.row(from), table, first);
                    } else {
                        lanes::interpolate::<T, E>(self.row_mut(to), self.row(from), table, first, shift);
                    }
                });
            }
            Instruction::QuantiseRows { to, greatest, from, dtype } => {
                let row = self.row(from);
                let found = lanes::greatest_magnitude(row).max(1);
                lanes::quantise(self.row_mut(to), row, lanes::quantiser(found, dtype.hi()));
                if let Some(operand) = self.program.operands.get(greatest) {
                    // SAFETY: one element of a result, for this row alone.
                    unsafe { self.memory.write(&operand.slot, self.first(operand), 1)[0] = found };
                }
            }
            Instruction::LayerNorm { to, from, center, shift, epsilon, fraction_bits } => {
                let row = self.row_mut(to);
                if self.is_wide(from) {
                    normalise(row, self.row::<i64>(from), center, shift, epsilon, fraction_bits);
                } else {
                    normalise(row, self.row::<i32>(from), center, shift, epsilon, fraction_bits);
                }
            }
            Instruction::Softmax { to, from, mask, multiplier, shift, exp2, dtype } => {
                let softmax = Softmax { multiplier, shift, exp2, largest: dtype.hi() as i32 };
                if self.is_wide(from) {
                    self.softmax::<i64>(&softmax, to, from, mask);
                } else {
                    self.softmax::<i32>(&softmax, to, from, mask);
                }
            }
        }
    }

    #[inline(always)]
    fn softmax<T: Lane>(&self, softmax: &Softmax, to: usize, from: usize, mask: Option<usize>) {
        let (to, from) = (self.row_mut(to), self.row::<T>(from));
        match mask {
            None => softmax.whole_row(to, from),
            Some(mask) if self.is_wide(mask) => softmax.masked_row(to, from, self.row::<i64>(mask)),
            Some(mask) => softmax.masked_row(to, from, self.row::<i32>(mask)),
        }
    }

    #[inline(always)]
    fn load<T: Lane>(&self, to: usize, from: usize) {
        let row = self.row_mut::<T>(to);
        let operand = &self.program.operands[from];
        if operand.is_splat {
            row.fill(T::of_wide(self.one(from)));
            return;
        }
        with_type!(operand.slot.dtype, E => {
            // SAFETY: an operand from a step before.
            let elements: &[E] = unsafe { self.memory.read(&operand.slot, self.first(operand), self.count) };
            lanes::map(row, elements, |element| T::of_wide(element.wide()));
        });
    }

    #[inline(always)]
    fn store<T: Lane>(&self, to: usize, row: &[T]) {
        let operand = &self.program.operands[to];
        with_type!(operand.slot.dtype, E => {
            // SAFETY: each row of a result is written by one thread.
            let elements: &mut [E] = unsafe { self.memory.write(&operand.slot, self.first(operand), self.count) };
            lanes::map(elements, row, |value| E::of_wide(value.wide()));
        });
    }
}

#[inline(always)]
fn normalise<T: Lane>(to: &mut [i32], row: &[T], center: bool, shift: u32, epsilon: i64, fraction_bits: u32) {
    let width = row.len() as i64;
    let mean = if center { lanes::divide_rounded(lanes::sum(row), width) } else { 0 };
    lanes::deviations(to, row, mean, shift);
    let variance = lanes::divide_rounded(lanes::sum_of_squares(to), width) + epsilon;
    lanes::scale(to, lanes::normaliser(variance, fraction_bits));
}
