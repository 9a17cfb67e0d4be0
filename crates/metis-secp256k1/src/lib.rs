//! Public keys from ECDSA signatures on secp256k1 (SEC 1 §4.1.6), eight at a time where the processor has AVX-512 IFMA.
//!
//! In: signatures and what they sign. Out: the keys, or `None` where there is none. Invariant: the same answers as
//! libsecp256k1, which computes them on all other processors, and decides whatever the lanes are not sure of. Nothing
//! here is secret, so nothing takes care to need the same time for all inputs. Cost: about a fourth of libsecp256k1's.

#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod scalars;

use secp256k1::{
    Message, SECP256K1,
    ecdsa::{RecoverableSignature, RecoveryId},
};

/// A signature over a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What was signed.
    pub digest: [u8; 32],
    /// x of the signer's nonce point modulo the order.
    pub r: [u8; 32],
    /// The proof; high ones are taken, too.
    pub s: [u8; 32],
    /// Whether y of the nonce point is odd.
    pub is_y_odd: bool,
}

/// A point: x and y, the highest byte first.
pub type PublicKey = [u8; 64];

/// The key that signed; `None` where no key fits.
pub fn recover(signed: &Signed) -> Option<PublicKey> {
    let id = if signed.is_y_odd { RecoveryId::One } else { RecoveryId::Zero };
    let mut compact = [0; 64];
    compact[..32].copy_from_slice(&signed.r);
    compact[32..].copy_from_slice(&signed.s);
    let signature = RecoverableSignature::from_compact(&compact, id).ok()?;
    let key = SECP256K1.recover_ecdsa(Message::from_digest(signed.digest), &signature).ok()?;
    let mut point = [0; 64];
    point.copy_from_slice(&key.serialize_uncompressed()[1..]);
    Some(point)
}

/// Whether this processor recovers eight at a time.
pub fn has_lanes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return lanes::are_here();
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The keys of many, in order, on this thread.
pub fn recover_each(signed: &[Signed]) -> Vec<Option<PublicKey>> {
    #[cfg(target_arch = "x86_64")]
    if let Some(keys) = lanes::recover_each(signed) {
        return keys.into_iter().zip(signed).map(|(key, signed)| key.or_else(|| recover(signed))).collect();
    }
    signed.iter().map(recover).collect()
}
