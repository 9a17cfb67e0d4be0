//! A group of operators on rows as instructions on registers that hold one row, or a part of one.
//!
//! A value has lanes of 32 bits where its proven bounds fit them, and of 64 bits where they do not.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{fusion::Group, layout::Layout, registers::assign_registers, slot_of};
use crate::{
    graph::{DType, Facts, Operator, Pair, Proven, RANK_MAX, Shape},
    memory::{Place, Slot},
};

/// Elements of a part of a row, where an operator needs no whole rows.
const PART_MAX: usize = 2048;

/// Where a value is while it is needed: a register, or the elements of a tensor that it is read from or becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Home {
    Register(usize),
    Memory(usize),
}

/// What an instruction gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value {
    pub home: Home,
    pub wide: bool,
}

/// A tensor as rows: how far apart they are, and whether a row is one element repeated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operand {
    pub slot: Slot,
    /// Elements from one row to the next, for each outer dimension.
    pub strides: [usize; RANK_MAX],
    pub is_splat: bool,
}

/// A second operand: a row, or one element for all of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Row(usize),
    Splat(usize),
}

/// What a look-up reads from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Table {
    pub slot: Slot,
    /// Elements have 16 bits at most, and interpolation between them fits 32.
    pub short: bool,
}

/// What is known of a rescaled value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rescaling {
    /// Product and rounding fit 32 bits.
    Short,
    /// No result leaves its type.
    Free,
    /// A result may leave its type.
    Clamped,
}

/// One operator on rows. Values and operands are known by their places in the program's lists.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Instruction {
    Load { to: usize, from: usize },
    Convert { to: usize, from: usize },
    Store { to: usize, from: usize },
    Pair { pair: Pair, to: usize, a: usize, b: Side },
    Divide { to: usize, a: usize, b: usize, fraction_bits: u32 },
    Compare { is_less: bool, to: usize, a: usize, b: usize },
    Select { to: usize, c: usize, a: usize, b: usize },
    Clip { to: usize, from: usize, lo: i64, hi: i64 },
    Rescale { to: usize, a: usize, b: Side, shift: u32, dtype: DType, how: Rescaling },
    Lookup { to: usize, from: usize, table: usize, first: i64, shift: u32 },
    QuantiseRows { to: usize, greatest: usize, from: usize, dtype: DType },
    LayerNorm { to: usize, from: usize, center: bool, shift: u32, epsilon: i64, fraction_bits: u32 },
    Softmax { to: usize, from: usize, mask: Option<usize>, multiplier: i64, shift: u32, exp2: [i64; 4], dtype: DType },
}

/// Instructions that are run for every row, or part of one.
#[derive(Debug)]
pub(crate) struct RowProgram {
    /// Sizes of the outer dimensions; all their indices name all rows.
    pub outer: Vec<usize>,
    pub rows: usize,
    pub width: usize,
    /// Elements that are computed at a time.
    pub part: usize,
    pub operands: Vec<Operand>,
    pub values: Vec<Value>,
    pub instructions: Vec<Instruction>,
    pub tables: Vec<Table>,
    /// Bytes of one register.
    pub register_bytes: usize,
    pub registers: usize,
}

impl RowProgram {
    /// The program of a group on rows of `shape`.
    pub(super) fn of(proven: &Proven, places: &[Option<Place>], group: &Group, shape: Shape) -> Self {
        let layout = Layout::of(proven, places, group, shape);
        let mut compiler = Compiler {
            proven,
            places,
            numbers: layout.operands.keys().copied().collect(),
            operands: layout.operands.values().copied().collect(),
            values: Vec::new(),
            instructions: Vec::new(),
            tables: Vec::new(),
            known: BTreeMap::new(),
        };
        for &node in &group.nodes {
            compiler.node(node);
        }
        let Compiler { operands, mut values, instructions, tables, .. } = compiler;
        let registers = assign_registers(&instructions, &mut values);
        let width = layout.dimensions.last().copied().unwrap_or(1);
        let part = if layout.whole_rows { width } else { width.min(PART_MAX) };
        let lane_bytes = if values.iter().any(|value| value.wide) { 8 } else { 4 };
        let outer = layout.dimensions[..layout.dimensions.len().saturating_sub(1)].to_vec();
        Self {
            rows: outer.iter().product(),
            outer,
            width,
            part,
            operands,
            values,
            instructions,
            tables,
            register_bytes: (part * lane_bytes).next_multiple_of(64),
            registers,
        }
    }
}

struct Compiler<'a> {
    proven: &'a Proven,
    places: &'a [Option<Place>],
    /// The tensor of each operand.
    numbers: Vec<usize>,
    operands: Vec<Operand>,
    values: Vec<Value>,
    instructions: Vec<Instruction>,
    tables: Vec<Table>,
    /// The value that a tensor already has, by number and width of lanes.
    known: BTreeMap<(usize, bool), usize>,
}

impl Compiler<'_> {
    fn facts(&self, number: usize) -> &Facts {
        &self.proven.tensors[number]
    }

    fn value(&mut self, wide: bool) -> usize {
        self.values.push(Value { home: Home::Register(0), wide });
        self.values.len() - 1
    }

    fn operand(&self, number: usize) -> Option<usize> {
        self.numbers.binary_search(&number).ok()
    }

    /// The value of a tensor, in lanes of 64 bits if `wide`; else its bounds fit 32.
    fn row(&mut self, number: usize, wide: bool) -> usize {
        if let Some(&value) = self.known.get(&(number, wide)) {
            return value;
        }
        let to = self.value(wide);
        if let Some(&from) = self.known.get(&(number, !wide)) {
            self.instructions.push(Instruction::Convert { to, from });
        } else {
            let from = self.operand(number).unwrap_or_else(|| panic!("tensor {number} is in no register"));
            let Operand { slot, is_splat, .. } = self.operands[from];
            if !is_splat && slot.dtype == lane(wide) {
                self.values[to].home = Home::Memory(from);
            } else {
                self.instructions.push(Instruction::Load { to, from });
            }
        }
        self.known.insert((number, wide), to);
        to
    }

    /// A second operand: one element for all of the row where that is what the tensor has.
    fn side(&mut self, number: usize, wide: bool) -> Side {
        match self.operand(number) {
            Some(place) if self.operands[place].is_splat && !self.known.contains_key(&(number, wide)) => {
                Side::Splat(place)
            }
            _ => Side::Row(self.row(number, wide)),
        }
    }

    /// The value that a tensor becomes, by an instruction that is about to be added.
    fn result(&mut self, number: usize, wide: bool) -> usize {
        let to = self.value(wide);
        if let Some(place) = self.operand(number)
            && self.operands[place].slot.dtype == lane(wide)
            && !self.operands[place].is_splat
        {
            self.values[to].home = Home::Memory(place);
        }
        self.known.insert((number, wide), to);
        to
    }

    /// After a result's instruction: what has to be done for it to be in memory, and in narrow lanes if it fits them.
    fn finish(&mut self, number: usize, value: usize) {
        let facts = *self.facts(number);
        if let Some(to) = self.operand(number)
            && self.values[value].home != Home::Memory(to)
        {
            self.instructions.push(Instruction::Store { to, from: value });
        }
        if self.values[value].wide && facts.fits_int32() {
            self.row(number, false);
        }
    }

    fn node(&mut self, node: usize) {
        let numbers: Vec<usize> = self.proven.graph.nodes[node].inputs.iter().map(|&number| number as usize).collect();
        let first = self.proven.first_results[node];
        let narrow =
            |numbers: &[usize]| numbers.iter().chain([&first]).all(|&number| self.proven.tensors[number].fits_int32());
        let value = match self.proven.graph.nodes[node].operator {
            Operator::Pair { pair, .. } => {
                let wide = !narrow(&numbers);
                let (mut a, mut b) = (numbers[0], numbers[1]);
                let a_splat = self.operand(a).is_some_and(|place| self.operands[place].is_splat);
                if a_splat && pair != Pair::Subtract {
                    (a, b) = (b, a);
                }
                let (a, b) = (self.row(a, wide), self.side(b, wide));
                let to = self.result(first, wide);
                self.instructions.push(Instruction::Pair { pair, to, a, b });
                to
            }
            Operator::Divide { fraction_bits, .. } => {
                let (a, b) = (self.row(numbers[0], true), self.row(numbers[1], true));
                let to = self.result(first, true);
                self.instructions.push(Instruction::Divide { to, a, b, fraction_bits });
                to
            }
            Operator::Equal | Operator::Less => {
                let is_less = self.proven.graph.nodes[node].operator == Operator::Less;
                let wide = !narrow(&numbers);
                let (a, b) = (self.row(numbers[0], wide), self.row(numbers[1], wide));
                let to = self.result(first, wide);
                self.instructions.push(Instruction::Compare { is_less, to, a, b });
                to
            }
            Operator::Select { .. } => {
                let wide = !narrow(&numbers);
                let [c, a, b] = [0, 1, 2].map(|place| self.row(numbers[place], wide));
                let to = self.result(first, wide);
                self.instructions.push(Instruction::Select { to, c, a, b });
                to
            }
            Operator::Clip { lo, hi, .. } => {
                let wide = !narrow(&numbers);
                let from = self.row(numbers[0], wide);
                let to = self.result(first, wide);
                self.instructions.push(Instruction::Clip { to, from, lo, hi });
                to
            }
            Operator::Rescale { shift, dtype } => {
                let wide = !narrow(&numbers);
                let product = self.facts(numbers[0]).magnitude() * self.facts(numbers[1]).magnitude();
                let rounded = product + (1 << shift >> 1);
                let how = if !wide && shift < 31 && rounded <= i128::from(i32::MAX) {
                    Rescaling::Short
                } else if !wide && rounded >> shift <= i128::from(dtype.hi()) {
                    // BOUND: no magnitude of a result is above this.
                    Rescaling::Free
                } else {
                    Rescaling::Clamped
                };
                let (mut a, mut b) = (numbers[0], numbers[1]);
                if self.operand(a).is_some_and(|place| self.operands[place].is_splat) {
                    (a, b) = (b, a);
                }
                let (a, b) = (self.row(a, wide), self.side(b, wide));
                let to = self.result(first, wide);
                self.instructions.push(Instruction::Rescale { to, a, b, shift, dtype, how });
                to
            }
            Operator::Lookup { first: begin, shift } => {
                let steps = (self.facts(numbers[1]).elements() as i128 - 1) << shift;
                let (lo, hi) = self.facts(numbers[0]).bounds();
                let begin_wide = i128::from(begin);
                let fits = |value: i128| value.abs() <= i128::from(i32::MAX);
                let wide =
                    !narrow(&numbers) || ![steps, begin_wide, lo - begin_wide, hi - begin_wide].into_iter().all(fits);
                let (least, most) = self.facts(numbers[1]).bounds();
                let short = !wide && shift < 31 && fits((most - least + 1) << shift);
                let from = self.row(numbers[0], wide);
                let slot = slot_of(self.proven, self.places, numbers[1]);
                self.tables.push(Table { slot, short: short && slot.dtype <= DType::Int16 });
                let table = self.tables.len() - 1;
                let to = self.result(first, wide);
                self.instructions.push(Instruction::Lookup { to, from, table, first: begin, shift });
                to
            }
            Operator::QuantiseRows { dtype } => {
                let from = self.row(numbers[0], false);
                let greatest = self.operand(first + 1).unwrap_or(usize::MAX);
                let to = self.result(first, false);
                self.instructions.push(Instruction::QuantiseRows { to, greatest, from, dtype });
                to
            }
            Operator::LayerNorm { center, shift, epsilon, fraction_bits } => {
                let from = self.row(numbers[0], !self.facts(numbers[0]).fits_int32());
                let to = self.result(first, false);
                self.instructions.push(Instruction::LayerNorm { to, from, center, shift, epsilon, fraction_bits });
                to
            }
            Operator::Softmax { multiplier, shift, exp2, dtype } => {
                let from = self.row(numbers[0], !self.facts(numbers[0]).fits_int32());
                let mask = numbers.get(1).map(|&mask| self.row(mask, !self.facts(mask).fits_int32()));
                let to = self.result(first, false);
                let instruction = Instruction::Softmax { to, from, mask, multiplier, shift, exp2, dtype };
                self.instructions.push(instruction);
                to
            }
            operator => panic!("{operator:?} is no operator on rows"),
        };
        self.finish(first, value);
    }
}

/// The element type that registers with such lanes have.
const fn lane(wide: bool) -> DType {
    if wide { DType::Int64 } else { DType::Int32 }
}
