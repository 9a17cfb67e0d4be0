//! What the records of the block log mean.
//!
//! | kind | record | payload |
//! |---|---|---|
//! | 1 | block | `[parent state, is latest, block hash, state root, block, senders, receipts, changes]` |
//! | 2 | state patch | `[parent state, block hash, state root, changes]` |
//! | 3 | truncate | `[state, block hash]` |
//! | 4 | head | `[latest state, latest block hash, safe hash or empty, finalized hash or empty]` |
//!
//! A block and a state patch make a state, named by the sequence number of their record
//! ([`StateId`]). All states form a tree with the first block at its root.
//!
//! The encoding is RLP and canonical: one value, one encoding. Decoding takes any bytes and never
//! panics.

mod changes;
mod receipt;
mod view;
mod wire;

use alloy_primitives::{Address, B256};
use alloy_rlp::Encodable;
use metis_state_transition::{Block, ChangeSet, DecodeError, ReceiptDetails};
pub use view::BlockView;

use wire::{Items, put_bytes, put_list, put_optional};

/// A state of the world that the log knows: the sequence number of the record that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateId(pub u64);

impl StateId {
    /// The parent of the first block's state.
    pub const NONE: Self = Self(0);
}

/// Kinds of records, as the frame names them.
pub mod kind {
    /// [`Record::Block`](super::Record::Block).
    pub const BLOCK: u8 = 1;
    /// [`Record::StatePatch`](super::Record::StatePatch).
    pub const STATE_PATCH: u8 = 2;
    /// [`Record::Truncate`](super::Record::Truncate).
    pub const TRUNCATE: u8 = 3;
    /// [`Record::Head`](super::Record::Head).
    pub const HEAD: u8 = 4;
}

/// Why bytes are not a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the message of each variant says what it means
pub enum RecordError {
    #[error("record kind {0} is not known")]
    Kind(u8),
    #[error("{0}")]
    Rlp(#[from] alloy_rlp::Error),
    #[error("bytes after the end")]
    TrailingBytes,
    #[error("keys are not in ascending order")]
    Order,
    #[error("transaction type {0} is not known")]
    TransactionType(u8),
    #[error("a log with more than four topics")]
    TopicCount,
    #[error("name of a failure is not one of the engine's")]
    FailureName,
    #[error("{senders} senders and {receipts} receipts for {transactions} transactions")]
    Counts { transactions: usize, senders: usize, receipts: usize },
    #[error("state root is not the header's")]
    StateRoot,
    #[error("{0}")]
    Block(#[from] DecodeError),
}

/// A block and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockRecord {
    /// The state it was executed on.
    pub parent_state: StateId,
    /// It becomes the newest block of the canonical chain.
    pub is_latest: bool,
    /// Hash of its header.
    pub hash: B256,
    /// The block.
    pub block: Block,
    /// Senders of its transactions, in order: recovering them again is expensive.
    pub senders: Vec<Address>,
    /// What its transactions did, in order.
    pub receipts: Vec<ReceiptDetails>,
    /// What it changed, so that a restart need not execute it.
    pub changes: ChangeSet,
}

/// A change of state without a block, as development methods make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatePatchRecord {
    /// The state it changes.
    pub parent_state: StateId,
    /// The block of that state.
    pub block_hash: B256,
    /// State root afterwards.
    pub state_root: B256,
    /// What changes.
    pub changes: ChangeSet,
}

/// A state, named so that the record says by itself which block it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRef {
    /// The state.
    pub state: StateId,
    /// Its block.
    pub block_hash: B256,
}

/// The heads of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadRecord {
    /// The newest state of the canonical chain.
    pub latest: StateRef,
    /// Newest block that only a faulty quorum can reorganise.
    pub safe: Option<B256>,
    /// Newest block that nothing reorganises.
    pub finalized: Option<B256>,
}

/// A record of the block log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// A block.
    Block(Box<BlockRecord>),
    /// A change of state without a block.
    StatePatch(StatePatchRecord),
    /// This state becomes the newest; all that was built on it is forgotten.
    Truncate(StateRef),
    /// Moves the heads; nothing is forgotten.
    Head(HeadRecord),
}

/// The payload of a block record, from parts that need not be moved.
pub(crate) fn encode_block(
    (parent_state, is_latest): (StateId, bool),
    hash: B256,
    block: &Block,
    senders: &[Address],
    receipts: &[ReceiptDetails],
    changes: &ChangeSet,
) -> Vec<u8> {
    // About as much as it takes, so that a large block is not copied while it grows.
    let log_count: usize = receipts.iter().map(|details| details.receipt.logs.len()).sum();
    let size_bytes = block.length() + 70 * receipts.len() + 200 * log_count + 90 * changes.accounts.len();
    let mut out = Vec::with_capacity(256 + size_bytes);
    put_list(&mut out, |out| {
        parent_state.0.encode(out);
        is_latest.encode(out);
        hash.encode(out);
        block.header.state_root.encode(out);
        block.encode(out);
        put_bytes(out, senders.iter().flat_map(|sender| sender.0.0).collect::<Vec<_>>().as_slice());
        receipt::put_receipts(out, receipts);
        changes::put_changes(out, changes);
    });
    out
}

/// The payload of a state patch, from parts that need not be moved.
pub(crate) fn encode_patch(parent_state: StateId, block_hash: B256, state_root: B256, changes: &ChangeSet) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, |out| {
        parent_state.0.encode(out);
        block_hash.encode(out);
        state_root.encode(out);
        changes::put_changes(out, changes);
    });
    out
}

impl Record {
    /// The kind that the frame names.
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Block(_) => kind::BLOCK,
            Self::StatePatch(_) => kind::STATE_PATCH,
            Self::Truncate(_) => kind::TRUNCATE,
            Self::Head(_) => kind::HEAD,
        }
    }

    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Block(record) => {
                let BlockRecord { parent_state, is_latest, hash, block, senders, receipts, changes, .. } = &**record;
                encode_block((*parent_state, *is_latest), *hash, block, senders, receipts, changes)
            }
            Self::StatePatch(record) => {
                encode_patch(record.parent_state, record.block_hash, record.state_root, &record.changes)
            }
            Self::Truncate(to) => {
                let mut out = Vec::new();
                put_list(&mut out, |out| put_state_ref(out, to));
                out
            }
            Self::Head(heads) => {
                let mut out = Vec::new();
                put_list(&mut out, |out| {
                    put_state_ref(out, &heads.latest);
                    put_optional(out, heads.safe);
                    put_optional(out, heads.finalized);
                });
                out
            }
        }
    }

    /// Reads a payload.
    ///
    /// # Errors
    /// [`RecordError`], for any bytes that [`Self::encode`] does not write.
    pub fn decode(kind: u8, payload: &[u8]) -> Result<Self, RecordError> {
        Ok(match kind {
            kind::BLOCK => Self::Block(Box::new(BlockView::new(payload)?.record()?)),
            kind::STATE_PATCH => Self::StatePatch(decode_patch(payload)?),
            kind::TRUNCATE => {
                let mut items = Items::of(payload)?;
                let to = read_state_ref(&mut items)?;
                items.end()?;
                Self::Truncate(to)
            }
            kind::HEAD => {
                let mut items = Items::of(payload)?;
                let latest = read_state_ref(&mut items)?;
                let safe = items.optional()?.map(B256::from);
                let finalized = items.optional()?.map(B256::from);
                items.end()?;
                Self::Head(HeadRecord { latest, safe, finalized })
            }
            kind => return Err(RecordError::Kind(kind)),
        })
    }
}

/// Reads the payload of a state patch.
///
/// # Errors
/// [`RecordError`].
pub(crate) fn decode_patch(payload: &[u8]) -> Result<StatePatchRecord, RecordError> {
    let mut items = Items::of(payload)?;
    let record = StatePatchRecord {
        parent_state: StateId(items.value()?),
        block_hash: B256::from(items.fixed()?),
        state_root: B256::from(items.fixed()?),
        changes: changes::read_changes(items.list()?)?,
    };
    items.end()?;
    Ok(record)
}

/// The state that a patch changes, and its block.
///
/// # Errors
/// [`RecordError`].
pub(crate) fn patch_parent(payload: &[u8]) -> Result<StateRef, RecordError> {
    read_state_ref(&mut Items::of(payload)?)
}

fn put_state_ref(out: &mut Vec<u8>, to: &StateRef) {
    to.state.0.encode(out);
    to.block_hash.encode(out);
}

fn read_state_ref(items: &mut Items<'_>) -> Result<StateRef, RecordError> {
    Ok(StateRef { state: StateId(items.value()?), block_hash: B256::from(items.fixed()?) })
}
