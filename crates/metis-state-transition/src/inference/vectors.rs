//! Products of integer vectors and matrices, exact.

use alloc::{vec, vec::Vec};

use alloy_primitives::{I256, U256, U512};

/// Terms of a sum of products of int8 that cannot overflow int32: 2³¹ - 1 over 2¹⁴.
pub(super) const INT8_TERMS_MAX: u64 = 131_071;

/// Element types, by their codes in docs/ai-graph.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elements {
    Int8,
    Int16,
    Int32,
}

impl Elements {
    pub(super) const fn of(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::Int8),
            2 => Some(Self::Int16),
            3 => Some(Self::Int32),
            _ => None,
        }
    }

    pub(super) const fn size_bytes(self) -> u64 {
        match self {
            Self::Int8 => 1,
            Self::Int16 => 2,
            Self::Int32 => 4,
        }
    }

    /// MACs that a product counts as: wider elements take wider sums.
    pub(super) const fn macs(self) -> u64 {
        match self {
            Self::Int8 => 1,
            Self::Int16 => 2,
            Self::Int32 => 8,
        }
    }
}

/// A (m, k) times B (k, n), both int8 and row-major: int32, little-endian. Lengths are the caller's to check.
pub(super) fn matmul_int8(a: &[u8], b: &[u8], k: usize, n: usize) -> Vec<u8> {
    let mut product = Vec::with_capacity(a.len() / k * n * 4);
    let mut row_sums = vec![0i32; n];
    for row in a.chunks_exact(k) {
        row_sums.fill(0);
        for (factor, b_row) in row.iter().zip(b.chunks_exact(n)) {
            let factor = i32::from(factor.cast_signed());
            for (sum, element) in row_sums.iter_mut().zip(b_row) {
                *sum += factor * i32::from(element.cast_signed());
            }
        }
        row_sums.iter().for_each(|sum| product.extend_from_slice(&sum.to_le_bytes()));
    }
    product
}

/// Σ aᵢ·bᵢ of vectors of one length. Fits: 2⁶² times the bytes of any call data is below 2¹²⁷.
pub(super) fn dot(a: &[u8], b: &[u8], elements: Elements) -> i128 {
    match elements {
        Elements::Int8 => a
            .chunks(INT8_TERMS_MAX as usize)
            .zip(b.chunks(INT8_TERMS_MAX as usize))
            .map(|(a, b)| {
                let terms = a.iter().zip(b).map(|(a, b)| i32::from(a.cast_signed()) * i32::from(b.cast_signed()));
                i128::from(terms.sum::<i32>())
            })
            .sum(),
        Elements::Int16 => {
            let value = |bytes: &[u8; 2]| i64::from(i16::from_le_bytes(*bytes));
            // BOUND: 2³⁰ times fewer than 2³³ elements.
            let terms = a.as_chunks::<2>().0.iter().zip(b.as_chunks::<2>().0).map(|(a, b)| value(a) * value(b));
            i128::from(terms.sum::<i64>())
        }
        Elements::Int32 => {
            let value = |bytes: &[u8; 4]| i128::from(i32::from_le_bytes(*bytes));
            a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0).map(|(a, b)| value(a) * value(b)).sum()
        }
    }
}

/// The cosine of the angle between two vectors times 10¹⁸, rounded towards zero; 0 where one has no length.
pub(super) fn cosine(a: &[u8], b: &[u8], elements: Elements) -> I256 {
    let product = dot(a, b, elements);
    let squares = [dot(a, a, elements), dot(b, b, elements)].map(|square| U512::from(square.unsigned_abs()));
    if squares.contains(&U512::ZERO) {
        return I256::ZERO;
    }
    let scale = U512::from(10u64).pow(U512::from(36u64));
    let magnitude = U512::from(product.unsigned_abs());
    // ⌊√⌊p²·10³⁶ / a²b²⌋⌋ = ⌊10¹⁸·|p| / |a||b|⌋: the floor of a root does not change with the floor inside it.
    let square = magnitude * magnitude * scale / (squares[0] * squares[1]);
    // UNWRAP: at most 10³⁶, by the inequality of Cauchy and Schwarz.
    let size = I256::from_raw(U256::from(u128::try_from(square).unwrap().isqrt()));
    if product < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use alloy_primitives::I256;

    use super::{Elements, cosine, dot, matmul_int8};

    fn bytes<const N: usize>(values: impl IntoIterator<Item = [u8; N]>) -> Vec<u8> {
        values.into_iter().flatten().collect()
    }

    #[test]
    fn matmul_int8_of_the_extremes_is_exact() {
        let a = bytes([-128i8, 127, 0, 5].map(i8::to_le_bytes));
        let b = bytes([-128i8, 1, 127, -1].map(i8::to_le_bytes));
        // (2, 2) · (2, 2)
        let expected = bytes([16384 + 16129, -128 - 127, 635, -5].map(i32::to_le_bytes));
        assert_eq!(matmul_int8(&a, &b, 2, 2), expected);
    }

    #[test]
    fn dot_of_the_extremes_is_exact_for_every_type() {
        let many = vec![0x80u8; 300_000];
        assert_eq!(dot(&many, &many, Elements::Int8), 300_000 * 16_384);
        let least16 = bytes([i16::MIN; 3].map(i16::to_le_bytes));
        assert_eq!(dot(&least16, &least16, Elements::Int16), 3 << 30);
        let least32 = bytes([i32::MIN; 9].map(i32::to_le_bytes));
        assert_eq!(dot(&least32, &least32, Elements::Int32), 9 << 62);
    }

    #[test]
    fn cosine_is_rounded_towards_zero_and_zero_without_length() {
        let of = |a: [i8; 2], b: [i8; 2]| cosine(&a.map(i8::cast_unsigned), &b.map(i8::cast_unsigned), Elements::Int8);
        let one = I256::try_from(10i128.pow(18)).unwrap();
        assert_eq!(of([3, 4], [3, 4]), one);
        assert_eq!(of([3, 4], [-3, -4]), -one);
        assert_eq!(of([1, 0], [0, 1]), I256::ZERO);
        assert_eq!(of([0, 0], [0, 1]), I256::ZERO);
        // 1/√2
        assert_eq!(of([1, 0], [1, 1]), I256::try_from(707_106_781_186_547_524i128).unwrap());
        assert_eq!(of([-1, 0], [1, 1]), I256::try_from(-707_106_781_186_547_524i128).unwrap());
    }
}
