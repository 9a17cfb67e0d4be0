//! What an entry of a history file says: a key had a value until a version.
//!
//! | kind | key | value |
//! |---|---|---|
//! | 0 account | address 20 | nothing where there is none, else nonce, storage id, slot count (varints), 1 byte: bytes of the balance + 128 where a code hash follows, balance, code hash 32 |
//! | 1 slot | storage id 4, slot 32 | value |
//! | 2 owner | storage id 4 | address 20: whose storage it is |
//!
//! Keys and numbers of 256 bits are big-endian, the latter without leading zeros: sorted as bytes are sorted as numbers.
//! A varint is LEB128.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use metis_state_transition::Account;

use crate::{flat::AccountRecord, metis::encoding::In};

const KEY_BYTES: usize = 37;
const ACCOUNT: u8 = 0;
const SLOT: u8 = 1;
const OWNER: u8 = 2;
/// In the byte with the balance's length: a code hash follows.
const HAS_CODE: u8 = 0x80;

/// Names what has a value; the first byte is its kind, zeros fill it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key([u8; KEY_BYTES]);

/// What a key is the key of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Account(Address),
    Slot(u32, U256),
    Owner(u32),
}

impl Key {
    fn new(kind: u8, parts: [&[u8]; 2]) -> Self {
        let mut bytes = [0; KEY_BYTES];
        bytes[0] = kind;
        let (first, rest) = bytes[1..].split_at_mut(parts[0].len());
        first.copy_from_slice(parts[0]);
        rest[..parts[1].len()].copy_from_slice(parts[1]);
        Self(bytes)
    }

    pub(super) fn account(address: &Address) -> Self {
        Self::new(ACCOUNT, [&address[..], &[]])
    }

    pub(super) fn slot((storage_id, slot): &(u32, U256)) -> Self {
        Self::new(SLOT, [&storage_id.to_be_bytes(), &slot.to_be_bytes::<32>()])
    }

    pub(super) fn owner(storage_id: u32) -> Self {
        Self::new(OWNER, [&storage_id.to_be_bytes(), &[]])
    }

    pub(super) const fn kind(&self) -> u8 {
        self.0[0]
    }

    /// Bytes that a key of a kind takes.
    pub(super) const fn len_bytes(kind: u8) -> Option<usize> {
        match kind {
            ACCOUNT => Some(20),
            SLOT => Some(36),
            OWNER => Some(4),
            _ => None,
        }
    }

    /// The bytes that are stored, without the kind.
    pub(super) fn stored(&self) -> &[u8] {
        // UNWRAP: made with one of these kinds.
        &self.0[1..=Self::len_bytes(self.kind()).unwrap()]
    }

    /// Reads what [`Self::stored`] gave.
    pub(super) fn read(kind: u8, input: &mut In<'_>) -> Option<Self> {
        let stored = input.bytes(Self::len_bytes(kind)?)?;
        Some(Self::new(kind, [stored, &[]]))
    }

    pub(super) fn subject(&self) -> Subject {
        let id = |bytes: &[u8]| bytes.iter().fold(0, |id: u32, byte| id << 8 | u32::from(*byte));
        let stored = self.stored();
        match self.kind() {
            ACCOUNT => Subject::Account(Address::from_slice(stored)),
            SLOT => Subject::Slot(id(&stored[..4]), U256::from_be_slice(&stored[4..])),
            _ => Subject::Owner(id(stored)),
        }
    }
}

/// A value that a key had until a version, that one included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) until: u64,
    pub(super) value: Vec<u8>,
}

/// Appends a number in as few groups of 7 bits as it takes, the lowest first.
pub(super) fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn read_varint(input: &mut In<'_>) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = input.u8()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

pub(super) fn account_value(record: Option<&AccountRecord>) -> Vec<u8> {
    let mut out = Vec::new();
    let Some(record) = record else { return out };
    write_varint(&mut out, record.account.nonce);
    write_varint(&mut out, u64::from(record.storage_id));
    write_varint(&mut out, u64::from(record.slot_count));
    let balance = record.account.balance.to_be_bytes_trimmed_vec();
    let has_code = record.account.code_hash != KECCAK256_EMPTY;
    out.push(balance.len() as u8 | if has_code { HAS_CODE } else { 0 });
    out.extend_from_slice(&balance);
    if has_code {
        out.extend_from_slice(&record.account.code_hash[..]);
    }
    out
}

/// `None` for what no store has written.
pub(super) fn read_account(value: &[u8]) -> Option<Option<AccountRecord>> {
    if value.is_empty() {
        return Some(None);
    }
    let mut input = In(value);
    let nonce = read_varint(&mut input)?;
    let storage_id = u32::try_from(read_varint(&mut input)?).ok()?;
    let slot_count = u32::try_from(read_varint(&mut input)?).ok()?;
    let head = input.u8()?;
    let balance = read_number(input.bytes(usize::from(head & !HAS_CODE))?)?;
    let code_hash = if head & HAS_CODE == 0 { KECCAK256_EMPTY } else { B256::from_slice(input.bytes(32)?) };
    let account = Account { nonce, balance, code_hash };
    input.0.is_empty().then_some(Some(AccountRecord { account, storage_id, slot_count }))
}

pub(super) fn slot_value(value: &U256) -> Vec<u8> {
    value.to_be_bytes_trimmed_vec()
}

/// A number of 256 bits; `None` for what no store has written.
pub(super) fn read_number(value: &[u8]) -> Option<U256> {
    (value.len() <= 32).then(|| U256::from_be_slice(value))
}

pub(super) fn read_owner(value: &[u8]) -> Option<Address> {
    (value.len() == 20).then(|| Address::from_slice(value))
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)]
    use super::*;

    #[test]
    fn test_entry__any_key_and_value__is_read_as_it_was_written() {
        let subjects = [
            (Key::account(&Address::repeat_byte(7)), Subject::Account(Address::repeat_byte(7))),
            (Key::slot(&(0x0102_0304, U256::MAX)), Subject::Slot(0x0102_0304, U256::MAX)),
            (Key::owner(9), Subject::Owner(9)),
        ];
        for (key, subject) in subjects {
            assert_eq!(Key::read(key.kind(), &mut In(key.stored())), Some(key));
            assert_eq!(key.subject(), subject);
        }
        let account = Account { nonce: u64::MAX, balance: U256::MAX, code_hash: B256::repeat_byte(3) };
        for account in [account, Account::default(), Account { nonce: 0x80, ..Account::default() }] {
            let record = Some(AccountRecord { account, storage_id: u32::MAX, slot_count: 1 });
            assert_eq!(read_account(&account_value(record.as_ref())), Some(record));
        }
        assert_eq!(read_account(&account_value(None)), Some(None));
    }

    #[test]
    fn test_entry__keys_of_one_kind__are_sorted_as_what_they_name() {
        let slots = [(1, U256::MAX), (2, U256::ZERO), (2, U256::from(255)), (2, U256::from(256)), (256, U256::ZERO)];
        assert!(slots.map(|slot| Key::slot(&slot)).is_sorted());
    }
}
