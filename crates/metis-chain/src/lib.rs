//! Hot state of a node: the block log, the chain's index, logs and filters, the mempool.
//!
//! In: sealed blocks with what they did, transactions that were sent, queries. Out: blocks,
//! receipts, logs, candidates for the next block, and after a restart the changes that lead to the
//! newest state. Policy (when to build, which rules, what to answer) is the caller's.
//!
//! From the bottom up: [`metis_disk`] is the only way to files, [`block_log`] keeps records there,
//! [`record`] says what they mean, [`chain`] finds them, [`logs`] searches and follows them, and
//! [`mempool`] holds what is not in a block yet.
//!
//! Invariants: no clock, no randomness (but a log's salt, on request) and no thread; each change is
//! whole or not there, on the disk as in memory.
//!
//! ```
//! use std::sync::Arc;
//!
//! use alloy_primitives::B256;
//! use metis_chain::{
//!     chain::{Chain, ChainConfig, Genesis, NewBlock},
//! };
//! use metis_disk::SimulatedDisk; // or FileDisk::new(path)?
//! use metis_state_transition::{Block, ChangeSet};
//!
//! # fn main() -> Result<(), metis_chain::chain::ChainError> {
//! # let block_on = |parent_hash, number| {
//! #     let mut block = Block::default();
//! #     (block.header.parent_hash, block.header.number) = (parent_hash, number);
//! #     block
//! # };
//! let disk = Arc::new(SimulatedDisk::new());
//! let genesis = Genesis { chain_id: 7133717, block: Block::default(), changes: ChangeSet::default() };
//! let (chain, recovery) = Chain::open(disk.clone(), &genesis, ChainConfig::default())?;
//! assert!(recovery.is_new);
//!
//! // Sealed and executed elsewhere. Once this returns, no power cut takes the block away.
//! let block = block_on(chain.heads().latest.hash, 1);
//! let (senders, receipts, changes) = (vec![], vec![], ChangeSet::default());
//! let appended = chain.append(NewBlock { block: block.into(), senders, receipts, changes: changes.into(), parent_state: None })?;
//! let added = appended.change.added[0];
//! drop(chain);
//!
//! let (chain, _) = Chain::open(disk, &genesis, ChainConfig::default())?;
//! assert_eq!(chain.heads().latest, added);
//! for step in chain.states(None)? {
//!     let _changes_to_commit = step?.changes;
//! }
//! # Ok(())
//! # }
//! ```

pub mod block_log;
pub mod chain;
pub mod logs;
pub mod mempool;
pub mod record;
