//! A block: its environment, its transactions in order, the protocol's own calls, its header.
//!
//! In the order of execution: `environment` (what opcodes see) → `system` (the protocol's calls
//! before and after the transactions) → `executor` (a block in the making) with its `state` and its `ledger`
//! (what is left, receipts) → `schedule` (who runs the transactions) → `outcome` → `seal` (the header of a new
//! block) or `verify` (the header of a given one).

mod access_list;
mod blooms;
mod dependencies;
mod environment;
mod executor;
mod header;
mod ledger;
mod outcome;
mod record;
mod schedule;
mod seal;
mod state;
mod system;
mod verify;

pub use blooms::LogHashes;
pub use dependencies::{Chain, Conflict, Dependency};
pub use environment::{Ancestors, BlockEnvironment};
pub use executor::BlockExecutor;
pub use header::{genesis_header, receipts_root};
pub use ledger::Ledger;
pub use outcome::{BlockError, BlockOutcome, ReceiptDetails};
pub use record::{AccountTransition, BlockRecord, Location, Rerun, Step};
pub use schedule::{Means, RanTransactions, Schedule, Sequentially, announce, run_transactions};
pub use seal::{BlockAttributes, BuiltBlock, SkippedTransaction, build_block, seal_block};
pub use state::BlockState;
pub use verify::{check_body, check_header, check_outcome, execute_block, verify_block};
