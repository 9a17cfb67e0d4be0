//! What a graph consists of: element types, shapes, declared tensors, nodes.

use alloc::vec::Vec;
use core::fmt;

use super::operator::Operator;

/// Most dimensions of a tensor.
pub const RANK_MAX: usize = 6;
/// Greatest size of a dimension.
pub const DIMENSION_MAX: u64 = 1 << 24;
/// Most elements of a tensor.
pub const ELEMENTS_MAX: u64 = 1 << 28;

/// Element type: a signed two's-complement integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum DType {
    /// One byte.
    Int8 = 1,
    /// Two bytes.
    Int16 = 2,
    /// Four bytes.
    Int32 = 3,
    /// Eight bytes.
    Int64 = 4,
}

impl DType {
    /// The type with a code of the format.
    pub const fn of_code(code: i64) -> Option<Self> {
        match code {
            1 => Some(Self::Int8),
            2 => Some(Self::Int16),
            3 => Some(Self::Int32),
            4 => Some(Self::Int64),
            _ => None,
        }
    }

    /// Bytes of one element.
    pub const fn size_bytes(self) -> usize {
        1 << (self as u8 - 1)
    }

    /// The least value.
    pub const fn lo(self) -> i64 {
        i64::MIN >> (64 - 8 * self.size_bytes())
    }

    /// The greatest value.
    pub const fn hi(self) -> i64 {
        !self.lo()
    }

    /// Its name in the format's document.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
        }
    }
}

/// One to six dimensions, or the values of a list attribute.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    dimensions: [u32; RANK_MAX],
    rank: u8,
}

impl Shape {
    /// The shape with these dimensions; what is beyond the sixth is left out.
    pub fn new(dimensions: &[u32]) -> Self {
        let mut shape = Self { dimensions: [1; RANK_MAX], rank: dimensions.len().min(RANK_MAX) as u8 };
        for (own, given) in shape.dimensions.iter_mut().zip(dimensions) {
            *own = *given;
        }
        shape
    }

    /// Its dimensions.
    pub fn dimensions(&self) -> &[u32] {
        &self.dimensions[..usize::from(self.rank)]
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        usize::from(self.rank)
    }

    /// Size of one dimension.
    pub fn size(&self, axis: usize) -> usize {
        self.dimensions()[axis] as usize
    }

    /// Number of elements; the greatest number where it has more bits.
    pub fn elements(&self) -> u64 {
        self.dimensions().iter().fold(1, |count: u64, dimension| count.saturating_mul(u64::from(*dimension)))
    }

    /// Size of the last dimension.
    pub fn width(&self) -> usize {
        self.dimensions().last().map_or(1, |width| *width as usize)
    }

    /// The same shape with one dimension of another size.
    pub fn with(mut self, axis: usize, size: u32) -> Self {
        self.dimensions[axis] = size;
        self
    }

    /// The same shape with a last dimension of 1: one value for each row.
    pub fn rows(self) -> Self {
        self.with(self.rank() - 1, 1)
    }

    /// Elements from the first of one dimension to the first of its next entry, in row-major order.
    pub fn strides(&self) -> [usize; RANK_MAX] {
        let mut strides = [0; RANK_MAX];
        let mut step = 1;
        for axis in (0..self.rank()).rev() {
            strides[axis] = step;
            step *= self.size(axis);
        }
        strides
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_list().entries(self.dimensions()).finish()
    }
}

/// What is known of a tensor before anything runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Element type.
    pub dtype: DType,
    /// Dimensions.
    pub shape: Shape,
    /// Least value that an element may have.
    pub lo: i64,
    /// Greatest value that an element may have.
    pub hi: i64,
}

impl Facts {
    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.elements() as usize
    }

    /// Bytes of all elements.
    pub fn size_bytes(&self) -> usize {
        self.elements() * self.dtype.size_bytes()
    }

    /// Bytes of all elements, rounded up to a multiple of 64.
    pub fn padded_bytes(&self) -> usize {
        self.size_bytes().next_multiple_of(64)
    }

    /// The greatest absolute value that an element may have.
    pub fn magnitude(&self) -> i128 {
        i128::from(self.lo).abs().max(i128::from(self.hi).abs())
    }

    /// The bounds, wide enough to compute with.
    pub fn bounds(&self) -> (i128, i128) {
        (i128::from(self.lo), i128::from(self.hi))
    }

    /// Whether every element fits 32 bits.
    pub fn fits_int32(&self) -> bool {
        self.lo >= DType::Int32.lo() && self.hi <= DType::Int32.hi()
    }
}

/// A tensor that does not come from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// Its name; empty for a constant.
    pub name: Vec<u8>,
    /// Type, shape and declared range.
    pub facts: Facts,
}

impl Declaration {
    /// The name as text: decoding leaves only a-z, 0-9 and _.
    pub fn name(&self) -> &str {
        core::str::from_utf8(&self.name).unwrap_or_default()
    }
}

/// One operator applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What is done.
    pub operator: Operator,
    /// Numbers of the tensors it takes, all lower than those of its results.
    pub inputs: Vec<u32>,
}

/// A tensor that a run gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name.
    pub name: Vec<u8>,
    /// Its number.
    pub tensor: u32,
}

impl Output {
    /// The name as text: decoding leaves only a-z, 0-9 and _.
    pub fn name(&self) -> &str {
        core::str::from_utf8(&self.name).unwrap_or_default()
    }
}

/// A computation on integers. Tensors are numbered: inputs, states, constants, then the results of the nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// What a run is given.
    pub inputs: Vec<Declaration>,
    /// What a run leaves to the next one.
    pub states: Vec<Declaration>,
    /// Weights and tables.
    pub constants: Vec<Declaration>,
    /// The operators, in the order of evaluation.
    pub nodes: Vec<Node>,
    /// For each state the tensor that it becomes.
    pub updates: Vec<u32>,
    /// What a run gives back.
    pub outputs: Vec<Output>,
}

impl Graph {
    /// The declared tensors in the order of their numbers.
    pub fn declarations(&self) -> impl Iterator<Item = &Declaration> {
        self.inputs.iter().chain(&self.states).chain(&self.constants)
    }

    /// Number of the first constant.
    pub fn first_constant(&self) -> usize {
        self.inputs.len() + self.states.len()
    }

    /// Number of the first node's first result.
    pub fn first_result(&self) -> usize {
        self.first_constant() + self.constants.len()
    }
}
