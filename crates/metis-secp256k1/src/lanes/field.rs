//! Numbers modulo p = 2^256 - 2^32 - 977, eight side by side.
//!
//! Five limbs of 52 bits, as AVX-512 IFMA multiplies them. Between any two operations limbs are below 2^52 and the
//! number is below 2^257: so sums of a few can be made without carrying, and one carry puts them in order again.

use core::arch::x86_64::{
    __m512i, __mmask8, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpeq_epi64_mask, _mm512_i64gather_epi64,
    _mm512_loadu_si512, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_mask_blend_epi64, _mm512_or_si512,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_storeu_si512,
    _mm512_sub_epi64, _mm512_test_epi64_mask,
};

/// How many are computed at once.
pub(super) const LANES: usize = 8;
pub(super) const LIMBS: usize = 5;

const LIMB_MASK: u64 = (1 << 52) - 1;
const TOP_MASK: u64 = (1 << 48) - 1;
/// 2^256 modulo p.
const FOLD_256: u64 = 0x1_0000_03d1;
/// 2^260 modulo p.
const FOLD_260: u64 = FOLD_256 << 4;
const P: [u64; LIMBS] = [LIMB_MASK + 1 - FOLD_256, LIMB_MASK, LIMB_MASK, LIMB_MASK, TOP_MASK];

/// Limbs that need not be below 2^52: a sum that waits for its carry.
pub(super) type Sum = [__m512i; LIMBS];

/// Eight numbers modulo p.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Field(pub(super) Sum);

/// A number's limbs.
pub(super) const fn limbs(words: [u64; 4]) -> [u64; LIMBS] {
    let [a, b, c, d] = words;
    [
        a & LIMB_MASK,
        (a >> 52 | b << 12) & LIMB_MASK,
        (b >> 40 | c << 24) & LIMB_MASK,
        (c >> 28 | d << 36) & LIMB_MASK,
        d >> 16,
    ]
}

/// An array of what an expression is for each limb. `array::from_fn` would call a closure from a function without the
/// processor's features, into which nothing can be inlined.
macro_rules! each_limb {
    ($limb:ident => $value:expr) => {{
        let mut limbs = [_mm512_setzero_si512(); LIMBS];
        let mut $limb = 0;
        while $limb < LIMBS {
            limbs[$limb] = $value;
            $limb += 1;
        }
        limbs
    }};
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn all(value: u64) -> __m512i {
    _mm512_set1_epi64(value.cast_signed())
}

/// `times` · p, limb by limb: what is subtracted from it leaves no limb below zero, if `times` is at least twice as
/// many numbers, and two.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn multiple_of_p(times: u64) -> Sum {
    [all(P[0] * times), all(P[1] * times), all(P[2] * times), all(P[3] * times), all(P[4] * times)]
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
pub(super) fn add(a: &Sum, b: &Sum) -> Sum {
    each_limb!(limb => _mm512_add_epi64(a[limb], b[limb]))
}

/// a - b, where b's limbs are not above a's.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
pub(super) fn subtract(a: &Sum, b: &Sum) -> Sum {
    each_limb!(limb => _mm512_sub_epi64(a[limb], b[limb]))
}

/// 2^`BITS` · a.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
pub(super) fn shift<const BITS: u32>(a: &Sum) -> Sum {
    each_limb!(limb => _mm512_slli_epi64::<BITS>(a[limb]))
}

/// -b, as a sum; b is the sum of at most `NUMBERS`.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
pub(super) fn negative<const NUMBERS: u64>(b: &Sum) -> Sum {
    subtract(&multiple_of_p(2 * NUMBERS + 2), b)
}

/// Puts limbs below 2^52, the number below 2^257.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
pub(super) fn carry(sum: &Sum) -> Field {
    // BOUND: limbs are below 2^63, so what is above 2^256 is below 2^15 and times the fold below 2^48.
    let above = _mm512_srli_epi64::<48>(sum[4]);
    let mut limbs = *sum;
    limbs[4] = _mm512_and_si512(limbs[4], all(TOP_MASK));
    limbs[0] = _mm512_madd52lo_epu64(limbs[0], above, all(FOLD_256));
    carry_up(limbs)
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn carry_up(mut limbs: Sum) -> Field {
    let mask = all(LIMB_MASK);
    for limb in 0..4 {
        limbs[limb + 1] = _mm512_add_epi64(limbs[limb + 1], _mm512_srli_epi64::<52>(limbs[limb]));
        limbs[limb] = _mm512_and_si512(limbs[limb], mask);
    }
    Field(limbs)
}

/// Ten limbs of a product, taken modulo p.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn fold(r: &[__m512i; 2 * LIMBS]) -> Field {
    let factor = all(FOLD_260);
    let mut l: Sum = [r[0], r[1], r[2], r[3], r[4]];
    // A limb's low 52 bits, then what is above them: the instruction looks at 52 only.
    for limb in 0..LIMBS {
        l[limb] = _mm512_madd52lo_epu64(l[limb], r[LIMBS + limb], factor);
    }
    for limb in 0..LIMBS - 1 {
        l[limb + 1] = _mm512_madd52hi_epu64(l[limb + 1], r[LIMBS + limb], factor);
        // BOUND: at most ten products meet in a limb, so this is below 2^5; nothing is above the last.
        l[limb + 1] = _mm512_madd52lo_epu64(l[limb + 1], _mm512_srli_epi64::<52>(r[LIMBS + limb]), factor);
    }
    let beyond = _mm512_madd52hi_epu64(_mm512_setzero_si512(), r[9], factor);
    // BOUND: below 2^36, and times the fold below 2^69: limbs 0 and 1.
    let above = _mm512_add_epi64(_mm512_srli_epi64::<48>(l[4]), _mm512_slli_epi64::<4>(beyond));
    l[4] = _mm512_and_si512(l[4], all(TOP_MASK));
    l[0] = _mm512_madd52lo_epu64(l[0], above, all(FOLD_256));
    l[1] = _mm512_madd52hi_epu64(l[1], above, all(FOLD_256));
    carry_up(l)
}

impl Field {
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn zero() -> Self {
        Self([_mm512_setzero_si512(); LIMBS])
    }

    /// The same number in all lanes.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn splat(words: [u64; 4]) -> Self {
        let number = limbs(words);
        Self(each_limb!(limb => all(number[limb])))
    }

    /// One number a lane, as words with the least first.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn load(numbers: &[[u64; 4]; LANES]) -> Self {
        let numbers = numbers.map(limbs);
        let rows: [[u64; LANES]; LIMBS] = core::array::from_fn(|limb| core::array::from_fn(|lane| numbers[lane][limb]));
        // SAFETY: eight words each.
        Self(each_limb!(limb => unsafe { _mm512_loadu_si512(rows[limb].as_ptr().cast()) }))
    }

    /// The limbs, each with all its lanes.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn words(&self) -> [[u64; LANES]; LIMBS] {
        let mut rows = [[0; LANES]; LIMBS];
        for (limb, row) in self.0.iter().zip(&mut rows) {
            // SAFETY: eight words.
            unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), *limb) };
        }
        rows
    }

    /// The numbers below p, as words with the least first.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn store(&self) -> [[u64; 4]; LANES] {
        let rows = self.canonical().words();
        core::array::from_fn(|lane| {
            let [a, b, c, d, e] = rows.map(|row| row[lane]);
            [a | b << 52, b >> 12 | c << 40, c >> 24 | d << 28, d >> 36 | e << 16]
        })
    }

    /// Numbers from memory: `limb_stride` words from limb to limb, beginning at each lane's index.
    ///
    /// # Safety
    /// Every lane's index, and the four strides after it, are inside `words`.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) unsafe fn gather(words: *const u64, index: __m512i, limb_stride: usize) -> Self {
        // SAFETY: as the caller says.
        Self(each_limb!(limb => unsafe {
            _mm512_i64gather_epi64::<8>(index, words.add(limb * limb_stride).cast())
        }))
    }

    /// The second where the mask has a bit, else the first.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn select(mask: __mmask8, unset: &Self, set: &Self) -> Self {
        Self(each_limb!(limb => _mm512_mask_blend_epi64(mask, unset.0[limb], set.0[limb])))
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn negate(&self) -> Self {
        carry(&negative::<1>(&self.0))
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn multiply(&self, by: &Self) -> Self {
        self.multiply_add(by, &Self::zero().0)
    }

    /// self · by + more. Limbs of `more` are below 2^58.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn multiply_add(&self, by: &Self, more: &Sum) -> Self {
        let (a, b) = (&self.0, &by.0);
        let zero = _mm512_setzero_si512();
        let mut low = [more[0], more[1], more[2], more[3], more[4], zero, zero, zero, zero, zero];
        let mut high = [zero; 2 * LIMBS];
        for i in 0..LIMBS {
            for j in 0..LIMBS {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], a[i], b[j]);
                high[i + j + 1] = _mm512_madd52hi_epu64(high[i + j + 1], a[i], b[j]);
            }
        }
        for (low, high) in low.iter_mut().zip(high) {
            *low = _mm512_add_epi64(*low, high);
        }
        fold(&low)
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn square(&self) -> Self {
        self.square_add(&Self::zero().0)
    }

    /// self² + more. Limbs of `more` are below 2^58.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn square_add(&self, more: &Sum) -> Self {
        let a = &self.0;
        let zero = _mm512_setzero_si512();
        // Products of different limbs come twice.
        let (mut low, mut high) = ([zero; 2 * LIMBS], [zero; 2 * LIMBS]);
        for i in 0..LIMBS {
            for j in i + 1..LIMBS {
                low[i + j] = _mm512_madd52lo_epu64(low[i + j], a[i], a[j]);
                high[i + j + 1] = _mm512_madd52hi_epu64(high[i + j + 1], a[i], a[j]);
            }
        }
        let mut r = [zero; 2 * LIMBS];
        for limb in 0..2 * LIMBS {
            r[limb] = _mm512_slli_epi64::<1>(_mm512_add_epi64(low[limb], high[limb]));
        }
        for limb in 0..LIMBS {
            r[limb] = _mm512_add_epi64(r[limb], more[limb]);
        }
        for i in 0..LIMBS {
            r[2 * i] = _mm512_madd52lo_epu64(r[2 * i], a[i], a[i]);
            r[2 * i + 1] = _mm512_madd52hi_epu64(r[2 * i + 1], a[i], a[i]);
        }
        fold(&r)
    }

    /// self to the power of 2^`times`.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn square_times(mut self, times: u32) -> Self {
        for _ in 0..times {
            self = self.square();
        }
        self
    }

    /// Powers whose exponents are 2, 22 and 223 ones in binary: p has long runs of ones (libsecp256k1's chain).
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn runs_of_ones(&self) -> [Self; 3] {
        let x2 = self.square().multiply(self);
        let x3 = x2.square().multiply(self);
        let x6 = x3.square_times(3).multiply(&x3);
        let x9 = x6.square_times(3).multiply(&x3);
        let x11 = x9.square_times(2).multiply(&x2);
        let x22 = x11.square_times(11).multiply(&x11);
        let x44 = x22.square_times(22).multiply(&x22);
        let x88 = x44.square_times(44).multiply(&x44);
        let x176 = x88.square_times(88).multiply(&x88);
        let x220 = x176.square_times(44).multiply(&x44);
        let x223 = x220.square_times(3).multiply(&x3);
        [x2, x22, x223]
    }

    /// A square root where there is one: self to the power of (p + 1) / 4.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn square_root(&self) -> Self {
        let [x2, x22, x223] = self.runs_of_ones();
        x223.square_times(23).multiply(&x22).square_times(6).multiply(&x2).square_times(2)
    }

    /// 1 / self; 0 where self is 0: self to the power of p - 2.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn invert(&self) -> Self {
        let [x2, x22, x223] = self.runs_of_ones();
        let high = x223.square_times(23).multiply(&x22).square_times(5).multiply(self);
        high.square_times(3).multiply(&x2).square_times(2).multiply(self)
    }

    /// The same numbers below p.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn canonical(&self) -> Self {
        // Below 2^256 + 2^34 after this, so p has to be subtracted at most once.
        let number = carry(&self.0);
        let mut more = number.0;
        more[0] = _mm512_add_epi64(more[0], all(FOLD_256));
        let mut more = carry_up(more);
        // Where adding 2^256 - p reaches 2^256, the rest is what is above p.
        let is_above = _mm512_test_epi64_mask(more.0[4], all(1 << 48));
        more.0[4] = _mm512_and_si512(more.0[4], all(TOP_MASK));
        Self::select(is_above, &number, &more)
    }

    /// Lanes that are 0.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn is_zero(&self) -> __mmask8 {
        let [a, b, c, d, e] = self.canonical().0;
        let any = _mm512_or_si512(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d)), e);
        _mm512_cmpeq_epi64_mask(any, _mm512_setzero_si512())
    }

    /// Lanes that are odd.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn is_odd(&self) -> __mmask8 {
        _mm512_test_epi64_mask(self.canonical().0[0], all(1))
    }
}
