//! Blocks, transactions, receipts and logs as Ethereum's JSON-RPC writes them.
//!
//! Source: the execution API specification; go-ethereum's answers where it leaves a choice.

use alloy_consensus::{
    EthereumTxEnvelope, Header, Sealed, Transaction as _, TxEip4844,
    transaction::{Recovered, TransactionInfo},
};
use alloy_eips::{Encodable2718, eip7840::BlobParams};
use alloy_primitives::{Address, B256, U64, U256};
use alloy_rlp::Encodable;
use alloy_rpc_types_eth as rpc;
use metis_chain::logs::MatchedLog;
use metis_db::AccountProof;
use metis_state_transition::{Block, Inferred, ReceiptDetails};
use metis_vm::IndexedLog;
use serde::Serialize;

/// Where a transaction stands.
#[derive(Clone, Copy, Debug)]
pub struct Position<'a> {
    /// Header of its block.
    pub header: &'a Header,
    /// Hash of its block.
    pub block_hash: B256,
    /// Its position in the block.
    pub index: usize,
}

type Envelope = EthereumTxEnvelope<TxEip4844>;

/// Encodes a value. Everything here serialises: maps have string keys.
pub fn encode(value: &impl Serialize) -> Vec<u8> {
    // UNWRAP: no map has keys other than strings, and writing to memory does not fail.
    serde_json::to_vec(value).unwrap()
}

fn transaction(envelope: &Envelope, sender: Address, position: Option<Position<'_>>) -> rpc::Transaction<Envelope> {
    let info = position.map_or_else(TransactionInfo::default, |position| TransactionInfo {
        hash: Some(*envelope.tx_hash()),
        index: Some(position.index as u64),
        block_hash: Some(position.block_hash),
        block_number: Some(position.header.number),
        base_fee: position.header.base_fee_per_gas,
        block_timestamp: Some(position.header.timestamp),
    });
    rpc::Transaction::from_transaction(Recovered::new_unchecked(envelope.clone(), sender), info)
}

/// A transaction that waits in the mempool, as a JSON value.
pub fn waiting_transaction(envelope: &Envelope, sender: Address) -> serde_json::Value {
    // UNWRAP: as in `encode`.
    let mut value = serde_json::to_value(transaction(envelope, sender, None)).unwrap();
    // alloy leaves this one out where there is none; go-ethereum writes null, as for the others.
    value["blockTimestamp"] = serde_json::Value::Null;
    value
}

/// A mined transaction.
pub fn transaction_json(envelope: &Envelope, sender: Address, position: Position<'_>) -> Vec<u8> {
    encode(&transaction(envelope, sender, Some(position)))
}

fn header(header: &Header, hash: B256, total_difficulty: Option<U256>, size: Option<usize>) -> rpc::Header {
    let sealed = Sealed::new_unchecked(header.clone(), hash);
    rpc::Header::from_consensus(sealed, total_difficulty, size.map(U256::from))
}

/// A header as `newHeads` sends it.
pub fn header_json(block: &Block, hash: B256) -> Vec<u8> {
    encode(&header(&block.header, hash, None, None))
}

/// A block with transaction hashes.
pub fn block_json(block: &Block, hash: B256, total_difficulty: Option<U256>) -> Vec<u8> {
    let hashes = block.body.transactions.iter().map(|envelope| *envelope.tx_hash()).collect();
    encode(&rpc_block(
        block,
        hash,
        total_difficulty,
        rpc::BlockTransactions::<rpc::Transaction<Envelope>>::Hashes(hashes),
    ))
}

/// A block with whole transactions; `senders` are theirs, in order.
pub fn full_block_json(block: &Block, hash: B256, total_difficulty: Option<U256>, senders: &[Address]) -> Vec<u8> {
    let transactions = block.body.transactions.iter().zip(senders).enumerate().map(|(index, (envelope, sender))| {
        transaction(envelope, *sender, Some(Position { header: &block.header, block_hash: hash, index }))
    });
    encode(&rpc_block(block, hash, total_difficulty, rpc::BlockTransactions::Full(transactions.collect())))
}

fn rpc_block<T>(
    block: &Block,
    hash: B256,
    total_difficulty: Option<U256>,
    transactions: rpc::BlockTransactions<T>,
) -> rpc::Block<T> {
    rpc::Block {
        header: header(&block.header, hash, total_difficulty, Some(block.length())),
        uncles: block.body.ommers.iter().map(Header::hash_slow).collect(),
        transactions,
        withdrawals: block.body.withdrawals.clone(),
    }
}

/// A receipt, with what its inferences took where there were any.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Receipt {
    /// As Ethereum's.
    Ethereum(rpc::TransactionReceipt),
    /// With two fields more, which docs/inference.md names.
    #[serde(rename_all = "camelCase")]
    Inference {
        #[serde(flatten)]
        ethereum: rpc::TransactionReceipt,
        /// MACs of the inferences that were not reverted.
        compute_units: U64,
        /// Wei paid for them, beside the gas.
        inference_fee: U256,
    },
}

impl From<rpc::TransactionReceipt> for Receipt {
    fn from(ethereum: rpc::TransactionReceipt) -> Self {
        let inferences = ethereum.inner.logs().iter().filter_map(|log| Inferred::of(&log.inner));
        // BOUND: limits on the MACs of a transaction, and the supply of native token.
        let sums = inferences.fold(None, |sums: Option<(u64, U256)>, one| {
            let (macs, fee) = sums.unwrap_or_default();
            Some((macs.saturating_add(one.macs), fee.saturating_add(one.price_wei)))
        });
        match sums {
            None => Self::Ethereum(ethereum),
            Some((macs, inference_fee)) => Self::Inference { ethereum, compute_units: U64::from(macs), inference_fee },
        }
    }
}

/// A receipt; `first_log_index` counts the block's logs before it.
pub fn receipt(
    details: &ReceiptDetails,
    envelope: &Envelope,
    sender: Address,
    position: Position<'_>,
    first_log_index: usize,
    blob: Option<BlobParams>,
) -> Receipt {
    let hash = *envelope.tx_hash();
    let mut log_indices = (first_log_index as u64)..;
    let inner = details.envelope().map_logs(|log| rpc::Log {
        inner: log,
        block_hash: Some(position.block_hash),
        block_number: Some(position.header.number),
        block_timestamp: Some(position.header.timestamp),
        transaction_hash: Some(hash),
        transaction_index: Some(position.index as u64),
        log_index: log_indices.next(),
        removed: false,
    });
    let has_blobs = details.blob_gas_used > 0;
    let blob_gas_price = blob
        .zip(position.header.excess_blob_gas)
        .map(|(params, excess)| params.calc_blob_fee(excess))
        .filter(|_| has_blobs);
    rpc::TransactionReceipt {
        inner,
        transaction_hash: hash,
        transaction_index: Some(position.index as u64),
        block_hash: Some(position.block_hash),
        block_number: Some(position.header.number),
        gas_used: details.gas_used,
        effective_gas_price: details.effective_gas_price,
        blob_gas_used: has_blobs.then_some(details.blob_gas_used),
        blob_gas_price,
        from: sender,
        to: envelope.to(),
        contract_address: details.contract_address,
    }
    .into()
}

/// Committed encodings of a block's receipts (EIP-2718), for `debug_getRawReceipts`.
pub fn raw_receipts(receipts: &[ReceiptDetails]) -> Vec<Vec<u8>> {
    receipts.iter().map(|details| details.envelope().encoded_2718()).collect()
}

/// `eth_getProof`'s answer.
pub fn proof_json(proof: &AccountProof) -> Vec<u8> {
    let (account, storage_root) = proof.account.unwrap_or((Default::default(), alloy_consensus::EMPTY_ROOT_HASH));
    encode(&rpc::EIP1186AccountProofResponse {
        address: proof.address,
        balance: account.balance,
        code_hash: account.code_hash,
        nonce: account.nonce,
        storage_hash: storage_root,
        account_proof: proof.proof.clone(),
        storage_proof: proof
            .storage
            .iter()
            .map(|entry| rpc::EIP1186StorageProof {
                key: B256::from(entry.slot).into(),
                value: entry.value,
                proof: entry.proof.clone(),
            })
            .collect(),
    })
}

/// Logs of one transaction whose indexes in the block are known, as JSON.
pub fn indexed_logs_json(logs: Vec<IndexedLog>, transaction_hash: B256, position: Position<'_>) -> Vec<u8> {
    let shown = |(index, inner): IndexedLog| rpc::Log {
        inner,
        block_hash: Some(position.block_hash),
        block_number: Some(position.header.number),
        block_timestamp: Some(position.header.timestamp),
        transaction_hash: Some(transaction_hash),
        transaction_index: Some(position.index as u64),
        log_index: Some(index),
        removed: false,
    };
    encode(&logs.into_iter().map(shown).collect::<Vec<_>>())
}

/// Logs of a query as JSON.
pub fn logs_json(logs: &[MatchedLog]) -> Vec<u8> {
    let logs: Vec<rpc::Log> = logs
        .iter()
        .map(|found| rpc::Log {
            inner: found.log.clone(),
            block_hash: Some(found.block.hash),
            block_number: Some(found.block.number),
            block_timestamp: Some(found.block.timestamp),
            transaction_hash: Some(found.transaction_hash),
            transaction_index: Some(u64::from(found.transaction_index)),
            log_index: Some(u64::from(found.log_index)),
            removed: false,
        })
        .collect();
    encode(&logs)
}
