//! JSON values in the one form that clients write, and values as JSON.

use std::io::Write;

use alloy_primitives::{Address, B256, U256, hex};
use serde_json::value::RawValue;

use crate::BlockId;

/// Which block a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    Latest,
    Pending,
    Block(BlockId),
}

/// Text of a string (the message has no escapes).
pub(super) fn string(value: &RawValue) -> Option<&str> {
    value.get().strip_prefix('"')?.strip_suffix('"')
}

pub(super) fn boolean(value: &RawValue) -> Option<bool> {
    match value.get() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// Bytes of exactly `N`.
pub(super) fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(bytes)
}

pub(super) fn address(value: &RawValue) -> Option<Address> {
    fixed(string(value)?).map(Address::from)
}

pub(super) fn hash(value: &RawValue) -> Option<B256> {
    fixed(string(value)?).map(B256::from)
}

/// Bytes of any length.
pub(super) fn data(text: &str) -> Option<Vec<u8>> {
    hex::decode(text.strip_prefix("0x")?).ok()
}

/// A quantity without leading zeros.
pub(super) fn quantity(text: &str) -> Option<U256> {
    let digits = text.strip_prefix("0x")?;
    let is_plain = !digits.is_empty()
        && digits.len() <= 64
        && (digits == "0" || !digits.starts_with('0'))
        && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_plain { U256::from_str_radix(digits, 16).ok() } else { None }
}

/// A height, "latest", "pending", or a hash.
pub(super) fn block(value: Option<&&RawValue>) -> Option<At> {
    let Some(value) = value else { return Some(At::Latest) };
    match string(value)? {
        "latest" => Some(At::Latest),
        "pending" => Some(At::Pending),
        text if text.len() == 66 => Some(At::Block(BlockId::Hash(fixed(text)?.into()))),
        text => Some(At::Block(BlockId::Number(quantity(text)?.try_into().ok()?))),
    }
}

/// Writes a quantity.
pub(super) fn write_quantity(json: &mut Vec<u8>, value: impl core::fmt::LowerHex) {
    // UNWRAP: writing to memory does not fail.
    write!(json, "\"0x{value:x}\"").unwrap();
}

/// Writes bytes.
pub(super) fn write_data(json: &mut Vec<u8>, bytes: &[u8]) {
    json.extend_from_slice(b"\"0x");
    let begin = json.len();
    json.resize(begin + bytes.len() * 2, 0);
    // UNWRAP: there is room for exactly these digits.
    hex::encode_to_slice(bytes, &mut json[begin..]).unwrap();
    json.push(b'"');
}
