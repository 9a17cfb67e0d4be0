//! Why a transaction is not taken.

use alloy_primitives::{B256, U256};
use metis_state_transition::TransactionError;

/// Why a transaction is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the message of each variant says what it means
pub enum Rejection {
    /// It could not be in a block as it is: intrinsic gas, nonce too low, funds, blobs, …
    #[error(transparent)]
    Invalid(#[from] Box<TransactionError>),
    #[error("transaction {hash} is already known")]
    AlreadyKnown { hash: B256 },
    #[error("transaction of {size_bytes} bytes is above the limit of {max}")]
    TooLarge { size_bytes: usize, max: usize },
    #[error("fee cap {max_fee} is below the least that is accepted, {min} (wei per gas)")]
    Underpriced { max_fee: u128, min: u128 },
    #[error("priority fee cap {max_priority_fee} is below the least that is accepted, {min} (wei per gas)")]
    TipUnderpriced { max_priority_fee: u128, min: u128 },
    #[error(
        "replacement must offer a fee cap of {max_fee_min} and a priority fee cap of {max_priority_fee_min} (wei per gas)"
    )]
    ReplacementUnderpriced { replaced: B256, max_fee_min: u128, max_priority_fee_min: u128 },
    #[error("a blob transaction and one without blobs do not replace each other")]
    ReplacementKind { replaced: B256 },
    #[error("nonce {nonce} is more than {max} above the sender's next nonce {expected}")]
    NonceGap { nonce: u64, expected: u64, max: u64 },
    #[error("sender has {balance} wei, all its transactions may cost {required} wei")]
    Overdraft { required: U256, balance: U256 },
    #[error("sender has {max} transactions in the pool already")]
    SenderFull { max: usize },
    #[error("pool is full, and all that is in it is worth more")]
    PoolFull,
}

impl From<TransactionError> for Rejection {
    fn from(error: TransactionError) -> Self {
        Self::Invalid(Box::new(error))
    }
}

impl Rejection {
    /// Stable name of the reason; those of [`Self::Invalid`] are [`TransactionError::slug`]'s.
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::Invalid(error) => error.slug(),
            Self::AlreadyKnown { .. } => "already-known",
            Self::TooLarge { .. } => "transaction-too-large",
            Self::Underpriced { .. } => "underpriced",
            Self::TipUnderpriced { .. } => "tip-underpriced",
            Self::ReplacementUnderpriced { .. } => "replacement-underpriced",
            Self::ReplacementKind { .. } => "replacement-kind",
            Self::NonceGap { .. } => "nonce-gap",
            Self::Overdraft { .. } => "overdraft",
            Self::SenderFull { .. } => "sender-full",
            Self::PoolFull => "pool-full",
        }
    }

    /// Every slug that is not a [`TransactionError`]'s.
    pub const SLUGS: [&'static str; 10] = [
        "already-known",
        "transaction-too-large",
        "underpriced",
        "tip-underpriced",
        "replacement-underpriced",
        "replacement-kind",
        "nonce-gap",
        "overdraft",
        "sender-full",
        "pool-full",
    ];
}

/// Why a transaction was not added.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddError<E> {
    /// It is not taken.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Its sender's account could not be read.
    #[error("account of the sender: {0}")]
    State(E),
}

impl<E> From<TransactionError> for AddError<E> {
    fn from(error: TransactionError) -> Self {
        Self::Rejected(error.into())
    }
}
