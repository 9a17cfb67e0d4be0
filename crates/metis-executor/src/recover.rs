//! Senders from signatures, one by one or for a batch on many threads.

use alloy_consensus::{EthereumTxEnvelope, TxEip4844};
use alloy_primitives::{Address, Signature, keccak256};
use metis_secp256k1::{PublicKey, Signed, recover, recover_each};
use metis_state_transition::{Block, DecodeError, DecodeProblem, RecoveredTransaction, Subject, decode_transaction};
use rayon::prelude::*;

/// The first item of a batch that could not be decoded or recovered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("transaction {index}: {error}")]
pub struct BatchError {
    /// Its position.
    pub index: usize,
    /// What is wrong with it.
    pub error: DecodeError,
}

type Envelope = EthereumTxEnvelope<TxEip4844>;

/// Fewest transactions that are worth a thread: what one group of lanes recovers together.
const CHUNK_SIZE_MIN: usize = 8;

/// What a transaction's sender signed.
fn signed(envelope: &Envelope) -> Signed {
    let signature: &Signature = envelope.signature();
    Signed {
        digest: envelope.signature_hash().0,
        r: signature.r().to_be_bytes(),
        s: signature.s().to_be_bytes(),
        is_y_odd: signature.v(),
    }
}

/// The sender of a transaction that `key` signed.
fn sender(key: Option<PublicKey>) -> Result<Address, DecodeError> {
    let key = key.ok_or_else(|| DecodeError::new(Subject::Transaction, "s", DecodeProblem::Signature))?;
    Ok(Address::from_slice(&keccak256(key)[12..]))
}

/// The sender of a transaction.
///
/// Whether a large `s` is allowed depends on the fork (EIP-2): the state transition checks it.
///
/// # Errors
/// [`DecodeError`] on the signature.
pub fn recover_sender(envelope: &Envelope) -> Result<Address, DecodeError> {
    sender(recover(&signed(envelope)))
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
    on_threads(threads, || {
        let chunks = items.par_chunks(chunk_size(items.len()));
        chunks
            .flat_map_iter(|items| recover_chunk(items.iter().map(|bytes| decode_transaction(bytes)).collect()))
            .collect()
    })
}

/// Recovers the senders of a block's transactions on all cores.
///
/// # Errors
/// [`BatchError`] for the first transaction whose signature is wrong.
pub fn recover_block(block: &Block) -> Result<Vec<RecoveredTransaction>, BatchError> {
    let transactions = &block.body.transactions;
    let chunks = transactions.par_chunks(chunk_size(transactions.len()));
    all_or_first_error(chunks.flat_map_iter(|chunk| recover_chunk(chunk.iter().cloned().map(Ok).collect())).collect())
}

/// How many transactions a thread takes at a time: whole groups of lanes, a few for each thread.
fn chunk_size(count: usize) -> usize {
    let share = count.div_ceil(rayon::current_num_threads());
    share.next_multiple_of(CHUNK_SIZE_MIN).clamp(CHUNK_SIZE_MIN, 16 * CHUNK_SIZE_MIN)
}

/// The senders of transactions, as far as they could be decoded, on this thread.
fn recover_chunk(decoded: Vec<Result<Envelope, DecodeError>>) -> Vec<Result<RecoveredTransaction, DecodeError>> {
    let signed: Vec<Signed> = decoded.iter().flatten().map(signed).collect();
    let mut keys = recover_each(&signed).into_iter();
    let mut with_sender = |envelope: Envelope| {
        let sender = sender(keys.next().flatten())?;
        Ok(RecoveredTransaction { envelope, sender })
    };
    decoded.into_iter().map(|envelope| with_sender(envelope?)).collect()
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
