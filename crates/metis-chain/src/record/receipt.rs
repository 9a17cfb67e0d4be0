//! Receipts as bytes, with everything that the committed receipt leaves out.
//!
//! `[type, success, cumulative gas, [[address, [topic, …], data], …], state root or empty,
//! gas used, effective gas price, blob gas used, contract address or empty, failure or empty,
//! output]`. The bloom filter follows from the logs and is not stored.

use std::collections::BTreeSet;

use alloy_consensus::{EthereumReceipt, TxType};
use alloy_primitives::{Address, B256, Bytes, Log, logs_bloom};
use alloy_rlp::Encodable;
use metis_state_transition::ReceiptDetails;
use parking_lot::Mutex;

use super::{
    RecordError,
    wire::{Items, put_bytes, put_list, put_optional},
};

/// A longer name of a failure is not one.
const FAILURE_BYTES_MAX: usize = 64;
/// The engine has about twenty names.
const FAILURE_NAMES_MAX: usize = 1024;

pub(super) fn put_receipts(out: &mut Vec<u8>, receipts: &[ReceiptDetails]) {
    put_list(out, |out| {
        for details in receipts {
            put_list(out, |out| put_receipt(out, details));
        }
    });
}

fn put_receipt(out: &mut Vec<u8>, details: &ReceiptDetails) {
    u8::from(details.receipt.tx_type).encode(out);
    details.receipt.success.encode(out);
    details.receipt.cumulative_gas_used.encode(out);
    put_list(out, |out| {
        for log in &details.receipt.logs {
            log.encode(out);
        }
    });
    put_optional(out, details.state_root);
    details.gas_used.encode(out);
    details.effective_gas_price.encode(out);
    details.blob_gas_used.encode(out);
    put_optional(out, details.contract_address);
    put_bytes(out, details.failure.unwrap_or_default().as_bytes());
    put_bytes(out, &details.output);
}

pub(super) fn read_receipts(mut items: Items<'_>) -> Result<Vec<ReceiptDetails>, RecordError> {
    let mut receipts = Vec::new();
    while !items.is_empty() {
        receipts.push(read_receipt(items.list()?)?);
    }
    Ok(receipts)
}

fn read_receipt(mut items: Items<'_>) -> Result<ReceiptDetails, RecordError> {
    let kind: u8 = items.value()?;
    let tx_type = TxType::try_from(kind).map_err(|_| RecordError::TransactionType(kind))?;
    let success = items.value()?;
    let cumulative_gas_used = items.value()?;
    let mut logs = Vec::new();
    read_logs(items.list()?, |address, topics, data| {
        logs.push(Log::new_unchecked(address, topics.to_vec(), Bytes::copy_from_slice(data)));
    })?;
    let details = ReceiptDetails {
        bloom: logs_bloom(&logs),
        receipt: EthereumReceipt { tx_type, success, cumulative_gas_used, logs },
        state_root: items.optional()?.map(B256::from),
        gas_used: items.value()?,
        effective_gas_price: items.value()?,
        blob_gas_used: items.value()?,
        contract_address: items.optional()?.map(Address::from),
        failure: failure_name(items.bytes()?)?,
        output: Bytes::copy_from_slice(items.bytes()?),
    };
    items.end()?;
    Ok(details)
}

/// Shows the logs of every receipt, without making receipts of them: position of the transaction,
/// address, topics, data.
pub(super) fn visit_logs(
    mut receipts: Items<'_>,
    visit: &mut impl FnMut(usize, Address, &[B256], &[u8]),
) -> Result<(), RecordError> {
    let mut transaction_index = 0;
    while !receipts.is_empty() {
        let mut receipt = receipts.list()?;
        for _ in 0..3 {
            receipt.raw()?;
        }
        read_logs(receipt.list()?, |address, topics, data| visit(transaction_index, address, topics, data))?;
        transaction_index += 1;
    }
    Ok(())
}

fn read_logs(mut logs: Items<'_>, mut visit: impl FnMut(Address, &[B256], &[u8])) -> Result<(), RecordError> {
    while !logs.is_empty() {
        let mut log = logs.list()?;
        let address = Address::from(log.fixed()?);
        let mut topics = log.list()?;
        let data = log.bytes()?;
        log.end()?;
        // BOUND: four topics, by the opcodes LOG0 to LOG4.
        let mut words = [B256::ZERO; 4];
        let mut count = 0;
        while !topics.is_empty() {
            *words.get_mut(count).ok_or(RecordError::TopicCount)? = B256::from(topics.fixed()?);
            count += 1;
        }
        visit(address, &words[..count], data);
    }
    Ok(())
}

/// The name of a failure, as the engine's receipts hold it: alive for ever.
// BOUND: FAILURE_NAMES_MAX names of FAILURE_BYTES_MAX bytes are ever leaked.
fn failure_name(bytes: &[u8]) -> Result<Option<&'static str>, RecordError> {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    if bytes.is_empty() {
        return Ok(None);
    }
    let name = std::str::from_utf8(bytes).map_err(|_| RecordError::FailureName)?;
    let mut names = NAMES.lock();
    if let Some(known) = names.get(name) {
        return Ok(Some(known));
    }
    if name.len() > FAILURE_BYTES_MAX || names.len() >= FAILURE_NAMES_MAX {
        return Err(RecordError::FailureName);
    }
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    Ok(Some(name))
}
