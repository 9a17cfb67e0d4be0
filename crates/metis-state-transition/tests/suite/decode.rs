//! Bytes from outside never panic, and refused ones name a field.

use alloy_consensus::{Header, SignableTransaction, TxEip1559};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use metis_state_transition::{Block, DecodeProblem, decode_block, decode_header, decode_transaction};
use proptest::prelude::*;

fn transaction_bytes(nonce: u64, value: u128, data: &[u8]) -> Vec<u8> {
    let transaction = TxEip1559 {
        chain_id: 1,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 7,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::repeat_byte(2)),
        value: U256::from(value),
        input: data.to_vec().into(),
        ..TxEip1559::default()
    };
    let signature = Signature::new(U256::from(5), U256::from(6), true);
    alloy_consensus::TxEnvelope::from(transaction.into_signed(signature)).encoded_2718()
}

fn block_bytes() -> Vec<u8> {
    let transaction = decode_transaction(&transaction_bytes(1, 2, b"x")).unwrap();
    let header = Header { base_fee_per_gas: Some(7), withdrawals_root: Some(B256::ZERO), ..Header::default() };
    let body = alloy_consensus::BlockBody {
        transactions: vec![transaction],
        ommers: vec![Header::default()],
        withdrawals: Some(Default::default()),
    };
    alloy_rlp::encode(Block { header, body })
}

proptest! {
    #[test]
    fn transaction__any_bytes__decode_or_name_a_field(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = decode_transaction(&bytes) {
            prop_assert!(!error.field.is_empty());
        }
    }

    #[test]
    fn transaction__one_byte_changed__decodes_or_names_a_field(
        position in any::<prop::sample::Index>(), value in any::<u8>(),
    ) {
        let mut bytes = transaction_bytes(9, 1 << 70, b"some data");
        let position = position.index(bytes.len());
        bytes[position] = value;
        match decode_transaction(&bytes) {
            Ok(envelope) => prop_assert_eq!(envelope.encoded_2718(), bytes),
            Err(error) => prop_assert!(!error.field.is_empty()),
        }
    }

    #[test]
    fn block__one_byte_changed__decodes_or_names_a_field(
        position in any::<prop::sample::Index>(), value in any::<u8>(),
    ) {
        let mut bytes = block_bytes();
        let position = position.index(bytes.len());
        bytes[position] = value;
        match decode_block(&bytes) {
            Ok(block) => prop_assert_eq!(alloy_rlp::encode(block), bytes),
            Err(error) => prop_assert!(!error.field.is_empty()),
        }
    }

    #[test]
    fn block__cut_off__names_a_field(length in any::<prop::sample::Index>()) {
        let bytes = block_bytes();
        let cut = &bytes[..length.index(bytes.len())];
        prop_assert!(decode_block(cut).is_err());
    }
}

#[test]
fn transaction__with_a_short_receiver__names_it() {
    let mut bytes = transaction_bytes(1, 2, b"");
    let start = bytes.windows(21).position(|window| window[0] == 0x94 && window[1..] == [2; 20]).unwrap();
    // One byte less in the receiver; type byte and one-byte list header come before the fields.
    bytes.remove(start + 1);
    bytes[start] = 0x93;
    bytes[1] -= 1;
    let error = decode_transaction(&bytes).unwrap_err();
    assert_eq!(error.field, "to");
    assert_eq!(error.problem, DecodeProblem::Length { expected: 20, got: 19 });
}

#[test]
fn block__with_a_bad_transaction__names_its_position_and_field() {
    let mut bytes = block_bytes();
    let transaction = transaction_bytes(1, 2, b"x");
    let start = bytes.windows(transaction.len()).position(|window| window == transaction).unwrap();
    // Behind type byte and one-byte list header.
    bytes[start + 2] = 0x00;
    let error = decode_block(&bytes).unwrap_err();
    assert_eq!(error.field, "transactions[0].chain_id");
    assert_eq!(error.problem, DecodeProblem::LeadingZero);
}

#[test]
fn block__with_a_wrong_length_around_a_transaction__is_refused() {
    let transaction = transaction_bytes(1, 2, b"x");
    let start = block_bytes().windows(transaction.len()).position(|window| window == transaction).unwrap();
    for too_small in 1..=2 {
        let mut bytes = block_bytes();
        bytes[start - 1] -= too_small;
        assert!(decode_block(&bytes).is_err());
    }
}

#[test]
fn header__with_a_field_too_many__says_so() {
    let header = Header::default();
    assert!(decode_header(&alloy_rlp::encode(&header)).is_ok());
    let mut bytes = alloy_rlp::encode(&header);
    bytes.push(0x01);
    let error = decode_header(&bytes).unwrap_err();
    assert_eq!(error.problem, DecodeProblem::TrailingBytes(1));
}
