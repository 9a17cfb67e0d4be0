//! Batches give what single items give, on any number of threads.

#![allow(non_snake_case)] // subject__condition__outcome

use alloy_consensus::{SignableTransaction, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Signature, TxKind, U256, keccak256};
use metis_executor::{all_or_first_error, decode_and_recover, decode_and_recover_batch};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};

fn key(index: u8) -> SecretKey {
    SecretKey::from_byte_array([index + 1; 32]).unwrap()
}

fn address(secret: &SecretKey) -> Address {
    let public = PublicKey::from_secret_key(SECP256K1, secret);
    Address::from_slice(&keccak256(&public.serialize_uncompressed()[1..])[12..])
}

fn signed(index: u8) -> Vec<u8> {
    let transaction = TxLegacy {
        chain_id: Some(1),
        nonce: u64::from(index),
        gas_price: 7,
        gas_limit: 21_000,
        to: TxKind::Call(Address::ZERO),
        ..TxLegacy::default()
    };
    let hash: B256 = transaction.signature_hash();
    let recoverable = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &key(index));
    let (id, compact) = recoverable.serialize_compact();
    let (r, s) = (U256::from_be_slice(&compact[..32]), U256::from_be_slice(&compact[32..]));
    let signature = Signature::new(r, s, i32::from(id) == 1);
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718()
}

#[test]
fn batch__on_any_number_of_threads__equals_single_items() {
    let items: Vec<Vec<u8>> = (0..40).map(signed).collect();
    let slices: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
    for threads in [0, 1, 2, 1_000_000] {
        let batch = all_or_first_error(decode_and_recover_batch(&slices, threads)).unwrap();
        for (index, transaction) in batch.iter().enumerate() {
            assert_eq!(transaction.sender, address(&key(index as u8)));
            assert_eq!(transaction, &decode_and_recover(&items[index]).unwrap());
        }
    }
}

#[test]
fn batch__with_several_bad_items__has_the_others_and_names_the_first() {
    let mut items: Vec<Vec<u8>> = (0..40).map(signed).collect();
    items[31].truncate(5);
    items[7].push(0);
    let slices: Vec<&[u8]> = items.iter().map(Vec::as_slice).collect();
    for threads in [0, 1, 2] {
        let results = decode_and_recover_batch(&slices, threads);
        let bad: Vec<usize> = (0..40).filter(|index| results[*index].is_err()).collect();
        assert_eq!(bad, [7, 31]);
        let error = all_or_first_error(results).unwrap_err();
        assert_eq!(error.index, 7);
        assert_eq!(error.error.field, "payload");
    }
}
