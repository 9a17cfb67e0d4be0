//! Senders from signatures, one by one or for a batch on many threads.

use alloy_consensus::{EthereumTxEnvelope, TxEip4844};
use alloy_primitives::{Address, B256, Signature, keccak256};
use metis_state_transition::{Block, DecodeError, DecodeProblem, RecoveredTransaction, Subject, decode_transaction};
use rayon::prelude::*;
use secp256k1::{
    Message, SECP256K1,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// The first item of a batch that could not be decoded or recovered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {index}: {error}")]
pub struct BatchError {
    /// Its position.
    pub index: usize,
    /// What is wrong with it.
    pub error: DecodeError,
}

/// The account that signed `hash`, by libsecp256k1; `None` where no key fits.
fn recover(signature: &Signature, hash: B256) -> Option<Address> {
    let id = RecoveryId::try_from(i32::from(signature.v())).ok()?;
    let mut compact = [0u8; 64];
    compact[..32].copy_from_slice(&signature.r().to_be_bytes::<32>());
    compact[32..].copy_from_slice(&signature.s().to_be_bytes::<32>());
    let recoverable = RecoverableSignature::from_compact(&compact, id).ok()?;
    let key = SECP256K1.recover_ecdsa(Message::from_digest(hash.0), &recoverable).ok()?;
    Some(Address::from_slice(&keccak256(&key.serialize_uncompressed()[1..])[12..]))
}

/// The sender of a transaction.
///
/// Whether a large `s` is allowed depends on the fork (EIP-2): the state transition checks it.
///
/// # Errors
/// [`DecodeError`] on the signature.
pub fn recover_sender(envelope: &EthereumTxEnvelope<TxEip4844>) -> Result<Address, DecodeError> {
    let refuse = || DecodeError::new(Subject::Transaction, "s", DecodeProblem::Signature);
    recover(envelope.signature(), envelope.signature_hash()).ok_or_else(refuse)
}

/// Decodes one transaction and recovers its sender.
///
/// # Errors
/// [`DecodeError`] naming the field.
pub fn decode_and_recover(bytes: &[u8]) -> Result<RecoveredTransaction, DecodeError> {
    let envelope = decode_transaction(bytes)?;
    let sender = recover_sender(&envelope)?;
    Ok(RecoveredTransaction { envelope, sender })
}

/// Decodes a batch and recovers its senders on `threads` threads (0 = all cores, never more): one
/// result per item, in order.
pub fn decode_and_recover_batch(items: &[&[u8]], threads: usize) -> Vec<Result<RecoveredTransaction, DecodeError>> {
    on_threads(threads, || items.par_iter().map(|bytes| decode_and_recover(bytes)).collect())
}

/// Recovers the senders of a block's transactions on all cores.
///
/// # Errors
/// [`BatchError`] for the first transaction whose signature is wrong.
pub fn recover_block(block: &Block) -> Result<Vec<RecoveredTransaction>, BatchError> {
    let results = block
        .body
        .transactions
        .par_iter()
        .map(|envelope| {
            recover_sender(envelope).map(|sender| RecoveredTransaction { envelope: envelope.clone(), sender })
        })
        .collect::<Vec<_>>();
    all_or_first_error(results)
}

/// All of a batch, or the error of the first item that is wrong, whatever the threads found first.
///
/// # Errors
/// [`BatchError`].
pub fn all_or_first_error(
    results: Vec<Result<RecoveredTransaction, DecodeError>>,
) -> Result<Vec<RecoveredTransaction>, BatchError> {
    results.into_iter().enumerate().map(|(index, result)| result.map_err(|error| BatchError { index, error })).collect()
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    // More threads than cores would only cost: the work never waits.
    let cores = rayon::current_num_threads();
    if threads == 0 || threads >= cores {
        return work();
    }
    match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(work),
        // No threads to be had: the shared pool does the same work.
        Err(_) => work(),
    }
}
