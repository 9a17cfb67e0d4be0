//! Keys of development accounts: derivation, addresses, signatures.

use alloy_consensus::{EthereumTxEnvelope, EthereumTypedTransaction, TxEip4844};
use alloy_primitives::{Address, B256, Signature, U256, keccak256};
use bip32::{DerivationPath, XPrv};
use secp256k1::{
    Message, PublicKey, SECP256K1, SecretKey,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a BIP-39 phrase: unknown word, wrong count, or wrong checksum.
    #[error("not a BIP-39 phrase of English words")]
    Mnemonic,
    /// Not a BIP-32 path.
    #[error("not a BIP-32 path such as m/44'/60'/0'/0/0")]
    Path,
    /// Zero, or not below the curve order.
    #[error("not a secp256k1 private key")]
    Key,
}

/// Why a signature is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// The upper half of the curve order: the other encoding of a signature that has one already (EIP-2).
    #[error("s is in the upper half of the curve order")]
    HighS,
    /// No public key gives it.
    #[error("no key gives this signature")]
    Nobody,
}

/// The private key at a BIP-32 path below a BIP-39 phrase without passphrase.
///
/// # Errors
/// [`KeyError::Mnemonic`] or [`KeyError::Path`].
pub fn derive_private_key(mnemonic: &str, path: &str) -> Result<[u8; 32], KeyError> {
    let seed = bip39::Mnemonic::parse_normalized(mnemonic).map_err(|_| KeyError::Mnemonic)?.to_seed("");
    let path: DerivationPath = path.parse().map_err(|_| KeyError::Path)?;
    let key = XPrv::derive_from_path(seed, &path).map_err(|_| KeyError::Path)?;
    Ok(key.to_bytes())
}

/// The account of a private key.
///
/// # Errors
/// [`KeyError::Key`].
pub fn address_of(private_key: &[u8; 32]) -> Result<Address, KeyError> {
    let secret = SecretKey::from_byte_array(*private_key).map_err(|_| KeyError::Key)?;
    let public = PublicKey::from_secret_key(SECP256K1, &secret);
    Ok(Address::from_slice(&keccak256(&public.serialize_uncompressed()[1..])[12..]))
}

/// Signs a hash (RFC 6979 nonces, low `s`).
///
/// # Errors
/// [`KeyError::Key`].
pub fn sign_hash(hash: B256, private_key: &[u8; 32]) -> Result<Signature, KeyError> {
    let secret = SecretKey::from_byte_array(*private_key).map_err(|_| KeyError::Key)?;
    let (id, compact) = SECP256K1.sign_ecdsa_recoverable(Message::from_digest(hash.0), &secret).serialize_compact();
    let (r, s) = (U256::from_be_slice(&compact[..32]), U256::from_be_slice(&compact[32..]));
    Ok(Signature::new(r, s, i32::from(id) & 1 == 1))
}

/// The account whose key signed a hash. Each signature has one encoding only: `s` is low.
///
/// # Errors
/// [`RecoverError`].
pub fn recover_address(hash: &[u8; 32], y_parity: bool, r: &[u8; 32], s: &[u8; 32]) -> Result<Address, RecoverError> {
    let signature = Signature::new(U256::from_be_bytes(*r), U256::from_be_bytes(*s), y_parity);
    if signature.normalize_s().is_some() {
        return Err(RecoverError::HighS);
    }
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(r);
    compact[32..].copy_from_slice(s);
    let id = if y_parity { RecoveryId::One } else { RecoveryId::Zero };
    let signature = RecoverableSignature::from_compact(&compact, id).map_err(|_| RecoverError::Nobody)?;
    let public = SECP256K1.recover_ecdsa(Message::from_digest(*hash), &signature).map_err(|_| RecoverError::Nobody)?;
    Ok(Address::from_slice(&keccak256(&public.serialize_uncompressed()[1..])[12..]))
}

/// Signs a transaction.
///
/// # Errors
/// [`KeyError::Key`].
pub fn sign_transaction(
    transaction: EthereumTypedTransaction<TxEip4844>,
    private_key: &[u8; 32],
) -> Result<EthereumTxEnvelope<TxEip4844>, KeyError> {
    let unsigned = EthereumTxEnvelope::new_unhashed(transaction, Signature::new(U256::ZERO, U256::ZERO, false));
    let signature = sign_hash(unsigned.signature_hash(), private_key)?;
    Ok(EthereumTxEnvelope::new_unhashed(unsigned.into_typed_transaction(), signature))
}
