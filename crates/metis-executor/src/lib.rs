//! MPEF: who runs the transactions of a block, how signatures of a batch are recovered, and which models precompiles
//! find.
//!
//! In: a state store, rules, and candidates or a sealed block. Out: a sealed or verified block
//! whose changes are committed. Invariant: every [`Executor`] gives the same receipts, logs, gas,
//! state and root as [`SequentialExecutor`]. [`ParallelExecutor`] runs many transactions at a time.

mod cores;
mod executor;
mod models;
mod parallel;
mod recover;
mod simulate;

pub use cores::Cores;
pub use executor::{
    Built, ExecuteError, Executor, ParallelExecutor, Recording, Sealed, SequentialExecutor, build_and_commit,
    import_and_commit,
};
pub use models::ModelSet;
pub use recover::{
    BatchError, all_or_first_error, decode_and_recover, decode_and_recover_batch, recover_block, recover_sender,
};
pub use simulate::{GasEstimate, Simulation};
