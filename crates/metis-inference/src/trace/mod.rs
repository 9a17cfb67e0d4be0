//! Traces: what a run commits to, so that one wrong operator can be found and shown. The format is docs/receipts.md.
//!
//! In: a proven graph, the tensors of a run. Out: the numbers of the tensors that are committed to (the points), a
//! commitment of each, a root over them. Invariant: points follow from the graph alone, never from plan or machine.

mod digest;
mod points;

pub use digest::{CHUNK_BYTES, Digest, commitments, trace_root};
pub use points::{STEP_NODES_MAX, STEP_WEIGHT_MAX, points};
