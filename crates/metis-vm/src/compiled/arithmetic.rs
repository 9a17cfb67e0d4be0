//! Arithmetic that compiled code leaves to the engine: division, and powers.

use alloy_primitives::U256;

use super::{abi::Word, guard::guarded};

/// Reads a word.
///
/// # Safety
/// `word` points to a word of the contract: 32 readable bytes, 8-byte aligned.
#[inline(always)]
unsafe fn read(word: *const Word) -> U256 {
    // SAFETY: the caller's; `U256` is transparent over the four limbs of a word.
    unsafe { word.cast::<U256>().read() }
}

macro_rules! arithmetic {
    ($($(#[$meta:meta])* $name:ident($($operand:ident),*) $body:block)*) => {
        $($(#[$meta])*
        /// # Safety
        /// All pointers are to words of the contract; `out` may be one of the operands.
        pub unsafe extern "C" fn $name(out: *mut Word, $($operand: *const Word),*) {
            // SAFETY: the caller gives words. All are read before `out` is written.
            unsafe {
                $(let $operand = read($operand);)*
                out.cast::<U256>().write(guarded(U256::ZERO, || $body));
            }
        })*
    };
}

arithmetic! {
    /// DIV.
    udiv(a, b) { divide(a, b).0 }
    /// MOD.
    umod(a, b) { divide(a, b).1 }
    /// SDIV: towards zero; the smallest number divided by -1 is itself.
    sdiv(a, b) { with_sign(divide(magnitude(a), magnitude(b)).0, a.bit(255) != b.bit(255)) }
    /// SMOD: with the dividend's sign.
    smod(a, b) { with_sign(divide(magnitude(a), magnitude(b)).1, a.bit(255)) }
    /// ADDMOD.
    addmod(a, b, n) { a.add_mod(b, n) }
    /// MULMOD.
    mulmod(a, b, n) { multiply_modulo(a, b, n) }
    /// EXP.
    exp(base, exponent) { base.pow(exponent) }
}

/// Absolute value of a signed word, as an unsigned one.
#[inline(always)]
fn magnitude(word: U256) -> U256 {
    with_sign(word, word.bit(255))
}

#[inline(always)]
fn with_sign(word: U256, is_negative: bool) -> U256 {
    if is_negative { word.wrapping_neg() } else { word }
}

const fn double(low: u64, high: u64) -> u128 {
    low as u128 | (high as u128) << 64
}

const fn halves(value: u128) -> (u64, u64) {
    (value as u64, (value >> 64) as u64)
}

/// Quotient and remainder, both 0 for a division by 0.
///
/// A divisor of one limb is what fixed-point numbers have, and the processor's own division is
/// several times faster there than a division of words.
#[inline(always)]
fn divide(a: U256, b: U256) -> (U256, U256) {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (*a.as_limbs(), *b.as_limbs());
    if b1 | b2 | b3 != 0 {
        return a.div_rem(b);
    }
    if b0 == 0 {
        return (U256::ZERO, U256::ZERO);
    }
    if a1 | a2 | a3 == 0 {
        return (U256::from(a0 / b0), U256::from(a0 % b0));
    }
    let mut quotient = [0; 4];
    let mut remainder = 0;
    for (digit, limb) in quotient.iter_mut().zip([a0, a1, a2, a3]).rev() {
        *digit = match remainder {
            0 => limb / b0,
            // The remainder is below the divisor, so a digit fits a limb.
            _ => (double(limb, remainder) / u128::from(b0)) as u64,
        };
        remainder = limb.wrapping_sub(digit.wrapping_mul(b0));
    }
    (U256::from_limbs(quotient), U256::from(remainder))
}

/// a · b modulo n, 0 for n = 0.
#[inline(always)]
fn multiply_modulo(a: U256, b: U256, n: U256) -> U256 {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (*a.as_limbs(), *b.as_limbs());
    if a1 | a2 | a3 | b1 | b2 | b3 == 0 {
        let (low, high) = halves(u128::from(a0) * u128::from(b0));
        return divide(U256::from_limbs([low, high, 0, 0]), n).1;
    }
    a.mul_mod(b, n)
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)] // subject__condition__outcome

    use proptest::prelude::*;
    use revm::interpreter::instructions::i256::{i256_div, i256_mod};

    use super::*;

    /// Words of every length, and their negations.
    fn word() -> impl Strategy<Value = U256> {
        let limb = prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>()];
        (any::<[u64; 4]>(), limb, 0usize..=256, any::<bool>()).prop_map(|(limbs, lowest, bits, is_negative)| {
            let word = U256::from_limbs(limbs).wrapping_shl(1) | U256::from(lowest);
            let short = if bits == 256 { word } else { word & ((U256::ONE << bits) - U256::ONE) };
            with_sign(short, is_negative)
        })
    }

    fn call2(function: super::super::abi::Binary, a: U256, b: U256) -> U256 {
        let mut out = Word::default();
        // SAFETY: three words.
        unsafe { function(&raw mut out, (&raw const a).cast(), (&raw const b).cast()) };
        U256::from_limbs(out)
    }

    fn call3(function: super::super::abi::Ternary, a: U256, b: U256, n: U256) -> U256 {
        let mut out = Word::default();
        // SAFETY: four words.
        unsafe { function(&raw mut out, (&raw const a).cast(), (&raw const b).cast(), (&raw const n).cast()) };
        U256::from_limbs(out)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]

        #[test]
        fn division__of_any_words__is_tier_0_s(a in word(), b in word(), n in word()) {
            prop_assert_eq!(call2(udiv, a, b), a.checked_div(b).unwrap_or_default());
            prop_assert_eq!(call2(umod, a, b), a.checked_rem(b).unwrap_or_default());
            prop_assert_eq!(call2(sdiv, a, b), i256_div(a, b));
            prop_assert_eq!(call2(smod, a, b), i256_mod(a, b));
            prop_assert_eq!(call3(addmod, a, b, n), a.add_mod(b, n));
            prop_assert_eq!(call3(mulmod, a, b, n), a.mul_mod(b, n));
        }
    }
}
