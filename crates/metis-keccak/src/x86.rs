//! One block per lane and a permutation, with the vectors of x86-64.

use core::arch::x86_64::{
    __m256i, __m512i, _mm_cvtsi32_si128, _mm256_andnot_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_setzero_si256, _mm256_sll_epi64,
    _mm256_srl_epi64, _mm256_storeu_si256, _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256,
    _mm512_loadu_si512, _mm512_rol_epi64, _mm512_set_epi64, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_i64x2, _mm512_storeu_si512, _mm512_ternarylogic_epi64, _mm512_unpackhi_epi64, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use crate::{
    group::{Block, State},
    permutation::permute,
};

/// Words of a block.
const WORD_COUNT: usize = size_of::<Block>() / 8;

fn last_word(block: &Block) -> i64 {
    // UNWRAP: eight bytes.
    i64::from_le_bytes(block[(WORD_COUNT - 1) * 8..].try_into().unwrap())
}

/// Takes in eight blocks and permutes.
#[target_feature(enable = "avx512f")]
pub fn absorb_avx512(state: &mut State<8>, blocks: &[&Block; 8]) {
    let mut a = [_mm512_setzero_si512(); 25];
    for (vector, lanes) in a.iter_mut().zip(&state.0) {
        // SAFETY: a word of the state is eight lanes of eight bytes.
        *vector = unsafe { _mm512_loadu_si512(lanes.as_ptr().cast()) };
    }
    for half in 0..2 {
        let mut rows = [_mm512_setzero_si512(); 8];
        for (row, block) in rows.iter_mut().zip(blocks) {
            // SAFETY: bytes 0 to 63 or 64 to 127 of 136.
            *row = unsafe { _mm512_loadu_si512(block.as_ptr().add(half * 64).cast()) };
        }
        for (word, column) in transpose_avx512(rows).into_iter().enumerate() {
            a[half * 8 + word] = _mm512_xor_si512(a[half * 8 + word], column);
        }
    }
    let [w0, w1, w2, w3, w4, w5, w6, w7] = blocks.map(last_word);
    a[WORD_COUNT - 1] = _mm512_xor_si512(a[WORD_COUNT - 1], _mm512_set_epi64(w7, w6, w5, w4, w3, w2, w1, w0));
    permute!(
        a,
        _mm512_xor_si512,
        xor3_avx512,
        sides_avx512,
        add_avx512,
        _mm512_rol_epi64,
        chi_avx512,
        _mm512_set1_epi64
    );
    for (vector, lanes) in a.into_iter().zip(&mut state.0) {
        // SAFETY: as for the loads.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), vector) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3_avx512(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn sides_avx512(left: __m512i, right: __m512i) -> (__m512i, __m512i) {
    (left, right)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_avx512(a: __m512i, (left, right): (__m512i, __m512i)) -> __m512i {
    xor3_avx512(a, left, right)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn chi_avx512(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi64::<0xd2>(a, b, c)
}

/// Eight words of eight messages become eight vectors with one word of every message.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_avx512(rows: [__m512i; 8]) -> [__m512i; 8] {
    let [r0, r1, r2, r3, r4, r5, r6, r7] = rows;
    // Pairs of messages: word 0, 2, 4, 6 (and 1, 3, 5, 7) of two messages beside each other.
    let even = [
        _mm512_unpacklo_epi64(r0, r1),
        _mm512_unpacklo_epi64(r2, r3),
        _mm512_unpacklo_epi64(r4, r5),
        _mm512_unpacklo_epi64(r6, r7),
    ];
    let odd = [
        _mm512_unpackhi_epi64(r0, r1),
        _mm512_unpackhi_epi64(r2, r3),
        _mm512_unpackhi_epi64(r4, r5),
        _mm512_unpackhi_epi64(r6, r7),
    ];
    let [w0, w2, w4, w6] = transpose_pairs_avx512(even);
    let [w1, w3, w5, w7] = transpose_pairs_avx512(odd);
    [w0, w1, w2, w3, w4, w5, w6, w7]
}

/// The same for four vectors of four pairs.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose_pairs_avx512([p0, p1, p2, p3]: [__m512i; 4]) -> [__m512i; 4] {
    let low01 = _mm512_shuffle_i64x2::<0b01_00_01_00>(p0, p1);
    let high01 = _mm512_shuffle_i64x2::<0b11_10_11_10>(p0, p1);
    let low23 = _mm512_shuffle_i64x2::<0b01_00_01_00>(p2, p3);
    let high23 = _mm512_shuffle_i64x2::<0b11_10_11_10>(p2, p3);
    [
        _mm512_shuffle_i64x2::<0b10_00_10_00>(low01, low23),
        _mm512_shuffle_i64x2::<0b11_01_11_01>(low01, low23),
        _mm512_shuffle_i64x2::<0b10_00_10_00>(high01, high23),
        _mm512_shuffle_i64x2::<0b11_01_11_01>(high01, high23),
    ]
}

/// Takes in four blocks and permutes.
#[target_feature(enable = "avx2")]
pub fn absorb_avx2(state: &mut State<4>, blocks: &[&Block; 4]) {
    let mut a = [_mm256_setzero_si256(); 25];
    for (vector, lanes) in a.iter_mut().zip(&state.0) {
        // SAFETY: a word of the state is four lanes of eight bytes.
        *vector = unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) };
    }
    for quarter in 0..4 {
        let mut rows = [_mm256_setzero_si256(); 4];
        for (row, block) in rows.iter_mut().zip(blocks) {
            // SAFETY: 32 of the first 128 bytes of 136.
            *row = unsafe { _mm256_loadu_si256(block.as_ptr().add(quarter * 32).cast()) };
        }
        for (word, column) in transpose_avx2(rows).into_iter().enumerate() {
            a[quarter * 4 + word] = _mm256_xor_si256(a[quarter * 4 + word], column);
        }
    }
    let [w0, w1, w2, w3] = blocks.map(last_word);
    a[WORD_COUNT - 1] = _mm256_xor_si256(a[WORD_COUNT - 1], _mm256_set_epi64x(w3, w2, w1, w0));
    permute!(
        a,
        _mm256_xor_si256,
        xor3_avx2,
        _mm256_xor_si256,
        _mm256_xor_si256,
        rol_avx2,
        chi_avx2,
        _mm256_set1_epi64x
    );
    for (vector, lanes) in a.into_iter().zip(&mut state.0) {
        // SAFETY: as for the loads.
        unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), vector) };
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor3_avx2(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(a, b), c)
}

#[inline]
#[target_feature(enable = "avx2")]
fn chi_avx2(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(a, _mm256_andnot_si256(b, c))
}

#[inline]
#[target_feature(enable = "avx2")]
fn rol_avx2<const BITS: i32>(a: __m256i) -> __m256i {
    // The counts become constants of the instructions once this is inlined.
    let (left, right) = (_mm_cvtsi32_si128(BITS), _mm_cvtsi32_si128(64 - BITS));
    _mm256_or_si256(_mm256_sll_epi64(a, left), _mm256_srl_epi64(a, right))
}

/// Four words of four messages become four vectors with one word of every message.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose_avx2([r0, r1, r2, r3]: [__m256i; 4]) -> [__m256i; 4] {
    let even01 = _mm256_unpacklo_epi64(r0, r1);
    let odd01 = _mm256_unpackhi_epi64(r0, r1);
    let even23 = _mm256_unpacklo_epi64(r2, r3);
    let odd23 = _mm256_unpackhi_epi64(r2, r3);
    [
        _mm256_permute2x128_si256::<0x20>(even01, even23),
        _mm256_permute2x128_si256::<0x20>(odd01, odd23),
        _mm256_permute2x128_si256::<0x31>(even01, even23),
        _mm256_permute2x128_si256::<0x31>(odd01, odd23),
    ]
}
