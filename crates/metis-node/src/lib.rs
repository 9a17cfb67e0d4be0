//! One node's hot state behind one door: state store, chain and mempool, kept in step.
//!
//! In: signed transactions, sealed blocks, what the builder decides. Out: blocks, state, and JSON as
//! Ethereum's RPC writes it. Invariants: what a caller was told is in the block log (as durable as
//! configured); store, chain and pool speak of the same newest block between any two calls; one
//! writer at a time, readers never wait for it longer than an index update.
//!
//! Policy (when a block is made, by whom) is the caller's; nothing here knows a clock.

mod answer;
mod checkpoints;
mod control;
mod dump;
mod error;
mod explain;
mod fork;
mod import;
mod keys;
mod node;
mod opening;
mod parity;
mod pool;
mod propose;
mod read;
mod replay;
mod sequence;
mod sidecars;
mod simulate;
mod simulate_blocks;
mod state;
mod states;
mod store;
mod totals;
mod trace;
mod views;
mod write;

pub use answer::{Answer, AnswerLimits};
pub use checkpoints::CheckpointTotals;
pub use control::{SnapshotId, development_randao};
pub use error::NodeError;
pub use fork::{ForkBlock, HeaderProblem, header_from_json};
pub use import::{ImportError, Imported};
pub use keys::{KeyError, RecoverError, address_of, derive_private_key, recover_address, sign_hash, sign_transaction};
pub use metis_vm::{Tracer, TracerError};
pub use node::{Durability, Node, NodeConfig, StateStoreKind};
pub use opening::{NodeDisks, StateProblem, StateReport};
pub use parity::CallTraceFilter;
pub use pool::SubmitError;
pub use propose::Proposal;
pub use read::{BlockId, FeeHistory, LogQuery};
pub use sequence::MessageBundle;
pub use sidecars::{BlobWithProofs, SidecarError};
pub use simulate::{BlockOverrides, StateOverride};
pub use simulate_blocks::{BlockCalls, BlockReport, CallReport, SimulatedCall, SimulationMode};
pub use state::{State, StateError};
pub use totals::ChainTotals;
pub use write::BuiltReport;
