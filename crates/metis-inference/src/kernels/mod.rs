//! Kernels: how steps are computed. One source, compiled for each kind of processor; only products have code of their
//! own for some.

#[cfg(vectors)]
mod dots;
mod lanes;
mod linear;
mod moves;
mod others;
pub(crate) mod panels;
mod plain;
mod rows;
#[cfg(vectors)]
mod tiles;
#[cfg(vectors)]
mod vector;

use alloc::vec::Vec;
use core::ops::Range;

use panels::Packed;

use crate::{memory::Memory, plan::Step};

/// Which instructions kernels use. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kernel {
    /// What every processor has.
    Scalar,
    /// AVX2.
    #[cfg(vectors)]
    Avx2,
    /// AVX-512 with VNNI.
    #[cfg(vectors)]
    Avx512,
    /// AVX-512 with VNNI, and AMX for products of bytes.
    #[cfg(vectors)]
    Amx,
}

impl Kernel {
    /// All that are built.
    pub const ALL: &[Self] = &[
        Self::Scalar,
        #[cfg(vectors)]
        Self::Avx2,
        #[cfg(vectors)]
        Self::Avx512,
        #[cfg(vectors)]
        Self::Amx,
    ];

    /// Those that this machine has, the fastest last.
    pub fn available() -> Vec<Self> {
        Self::ALL.iter().copied().filter(|kernel| kernel.is_available()).collect()
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(vectors)]
            Self::Avx2 => "avx2",
            #[cfg(vectors)]
            Self::Avx512 => "avx512",
            #[cfg(vectors)]
            Self::Amx => "amx",
        }
    }

    /// The fastest that this machine has.
    pub fn best() -> Self {
        Self::available().last().copied().unwrap_or(Self::Scalar)
    }

    /// Whether this machine has it; asked once.
    pub fn is_available(self) -> bool {
        #[cfg(vectors)]
        {
            use std::sync::OnceLock;
            static FOUND: OnceLock<[bool; 4]> = OnceLock::new();
            let found = FOUND.get_or_init(|| {
                let avx2 = std::arch::is_x86_feature_detected!("avx2");
                let avx512 = avx2
                    && std::arch::is_x86_feature_detected!("avx512f")
                    && std::arch::is_x86_feature_detected!("avx512bw")
                    && std::arch::is_x86_feature_detected!("avx512dq")
                    && std::arch::is_x86_feature_detected!("avx512vl")
                    && std::arch::is_x86_feature_detected!("avx512vnni");
                [true, avx2, avx512, avx512 && tiles::are_available()]
            });
            found[self as usize]
        }
        #[cfg(not(vectors))]
        true
    }
}

/// A thread's share of so many equal parts.
#[inline(always)]
fn share(count: usize, part: usize, parts: usize) -> Range<usize> {
    count * part / parts..count * (part + 1) / parts
}

/// What a kernel makes of a step's constants, once.
pub(crate) fn pack(kernel: Kernel, step: &Step, weights: &[u8]) -> Option<Packed> {
    match kernel {
        Kernel::Scalar => {
            let _ = (step, weights);
            None
        }
        #[cfg(vectors)]
        Kernel::Avx2 => vector::packed(vector::Unit::Avx2, step, weights),
        #[cfg(vectors)]
        Kernel::Avx512 => vector::packed(vector::Unit::Avx512, step, weights),
        #[cfg(vectors)]
        Kernel::Amx => vector::packed(vector::Unit::Amx, step, weights),
    }
}

/// A step with what a kernel made of its constants.
#[derive(Clone, Copy)]
pub(crate) struct Prepared<'a> {
    pub step: &'a Step,
    pub packed: Option<&'a Packed>,
}

/// Computes a thread's share of a step.
///
/// # Panics
/// The machine does not have the kernel.
pub(crate) fn run(
    kernel: Kernel,
    step: Prepared<'_>,
    memory: Memory<'_>,
    scratch: &mut [u8],
    part: usize,
    parts: usize,
) {
    assert!(kernel.is_available(), "instructions that this machine does not have");
    match kernel {
        Kernel::Scalar => plain::run(step.step, memory, scratch, part, parts),
        // SAFETY: the machine has the kernel.
        #[cfg(vectors)]
        Kernel::Avx2 => unsafe { plain::run_avx2(step, memory, scratch, part, parts) },
        // SAFETY: the machine has the kernel.
        #[cfg(vectors)]
        Kernel::Avx512 => unsafe { plain::run_avx512(vector::Unit::Avx512, step, memory, scratch, part, parts) },
        // SAFETY: the machine has the kernel.
        #[cfg(vectors)]
        Kernel::Amx => unsafe { plain::run_avx512(vector::Unit::Amx, step, memory, scratch, part, parts) },
    }
}
