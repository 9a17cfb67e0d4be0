//! Multiples of points, from which each lane takes its own.

use core::arch::x86_64::{
    __m512i, __mmask8, _mm512_abs_epi64, _mm512_add_epi64, _mm512_cmplt_epi64_mask, _mm512_loadu_si512,
    _mm512_mask_blend_epi64, _mm512_max_epi64, _mm512_mullox_epi64, _mm512_set1_epi64, _mm512_setr_epi64,
    _mm512_setzero_si512, _mm512_sub_epi64, _mm512_test_epi64_mask,
};
use std::sync::LazyLock;

use k256::{
    ProjectivePoint,
    elliptic_curve::{group::Curve, sec1::ToEncodedPoint},
};

use super::field::{Field, LANES, LIMBS, limbs};
use crate::scalars::Half;

/// Multiples 1 to 8 of a lane's own point: digits of four bits with a sign.
pub(super) const OWN_BITS: u32 = 4;
pub(super) const OWN_MULTIPLES: usize = 1 << (OWN_BITS - 1);
/// 33 digits for 128 bits and the last carry.
pub(super) const OWN_DIGITS: usize = 128 / OWN_BITS as usize + 1;
/// Multiples 1 to 512 of the generator: digits of ten bits with a sign.
pub(super) const GENERATOR_BITS: u32 = 10;
const GENERATOR_MULTIPLES: usize = 1 << (GENERATOR_BITS - 1);
/// 13 digits of ten bits hold 128 bits and the last carry.
pub(super) const GENERATOR_DIGITS: usize = 13;

/// One digit of each lane.
pub(super) type Digits = [i64; LANES];

/// Digits from -2^(BITS-1) to 2^(BITS-1) whose sum, times their powers, is the number; the least first.
pub(super) fn signed_digits<const BITS: u32, const COUNT: usize>(number: Half) -> [i64; COUNT] {
    let mut rest = number.magnitude;
    let mut carry = 0;
    core::array::from_fn(|_| {
        let mut digit = (rest & ((1 << BITS) - 1)) as i64 + carry;
        rest >>= BITS;
        carry = i64::from(digit > 1 << (BITS - 1));
        digit -= carry << BITS;
        if number.is_negative { -digit } else { digit }
    })
}

/// Which multiple each lane takes, with which sign.
pub(super) struct Choice {
    /// From 0: multiple 1.
    index: __m512i,
    negative: __mmask8,
    /// Lanes that take one at all.
    pub some: __mmask8,
}

impl Choice {
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn new(digits: &Digits) -> Self {
        // SAFETY: eight words.
        let digits = unsafe { _mm512_loadu_si512(digits.as_ptr().cast()) };
        let one = _mm512_set1_epi64(1);
        Self {
            index: _mm512_sub_epi64(_mm512_max_epi64(_mm512_abs_epi64(digits), one), one),
            negative: _mm512_cmplt_epi64_mask(digits, _mm512_setzero_si512()),
            some: _mm512_test_epi64_mask(digits, digits),
        }
    }

    /// Indices of words: of the chosen entries' x, and of y or -y behind it.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn words(&self, entry_size: usize, first: __m512i, y: usize, minus_y: usize) -> (__m512i, __m512i) {
        let word = |count: usize| _mm512_set1_epi64(count as i64);
        let entry = _mm512_add_epi64(_mm512_mullox_epi64(self.index, word(entry_size)), first);
        (entry, _mm512_add_epi64(entry, _mm512_mask_blend_epi64(self.negative, word(y), word(minus_y))))
    }
}

/// x, β · x, y and -y of eight points, side by side.
type OwnEntry = [[[u64; LANES]; LIMBS]; 4];

/// Multiples of each lane's own point, and of λ times it.
pub(super) struct OwnTable([OwnEntry; OWN_MULTIPLES]);

impl OwnTable {
    const FIELD_SIZE: usize = LIMBS * LANES;

    pub(super) const fn new() -> Self {
        Self([[[[0; LANES]; LIMBS]; 4]; OWN_MULTIPLES])
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn set(&mut self, index: usize, x: &Field, beta: &Field, y: &Field) {
        let fields = [*x, x.multiply(beta), *y, y.negate()];
        for (row, field) in self.0[index].iter_mut().zip(&fields) {
            *row = field.words();
        }
    }

    /// The chosen multiples of the point, or of λ times it.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn get(&self, choice: &Choice, times_lambda: bool) -> (Field, Field) {
        let lanes = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
        let (entry, y) = choice.words(4 * Self::FIELD_SIZE, lanes, 2 * Self::FIELD_SIZE, 3 * Self::FIELD_SIZE);
        let words = self.0.as_ptr().cast::<u64>();
        // SAFETY: digits are at most OWN_MULTIPLES, so entries, and the rows of their four numbers, are in the table.
        unsafe {
            let x = words.add(usize::from(times_lambda) * Self::FIELD_SIZE);
            (Field::gather(x, entry, LANES), Field::gather(words, y, LANES))
        }
    }
}

/// x, y and -y of one point.
type GeneratorEntry = [[u64; LIMBS]; 3];

/// Multiples of the generator, and of 2^128 times it.
static GENERATOR: LazyLock<[Vec<GeneratorEntry>; 2]> = LazyLock::new(|| {
    let mut base = ProjectivePoint::GENERATOR;
    [(); 2].map(|()| {
        let mut multiple = ProjectivePoint::IDENTITY;
        let multiples: Vec<ProjectivePoint> = (0..GENERATOR_MULTIPLES)
            .map(|_| {
                multiple += base;
                multiple
            })
            .collect();
        for _ in 0..128 {
            base = base.double();
        }
        let mut points = vec![k256::AffinePoint::default(); multiples.len()];
        ProjectivePoint::batch_normalize(&multiples, &mut points);
        points.iter().map(|point| [coordinates(*point)[0], coordinates(*point)[1], coordinates(-*point)[1]]).collect()
    })
});

fn coordinates(point: k256::AffinePoint) -> [[u64; LIMBS]; 2] {
    let encoded = point.to_encoded_point(false);
    // UNWRAP: a multiple below the order is not infinity, and whole points have both.
    [encoded.x().unwrap(), encoded.y().unwrap()].map(|bytes| limbs(super::words(&(*bytes).into())))
}

/// Which half of a factor a multiple is for.
#[derive(Clone, Copy)]
pub(super) enum GeneratorHalf {
    Low = 0,
    High = 1,
}

/// The chosen multiples of the generator.
pub(super) struct GeneratorTable(&'static [Vec<GeneratorEntry>; 2]);

impl GeneratorTable {
    /// Made at the first use.
    pub(super) fn new() -> Self {
        Self(&GENERATOR)
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn get(&self, choice: &Choice, half: GeneratorHalf) -> (Field, Field) {
        let (entry, y) = choice.words(3 * LIMBS, _mm512_setzero_si512(), LIMBS, 2 * LIMBS);
        let words = self.0[half as usize].as_ptr().cast::<u64>();
        // SAFETY: digits are at most GENERATOR_MULTIPLES, so entries are in the table.
        unsafe { (Field::gather(words, entry, 1), Field::gather(words, y, 1)) }
    }
}
