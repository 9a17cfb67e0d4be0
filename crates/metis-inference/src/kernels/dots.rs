//! Products with panels on vector registers: AVX2, AVX-512 VNNI.

use core::arch::x86_64::{
    __m256i, __m512i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_storeu_si256, _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_loadu_si512, _mm512_mask_storeu_epi32,
    _mm512_set1_epi32, _mm512_setzero_si512,
};

use super::panels::{PANEL, Panels, STEP_BYTES};

/// Sums of 16 columns in registers.
///
/// # Safety
/// The processor has the implementation's instructions; pointers are to as many bytes as are said.
pub(super) trait Dots {
    type Sums: Copy;
    /// Most rows at a time with `PANELS` panels: as many as registers hold.
    const PANELS: usize;
    /// Sums to begin with; of 16 columns.
    unsafe fn begin(sums: &[i32]) -> Self::Sums;
    /// Adds products of one row's 4 bytes with 64 bytes of a panel.
    unsafe fn dot(sums: Self::Sums, row: i32, panel: *const u8) -> Self::Sums;
    /// Writes the first `count` of 16.
    unsafe fn store(sums: Self::Sums, to: *mut i32, count: usize);
}

/// Quads with AVX-512 VNNI: rows as unsigned bytes, 128 too great.
pub(super) struct Quads512;
/// Pairs with AVX-512 VNNI.
pub(super) struct Pairs512;
/// Pairs with AVX2.
pub(super) struct Pairs256;

#[inline(always)]
unsafe fn store512(sums: __m512i, to: *mut i32, count: usize) {
    let mask = if count >= PANEL { u16::MAX } else { (1 << count) - 1 };
    // SAFETY: the mask leaves out what is beyond `count`.
    unsafe { _mm512_mask_storeu_epi32(to, mask, sums) };
}

impl Dots for Quads512 {
    type Sums = __m512i;
    const PANELS: usize = 4;

    #[inline(always)]
    unsafe fn begin(sums: &[i32]) -> __m512i {
        // SAFETY: as the trait says; there are 16.
        unsafe { _mm512_loadu_si512(sums[..PANEL].as_ptr().cast()) }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, row: i32, panel: *const u8) -> __m512i {
        // SAFETY: as the trait says. The instruction adds four exact products without saturation.
        unsafe { _mm512_dpbusd_epi32(sums, _mm512_set1_epi32(row), _mm512_loadu_si512(panel.cast())) }
    }

    #[inline(always)]
    unsafe fn store(sums: __m512i, to: *mut i32, count: usize) {
        // SAFETY: as the trait says.
        unsafe { store512(sums, to, count) };
    }
}

impl Dots for Pairs512 {
    type Sums = __m512i;
    const PANELS: usize = 4;

    #[inline(always)]
    unsafe fn begin(_: &[i32]) -> __m512i {
        // SAFETY: as the trait says.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    unsafe fn dot(sums: __m512i, row: i32, panel: *const u8) -> __m512i {
        // SAFETY: as the trait says.
        unsafe { _mm512_dpwssd_epi32(sums, _mm512_set1_epi32(row), _mm512_loadu_si512(panel.cast())) }
    }

    #[inline(always)]
    unsafe fn store(sums: __m512i, to: *mut i32, count: usize) {
        // SAFETY: as the trait says.
        unsafe { store512(sums, to, count) };
    }
}

impl Dots for Pairs256 {
    type Sums = [__m256i; 2];
    const PANELS: usize = 1;

    #[inline(always)]
    unsafe fn begin(_: &[i32]) -> [__m256i; 2] {
        // SAFETY: as the trait says.
        unsafe { [_mm256_setzero_si256(); 2] }
    }

    #[inline(always)]
    unsafe fn dot(sums: [__m256i; 2], row: i32, panel: *const u8) -> [__m256i; 2] {
        // SAFETY: as the trait says: 64 bytes. Two products of 16 bits fit 32 but for four factors of -2^15, of which
        // the sum that is proven to fit has none.
        unsafe {
            let row = _mm256_set1_epi32(row);
            let (first, second) = (_mm256_loadu_si256(panel.cast()), _mm256_loadu_si256(panel.add(32).cast()));
            [
                _mm256_add_epi32(sums[0], _mm256_madd_epi16(row, first)),
                _mm256_add_epi32(sums[1], _mm256_madd_epi16(row, second)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn store(sums: [__m256i; 2], to: *mut i32, count: usize) {
        let mut both = [0; PANEL];
        // SAFETY: 8 of 16 each, then `count` as the trait says.
        unsafe {
            _mm256_storeu_si256(both.as_mut_ptr().cast(), sums[0]);
            _mm256_storeu_si256(both.as_mut_ptr().add(8).cast(), sums[1]);
            core::ptr::copy_nonoverlapping(both.as_ptr(), to, count.min(PANEL));
        }
    }
}

/// Where results go: the element of the first row and column, and elements from one row to the next.
#[derive(Clone, Copy)]
pub(super) struct Target {
    pub first: *mut i32,
    pub pitch: usize,
}

/// Rows of the first factor in steps of 4 bytes: how many, and bytes from one to the next.
#[derive(Clone, Copy)]
pub(super) struct PackedRows<'a> {
    pub bytes: &'a [u8],
    pub count: usize,
    pub pitch: usize,
}

/// `R` rows times `P` panels.
///
/// # Safety
/// As [`times`].
#[inline(always)]
unsafe fn tile<D: Dots, const R: usize, const P: usize>(
    rows: *const u8,
    pitch: usize,
    panels: Panels<'_>,
    to: Target,
    columns: usize,
) {
    // SAFETY: as the caller says.
    let mut sums = [[unsafe { D::begin(panels.sums) }; P]; R];
    for panel in 1..P {
        // SAFETY: as the caller says.
        let first = unsafe { D::begin(&panels.sums[panel * PANEL..]) };
        for row in &mut sums {
            row[panel] = first;
        }
    }
    let panel_bytes = panels.steps * STEP_BYTES;
    let panel = panels.bytes.as_ptr();
    for step in 0..panels.steps {
        // SAFETY: each row has `steps` of 4 bytes, each panel `steps` of 64.
        unsafe {
            for (row, sums) in sums.iter_mut().enumerate() {
                let word = rows.add(row * pitch + step * 4).cast::<i32>().read_unaligned();
                for (at, sums) in sums.iter_mut().enumerate() {
                    *sums = D::dot(*sums, word, panel.add(at * panel_bytes + step * STEP_BYTES));
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        for (at, sums) in sums.iter().enumerate() {
            // SAFETY: the caller's target has these rows and columns.
            unsafe { D::store(*sums, to.first.add(row * to.pitch + at * PANEL), columns - at * PANEL) };
        }
    }
}

/// Packed rows times panels: `columns` of them, into a target.
///
/// # Safety
/// The processor has the instructions of `D`; the target has as many rows, of `columns`, which nobody else uses.
#[inline(always)]
unsafe fn times<D: Dots>(rows: PackedRows<'_>, panels: Panels<'_>, to: Target, columns: usize) {
    let PackedRows { bytes: rows, count, pitch } = rows;
    assert!(rows.len() >= count * pitch && pitch >= panels.steps * 4, "rows that are not packed");
    assert!(panels.bytes.len() >= columns.div_ceil(PANEL) * panels.steps * STEP_BYTES, "panels that are not packed");
    let mut panel = 0;
    while panel * PANEL < columns {
        let left = columns - panel * PANEL;
        let at_once = if D::PANELS >= 4 && left > 3 * PANEL {
            4
        } else if D::PANELS >= 2 && left > PANEL {
            2
        } else {
            1
        };
        let mut row = 0;
        while row < count {
            let at = panels.from(panel);
            let rows = rows[row * pitch..].as_ptr();
            let columns = left.min(at_once * PANEL);
            // SAFETY: the rows and panels are there, as asserted; the target as the caller says.
            unsafe {
                let to = Target { first: to.first.add(row * to.pitch + panel * PANEL), ..to };
                macro_rules! tile_of {
                    ($($rows:literal)*) => {
                        match (count - row, at_once) {
                            $((left, 4) if left >= $rows => { tile::<D, $rows, 4>(rows, pitch, at, to, columns); row += $rows }
                            (left, 2) if left >= $rows => { tile::<D, $rows, 2>(rows, pitch, at, to, columns); row += $rows }
                            (left, _) if left >= $rows => { tile::<D, $rows, 1>(rows, pitch, at, to, columns); row += $rows })*
                            _ => break,
                        }
                    };
                }
                tile_of!(6 4 2 1);
            }
        }
        panel += at_once;
    }
}

macro_rules! times_of {
    ($($name:ident, $dots:ident, $features:literal;)*) => {$(
        /// [`times`], once.
        ///
        /// # Safety
        /// As [`times`].
        #[target_feature(enable = $features)]
        pub(super) unsafe fn $name(rows: PackedRows<'_>, panels: Panels<'_>, to: Target, columns: usize) {
            // SAFETY: as the caller says.
            unsafe { times::<$dots>(rows, panels, to, columns) };
        }
    )*};
}
times_of! {
    times_pairs256, Pairs256, "avx2";
    times_pairs512, Pairs512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni";
    times_quads512, Quads512, "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni";
}
