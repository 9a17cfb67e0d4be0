//! Recovered keys against libsecp256k1's, one by one.

#![allow(non_snake_case)]

use k256::{
    ProjectivePoint, Scalar, U256,
    elliptic_curve::{
        bigint::Encoding,
        ops::{Invert, Reduce},
        point::AffineCoordinates,
    },
};
use metis_secp256k1::{PublicKey, Signed, recover, recover_each};
use proptest::prelude::*;

/// What libsecp256k1 says of each.
fn expected(signed: &[Signed]) -> Vec<Option<PublicKey>> {
    signed.iter().map(recover).collect()
}

fn number(value: u64) -> Scalar {
    Scalar::from(value)
}

fn bytes(scalar: &Scalar) -> [u8; 32] {
    scalar.to_bytes().into()
}

/// A signature by `key` with the nonce `nonce`, which may be any.
fn sign(key: &Scalar, nonce: &Scalar, digest: &Scalar) -> Signed {
    let point = (ProjectivePoint::GENERATOR * nonce).to_affine();
    let r = <Scalar as Reduce<U256>>::reduce_bytes(&point.x());
    let s = nonce.invert_vartime().unwrap() * (digest + (r * key));
    Signed { digest: bytes(digest), r: bytes(&r), s: bytes(&s), is_y_odd: point.y_is_odd().into() }
}

fn any_signed() -> impl Strategy<Value = Signed> {
    (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 32]>(), any::<bool>())
        .prop_map(|(digest, r, s, is_y_odd)| Signed { digest, r, s, is_y_odd })
}

fn any_scalar() -> impl Strategy<Value = Scalar> {
    let order_bound = any::<[u8; 32]>().prop_map(|bytes| <Scalar as Reduce<U256>>::reduce_bytes(&bytes.into()));
    prop_oneof![order_bound, (1u64..40).prop_map(number), (1u64..40).prop_map(|value| -number(value))]
}

proptest! {
    #[test]
    fn recover_each__any_bytes__equals_libsecp256k1(signed in prop::collection::vec(any_signed(), 0..40)) {
        prop_assert_eq!(recover_each(&signed), expected(&signed));
    }

    #[test]
    fn recover_each__signatures_with_any_nonce__equals_libsecp256k1(
        parts in prop::collection::vec((any_scalar(), any_scalar(), any_scalar()), 3..40),
    ) {
        let signed: Vec<Signed> = parts
            .iter()
            .filter(|(_, nonce, _)| *nonce != Scalar::ZERO)
            .map(|(key, nonce, digest)| sign(key, nonce, digest))
            .collect();
        prop_assert_eq!(recover_each(&signed), expected(&signed));
    }
}

#[test]
fn recover_each__numbers_at_their_bounds__equals_libsecp256k1() {
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    let word = |hex: &str| -> [u8; 32] { U256::from_be_hex(hex).to_be_bytes() };
    let zero = [0; 32];
    let one = bytes(&Scalar::ONE);
    let minus_one = bytes(&-Scalar::ONE);
    let bounds = [zero, one, bytes(&number(2)), minus_one, word(order), [0xff; 32]];
    let mut signed = Vec::new();
    for digest in bounds {
        for r in bounds {
            for s in bounds {
                for is_y_odd in [false, true] {
                    signed.push(Signed { digest, r, s, is_y_odd });
                }
            }
        }
    }
    assert_eq!(recover_each(&signed), expected(&signed));
}

/// Keys and nonces so small that sums meet themselves, their opposites and infinity on the way.
#[test]
fn recover_each__points_that_meet__equals_libsecp256k1() {
    let small: Vec<Scalar> = (1..12).map(number).chain((1..12).map(|value| -number(value))).collect();
    let mut signed = Vec::new();
    for key in &small {
        for nonce in &small {
            for digest in [Scalar::ZERO, Scalar::ONE, -Scalar::ONE, number(9)] {
                signed.push(sign(key, nonce, &digest));
            }
        }
    }
    // A key of 0: infinity.
    signed.extend(small.iter().map(|nonce| sign(&Scalar::ZERO, nonce, &number(77))));
    let found = recover_each(&signed);
    assert_eq!(found, expected(&signed));
    assert!(found.iter().any(Option::is_none) && found.iter().filter(|key| key.is_some()).count() > 1_900);
}
