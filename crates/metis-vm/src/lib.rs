//! MetisVM: how the frames of a transaction are run.
//!
//! A virtual machine is a choice of [`FrameRunner`]: tier 0 is
//! [`InterpreterRunner`](metis_state_transition::InterpreterRunner); [`TieredRunner`] runs the
//! machine code that a [`Registry`] holds, and goes on in tier 0 where there is none. Everything
//! outside a frame is shared, so tiers can differ only inside one. [`TraceRunner`] is tier 0 that
//! reports every step.
//!
//! In: a frame (code, stack, memory, gas) and its host. Out: the action the frame ends with.
//! Invariant: any runner leaves the frame exactly as tier 0 would. With `metis-state-transition`
//! the only crate that names revm types.

pub mod compiled;
mod machine;
mod opcodes;
mod rival;
mod struct_log;
mod trace;
mod tracing;
mod transfer_logs;

pub use metis_state_transition::{FrameRunner, FrameRunnerFactory, InterpreterRunner};
pub use struct_log::StructLogger;
pub use trace::{TraceRunner, TraceSink, TraceStep};
pub use tracing::{Traced, TracedPlace, Tracer, TracerError, TracingRunner};
pub use transfer_logs::{IndexedLog, TransferLogs};

/// Version of the interpreter behind tier 0.
pub const REVM_VERSION: &str = "43.0.3";

pub use compiled::{Registry, TieredRunner};
pub use machine::VirtualMachine;
pub use opcodes::{OpcodeDescription, opcode_table};
pub use rival::{Contestant, PlainRevm, Tiered, run_plain_revm};
