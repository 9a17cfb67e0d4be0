//! Deterministic inference: models as graphs of integer operators, proven before they run, with the same bits on
//! every machine.
//!
//! In: a graph's bytes, its weights, inputs. Out: outputs, states for the next run, what a run costs. Invariant: what
//! is proven does not overflow, so neither the order of summation nor the width of registers nor the number of threads
//! changes a bit. Without std there are no threads, files and processor features, and the same results. The format is
//! docs/ai-graph.md, the engine docs/ai-engine.md.
//!
//! ```text
//! graph/     bytes → graph → what is proven of it
//! weights    whether bytes are a graph's constants
//! plan/      what is computed together, and where everything lies
//! kernels/   how a step is computed
//! team       threads that share steps
//! model      all of it, ready to run
//! trace/     what a run commits to, operator by operator; with std
//! ```
#![cfg_attr(not(feature = "std"), no_std)]
// Without vector kernels nobody asks for what prepares their constants.
#![cfg_attr(not(vectors), allow(dead_code, unused_imports))]
// An error carries the values that break a rule, and is made once.
#![allow(clippy::result_large_err)]

#[cfg(target_endian = "big")]
compile_error!("weights are used in place: little-endian processors only");

extern crate alloc;

#[cfg(feature = "std")]
pub mod freivalds;
pub mod graph;
mod kernels;
mod memory;
mod model;
mod plan;
mod team;
#[cfg(feature = "std")]
pub mod trace;
#[cfg(feature = "std")]
mod traced;
#[cfg(feature = "std")]
mod weight_bytes;
mod weights;
#[cfg(feature = "std")]
mod workspaces;

pub use kernels::Kernel;
pub use memory::Aligned;
pub use model::{Finished, How, InvalidInput, Model, OpenError, THREADS_MAX, Workspace};
#[cfg(feature = "std")]
pub use weight_bytes::WeightBytes;
pub use weights::InvalidWeights;
