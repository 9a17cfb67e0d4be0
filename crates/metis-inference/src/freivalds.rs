//! Freivalds' check: whether a claimed matrix product is one, much cheaper than the product.
//!
//! With D = A·B − C over the integers and r uniform in S^n, S = {0, …, 2^31 − 1}, drawn after C is fixed: if D has an
//! entry that is not 0 modulo p = 2^61 − 1, at most one in 2^31 of all r give D·r ≡ 0 (mod p) (Schwartz and Zippel: fix
//! all entries of r but the one beside a non-zero entry of D; one value of it at most fits). Entries are below p in
//! magnitude, so D ≡ 0 (mod p) only if D = 0; [`Refused::Bound`] says where that is not known. Two independent r make it
//! one in 2^62. A true product always passes.
//!
//! Source: R. Freivalds, Probabilistic machines can use less running time, 1977.

use alloc::{vec, vec::Vec};

use crate::{graph::DType, memory::Element};

const P: u64 = (1 << 61) - 1;
/// How many vectors a product is checked with.
pub const ROUNDS: usize = 2;
/// Terms of a sum that surely fit 64 bits: each is of 16 and 31 bits.
const TERMS_MAX: usize = 1 << 16;

/// The sizes of `batch` products of m × k and k × n matrices.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// How many products there are.
    pub batch: usize,
    /// Rows of a product.
    pub m: usize,
    /// Terms of a sum.
    pub k: usize,
    /// Columns of a product.
    pub n: usize,
    /// All products have the same second factor.
    pub is_b_shared: bool,
    /// The second factors are n × k.
    pub transpose_b: bool,
}

/// Why nothing is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A matrix has another number of bytes than its sizes say.
    #[error("{given} bytes instead of {expected}")]
    Length {
        /// What is given.
        given: usize,
        /// What the sizes say.
        expected: u128,
    },
    /// Sums or claimed values may reach 2^60 in magnitude, or a factor has more than 32 bits.
    #[error("products or claimed values may have 60 bits or more")]
    Bound,
}

/// A matrix: little-endian elements in rows.
pub type Matrix<'a> = (DType, &'a [u8]);

/// How many random bytes [`product_holds`] takes.
pub const fn random_bytes(sizes: &Sizes) -> usize {
    ROUNDS * sizes.n * 4
}

/// B·r for each vector r and each second factor: what of the check does not depend on A and C, made once for a constant.
pub struct Image {
    /// For each vector, for each second factor, the low 31 bits and the rest of each entry.
    halves: Vec<Vec<(Vec<i32>, Vec<i32>)>>,
    vectors: Vec<Vec<i32>>,
    magnitude: u64,
    k: usize,
    n: usize,
}

impl Image {
    /// The image of second factors. `random` is drawn uniformly; who makes the products never learns it.
    ///
    /// # Errors
    /// Lengths do not fit the sizes.
    pub fn of(sizes: &Sizes, b: Matrix<'_>, random: &[u8]) -> Result<Self, Refused> {
        let Sizes { k, n, .. } = *sizes;
        check_length(&b, sizes.b_count(), k, n)?;
        if random.len() != random_bytes(sizes) {
            return Err(Refused::Length { given: random.len(), expected: random_bytes(sizes) as u128 });
        }
        let b = Limbs::of(b);
        let vectors: Vec<Vec<i32>> = random
            .chunks(4 * n)
            .map(|round| round.as_chunks::<4>().0.iter().map(|word| (u32::from_le_bytes(*word) >> 1) as i32).collect())
            .collect();
        let half_pair = |vector: &Vec<i32>, number: usize| {
            let begin = number * k * n;
            let image = if sizes.transpose_b { b.combined(begin, n, k, vector) } else { b.times(begin, k, n, vector) };
            let low = image.iter().map(|value| (value & ((1 << 31) - 1)) as i32).collect();
            (low, image.iter().map(|value| (value >> 31) as i32).collect())
        };
        let halves = vectors
            .iter()
            .map(|vector| (0..sizes.b_count()).map(|number| half_pair(vector, number)).collect())
            .collect();
        Ok(Self { halves, vectors, magnitude: b.magnitude(), k, n })
    }
}

impl Sizes {
    const fn b_count(&self) -> usize {
        if self.is_b_shared { 1 } else { self.batch }
    }
}

fn check_length(matrix: &Matrix<'_>, count: usize, rows: usize, columns: usize) -> Result<(), Refused> {
    let expected = count as u128 * rows as u128 * columns as u128 * matrix.0.size_bytes() as u128;
    if matrix.1.len() as u128 == expected {
        return Ok(());
    }
    Err(Refused::Length { given: matrix.1.len(), expected })
}

/// Whether C = A·B, by the image of B: wrong at most once in 2^62 where its vectors were drawn, uniformly, after C was
/// fixed or without whoever fixed it knowing them.
///
/// # Errors
/// Lengths do not fit the sizes, or the bound of the argument above is not known to hold.
pub fn product_holds(sizes: &Sizes, a: Matrix<'_>, image: &Image, c: Matrix<'_>) -> Result<bool, Refused> {
    let Sizes { batch, m, k, n, is_b_shared, .. } = *sizes;
    check_length(&a, batch, m, k)?;
    check_length(&c, batch, m, n)?;
    let images = image.halves.first().map_or(0, Vec::len);
    if (image.k, image.n, images) != (k, n, sizes.b_count()) {
        return Err(Refused::Length { given: image.k * image.n * images, expected: (k * n * sizes.b_count()) as u128 });
    }
    let (a, c) = (Limbs::of(a), Limbs::of(c));
    let bound =
        (a.magnitude() as u128).checked_mul(image.magnitude as u128).and_then(|term| term.checked_mul(k as u128));
    if bound.is_none_or(|bound| bound >= 1 << 60) || c.magnitude() >= 1 << 60 {
        return Err(Refused::Bound);
    }
    for (vector, halves) in image.vectors.iter().zip(&image.halves) {
        for number in 0..batch {
            let (low, high) = &halves[if is_b_shared { 0 } else { number }];
            let low = a.times(number * m * k, m, k, low);
            let high = a.times(number * m * k, m, k, high);
            let claimed = c.times(number * m * n, m, n, vector);
            for ((low, high), claimed) in low.iter().zip(&high).zip(&claimed) {
                if reduce(i128::from(*low) + (i128::from(*high) << 31)) != *claimed {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

fn reduce(value: i128) -> u64 {
    value.rem_euclid(i128::from(P)) as u64
}

/// A matrix as one to four matrices of 16 bits, the lowest first, of which all but the last are without sign.
struct Limbs {
    parts: Vec<Vec<i32>>,
    magnitude: u64,
}

impl Limbs {
    fn of((dtype, bytes): Matrix<'_>) -> Self {
        match dtype {
            DType::Int8 => Self::split(bytes, 1, i8::from_le_bytes),
            DType::Int16 => Self::split(bytes, 1, i16::from_le_bytes),
            DType::Int32 => Self::split(bytes, 2, i32::from_le_bytes),
            DType::Int64 => Self::split(bytes, 4, i64::from_le_bytes),
        }
    }

    fn split<T: Element, const BYTES: usize>(bytes: &[u8], count: usize, value: impl Fn([u8; BYTES]) -> T) -> Self {
        let elements = bytes.as_chunks::<BYTES>().0;
        let (lo, hi) = elements
            .iter()
            .map(|raw| value(*raw).wide())
            .fold((0, 0), |(lo, hi): (i64, i64), element| (lo.min(element), hi.max(element)));
        let part = |part: usize| {
            let mask = if part + 1 == count { -1 } else { 0xffff };
            elements.iter().map(|raw| ((value(*raw).wide() >> (16 * part)) & mask) as i32).collect()
        };
        Self { parts: (0..count).map(part).collect(), magnitude: lo.unsigned_abs().max(hi.unsigned_abs()) }
    }

    const fn magnitude(&self) -> u64 {
        self.magnitude
    }

    /// The matrix at a place times a vector of 31 bits, modulo p.
    fn times(&self, begin: usize, rows: usize, columns: usize, vector: &[i32]) -> Vec<u64> {
        let mut totals = vec![0_i128; rows];
        for (part, limb) in self.parts.iter().enumerate() {
            for (total, row) in totals.iter_mut().zip(limb[begin..][..rows * columns].chunks_exact(columns.max(1))) {
                for (terms, factors) in row.chunks(TERMS_MAX).zip(vector.chunks(TERMS_MAX)) {
                    *total += i128::from(dot(terms, factors)) << (16 * part);
                }
            }
        }
        totals.into_iter().map(reduce).collect()
    }

    /// The rows of the matrix at a place, each times its element of a vector of 31 bits, added up modulo p.
    fn combined(&self, begin: usize, rows: usize, columns: usize, vector: &[i32]) -> Vec<u64> {
        let mut totals = vec![0_i128; columns];
        for (part, limb) in self.parts.iter().enumerate() {
            let matrix = &limb[begin..][..rows * columns];
            for (matrix, factors) in matrix.chunks(TERMS_MAX * columns).zip(vector.chunks(TERMS_MAX)) {
                let mut sums = vec![0_i64; columns];
                for (row, factor) in matrix.chunks_exact(columns.max(1)).zip(factors) {
                    add_scaled(&mut sums, row, *factor);
                }
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total += i128::from(sum) << (16 * part);
                }
            }
        }
        totals.into_iter().map(reduce).collect()
    }
}

/// Compiles a loop for the processor's vectors too, and takes the widest that it has.
macro_rules! widest {
    ($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?, $plain:ident, $avx2:ident, $avx512:ident, $body:block) => {
        #[inline(always)]
        fn $plain($($argument: $type),*) $(-> $result)? $body

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2")]
        fn $avx2($($argument: $type),*) $(-> $result)? { $plain($($argument),*) }

        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl")]
        fn $avx512($($argument: $type),*) $(-> $result)? { $plain($($argument),*) }

        fn $name($($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                if std::is_x86_feature_detected!("avx512dq") && std::is_x86_feature_detected!("avx512vl") {
                    // SAFETY: the processor has these instructions; the others of the list come with them.
                    return unsafe { $avx512($($argument),*) };
                }
                if std::is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has these instructions.
                    return unsafe { $avx2($($argument),*) };
                }
            }
            $plain($($argument),*)
        }
    };
}

widest!(dot(terms: &[i32], factors: &[i32]) -> i64, dot_plain, dot_avx2, dot_avx512, {
    terms.iter().zip(factors).map(|(term, factor)| i64::from(*term) * i64::from(*factor)).sum()
});

widest!(add_scaled(sums: &mut [i64], row: &[i32], factor: i32), add_plain, add_avx2, add_avx512, {
    for (sum, value) in sums.iter_mut().zip(row) {
        *sum += i64::from(*value) * i64::from(factor);
    }
});

#[cfg(test)]
#[allow(non_snake_case)] // test names are sentences in three parts
mod tests {
    use super::*;

    fn bytes_of(values: &[i64], dtype: DType) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()[..dtype.size_bytes()].to_vec()).collect()
    }

    fn mixed(seed: &mut u64) -> u64 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *seed >> 11
    }

    #[test]
    fn product_holds__true_and_every_changed_entry__is_told_apart() {
        let mut seed = 1;
        for (dtype, out, is_b_shared, transpose_b) in [
            (DType::Int8, DType::Int32, true, false),
            (DType::Int16, DType::Int64, false, true),
            (DType::Int32, DType::Int64, true, true),
            (DType::Int8, DType::Int32, false, false),
        ] {
            let sizes = Sizes { batch: 2, m: 3, k: 5, n: 4, is_b_shared, transpose_b };
            let span = if dtype == DType::Int32 { 1 << 28 } else { 1 << (8 * dtype.size_bytes()) };
            let mut draw = |count: usize| -> Vec<i64> {
                (0..count).map(|_| (mixed(&mut seed) % span) as i64 - (span / 2) as i64).collect()
            };
            let (a, b) = (draw(30), draw(if is_b_shared { 20 } else { 40 }));
            let mut c = vec![0; 24];
            for (place, sum) in c.iter_mut().enumerate() {
                let (batch, row, column) = (place / 12, place / 4 % 3, place % 4);
                let begin = if is_b_shared { 0 } else { 20 * batch };
                *sum = (0..5)
                    .map(|t| {
                        let at = if transpose_b { column * 5 + t } else { t * 4 + column };
                        a[batch * 15 + row * 5 + t] * b[begin + at]
                    })
                    .sum();
            }
            let random: Vec<u8> = (0..random_bytes(&sizes)).map(|_| mixed(&mut seed) as u8).collect();
            let (a, b) = (bytes_of(&a, dtype), bytes_of(&b, dtype));
            let image = Image::of(&sizes, (dtype, &b), &random).expect("lengths fit");
            let holds = |c: &[i64]| product_holds(&sizes, (dtype, &a), &image, (out, &bytes_of(c, out)));
            assert_eq!(holds(&c), Ok(true));
            for place in 0..24 {
                for change in [1, -1, 1 << 16, -(1 << 30)] {
                    let mut wrong = c.clone();
                    wrong[place] = wrong[place].wrapping_add(change);
                    assert_eq!(holds(&wrong), Ok(false), "{dtype:?} {place} {change}");
                }
            }
        }
    }

    #[test]
    fn product_holds__claimed_values_of_61_bits__is_refused() {
        let sizes = Sizes { batch: 1, m: 1, k: 1, n: 1, is_b_shared: true, transpose_b: false };
        let c = bytes_of(&[1 << 61], DType::Int64);
        let image = Image::of(&sizes, (DType::Int8, &[1]), &[0; 8]).expect("lengths fit");
        let found = product_holds(&sizes, (DType::Int8, &[1]), &image, (DType::Int64, &c));
        assert_eq!(found, Err(Refused::Bound));
    }
}
