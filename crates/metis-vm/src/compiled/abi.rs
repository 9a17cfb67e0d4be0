//! What compiled code and the engine promise each other: docs/metisvm-abi.md in constants.

use core::ffi::c_void;

/// Version of the contract; artifacts of another are refused.
pub const ABI_VERSION: u16 = 2;

/// First bytes of an artifact.
pub const MAGIC: [u8; 4] = *b"MTVM";

/// Status of a region: `step` said "leave". Nothing else is looked at.
pub const LEFT: u32 = 0;
/// Status of a region: go on in tier 0. Bits 8 to 15 say why, see [`Cause`].
pub const DEOPTIMISE: u32 = 1;
/// Status of a region: go on at another program counter, compiled where it is an entry.
pub const JUMP: u32 = 2;

/// What `step` and `grow` answer: go on.
pub const GO_ON: u32 = 0;
/// What `step` answers: return [`LEFT`]. What `grow` answers: not possible, deoptimise. What `sload`
/// answers: not known, `step`.
pub const LEAVE: u32 = 1;

/// Words a stack has room for.
pub const STACK_WORDS: usize = 1024;

/// Why compiled code gave up, for the report alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// Not said.
    Other = 0,
    /// The section's static gas is not there.
    SectionGas = 1,
    /// The section would leave the stack's bounds.
    Stack = 2,
    /// Memory cannot grow.
    Grow = 3,
    /// The target of a jump is not a JUMPDEST.
    Jump = 4,
    /// Dynamic gas other than memory's is not there.
    DynamicGas = 5,
}

impl Cause {
    /// Every cause, by number.
    pub const ALL: [Self; 6] = [Self::Other, Self::SectionGas, Self::Stack, Self::Grow, Self::Jump, Self::DynamicGas];

    /// The cause that a status of [`DEOPTIMISE`] carries.
    pub const fn of_status(status: u32) -> Self {
        match (status >> 8) & 0xff {
            1 => Self::SectionGas,
            2 => Self::Stack,
            3 => Self::Grow,
            4 => Self::Jump,
            5 => Self::DynamicGas,
            _ => Self::Other,
        }
    }

    /// Its name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other => "other",
            Self::SectionGas => "section-gas",
            Self::Stack => "stack",
            Self::Grow => "grow",
            Self::Jump => "jump",
            Self::DynamicGas => "dynamic-gas",
        }
    }
}

/// A 256-bit word where compiled code sees it: four limbs, least significant first, 8-byte aligned.
pub type Word = [u64; 4];

/// A compiled function.
pub type Region = unsafe extern "C" fn(*mut Context, u32) -> u32;
/// `step`: one opcode in tier 0.
pub type Step = unsafe extern "C" fn(*mut Context, u64) -> u32;
/// `grow`: more memory.
pub type Grow = unsafe extern "C" fn(*mut Context, u64) -> u32;
/// `keccak`: hash of bytes as a word.
pub type Keccak = unsafe extern "C" fn(*mut Context, *mut Word, *const u8, u64);
/// `sload`: a slot's value in place of its number, where the frame has met it.
pub type Sload = unsafe extern "C" fn(*mut Context, *mut Word) -> u32;
/// Arithmetic on two operands.
pub type Binary = unsafe extern "C" fn(*mut Word, *const Word, *const Word);
/// Arithmetic on three operands.
pub type Ternary = unsafe extern "C" fn(*mut Word, *const Word, *const Word, *const Word);

/// The machine's state and services as compiled code sees them. One per running frame.
#[derive(Debug)]
#[repr(C)]
pub struct Context {
    /// Word 0 of the stack; [`STACK_WORDS`] words of room.
    pub stack: *mut c_void,
    /// Words on the stack.
    pub stack_length: u64,
    /// Regular gas remaining.
    pub gas: u64,
    /// Byte 0 of the frame's memory.
    pub memory: *mut u8,
    /// Its active size in bytes, a multiple of 32.
    pub memory_length: u64,
    /// Written by regions that return [`DEOPTIMISE`] or [`JUMP`].
    pub pc: u64,
    /// Call data.
    pub calldata: *const u8,
    /// Its size in bytes.
    pub calldata_length: u64,
    /// Size of the return data buffer in bytes.
    pub return_data_length: u64,
    /// 20 bytes of ADDRESS.
    pub address: *const u8,
    /// 20 bytes of CALLER.
    pub caller: *const u8,
    /// CALLVALUE.
    pub call_value: *const c_void,
    /// One opcode in tier 0.
    pub step: Step,
    /// More memory.
    pub grow: Grow,
    /// KECCAK256.
    pub keccak: Keccak,
    /// DIV.
    pub udiv: Binary,
    /// MOD.
    pub umod: Binary,
    /// SDIV.
    pub sdiv: Binary,
    /// SMOD.
    pub smod: Binary,
    /// ADDMOD.
    pub addmod: Ternary,
    /// MULMOD.
    pub mulmod: Ternary,
    /// EXP.
    pub exp: Binary,
    /// Dynamic gas of EXP per byte of exponent.
    pub exp_byte_gas: u64,
    /// 1 in a static call.
    pub is_static: u64,
    /// SLOAD of what the frame has met.
    pub sload: Sload,
}

macro_rules! offsets {
    ($($field:ident = $offset:literal),* $(,)?) => {
        $(const _: () = assert!(core::mem::offset_of!(Context, $field) == $offset);)*

        /// Every constant of the contract by name: what the compiler's own are compared with.
        pub const CONSTANTS: &[(&str, u64)] = &[
            ("ABI_VERSION", ABI_VERSION as u64),
            ("LEFT", LEFT as u64),
            ("DEOPTIMISE", DEOPTIMISE as u64),
            ("JUMP", JUMP as u64),
            ("CAUSE_OTHER", Cause::Other as u64),
            ("CAUSE_SECTION_GAS", Cause::SectionGas as u64),
            ("CAUSE_STACK", Cause::Stack as u64),
            ("CAUSE_GROW", Cause::Grow as u64),
            ("CAUSE_JUMP", Cause::Jump as u64),
            ("CAUSE_DYNAMIC_GAS", Cause::DynamicGas as u64),
            $((concat!("offset_", stringify!($field)), $offset),)*
        ];
    };
}

offsets! {
    stack = 0, stack_length = 8, gas = 16, memory = 24, memory_length = 32, pc = 40,
    calldata = 48, calldata_length = 56, return_data_length = 64, address = 72, caller = 80,
    call_value = 88, step = 96, grow = 104, keccak = 112, udiv = 120, umod = 128, sdiv = 136,
    smod = 144, addmod = 152, mulmod = 160, exp = 168, exp_byte_gas = 176, is_static = 184,
    sload = 192,
}

/// The processor that compiled code may be made for, as `SYSTEM CPU`: the level of x86-64 that this
/// machine reaches, in LLVM's words. Empty where the engine loads no compiled code.
pub fn machine_target() -> &'static str {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    {
        use std::arch::is_x86_feature_detected as has;
        let v2 = has!("sse3") && has!("ssse3") && has!("sse4.1") && has!("sse4.2") && has!("popcnt");
        let v2 = v2 && has!("cmpxchg16b");
        let v3 = v2 && has!("avx") && has!("avx2") && has!("bmi1") && has!("bmi2") && has!("f16c");
        let v3 = v3 && has!("fma") && has!("lzcnt") && has!("movbe");
        let v4 = v3 && has!("avx512f") && has!("avx512bw") && has!("avx512cd");
        let v4 = v4 && has!("avx512dq") && has!("avx512vl");
        if v4 {
            "x86_64-linux x86-64-v4"
        } else if v3 {
            "x86_64-linux x86-64-v3"
        } else if v2 {
            "x86_64-linux x86-64-v2"
        } else {
            "x86_64-linux x86-64"
        }
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    ""
}
