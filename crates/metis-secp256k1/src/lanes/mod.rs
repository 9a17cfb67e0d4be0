//! Eight recoveries side by side on AVX-512 IFMA.
//!
//! ```text
//! scalars        r, s, digest ─▶ generator, nonce = first + second · λ
//! groups of 8    x ─▶ R = (x, √(x³ + 7)) ─▶ R, 2R, … 8R            one inversion for all groups ─▶ their x and y
//!                128 doublings, with digits of the four halves added on the way
//!                                                                  one inversion for all groups ─▶ the keys
//! ```

mod curve;
mod field;
mod tables;

use core::arch::x86_64::__mmask8;

use curve::Point;
use field::{Field, LANES};
use tables::{
    Choice, Digits, GENERATOR_BITS, GENERATOR_DIGITS, GeneratorHalf, GeneratorTable, OWN_BITS, OWN_DIGITS,
    OWN_MULTIPLES, OwnTable, signed_digits,
};

use crate::{
    PublicKey, Signed,
    scalars::{Factors, Half, factors},
};

/// Signatures that are worth a group: it takes as long whatever its lanes hold.
const GROUP_SIZE_MIN: usize = 3;
/// Groups that share inversions: their tables fit the second cache.
const GROUPS_MAX: usize = 16;

/// β with β³ = 1 modulo p, as words with the least first.
const BETA: [u64; 4] = [0xc139_6c28_7195_01ee, 0x9cf0_4975_12f5_8995, 0x6e64_479e_ac34_34e9, 0x7ae9_6a2b_657c_0710];
/// The generator, which stands in for points that are not on the curve.
const GENERATOR_X: [u64; 4] =
    [0x59f2_815b_16f8_1798, 0x029b_fcdb_2dce_28d9, 0x55a0_6295_ce87_0b07, 0x79be_667e_f9dc_bbac];
const GENERATOR_Y: [u64; 4] =
    [0x9c47_d08f_fb10_d4b8, 0xfd17_b448_a685_5419, 0x5da4_fbfc_0e11_08a8, 0x483a_da77_26a3_c465];
const ONE: [u64; 4] = [1, 0, 0, 0];
const SEVEN: [u64; 4] = [7, 0, 0, 0];

/// Whether the processor has the instructions.
pub(crate) fn are_here() -> bool {
    std::arch::is_x86_feature_detected!("avx512f") && std::arch::is_x86_feature_detected!("avx512ifma")
}

/// The keys; `None` where the lanes found none or are not sure. None at all where the processor cannot do it.
pub(crate) fn recover_each(signed: &[Signed]) -> Option<Vec<Option<PublicKey>>> {
    if !are_here() || signed.len() < GROUP_SIZE_MIN {
        return None;
    }
    let generator = GeneratorTable::new();
    let mut keys = vec![None; signed.len()];
    for (signed, keys) in signed.chunks(GROUPS_MAX * LANES).zip(keys.chunks_mut(GROUPS_MAX * LANES)) {
        // SAFETY: the processor has the instructions.
        unsafe { recover_chunk(signed, keys, &generator) };
    }
    Some(keys)
}

/// A number's words, the least first.
fn words(bytes: &[u8; 32]) -> [u64; 4] {
    core::array::from_fn(|word| u64::from_be_bytes(core::array::from_fn(|index| bytes[24 - 8 * word + index])))
}

/// Eight recoveries on their way.
struct Group {
    /// Places of the lanes' signatures in the chunk.
    places: [usize; LANES],
    /// Lanes with a point on the curve.
    is_on_curve: __mmask8,
    multiples: [Point; OWN_MULTIPLES],
    generator: [[Digits; GENERATOR_DIGITS]; 2],
    nonce: [[Digits; OWN_DIGITS]; 2],
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn recover_chunk(signed: &[Signed], keys: &mut [Option<PublicKey>], generator: &GeneratorTable) {
    let factors = factors(signed);
    let valid: Vec<(usize, Factors)> =
        factors.into_iter().enumerate().filter_map(|(place, factors)| Some((place, factors?))).collect();
    let mut groups: Vec<Group> = valid
        .chunks(LANES)
        .filter(|chunk| chunk.len() >= GROUP_SIZE_MIN)
        .map(|chunk| Group::new(signed, chunk))
        .collect();
    // Multiples to affine coordinates; the first is already.
    let zs = groups.iter().flat_map(|group| &group.multiples[1..]).map(|multiple| multiple.z).collect();
    let inverses = invert_all(zs);
    let beta = Field::splat(BETA);
    let mut results = Vec::with_capacity(groups.len());
    let mut table = OwnTable::new();
    for (group, inverses) in groups.iter_mut().zip(inverses.chunks(OWN_MULTIPLES - 1)) {
        table.set(0, &group.multiples[0].x, &beta, &group.multiples[0].y);
        for (index, (multiple, inverse)) in group.multiples[1..].iter().zip(inverses).enumerate() {
            let [x, y] = affine(multiple, inverse);
            table.set(index + 1, &x, &beta, &y);
        }
        results.push(group.sum(&table, generator));
    }
    // A result whose z is 0 is infinity, or met what the formulas cannot add.
    let one = Field::splat(ONE);
    let is_lost: Vec<__mmask8> = results.iter().map(|result| result.z.is_zero()).collect();
    let zs = results.iter().zip(&is_lost).map(|(result, is_lost)| Field::select(*is_lost, &result.z, &one)).collect();
    for (((group, result), is_lost), inverse) in groups.iter().zip(&results).zip(is_lost).zip(&invert_all(zs)) {
        let [x, y] = affine(result, inverse).map(|number| number.store());
        let is_sound = group.is_on_curve & !is_lost;
        for (lane, place) in group.places.iter().enumerate() {
            if is_sound >> lane & 1 == 1 {
                keys[*place] = Some(key(x[lane], y[lane]));
            }
        }
    }
}

fn key(x: [u64; 4], y: [u64; 4]) -> PublicKey {
    let mut key = [0; 64];
    for (bytes, word) in key.chunks_exact_mut(8).zip(x.iter().rev().chain(y.iter().rev())) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    key
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn affine(point: &Point, inverse_of_z: &Field) -> [Field; 2] {
    let square = inverse_of_z.square();
    [point.x.multiply(&square), point.y.multiply(&square.multiply(inverse_of_z))]
}

/// The inverses of numbers that are not 0, by one inversion (Montgomery).
#[target_feature(enable = "avx512f,avx512ifma")]
fn invert_all(mut numbers: Vec<Field>) -> Vec<Field> {
    let mut product = Field::splat(ONE);
    let mut products = Vec::with_capacity(numbers.len());
    for number in &numbers {
        products.push(product);
        product = product.multiply(number);
    }
    let mut inverse = product.invert();
    for (number, product) in numbers.iter_mut().zip(products).rev() {
        let own = inverse.multiply(&product);
        inverse = inverse.multiply(number);
        *number = own;
    }
    numbers
}

/// Digits of each lane's number, together.
fn digits<const BITS: u32, const COUNT: usize>(numbers: [Half; LANES]) -> [Digits; COUNT] {
    let by_lane = numbers.map(signed_digits::<BITS, COUNT>);
    core::array::from_fn(|digit| core::array::from_fn(|lane| by_lane[lane][digit]))
}

impl Group {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn new(signed: &[Signed], chunk: &[(usize, Factors)]) -> Self {
        // Lanes that are left over do the first one's work again.
        let lanes: [&(usize, Factors); LANES] = core::array::from_fn(|lane| chunk.get(lane).unwrap_or(&chunk[0]));
        let places = lanes.map(|(place, _)| *place);
        let x = Field::load(&places.map(|place| words(&signed[place].r)));
        let yy = x.square().multiply_add(&x, &Field::splat(SEVEN).0);
        let root = yy.square_root();
        let is_on_curve = root.square_add(&field::negative::<1>(&yy.0)).is_zero();
        let is_odd = places.iter().rev().fold(0, |bits, place| bits << 1 | u8::from(signed[*place].is_y_odd));
        let y = Field::select(root.is_odd() ^ is_odd, &root, &root.negate());
        let point = Point {
            x: Field::select(is_on_curve, &Field::splat(GENERATOR_X), &x),
            y: Field::select(is_on_curve, &Field::splat(GENERATOR_Y), &y),
            z: Field::splat(ONE),
        };
        let two = point.double();
        let three = two.add(&point.x, &point.y);
        let (four, six) = (two.double(), three.double());
        let (five, seven) = (four.add(&point.x, &point.y), six.add(&point.x, &point.y));
        let whole = |magnitude| Half { magnitude, is_negative: false };
        Self {
            places,
            is_on_curve,
            multiples: [point, two, three, four, five, six, seven, four.double()],
            generator: [0, 1]
                .map(|half| digits::<GENERATOR_BITS, _>(lanes.map(|(_, factors)| whole(factors.generator[half])))),
            nonce: [0, 1].map(|half| digits::<OWN_BITS, _>(lanes.map(|(_, factors)| factors.nonce[half]))),
        }
    }

    /// generator · G + nonce · R.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn sum(&self, own: &OwnTable, generator: &GeneratorTable) -> Point {
        let mut sum = Accumulator::new();
        for position in (0..OWN_DIGITS * OWN_BITS as usize).rev() {
            sum.point = sum.point.double();
            if position.is_multiple_of(OWN_BITS as usize) {
                for (half, times_lambda) in [(0, false), (1, true)] {
                    let choice = Choice::new(&self.nonce[half][position / OWN_BITS as usize]);
                    let (x, y) = own.get(&choice, times_lambda);
                    sum.add(&x, &y, choice.some);
                }
            }
            let place = position / GENERATOR_BITS as usize;
            if position.is_multiple_of(GENERATOR_BITS as usize) && place < GENERATOR_DIGITS {
                for half in [GeneratorHalf::Low, GeneratorHalf::High] {
                    let choice = Choice::new(&self.generator[half as usize][place]);
                    let (x, y) = generator.get(&choice, half);
                    sum.add(&x, &y, choice.some);
                }
            }
        }
        sum.point
    }
}

/// A sum of points that begins with none.
struct Accumulator {
    point: Point,
    /// Lanes to which nothing was added yet; their point means nothing.
    is_empty: __mmask8,
    one: Field,
}

impl Accumulator {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn new() -> Self {
        let one = Field::splat(ONE);
        Self { point: Point { x: one, y: one, z: one }, is_empty: !0, one }
    }

    /// Adds (x, y) in some lanes.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn add(&mut self, x: &Field, y: &Field, some: __mmask8) {
        let mut sum = self.point.add(x, y);
        if self.is_empty != 0 {
            sum = Point::select(self.is_empty, &sum, &Point { x: *x, y: *y, z: self.one });
        }
        self.point = Point::select(some, &self.point, &sum);
        self.is_empty &= !some;
    }
}

#[cfg(test)]
#[allow(non_snake_case)]
mod tests {
    use super::*;
    use crate::recover;

    /// r and s count up: half of the x are on the curve.
    fn signed() -> Vec<Signed> {
        (1..=200u8)
            .map(|count| Signed { digest: [count; 32], r: [count; 32], s: [255 - count; 32], is_y_odd: count % 3 == 0 })
            .collect()
    }

    #[test]
    fn recover_each__ordinary_signatures__lanes_find_what_libsecp256k1_finds() {
        let signed = signed();
        let expected: Vec<_> = signed.iter().map(recover).collect();
        // Without the instructions there is nothing to compare.
        if let Some(keys) = recover_each(&signed) {
            assert_eq!(keys, expected);
        }
        assert!(expected.iter().filter(|key| key.is_some()).count() > 80);
    }
}
