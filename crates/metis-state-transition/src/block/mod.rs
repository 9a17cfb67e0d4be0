//! A block: its environment, its transactions in order, the protocol's own calls, its header.
//!
//! In the order of execution: `environment` (what opcodes see) → `system` (the protocol's calls
//! before and after the transactions) → `executor` (transactions, receipts, rewards) → `seal`
//! (the header of a new block) or `verify` (the header of a given one).

mod environment;
mod executor;
mod header;
mod seal;
mod system;
mod verify;

pub use environment::{Ancestors, BlockEnvironment};
pub use executor::{BlockError, BlockExecutor, BlockOutcome, ReceiptDetails};
pub use header::{genesis_header, receipts_root};
pub use seal::{BlockAttributes, BuiltBlock, SkippedTransaction, build_block, seal_block};
pub use verify::verify_block;
