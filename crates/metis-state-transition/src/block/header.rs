//! Rules that a header must keep towards its parent, and the roots it commits to.

use alloc::{
    format,
    string::{String, ToString},
};
use core::fmt::Display;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Eip2718EncodableReceipt, Header};
use alloy_eips::{eip2718::Encodable2718, eip7685::EMPTY_REQUESTS_HASH};
use alloy_primitives::{B64, B256, U256};
use alloy_trie::root::ordered_trie_root_with_encoder;

use super::{BlockError, ReceiptDetails};
use crate::{ChainSpec, Fork, InOrder, Join};

/// Yellow Paper (46): the gas limit moves by less than 1/1024 a block.
const GAS_LIMIT_BOUND_DIVISOR: u64 = 1024;
/// Yellow Paper (47).
const GAS_LIMIT_MIN: u64 = 5000;
/// EIP-1985: block gas limits fit a signed 64-bit integer.
const GAS_LIMIT_MAX: u64 = i64::MAX as u64;
/// Yellow Paper §4.4.3.
const EXTRA_DATA_SIZE_BYTES_MAX: usize = 32;
/// Roots of blocks with fewer transactions are computed sooner than another thread is woken.
const JOINED_TRANSACTION_COUNT_MIN: usize = 64;
/// EIP-7934: 10 MiB less 2 MiB for the beacon block around it.
pub(super) const BLOCK_SIZE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Block 0: `header` as the genesis document gives it, with the fields its fork adds.
pub fn genesis_header(spec: &ChainSpec, mut header: Header) -> Header {
    let fork = spec.fork_at(header.number, header.timestamp);
    header.ommers_hash = EMPTY_OMMER_ROOT_HASH;
    header.transactions_root = EMPTY_ROOT_HASH;
    header.receipts_root = EMPTY_ROOT_HASH;
    // A document may name fields that its fork does not have yet: they are left out.
    header.base_fee_per_gas =
        (fork >= Fork::London).then_some(header.base_fee_per_gas.unwrap_or(spec.initial_base_fee_per_gas));
    if fork >= Fork::Shanghai {
        header.withdrawals_root = Some(EMPTY_ROOT_HASH);
    }
    let since_cancun = fork >= Fork::Cancun;
    header.blob_gas_used = since_cancun.then_some(header.blob_gas_used.unwrap_or(0));
    header.excess_blob_gas = since_cancun.then_some(header.excess_blob_gas.unwrap_or(0));
    header.parent_beacon_block_root = since_cancun.then_some(header.parent_beacon_block_root.unwrap_or_default());
    if fork >= Fork::Prague {
        header.requests_hash = Some(EMPTY_REQUESTS_HASH);
    }
    header
}

/// A rule that compares two values.
pub(super) fn require<E: core::error::Error, T: PartialEq + Display>(
    field: &'static str,
    rule: &'static str,
    expected: &T,
    actual: &T,
) -> Result<(), BlockError<E>> {
    if expected == actual {
        return Ok(());
    }
    Err(BlockError::Field { field, rule, expected: expected.to_string(), actual: actual.to_string() })
}

fn refuse<E: core::error::Error, T>(
    field: &'static str,
    rule: &'static str,
    expected: String,
    actual: impl Display,
) -> Result<T, BlockError<E>> {
    Err(BlockError::Field { field, rule, expected, actual: actual.to_string() })
}

/// Checks what can be checked before the block is executed (Yellow Paper §4.4.4 and the EIPs).
///
/// Proof-of-work seals and difficulties are not checked: chains with such blocks are imported from
/// a trusted source only.
pub(super) fn validate_header<E: core::error::Error>(
    spec: &ChainSpec,
    parent_hash: B256,
    parent: &Header,
    header: &Header,
) -> Result<(), BlockError<E>> {
    require("parent_hash", "hash of the parent block", &parent_hash, &header.parent_hash)?;
    require("number", "one more than the parent's", &(parent.number + 1), &header.number)?;
    let fork = spec.fork_at(header.number, header.timestamp);
    validate_choices(spec, parent, header, fork, false)?;
    if header.gas_used > header.gas_limit {
        return refuse("gas_used", "at most the gas limit", format!("<= {}", header.gas_limit), header.gas_used);
    }
    if fork >= Fork::Paris {
        require("difficulty", "zero from Paris on (EIP-3675)", &U256::ZERO, &header.difficulty)?;
        require("nonce", "zero from Paris on (EIP-3675)", &B64::ZERO, &header.nonce)?;
        require("ommers_hash", "no ommers from Paris on (EIP-3675)", &EMPTY_OMMER_ROOT_HASH, &header.ommers_hash)?;
    }
    let base_fee = spec.next_base_fee(parent, header.timestamp);
    require_option("base_fee_per_gas_wei", "EIP-1559", base_fee, header.base_fee_per_gas)?;
    let excess = spec.next_excess_blob_gas(parent, header.timestamp);
    require_option("excess_blob_gas", "EIP-4844", excess, header.excess_blob_gas)?;
    let since = |first: Fork| fork >= first;
    require_presence("withdrawals_root", since(Fork::Shanghai), header.withdrawals_root.is_some())?;
    require_presence("blob_gas_used", since(Fork::Cancun), header.blob_gas_used.is_some())?;
    require_presence("parent_beacon_block_root", since(Fork::Cancun), header.parent_beacon_block_root.is_some())?;
    require_presence("requests_hash", since(Fork::Prague), header.requests_hash.is_some())?;
    require_presence("block_access_list_hash", false, header.block_access_list_hash.is_some())?;
    require_presence("slot_number", false, header.slot_number.is_some())
}

/// Checks what a builder chooses: timestamp, gas limit, extra data.
pub(super) fn validate_choices<E: core::error::Error>(
    spec: &ChainSpec,
    parent: &Header,
    header: &Header,
    fork: Fork,
    is_any_gas_limit: bool,
) -> Result<(), BlockError<E>> {
    if header.timestamp <= parent.timestamp {
        return refuse("timestamp_s", "above the parent's", format!("> {}", parent.timestamp), header.timestamp);
    }
    if header.extra_data.len() > EXTRA_DATA_SIZE_BYTES_MAX {
        return refuse("extra_data", "at most 32 bytes", "<= 32".into(), header.extra_data.len());
    }
    if is_any_gas_limit && (GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&header.gas_limit) {
        return Ok(());
    }
    validate_gas_limit(spec, parent, header, fork)
}

/// The gas limit rule of Yellow Paper (45)–(47), with the doubling at London (EIP-1559).
fn validate_gas_limit<E: core::error::Error>(
    spec: &ChainSpec,
    parent: &Header,
    header: &Header,
    fork: Fork,
) -> Result<(), BlockError<E>> {
    let is_first_with_base_fee = fork >= Fork::London && parent.base_fee_per_gas.is_none();
    let elasticity = if is_first_with_base_fee { spec.base_fee.elasticity_multiplier as u64 } else { 1 };
    let parent_limit = parent.gas_limit.saturating_mul(elasticity);
    let bound = parent_limit / GAS_LIMIT_BOUND_DIVISOR;
    let (low, high) = (parent_limit.saturating_sub(bound), parent_limit.saturating_add(bound));
    let limit = header.gas_limit;
    let in_bounds = limit > low && limit < high;
    // A parent at the limit may be kept as it is even where 1/1024 of it is nothing.
    if !(in_bounds || limit == parent_limit) || !(GAS_LIMIT_MIN..=GAS_LIMIT_MAX).contains(&limit) {
        return refuse("gas_limit", "within 1/1024 of the parent's, at least 5000", format!("{low} to {high}"), limit);
    }
    Ok(())
}

fn require_option<E: core::error::Error>(
    field: &'static str,
    rule: &'static str,
    expected: Option<u64>,
    actual: Option<u64>,
) -> Result<(), BlockError<E>> {
    if expected == actual {
        return Ok(());
    }
    let text = |value: Option<u64>| value.map_or_else(|| "absent".into(), |value| value.to_string());
    Err(BlockError::Field { field, rule, expected: text(expected), actual: text(actual) })
}

fn require_presence<E: core::error::Error>(
    field: &'static str,
    expected: bool,
    actual: bool,
) -> Result<(), BlockError<E>> {
    let text = |present: bool| if present { "present" } else { "absent" }.into();
    if expected == actual {
        return Ok(());
    }
    Err(BlockError::Field {
        field,
        rule: "present exactly from the fork on that adds it",
        expected: text(expected),
        actual: text(actual),
    })
}

/// Root of the receipts trie; receipts before Byzantium carry a state root instead of a status.
pub fn receipts_root(receipts: &[ReceiptDetails]) -> B256 {
    ordered_trie_root_with_encoder(receipts, |details, out| match details.state_root {
        // Nothing has to be copied to be encoded.
        None => details.receipt.eip2718_encode_with_bloom(&details.bloom, out),
        Some(_) => details.envelope().encode_2718(out),
    })
}

/// Roots of the body and of the state, at the same time where the block is large enough.
pub(super) fn join_roots<A: Send, B>(
    join: &impl Join,
    transaction_count: usize,
    of_body: impl FnOnce() -> A + Send,
    of_state: impl FnOnce() -> B,
) -> (A, B) {
    if transaction_count < JOINED_TRANSACTION_COUNT_MIN {
        InOrder.join(of_body, of_state)
    } else {
        join.join(of_body, of_state)
    }
}
