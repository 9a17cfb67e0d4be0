//! The pure state transition: bytes and state in, changes, receipts and roots out.
//!
//! In: a [`StateView`] (what the state was), a [`ChainSpec`] (which rules hold), a block or
//! candidate transactions. Out: a [`ChangeSet`], receipts, a sealed header, or a typed error.
//!
//! Invariants: sequential, interpreter only by default, no threads, files, clocks, randomness or
//! (without the `native-crypto` feature) foreign code; the same inputs give the same bits. Tiers,
//! parallel scheduling and stores are strategies around this crate that must equal it; they plug
//! in as [`FrameRunner`], [`PrecompileSet`], [`StateView`], [`Schedule`] and [`Join`]. Builds without `std`.
//!
//! Cost: bounded by the gas of the block; every list that comes from outside is bounded by the
//! bytes it was decoded from.
//!
//! Source: Yellow Paper §4, §6, §11; the EIPs named at each rule. Together with `metis-vm` the
//! only crate that names revm types.

#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

mod block;
mod changes;
mod database;
mod decode;
mod effects;
mod evm;
mod fork;
mod formulas;
mod frame;
mod inference;
mod join;
mod precompiles;
mod spec;
mod transaction;
mod view;

pub use block::{
    AccountTransition, Ancestors, BlockAttributes, BlockEnvironment, BlockError, BlockExecutor, BlockOutcome,
    BlockRecord, BlockState, BuiltBlock, Chain, Conflict, Dependency, Ledger, Location, LogHashes, Means,
    RanTransactions, ReceiptDetails, Rerun, Schedule, Sequentially, SkippedTransaction, Step, announce, build_block,
    check_body, check_header, check_outcome, execute_block, genesis_header, receipts_root, run_transactions,
    seal_block, verify_block,
};
pub use changes::{AccountChange, ChangeSet, Overlay, StateCommitment};
pub use database::{ViewDatabase, ViewError};
pub use decode::{Block, DecodeError, DecodeProblem, Subject, decode_block, decode_header, decode_transaction};
pub use effects::{AccountEffect, AccountUse, BalanceUse, Effects, pay_fee};
pub use evm::{BlockContext, Evm, EvmContext, context_over, execution_context};
pub use fork::{Fork, UnknownFork};
pub use formulas::{FollowedSlot, Following, Formulas, TermValues};
pub use frame::{
    ConcludedTransaction, EvmFrame, FrameEnd, FrameHost, FrameRunner, FrameRunnerFactory, FrameStart, Instructions,
    InterpreterRunner,
};
pub use inference::{
    ChainPrecompiles, INFERENCE, INFERRED, InferenceError, InferenceHost, InferenceRules, Inferred, ModelCost, Models,
    VECTORS,
};
pub use join::{InOrder, Join};
pub use precompiles::{
    PrecompileCall, PrecompileHost, PrecompileMoves, PrecompileOutcome, PrecompileSet, precompile_addresses,
};
pub use spec::{ChainSpec, DevelopmentRules, ForkActivation, Rules};
pub use transaction::{
    Accesses, ExecutionStatus, RecoveredTransaction, TransactionError, TransactionFault, TransactionOutcome,
    check_transaction, outcome, transaction_env,
};
pub use view::{Account, Code, StateView};
