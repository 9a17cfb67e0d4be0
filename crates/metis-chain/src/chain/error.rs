//! What can go wrong with the chain.

use alloy_primitives::B256;

use crate::{
    block_log::{ChainIdentity, LogError},
    record::{RecordError, StateId},
};

/// Why the chain could not do what it was asked. It is then unchanged.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The block log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record whose checksum is right is not one. The release that wrote it had another format,
    /// or a defect.
    #[error("record {sequence}: {error}")]
    Record {
        /// Its number in the log.
        sequence: u64,
        /// What is wrong with it.
        error: RecordError,
    },
    /// A record contradicts those before it.
    #[error("record {sequence} does not follow: {problem}")]
    Contradiction {
        /// Its number in the log.
        sequence: u64,
        /// How.
        problem: Box<ChainError>,
    },
    /// A new log begins with the first block, and none was given.
    #[error("the log has no first block")]
    NoGenesis,
    /// The first block is of another chain.
    #[error("first block is of {found}, the log is of {expected}")]
    OtherGenesis {
        /// What the log says.
        expected: ChainIdentity,
        /// What the block says.
        found: ChainIdentity,
    },
    /// The parent of a block is not known, or was forgotten.
    #[error("parent {parent_hash} is not known")]
    UnknownParent {
        /// The parent.
        parent_hash: B256,
    },
    /// No block has this hash, or it was forgotten.
    #[error("block {hash} is not known")]
    UnknownBlock {
        /// The hash.
        hash: B256,
    },
    /// No state has this id, or it was forgotten.
    #[error("state {} is not known", .state.0)]
    UnknownState {
        /// The id.
        state: StateId,
    },
    /// The block is there already.
    #[error("block {hash} is already known")]
    AlreadyKnown {
        /// Its hash.
        hash: B256,
    },
    /// A block's number is not its parent's plus one.
    #[error("block {number} does not follow its parent {parent_number}")]
    WrongNumber {
        /// Its number.
        number: u64,
        /// Its parent's number.
        parent_number: u64,
    },
    /// A block's hash is not that of its header, or its state root not the header's.
    #[error("hash or state root of block {hash} is not its header's")]
    WrongHash {
        /// The claimed hash.
        hash: B256,
    },
    /// A state is not one of the block that it should be of.
    #[error("state {} is not of block {block_hash}", .state.0)]
    StateOfOtherBlock {
        /// The state.
        state: StateId,
        /// The block.
        block_hash: B256,
    },
    /// A block's transactions, senders and receipts do not match.
    #[error("{senders} senders and {receipts} receipts for {transactions} transactions")]
    Counts {
        /// Transactions in the block.
        transactions: usize,
        /// Senders given.
        senders: usize,
        /// Receipts given.
        receipts: usize,
    },
    /// A patch is made on the newest state only.
    #[error("state {} is not the newest", .state.0)]
    NotLatest {
        /// The state.
        state: StateId,
    },
    /// A safe or finalized block must be on the chain.
    #[error("block {hash} is not on the chain")]
    NotCanonical {
        /// The block.
        hash: B256,
    },
    /// A query finds more than it may.
    #[error("more than {limit} logs; the blocks before {next_block} have fewer")]
    TooManyLogs {
        /// The limit.
        limit: usize,
        /// The block where it was passed.
        next_block: u64,
    },
    /// A query would read more blocks than it may.
    #[error("more than {limit} blocks to read; the blocks before {next_block} are fewer")]
    TooManyBlocks {
        /// The limit.
        limit: usize,
        /// The block where it was passed.
        next_block: u64,
    },
}
