//! Keccak-f[1600] (FIPS 202 §3), for vectors of any width.

/// Round constants (FIPS 202 §3.2.5).
pub const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// The permutation of `$a`, an array of 25 vectors, by a set of instructions: exclusive or of three
/// (`$xor3`) and of two (`$xor`), rotation to the left by a constant (`$rol`), `a ^ (!b & c)`
/// (`$chi`), a word in every lane (`$splat`). `$sides` is what two vectors are kept as that are to
/// be added to others, and `$add` adds them: one vector, or, where three are added at once, both.
///
/// A macro and not a function over a trait: intrinsics are only inlined into functions that name
/// their instructions.
macro_rules! permute {
    ($a:ident, $xor:ident, $xor3:ident, $sides:ident, $add:ident, $rol:ident, $chi:ident, $splat:ident) => {
        for constant in $crate::permutation::ROUND_CONSTANTS {
            // Theta: the parity of the columns to the left and right of each.
            let c0 = $xor3($xor3($a[0], $a[5], $a[10]), $a[15], $a[20]);
            let c1 = $xor3($xor3($a[1], $a[6], $a[11]), $a[16], $a[21]);
            let c2 = $xor3($xor3($a[2], $a[7], $a[12]), $a[17], $a[22]);
            let c3 = $xor3($xor3($a[3], $a[8], $a[13]), $a[18], $a[23]);
            let c4 = $xor3($xor3($a[4], $a[9], $a[14]), $a[19], $a[24]);
            let d0 = $sides(c4, $rol::<1>(c1));
            let d1 = $sides(c0, $rol::<1>(c2));
            let d2 = $sides(c1, $rol::<1>(c3));
            let d3 = $sides(c2, $rol::<1>(c4));
            let d4 = $sides(c3, $rol::<1>(c0));
            // Rho and pi, one row of the result at a time, then chi on the row.
            let b0 = $add($a[0], d0);
            let b1 = $rol::<44>($add($a[6], d1));
            let b2 = $rol::<43>($add($a[12], d2));
            let b3 = $rol::<21>($add($a[18], d3));
            let b4 = $rol::<14>($add($a[24], d4));
            let e0 = $xor($chi(b0, b1, b2), $splat(constant as i64));
            let e1 = $chi(b1, b2, b3);
            let e2 = $chi(b2, b3, b4);
            let e3 = $chi(b3, b4, b0);
            let e4 = $chi(b4, b0, b1);
            let b0 = $rol::<28>($add($a[3], d3));
            let b1 = $rol::<20>($add($a[9], d4));
            let b2 = $rol::<3>($add($a[10], d0));
            let b3 = $rol::<45>($add($a[16], d1));
            let b4 = $rol::<61>($add($a[22], d2));
            let e5 = $chi(b0, b1, b2);
            let e6 = $chi(b1, b2, b3);
            let e7 = $chi(b2, b3, b4);
            let e8 = $chi(b3, b4, b0);
            let e9 = $chi(b4, b0, b1);
            let b0 = $rol::<1>($add($a[1], d1));
            let b1 = $rol::<6>($add($a[7], d2));
            let b2 = $rol::<25>($add($a[13], d3));
            let b3 = $rol::<8>($add($a[19], d4));
            let b4 = $rol::<18>($add($a[20], d0));
            let e10 = $chi(b0, b1, b2);
            let e11 = $chi(b1, b2, b3);
            let e12 = $chi(b2, b3, b4);
            let e13 = $chi(b3, b4, b0);
            let e14 = $chi(b4, b0, b1);
            let b0 = $rol::<27>($add($a[4], d4));
            let b1 = $rol::<36>($add($a[5], d0));
            let b2 = $rol::<10>($add($a[11], d1));
            let b3 = $rol::<15>($add($a[17], d2));
            let b4 = $rol::<56>($add($a[23], d3));
            let e15 = $chi(b0, b1, b2);
            let e16 = $chi(b1, b2, b3);
            let e17 = $chi(b2, b3, b4);
            let e18 = $chi(b3, b4, b0);
            let e19 = $chi(b4, b0, b1);
            let b0 = $rol::<62>($add($a[2], d2));
            let b1 = $rol::<55>($add($a[8], d3));
            let b2 = $rol::<39>($add($a[14], d4));
            let b3 = $rol::<41>($add($a[15], d0));
            let b4 = $rol::<2>($add($a[21], d1));
            let e20 = $chi(b0, b1, b2);
            let e21 = $chi(b1, b2, b3);
            let e22 = $chi(b2, b3, b4);
            let e23 = $chi(b3, b4, b0);
            let e24 = $chi(b4, b0, b1);
            $a = [
                e0, e1, e2, e3, e4, e5, e6, e7, e8, e9, e10, e11, e12, e13, e14, e15, e16, e17, e18, e19, e20, e21,
                e22, e23, e24,
            ];
        }
    };
}
pub(crate) use permute;
