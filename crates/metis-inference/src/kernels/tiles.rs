//! Products with panels on AMX's tiles of 16 rows of 64 bytes.

use core::arch::{asm, x86_64::__cpuid_count};

use super::{
    dots::{PackedRows, Target},
    panels::{PANEL, Panels, STEP_BYTES},
};

/// Steps of a tile.
const TILE_STEPS: usize = 16;
/// Rows of a tile.
pub(super) const TILE_ROWS: usize = 16;

/// All eight tiles of 16 rows of 64 bytes.
#[repr(C, align(64))]
struct Configuration([u8; 64]);

static CONFIGURATION: Configuration = {
    let mut bytes = [0; 64];
    bytes[0] = 1;
    let mut tile = 0;
    while tile < 8 {
        bytes[16 + 2 * tile] = 64;
        bytes[48 + tile] = TILE_ROWS as u8;
        tile += 1;
    }
    Configuration(bytes)
};

/// Whether the processor has tiles of bytes, and the system lets this process use them.
#[cfg(target_os = "linux")]
pub(super) fn are_available() -> bool {
    const TILE_AND_INT8: u32 = 0b11 << 24;
    // CPUID's leaf 7 is there on every processor with AVX-512, which is asked before.
    if __cpuid_count(7, 0).edx & TILE_AND_INT8 != TILE_AND_INT8 {
        return false;
    }
    let (arch_prctl, request_permission, tile_data) = (158_i64, 0x1023_i64, 18_i64);
    let answer: i64;
    // SAFETY: the system call reads its registers alone and changes no memory of this process.
    unsafe {
        asm!(
            "syscall", inlateout("rax") arch_prctl => answer, in("rdi") request_permission, in("rsi") tile_data,
            lateout("rcx") _, lateout("r11") _, options(nostack),
        );
    }
    answer == 0
}

/// Elsewhere permission is asked for in other ways.
#[cfg(not(target_os = "linux"))]
pub(super) fn are_available() -> bool {
    false
}

/// Two times two tiles of rows and panels, or one times one: sums as four blocks, or one, of 16 rows of 16.
///
/// # Safety
/// [`are_available`]; both pointers are to whole tiles, `tiles` of them one after the other, as `pitch` and
/// `panel_bytes` say.
#[inline(always)]
unsafe fn four(
    rows: *const u8,
    pitch: usize,
    panel: *const u8,
    panel_bytes: usize,
    tiles: usize,
    to: &mut [i32; 1024],
) {
    // SAFETY: the caller's pointers; tiles are this thread's registers, which compiled code does not use.
    unsafe {
        asm!(
            "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
            "2:",
            "tileloadd tmm4, [{a} + {pitch}*1]",
            "tileloadd tmm6, [{b} + {line}*1]",
            "tileloadd tmm7, [{d} + {line}*1]",
            "tdpbssd tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{c} + {pitch}*1]",
            "tdpbssd tmm1, tmm4, tmm7",
            "tdpbssd tmm2, tmm5, tmm6",
            "tdpbssd tmm3, tmm5, tmm7",
            "add {a}, 64", "add {c}, 64", "add {b}, 1024", "add {d}, 1024",
            "dec {tiles}", "jnz 2b",
            "tilestored [{to} + {line}*1], tmm0",
            "tilestored [{to} + {line}*1 + 1024], tmm1",
            "tilestored [{to} + {line}*1 + 2048], tmm2",
            "tilestored [{to} + {line}*1 + 3072], tmm3",
            a = inout(reg) rows => _, c = inout(reg) rows.add(TILE_ROWS * pitch) => _,
            b = inout(reg) panel => _, d = inout(reg) panel.add(panel_bytes) => _,
            pitch = in(reg) pitch, line = in(reg) STEP_BYTES, tiles = inout(reg) tiles => _,
            to = in(reg) to.as_mut_ptr(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}

/// One times one.
///
/// # Safety
/// As [`four`].
#[inline(always)]
unsafe fn one(rows: *const u8, pitch: usize, panel: *const u8, tiles: usize, to: &mut [i32; 1024]) {
    // SAFETY: as above.
    unsafe {
        asm!(
            "tilezero tmm0",
            "2:",
            "tileloadd tmm4, [{a} + {pitch}*1]",
            "tileloadd tmm6, [{b} + {line}*1]",
            "tdpbssd tmm0, tmm4, tmm6",
            "add {a}, 64", "add {b}, 1024",
            "dec {tiles}", "jnz 2b",
            "tilestored [{to} + {line}*1], tmm0",
            a = inout(reg) rows => _, b = inout(reg) panel => _,
            pitch = in(reg) pitch, line = in(reg) STEP_BYTES, tiles = inout(reg) tiles => _,
            to = in(reg) to.as_mut_ptr(),
            out("tmm0") _, out("tmm4") _, out("tmm6") _,
            options(nostack),
        );
    }
}

/// Packed rows times panels of quads, as `dots::times`; rows are padded to whole tiles.
///
/// # Safety
/// [`are_available`]; the target has as many rows, of `columns`, which nobody else uses.
pub(super) unsafe fn times(rows: PackedRows<'_>, panels: Panels<'_>, to: Target, columns: usize) {
    let PackedRows { bytes: rows, count, pitch } = rows;
    let panel_bytes = panels.steps * STEP_BYTES;
    assert!(rows.len() >= count.next_multiple_of(TILE_ROWS) * pitch, "rows that are not whole tiles");
    assert!(panels.steps.is_multiple_of(TILE_STEPS) && panels.bytes.len() >= columns.div_ceil(PANEL) * panel_bytes);
    let tiles = panels.steps / TILE_STEPS;
    let mut sums = [0; 1024];
    // SAFETY: the configuration is one; it is undone below.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly)) };
    for row in (0..count).step_by(2 * TILE_ROWS) {
        let two_rows = count - row > TILE_ROWS;
        let mut panel = 0;
        while panel * PANEL < columns {
            let two_panels = columns - panel * PANEL > PANEL;
            let a = rows[row * pitch..].as_ptr();
            let b = panels.bytes[panel * panel_bytes..].as_ptr();
            let (down, across) = if two_rows && two_panels {
                // SAFETY: two tiles of rows and two panels are there, as asserted.
                unsafe { four(a, pitch, b, panel_bytes, tiles, &mut sums) };
                (2, 2)
            } else {
                // SAFETY: one of each is there.
                unsafe { one(a, pitch, b, tiles, &mut sums) };
                (1, 1)
            };
            for block_row in 0..2 {
                if block_row >= down {
                    if two_rows {
                        // SAFETY: the second tile of rows is there.
                        unsafe { one(a.add(TILE_ROWS * pitch), pitch, b, tiles, &mut sums) };
                    } else {
                        break;
                    }
                }
                for block in 0..across {
                    let from = if down == 2 { (2 * block_row + block) * 256 } else { 0 };
                    let width = PANEL.min(columns - (panel + block) * PANEL);
                    let first = row + block_row * TILE_ROWS;
                    for line in 0..TILE_ROWS.min(count - first) {
                        // SAFETY: the target has these rows and columns.
                        unsafe {
                            let at = to.first.add((first + line) * to.pitch + (panel + block) * PANEL);
                            core::ptr::copy_nonoverlapping(sums[from + line * PANEL..].as_ptr(), at, width);
                        }
                    }
                }
            }
            panel += across;
        }
    }
    // SAFETY: nothing is left in the tiles.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}
