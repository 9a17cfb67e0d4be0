//! Numbers modulo the group's order: what a signature's points are multiplied by.

use k256::{
    Scalar, U256,
    elliptic_curve::{
        PrimeField,
        bigint::Encoding,
        ops::{Invert, Reduce},
        scalar::IsHigh,
    },
};

use crate::Signed;

/// λ with λ³ = 1: λ · (x, y) = (β · x, y).
const LAMBDA: U256 = U256::from_be_hex("5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72");
const MINUS_B1: U256 = U256::from_be_hex("00000000000000000000000000000000e4437ed6010e88286f547fa90abfe4c3");
const MINUS_B2: U256 = U256::from_be_hex("fffffffffffffffffffffffffffffffe8a280ac50774346dd765cda83db1562c");
const G1: U256 = U256::from_be_hex("3086d221a7d46bcde86c90e49284eb153daa8a1471e8ca7fe893209a45dbb031");
const G2: U256 = U256::from_be_hex("e4437ed6010e88286f547fa90abfe4c4221208ac9df506c61571b4ae8ac47f71");

/// A number of 128 bits with a sign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Half {
    pub magnitude: u128,
    pub is_negative: bool,
}

/// What is computed for one signature: key = generator · G + nonce · R.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Factors {
    /// Low and high 128 bits.
    pub generator: [u128; 2],
    /// nonce = first + second · λ.
    pub nonce: [Half; 2],
}

/// The factors of each signature; `None` where r or s is out of range.
pub(crate) fn factors(signed: &[Signed]) -> Vec<Option<Factors>> {
    // One inversion for all: products from the left, then their inverses from the right (Montgomery).
    let mut product = Scalar::ONE;
    let parsed: Vec<Option<(Scalar, Scalar, Scalar)>> = signed
        .iter()
        .map(|signed| {
            let (r, s) = (scalar(&signed.r)?, scalar(&signed.s)?);
            let before = product;
            product *= r;
            Some((r, s, before))
        })
        .collect();
    // UNWRAP: a product of numbers that are not 0 modulo a prime.
    let mut inverse = product.invert_vartime().unwrap();
    let mut found = vec![None; signed.len()];
    for ((parsed, signed), found) in parsed.iter().zip(signed).zip(&mut found).rev() {
        let Some((r, s, before)) = parsed else { continue };
        let inverse_of_r = inverse * before;
        inverse *= r;
        let digest = <Scalar as Reduce<U256>>::reduce_bytes(&signed.digest.into());
        let [high, low] = halves(&-(inverse_of_r * digest));
        *found = Some(Factors { generator: [low, high], nonce: split(&(inverse_of_r * s)) });
    }
    found
}

/// A number from 1 to the order.
fn scalar(bytes: &[u8; 32]) -> Option<Scalar> {
    Option::<Scalar>::from(Scalar::from_repr((*bytes).into())).filter(|number| !bool::from(number.is_zero()))
}

/// High and low 128 bits.
fn halves(number: &Scalar) -> [u128; 2] {
    let bytes: [u8; 32] = number.to_bytes().into();
    let half = |from: usize| u128::from_be_bytes(core::array::from_fn(|index| bytes[from + index]));
    [half(0), half(16)]
}

/// first + second · λ, both of at most 128 bits (Gallant, Lambert, Vanstone; libsecp256k1 proves these constants).
fn split(number: &Scalar) -> [Half; 2] {
    let c1 = rounded_product(number, &G1) * Scalar::reduce(MINUS_B1);
    let c2 = rounded_product(number, &G2) * Scalar::reduce(MINUS_B2);
    let second = c1 + c2;
    let first = number - &(second * Scalar::reduce(LAMBDA));
    [signed_half(&first), signed_half(&second)]
}

/// number · factor / 2^384, to the nearest.
fn rounded_product(number: &Scalar, factor: &U256) -> Scalar {
    let (_, high) = U256::from_be_bytes(number.to_bytes().into()).mul_wide(factor);
    let [_, below, low, top] = high.to_words();
    // BOUND: both factors are below 0.9 · 2^128.
    Scalar::from((u128::from(top) << 64 | u128::from(low)) + u128::from(below >> 63))
}

fn signed_half(number: &Scalar) -> Half {
    let is_negative = bool::from(number.is_high());
    let [_, magnitude] = halves(&if is_negative { -number } else { *number });
    Half { magnitude, is_negative }
}
