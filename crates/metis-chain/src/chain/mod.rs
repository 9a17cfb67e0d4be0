//! The chain: its blocks by number and hash, its transactions, its heads, its state changes.
//!
//! In: sealed blocks with what they did. Out: blocks, receipts, transactions, logs, and the change
//! sets that lead to any known state. Everything is kept in the block log (or, for a chain that is
//! to leave no trace, in memory); in memory are only the index and the blocks used last.
//!
//! Invariants: what a caller was told is in the log; the index is what replaying the log gives;
//! a failed change leaves index and log as they were. Readers wait for a change of the index, never
//! for the disk.
//!
//! Cost: appending a block costs its encoding, one write and, as configured, one sync. A look-up
//! by hash or number costs a hash-table look-up, and one pread where the block is not among the
//! ones used last. Memory is about 200 bytes a block, 50 a transaction, 40 for each pair of a log's
//! address or topic and a block.

mod check;
mod error;
mod events;
mod hot;
mod index;
mod open;
mod read;
mod replay;
mod tree;
mod write;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use alloy_primitives::{Address, B256};
use metis_state_transition::{Block, ChangeSet, ReceiptDetails};
use parking_lot::{Mutex, RwLock};

pub use error::ChainError;
pub use hot::StoredBlock;
pub use read::{Heads, TransactionPlace};
pub use replay::{StatePath, StateStep, StateSteps};
pub(crate) use tree::NodeIndex;
pub use write::{NewHeads, StateChange};

use crate::{
    block_log::{ChainIdentity, LogConfig, LogReader},
    record::StateId,
};

/// What a chain is kept with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainConfig {
    /// How the block log is written.
    pub log: LogConfig,
    /// Blocks beside the chain are forgotten once they are so many blocks older than the newest.
    pub side_block_window: u64,
    /// Size of the records whose blocks are kept in memory.
    pub hot_bytes_max: usize,
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self { log: LogConfig::default(), side_block_window: 256, hot_bytes_max: 16 << 20 }
    }
}

/// The first block, with the state that it begins with as changes to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The block; it has no transactions.
    pub block: Block,
    /// The accounts that it begins with.
    pub changes: ChangeSet,
}

/// A sealed and executed block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBlock {
    /// The block.
    pub block: Arc<Block>,
    /// Senders of its transactions, in order.
    pub senders: Vec<Address>,
    /// What its transactions did, in order.
    pub receipts: Vec<ReceiptDetails>,
    /// What it changed.
    pub changes: Arc<ChangeSet>,
    /// The state it was executed on. `None`: the newest state where its parent is the newest
    /// block, else the state after its parent.
    pub parent_state: Option<StateId>,
}

/// Names a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRef {
    /// Height.
    pub number: u64,
    /// Hash of its header.
    pub hash: B256,
    /// Hash of the block before; zero for the first.
    pub parent_hash: B256,
    /// Seconds since the Unix epoch.
    pub timestamp: u64,
}

/// How the canonical chain changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadChange {
    /// Blocks that are no longer part of it, newest first.
    pub removed: Vec<BlockRef>,
    /// Blocks that are new in it, oldest first.
    pub added: Vec<BlockRef>,
}

/// The chain. Methods take `&self`: one writes at a time, any number read.
#[derive(Debug)]
pub struct Chain {
    config: ChainConfig,
    /// Blocks beside the chain are not forgotten, however old.
    keeps_side_blocks: AtomicBool,
    identity: ChainIdentity,
    writer: Mutex<write::Writer>,
    index: RwLock<index::Index>,
    hot: Mutex<hot::HotBlocks>,
    reader: Option<LogReader>,
}

impl Chain {
    /// Whose blocks these are.
    pub const fn identity(&self) -> ChainIdentity {
        self.identity
    }

    /// Whether blocks beside the chain stay known, however old they become.
    pub fn keep_side_blocks(&self, keeps: bool) {
        // ORDER: read again at the next change of the chain; a late look forgets, or keeps, a block longer.
        self.keeps_side_blocks.store(keeps, Ordering::Relaxed);
    }

    fn side_block_window(&self) -> u64 {
        // ORDER: as in `keep_side_blocks`.
        if self.keeps_side_blocks.load(Ordering::Relaxed) { u64::MAX } else { self.config.side_block_window }
    }
}
