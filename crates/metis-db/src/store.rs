//! The seam that state stores implement.

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use metis_state_transition::{Ancestors, ChangeSet, StateCommitment};

use crate::AccountProof;

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// State outside the kept window.
    #[error("state of block {block_number} is not kept; {oldest} to {newest} is")]
    Unavailable {
        /// The block that was asked for.
        block_number: u64,
        /// First kept block.
        oldest: u64,
        /// Last committed block.
        newest: u64,
    },
    /// A proof, or a state root after changes, of a state that too much changed since.
    #[error(
        "block {block_number} is too far back to be proven: {changed_count} values changed since, of at most {changed_count_max}"
    )]
    TooFarBack {
        /// The block that was asked for.
        block_number: u64,
        /// Values that changed since, counting some twice.
        changed_count: u64,
        /// How many may have.
        changed_count_max: u64,
    },
    /// A commit that does not follow the newest block.
    #[error("block {got} does not follow the newest block {newest}")]
    OutOfOrder {
        /// The block to be committed.
        got: u64,
        /// Last committed block.
        newest: u64,
    },
    /// The state after the changes does not have the root the block claims.
    #[error("state root after the changes is {got}, the block claims {expected}")]
    RootMismatch {
        /// What the block claims.
        expected: B256,
        /// What the changes give.
        got: B256,
    },
    /// Bytes that the store cannot have written.
    #[error("the {part} is corrupt at byte {offset}: {problem}")]
    Corrupt {
        /// What the bytes belong to.
        part: &'static str,
        /// Where in it.
        offset: u64,
        /// What is wrong with them.
        problem: &'static str,
    },
    /// A version of the tries that the store went another way from.
    #[error("the version of the tries is neither the store's nor on top of it")]
    StaleOverlay,
    /// Memory or address space that is not to be had.
    #[error("no memory for {len_bytes} bytes: {kind}")]
    Memory {
        /// Size that was asked for.
        len_bytes: usize,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// The disk refused; the last committed state is as it was.
    #[error("cannot {operation} {file}: {kind}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// With which file of the store.
        file: String,
        /// What the system said.
        kind: std::io::ErrorKind,
    },
    /// Somebody else writes this store.
    #[error("in use by another process{}", match .holder { Some(pid) => format!(" (pid {pid})"), None => String::new() })]
    Locked {
        /// Process id, where the holder wrote it down.
        holder: Option<u32>,
    },
    /// Opened to be read while somebody else writes.
    #[error("opened to be read only")]
    ReadOnly,
    /// Files of a format that is not known here.
    #[error("format version {got} is not known; version {known} is")]
    Version {
        /// What the files say.
        got: u32,
        /// What this program writes and reads.
        known: u32,
    },
}

/// A block whose changes are to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommittedBlock {
    /// Height.
    pub number: u64,
    /// Block hash.
    pub hash: B256,
    /// Hash of the block before it.
    pub parent_hash: B256,
    /// State root after the block.
    pub state_root: B256,
}

/// The state after one block; immutable.
pub trait StateSnapshot: StateCommitment + Send + Sync {
    /// The block.
    fn block(&self) -> CommittedBlock;

    /// EIP-1186 proof of an account and some of its slots.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn prove(&self, address: Address, slots: &[U256]) -> Result<AccountProof, Self::Error>;
}

/// Keeps the state of a chain: the newest block and a window of older ones.
pub trait StateStore: Send + Sync {
    /// What readers hold.
    type Snapshot: StateSnapshot;

    /// The newest state.
    fn latest(&self) -> Arc<Self::Snapshot>;

    /// The state after an older block.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn at(&self, block_number: u64) -> Result<Arc<Self::Snapshot>, StoreError> {
        self.at_before(block_number, 0)
    }

    /// The state after an older block as it was before the last `patch_count` patches on it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn at_before(&self, block_number: u64, patch_count: usize) -> Result<Arc<Self::Snapshot>, StoreError>;

    /// First kept block.
    fn oldest_block_number(&self) -> u64;

    /// Whether the window grows: nothing that is kept now, or comes, is forgotten as long as it is held.
    fn hold(&self, is_held: bool);

    /// Hashes of the newest 256 blocks, for BLOCKHASH in the next one.
    fn ancestors(&self) -> Ancestors;

    /// Keeps the changes that turn `parent`, the newest state, into the state after `block`.
    ///
    /// # Errors
    /// [`StoreError::OutOfOrder`] or [`StoreError::RootMismatch`]; the store is then unchanged.
    fn commit(&self, parent: &Self::Snapshot, block: CommittedBlock, changes: &ChangeSet) -> Result<(), StoreError>;

    /// Keeps changes that no block made, on top of the newest state `parent`; the state stays of the
    /// same block. For development methods.
    ///
    /// # Errors
    /// [`StoreError::OutOfOrder`], when `parent` is not the newest state.
    fn patch(&self, parent: &Self::Snapshot, changes: &ChangeSet) -> Result<B256, StoreError>;

    /// Takes back the newest `count` states, blocks and patches alike.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], when fewer are kept.
    fn undo(&self, count: usize) -> Result<(), StoreError>;

    /// Makes an older kept block the newest; what came after it is gone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    fn revert_to(&self, block_number: u64) -> Result<(), StoreError>;
}
