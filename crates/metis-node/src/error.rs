//! Why a node could not do what it was asked.

use std::convert::Infallible;

use alloy_primitives::B256;
use metis_chain::chain::ChainError;
use metis_db::StoreError;
use metis_executor::{BatchError, ExecuteError};
use metis_state_transition::{DecodeError, TransactionError, TransactionFault};

/// Why a node could not do what it was asked. Its state is then as before.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The chain or its log failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// State that is not kept, or a commit out of order.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The block breaks a rule.
    #[error(transparent)]
    Execute(#[from] ExecuteError<Infallible>),
    /// Bytes are not a transaction.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A signature in a block is wrong.
    #[error(transparent)]
    Signature(#[from] BatchError),
    /// The transaction may not run.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// Running failed for another reason than the transaction's.
    #[error(transparent)]
    Fault(#[from] TransactionFault<Infallible>),
    /// A block's parent is not known.
    #[error("parent {0} is not known")]
    UnknownParent(B256),
    /// The data directory can not be used.
    #[error("data directory: {0}")]
    Directory(std::io::ErrorKind),
    /// No block has this number or hash.
    #[error("block is not known")]
    UnknownBlock,
}
