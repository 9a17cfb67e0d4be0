//! Operators: what each is in a graph's bytes, and its attributes as what they are.

use super::types::{DIMENSION_MAX, DType, RANK_MAX, Shape};

/// How an attribute is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One byte, 0 or 1.
    Flag,
    /// One byte, an element type from `lo` to `hi`.
    Type,
    /// Eight bytes.
    Integer,
    /// A length in one byte, then eight bytes each.
    List {
        /// The fewest values.
        least: u8,
        /// The most values.
        most: u8,
    },
}

/// One attribute of an operator.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// The least value.
    pub lo: i64,
    /// The greatest value.
    pub hi: i64,
}

/// An operator's outside.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// The fewest tensors that it takes.
    pub inputs_lo: u8,
    /// The most tensors that it takes.
    pub inputs_hi: u8,
    /// How many tensors it gives.
    pub outputs: u8,
    /// Its attributes, in the order of the bytes.
    pub attributes: &'static [Attribute],
}

const DIMENSION: i64 = DIMENSION_MAX as i64;
const fn flag(name: &'static str) -> Attribute {
    Attribute { name, kind: Kind::Flag, lo: 0, hi: 1 }
}
const fn kind(name: &'static str, lo: DType, hi: DType) -> Attribute {
    Attribute { name, kind: Kind::Type, lo: lo as i64, hi: hi as i64 }
}
const fn integer(name: &'static str, lo: i64, hi: i64) -> Attribute {
    Attribute { name, kind: Kind::Integer, lo, hi }
}
const fn list(name: &'static str, lo: i64, hi: i64, least: u8, most: u8) -> Attribute {
    Attribute { name, kind: Kind::List { least, most }, lo, hi }
}

const ANY: Attribute = kind("dtype", DType::Int8, DType::Int64);
const NARROW: Attribute = kind("dtype", DType::Int8, DType::Int16);
const ACCUMULATOR: Attribute = kind("accumulator", DType::Int32, DType::Int64);
const SHIFT: Attribute = integer("shift", 0, 62);
const STRIDES: Attribute = list("strides", 1, DIMENSION, 2, 2);
const PADS: Attribute = list("pads", 0, 1 << 16, 4, 4);
const KERNEL: Attribute = list("kernel", 1, 1 << 16, 2, 2);
const AXIS: Attribute = integer("axis", 0, RANK_MAX as i64 - 1);
const SHAPE: Attribute = list("shape", 1, DIMENSION, 1, RANK_MAX as u8);

const fn schema(inputs_lo: u8, inputs_hi: u8, outputs: u8, attributes: &'static [Attribute]) -> Schema {
    Schema { inputs_lo, inputs_hi, outputs, attributes }
}

/// Operators in the order of their codes, from 1 on.
static SCHEMAS: [Schema; 31] = [
    schema(2, 2, 1, &[flag("transpose_b"), ACCUMULATOR]),
    schema(
        2,
        2,
        1,
        &[STRIDES, PADS, list("dilations", 1, 1 << 16, 2, 2), integer("groups", 1, DIMENSION), ACCUMULATOR],
    ),
    schema(1, 1, 1, &[KERNEL, STRIDES, PADS]),
    schema(1, 1, 1, &[KERNEL, STRIDES, PADS, ACCUMULATOR]),
    schema(2, 2, 1, &[]),
    schema(2, 2, 1, &[ANY]),
    schema(2, 2, 1, &[ANY]),
    schema(2, 2, 1, &[ANY]),
    schema(2, 2, 1, &[integer("fraction_bits", 0, 62), ANY]),
    schema(2, 2, 1, &[ANY]),
    schema(2, 2, 1, &[ANY]),
    schema(2, 2, 1, &[]),
    schema(2, 2, 1, &[]),
    schema(3, 3, 1, &[ANY]),
    schema(1, 1, 1, &[integer("lo", i64::MIN, i64::MAX), integer("hi", i64::MIN, i64::MAX), ANY]),
    schema(2, 2, 1, &[SHIFT, ANY]),
    schema(2, 2, 1, &[integer("first", i64::MIN, i64::MAX), SHIFT]),
    schema(1, 1, 2, &[NARROW]),
    schema(
        1,
        1,
        1,
        &[flag("center"), integer("shift", 0, 31), integer("epsilon", 1, 1 << 60), integer("fraction_bits", 0, 24)],
    ),
    schema(1, 2, 1, &[integer("multiplier", 0, (1 << 31) - 1), SHIFT, list("exp2", -(1 << 26), 1 << 26, 4, 4), NARROW]),
    schema(1, 1, 1, &[AXIS, ACCUMULATOR]),
    schema(1, 1, 1, &[AXIS]),
    schema(1, 1, 1, &[]),
    schema(1, 1, 2, &[integer("k", 1, DIMENSION)]),
    schema(2, 2, 1, &[]),
    schema(1, 1, 1, &[SHAPE]),
    schema(1, 1, 1, &[list("order", 0, RANK_MAX as i64 - 1, 1, RANK_MAX as u8)]),
    schema(
        1,
        1,
        1,
        &[
            list("starts", 0, DIMENSION, 1, RANK_MAX as u8),
            list("stops", 1, DIMENSION, 1, RANK_MAX as u8),
            list("steps", 1, DIMENSION, 1, RANK_MAX as u8),
        ],
    ),
    schema(1, 16, 1, &[AXIS]),
    schema(1, 1, 1, &[SHAPE]),
    schema(3, 3, 1, &[AXIS]),
];

/// The operator with a code, or None.
pub fn schema_of(code: u8) -> Option<&'static Schema> {
    SCHEMAS.get(usize::from(code).checked_sub(1)?)
}

/// An exact operator on two tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    /// a + b
    Add,
    /// a - b
    Subtract,
    /// a · b
    Multiply,
    /// The lesser.
    Minimum,
    /// The greater.
    Maximum,
}

/// Windows over a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Steps down and right.
    pub strides: [usize; 2],
    /// Top, left, bottom, right.
    pub pads: [usize; 4],
    /// Steps between a window's elements.
    pub dilations: [usize; 2],
}

/// What a node does, with its attributes; docs/ai-graph.md has the formulas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the format's document describes every attribute
pub enum Operator {
    MatMul { transpose_b: bool, accumulator: DType },
    Conv2d { windows: Windows, groups: usize, accumulator: DType },
    MaxPool2d(Windows),
    SumPool2d { windows: Windows, accumulator: DType },
    Gather,
    Pair { pair: Pair, dtype: DType },
    Divide { fraction_bits: u32, dtype: DType },
    Equal,
    Less,
    Select { dtype: DType },
    Clip { lo: i64, hi: i64, dtype: DType },
    Rescale { shift: u32, dtype: DType },
    Lookup { first: i64, shift: u32 },
    QuantiseRows { dtype: DType },
    LayerNorm { center: bool, shift: u32, epsilon: i64, fraction_bits: u32 },
    Softmax { multiplier: i64, shift: u32, exp2: [i64; 4], dtype: DType },
    ReduceSum { axis: usize, accumulator: DType },
    ReduceMax { axis: usize },
    ArgMax,
    TopK { k: usize },
    Sample,
    Reshape(Shape),
    Transpose(Shape),
    Slice { starts: Shape, stops: Shape, steps: Shape },
    Concat { axis: usize },
    Broadcast(Shape),
    CacheAppend { axis: usize },
}

/// The values of a node's attributes, of which decoding has checked number, kind and range.
pub(super) struct Values<'a>(pub &'a [([i64; RANK_MAX], usize)]);

impl Values<'_> {
    fn integer(&self, place: usize) -> i64 {
        self.0[place].0[0]
    }

    fn dtype(&self, place: usize) -> DType {
        DType::of_code(self.integer(place)).unwrap_or(DType::Int64)
    }

    fn shape(&self, place: usize) -> Shape {
        let (values, count) = &self.0[place];
        Shape::new(&values.map(|value| value as u32)[..*count])
    }

    fn pair(&self, place: usize) -> [usize; 2] {
        [self.0[place].0[0] as usize, self.0[place].0[1] as usize]
    }

    fn four(&self, place: usize) -> [i64; 4] {
        let values = &self.0[place].0;
        [values[0], values[1], values[2], values[3]]
    }

    fn pool(&self) -> Windows {
        let pads = self.four(2).map(|pad| pad as usize);
        Windows { kernel: self.pair(0), strides: self.pair(1), pads, dilations: [1, 1] }
    }

    fn two(&self, pair: Pair) -> Operator {
        Operator::Pair { pair, dtype: self.dtype(0) }
    }

    /// The operator with a code that [`schema_of`] knows.
    pub(super) fn operator(&self, code: u8) -> Operator {
        match code {
            1 => Operator::MatMul { transpose_b: self.integer(0) == 1, accumulator: self.dtype(1) },
            2 => Operator::Conv2d {
                windows: Windows {
                    // The weights' shape says how large a window is.
                    kernel: [0, 0],
                    strides: self.pair(0),
                    pads: self.four(1).map(|pad| pad as usize),
                    dilations: self.pair(2),
                },
                groups: self.integer(3) as usize,
                accumulator: self.dtype(4),
            },
            3 => Operator::MaxPool2d(self.pool()),
            4 => Operator::SumPool2d { windows: self.pool(), accumulator: self.dtype(3) },
            5 => Operator::Gather,
            6 => self.two(Pair::Add),
            7 => self.two(Pair::Subtract),
            8 => self.two(Pair::Multiply),
            9 => Operator::Divide { fraction_bits: self.integer(0) as u32, dtype: self.dtype(1) },
            10 => self.two(Pair::Minimum),
            11 => self.two(Pair::Maximum),
            12 => Operator::Equal,
            13 => Operator::Less,
            14 => Operator::Select { dtype: self.dtype(0) },
            15 => Operator::Clip { lo: self.integer(0), hi: self.integer(1), dtype: self.dtype(2) },
            16 => Operator::Rescale { shift: self.integer(0) as u32, dtype: self.dtype(1) },
            17 => Operator::Lookup { first: self.integer(0), shift: self.integer(1) as u32 },
            18 => Operator::QuantiseRows { dtype: self.dtype(0) },
            19 => Operator::LayerNorm {
                center: self.integer(0) == 1,
                shift: self.integer(1) as u32,
                epsilon: self.integer(2),
                fraction_bits: self.integer(3) as u32,
            },
            20 => Operator::Softmax {
                multiplier: self.integer(0),
                shift: self.integer(1) as u32,
                exp2: self.four(2),
                dtype: self.dtype(3),
            },
            21 => Operator::ReduceSum { axis: self.integer(0) as usize, accumulator: self.dtype(1) },
            22 => Operator::ReduceMax { axis: self.integer(0) as usize },
            23 => Operator::ArgMax,
            24 => Operator::TopK { k: self.integer(0) as usize },
            25 => Operator::Sample,
            26 => Operator::Reshape(self.shape(0)),
            27 => Operator::Transpose(self.shape(0)),
            28 => Operator::Slice { starts: self.shape(0), stops: self.shape(1), steps: self.shape(2) },
            29 => Operator::Concat { axis: self.integer(0) as usize },
            30 => Operator::Broadcast(self.shape(0)),
            _ => Operator::CacheAppend { axis: self.integer(0) as usize },
        }
    }
}
