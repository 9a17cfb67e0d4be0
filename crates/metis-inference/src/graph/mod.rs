//! Graphs: their only encoding, what is proven of them, what a run costs. The format is docs/ai-graph.md.
//!
//! Python's `metis.ai.graph` has the same rules a second time; tests compare the two on generated and mutated graphs.

mod decode;
mod error;
mod operator;
mod proof;
mod rules;
mod types;
mod work;

pub use decode::{GRAPH_BYTES_MAX, decode};
pub use error::{DecodeError, Field, InvalidGraph, Problem};
pub use operator::{Operator, Pair, Windows};
pub use proof::{Cost, Limits, Proven, prove};
pub use types::{DType, Declaration, Facts, Graph, Node, Output, RANK_MAX, Shape};
pub(crate) use work::run_length;
