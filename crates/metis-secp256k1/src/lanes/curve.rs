//! Points of y² = x³ + 7, eight side by side, in Jacobian coordinates.
//!
//! The formulas do not look for what they cannot add: equal and opposite points, which hardly ever meet. Where they
//! do, z becomes 0 and stays so to the end, whatever is added: who reads the result looks for that.

use core::arch::x86_64::__mmask8;

use super::field::{Field, add, carry, negative, shift};

/// (x / z², y / z³).
#[derive(Clone, Copy)]
pub(super) struct Point {
    pub x: Field,
    pub y: Field,
    pub z: Field,
}

impl Point {
    /// 2 · self (2009 l, a = 0, of the explicit-formulas database).
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn double(&self) -> Self {
        let xx = self.x.square();
        let yy = self.y.square();
        let slope = carry(&add(&xx.0, &shift::<1>(&xx.0)));
        let xyy = self.x.multiply(&yy).0;
        let x = slope.square_add(&negative::<8>(&shift::<3>(&xyy)));
        let down = carry(&add(&shift::<2>(&xyy), &negative::<1>(&x.0)));
        let yyyy = yy.square().0;
        let y = slope.multiply_add(&down, &negative::<8>(&shift::<3>(&yyyy)));
        let z = carry(&shift::<1>(&self.y.multiply(&self.z).0));
        Self { x, y, z }
    }

    /// self + (x, y), where neither is infinity and they are not equal.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn add(&self, x: &Field, y: &Field) -> Self {
        let zz = self.z.square();
        let width = x.multiply_add(&zz, &negative::<1>(&self.x.0));
        let height = y.multiply_add(&zz.multiply(&self.z), &negative::<1>(&self.y.0));
        let ww = width.square();
        let www = ww.multiply(&width);
        let base = self.x.multiply(&ww).0;
        let sum = height.square_add(&negative::<3>(&add(&www.0, &shift::<1>(&base))));
        let down = carry(&add(&base, &negative::<1>(&sum.0)));
        let lift = self.y.multiply(&www);
        Self { x: sum, y: height.multiply_add(&down, &negative::<1>(&lift.0)), z: self.z.multiply(&width) }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn select(mask: __mmask8, unset: &Self, set: &Self) -> Self {
        Self {
            x: Field::select(mask, &unset.x, &set.x),
            y: Field::select(mask, &unset.y, &set.y),
            z: Field::select(mask, &unset.z, &set.z),
        }
    }
}
