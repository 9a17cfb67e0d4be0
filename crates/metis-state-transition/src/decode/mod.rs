//! Bytes from outside become transactions, headers and blocks, or an error that names the field.
//!
//! The happy path is alloy's decoder. Only when it refuses are the bytes walked again, field by
//! field, to say which one is wrong (`diagnose`).

mod diagnose;

use alloc::{borrow::Cow, format};

use alloy_consensus::{EthereumTxEnvelope, Header, TxEip4844};
use alloy_eips::eip2718::{Decodable2718, Eip2718Error};
use alloy_rlp::Decodable;

/// A block with transactions as they stand in blocks (blob transactions without sidecar).
pub type Block = alloy_consensus::Block<EthereumTxEnvelope<TxEip4844>>;

/// What was being read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the documentation
pub enum Subject {
    Transaction,
    Header,
    Block,
}

impl Subject {
    /// Lower-case name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Header => "header",
            Self::Block => "block",
        }
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the message of each variant says what it means
pub enum DecodeProblem {
    #[error("nothing there")]
    Empty,
    #[error("{0}")]
    Rlp(alloy_rlp::Error),
    #[error("missing")]
    Missing,
    #[error("one field too many")]
    Unexpected,
    #[error("{got} bytes, must be {expected}")]
    Length { expected: usize, got: usize },
    #[error("{got} bytes, at most {max}")]
    TooLong { max: usize, got: usize },
    #[error("leading zero byte in an integer")]
    LeadingZero,
    #[error("a list, must be a byte string")]
    UnexpectedList,
    #[error("a byte string, must be a list")]
    ExpectedList,
    #[error("{0} bytes after the end")]
    TrailingBytes(usize),
    #[error("transaction type {0} is not known")]
    UnknownType(u8),
    #[error("must be 0 or 1")]
    Parity,
    #[error("no public key fits this signature")]
    Signature,
    #[error("{0}")]
    Other(&'static str),
}

/// Bytes that are not what they should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: field {field}: {problem}", subject.name())]
pub struct DecodeError {
    /// What was being read.
    pub subject: Subject,
    /// The first wrong field, or "payload" when the outer structure is broken.
    pub field: Cow<'static, str>,
    /// What is wrong with it.
    pub problem: DecodeProblem,
}

impl DecodeError {
    /// An error about one field.
    pub fn new(subject: Subject, field: impl Into<Cow<'static, str>>, problem: DecodeProblem) -> Self {
        Self { subject, field: field.into(), problem }
    }
}

/// Decodes a transaction in its EIP-2718 encoding (legacy: the bare list).
///
/// # Errors
/// [`DecodeError`] naming the field.
pub fn decode_transaction(bytes: &[u8]) -> Result<EthereumTxEnvelope<TxEip4844>, DecodeError> {
    let mut rest = bytes;
    match EthereumTxEnvelope::<TxEip4844>::decode_2718(&mut rest) {
        Ok(envelope) if rest.is_empty() => Ok(envelope),
        Ok(_) => Err(DecodeError::new(Subject::Transaction, "payload", DecodeProblem::TrailingBytes(rest.len()))),
        Err(error) => Err(diagnose::transaction(bytes).unwrap_or_else(|| {
            DecodeError::new(
                Subject::Transaction,
                "payload",
                match error {
                    Eip2718Error::RlpError(error) => DecodeProblem::Rlp(error),
                    Eip2718Error::UnexpectedType(kind) => DecodeProblem::UnknownType(kind),
                    _ => DecodeProblem::Other("not a transaction"),
                },
            )
        })),
    }
}

/// Decodes a header.
///
/// # Errors
/// [`DecodeError`] naming the field.
pub fn decode_header(bytes: &[u8]) -> Result<Header, DecodeError> {
    let mut rest = bytes;
    match Header::decode(&mut rest) {
        Ok(header) if rest.is_empty() => Ok(header),
        Ok(_) => Err(DecodeError::new(Subject::Header, "payload", DecodeProblem::TrailingBytes(rest.len()))),
        Err(error) => Err(diagnose::header(bytes)
            .unwrap_or_else(|| DecodeError::new(Subject::Header, "payload", DecodeProblem::Rlp(error)))),
    }
}

/// Decodes a block: header, transactions, ommers, and withdrawals where its fork has them.
///
/// # Errors
/// [`DecodeError`] naming the field, with its position for transactions, ommers and withdrawals.
pub fn decode_block(bytes: &[u8]) -> Result<Block, DecodeError> {
    let mut rest = bytes;
    match Block::decode(&mut rest) {
        // alloy does not compare the length around a typed transaction with what is in it. Bytes that
        // another client refuses must be refused here: a block has one encoding.
        Ok(block) if rest.is_empty() && alloy_rlp::encode(&block) != bytes => {
            Err(DecodeError::new(Subject::Block, "transactions", DecodeProblem::Other("not the canonical encoding")))
        }
        Ok(block) if rest.is_empty() => Ok(block),
        Ok(_) => Err(DecodeError::new(Subject::Block, "payload", DecodeProblem::TrailingBytes(rest.len()))),
        Err(error) => Err(diagnose::block(bytes)
            .unwrap_or_else(|| DecodeError::new(Subject::Block, "payload", DecodeProblem::Rlp(error)))),
    }
}

/// The same error, seen from the list that the item stands in.
fn within(error: DecodeError, subject: Subject, list: &str, index: usize) -> DecodeError {
    DecodeError::new(subject, format!("{list}[{index}].{}", error.field), error.problem)
}
