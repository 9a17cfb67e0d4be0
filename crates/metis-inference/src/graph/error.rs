//! Why a graph is refused: the field, and the values that break its rule.

use core::fmt;

use super::types::{DType, ELEMENTS_MAX};

/// The path of a field, such as `nodes[3].inputs[0]`, put together only when it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// The part of the graph, or the whole name of what has no parts.
    pub part: &'static str,
    /// Which of the part's items.
    pub index: Option<usize>,
    /// The item's field; empty for the item itself.
    pub leaf: &'static str,
    /// Which of the field's elements.
    pub element: Option<usize>,
}

impl Field {
    /// A field that is not of an item.
    pub const fn whole(part: &'static str) -> Self {
        Self { part, index: None, leaf: "", element: None }
    }

    /// An item.
    pub const fn item(part: &'static str, index: usize) -> Self {
        Self { part, index: Some(index), leaf: "", element: None }
    }

    /// A field of this item.
    pub const fn leaf(self, leaf: &'static str) -> Self {
        Self { leaf, ..self }
    }

    /// An element of this field.
    pub const fn element(self, element: usize) -> Self {
        Self { element: Some(element), ..self }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.part)?;
        if let Some(index) = self.index {
            write!(out, "[{index}]")?;
        }
        if !self.leaf.is_empty() {
            write!(out, ".{}", self.leaf)?;
        }
        self.element.map_or(Ok(()), |element| write!(out, "[{element}]"))
    }
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The bytes end.
    #[error("{wanted} bytes are wanted, {left} are left")]
    Missing {
        /// Bytes of the field.
        wanted: usize,
        /// Bytes that remain.
        left: usize,
    },
    /// The bytes go on.
    #[error("{0} bytes after its end")]
    Trailing(usize),
    /// The bytes do not begin as a graph's.
    #[error("it is not METISAIG")]
    Magic,
    /// A version of the format that is not known.
    #[error("{0} is not known; 1 is")]
    Version(u64),
    /// A number of items outside its limits.
    #[error("{count} of them; there may be {lo} to {hi}")]
    Count {
        /// The number.
        count: u64,
        /// The least.
        lo: u64,
        /// The greatest.
        hi: u64,
    },
    /// A character that names do not have.
    #[error("it is not 1 to 64 of a-z, 0-9 and _")]
    Name,
    /// A name that is there twice.
    #[error("the name is there twice")]
    NameTwice,
    /// A code of no type.
    #[error("{0} is no element type")]
    DType(u8),
    /// A code of no operator.
    #[error("{0} is no operator")]
    Operator(u8),
    /// A value outside its range.
    #[error("{value} is not from {lo} to {hi}")]
    Range {
        /// The value.
        value: i64,
        /// The least.
        lo: i64,
        /// The greatest.
        hi: i64,
    },
    /// More elements than a tensor may have.
    #[error("{0} elements are more than {ELEMENTS_MAX}")]
    Elements(u64),
    /// A tensor that is not computed before.
    #[error("tensor {tensor} is not there yet: there are {count}")]
    NotThere {
        /// Its number.
        tensor: u32,
        /// How many there are.
        count: usize,
    },
    /// More than a limit.
    #[error("{value} is more than the limit {limit}")]
    Limit {
        /// What the graph takes.
        value: u128,
        /// What it may take.
        limit: u128,
    },
    /// Values that a type does not hold.
    #[error("{what} may be {lo} to {hi}, which does not fit {}", dtype.name())]
    Overflow {
        /// Which values.
        what: &'static str,
        /// The least.
        lo: i128,
        /// The greatest.
        hi: i128,
        /// The type.
        dtype: DType,
    },
    /// Operands or attributes that do not go together.
    #[error("{0}")]
    Refused(&'static str),
}

/// Bytes that are no graph in its one encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem} (byte {offset})")]
pub struct DecodeError {
    /// The first field that is wrong.
    pub field: Field,
    /// What is wrong with it.
    pub problem: Problem,
    /// Where it begins.
    pub offset: usize,
}

/// A graph that breaks a rule, may overflow, or costs more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct InvalidGraph {
    /// What is wrong.
    pub field: Field,
    /// The rule, with the values that break it.
    pub problem: Problem,
}
