//! The functions that compiled code calls.
//!
//! None lets a panic out: unwinding into machine code without unwinding tables is undefined. A
//! panic is kept for this thread, compiled code is told to leave where it can be told, and whoever
//! called it goes on with the panic ([`resume_kept_panic`]).

use core::{
    any::Any,
    cell::Cell,
    slice,
    sync::atomic::{AtomicBool, Ordering},
};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use alloy_primitives::{U256, keccak256};
use metis_state_transition::Instructions;
use revm::{
    context_interface::cfg::GasId,
    interpreter::{
        CallInput, Host, InstructionResult, Interpreter,
        instructions::i256::{i256_div, i256_mod},
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, MemoryTr},
        num_words,
    },
};

use super::abi::{Context, GO_ON, LEAVE, Region, STACK_WORDS, Word};

/// A frame while compiled code runs it: what the code sees, and what its host functions need.
#[repr(C)]
pub struct Running<'a, H: Host> {
    /// First, so that a pointer to it is a pointer to the whole.
    context: Context,
    interpreter: &'a mut Interpreter<EthInterpreter>,
    instructions: Instructions<'a, H>,
    host: &'a mut H,
    left: Option<InstructionResult>,
}

impl<'a, H: Host> Running<'a, H> {
    /// Prepares a frame for compiled code.
    #[inline]
    pub fn new(
        interpreter: &'a mut Interpreter<EthInterpreter>,
        instructions: Instructions<'a, H>,
        host: &'a mut H,
    ) -> Self {
        let input = &interpreter.input;
        let context = Context {
            stack: core::ptr::null_mut(),
            stack_length: 0,
            gas: 0,
            memory: core::ptr::null_mut(),
            memory_length: 0,
            pc: 0,
            calldata: match &input.input {
                CallInput::Bytes(bytes) => bytes.as_ptr(),
                CallInput::SharedBuffer(_) => core::ptr::null(),
            },
            calldata_length: input.input.len() as u64,
            return_data_length: 0,
            address: input.target_address.as_ptr(),
            caller: input.caller_address.as_ptr(),
            call_value: (&raw const input.call_value).cast(),
            step: step::<H>,
            grow: grow::<H>,
            keccak,
            udiv,
            umod,
            sdiv,
            smod,
            addmod,
            mulmod,
            exp,
            exp_byte_gas: host.gas_params().get(GasId::exp_byte_gas()),
            is_static: u64::from(interpreter.runtime_flag.is_static),
        };
        Self { context, interpreter, instructions, host, left: None }
    }

    /// Runs a region until it returns, and gives its status.
    #[inline]
    pub fn call(&mut self, region: Region, pc: usize) -> u32 {
        self.show();
        let context = (&raw mut *self).cast::<Context>();
        // SAFETY: `context` points to the first field of `self`, with the right to all of it, as the
        // host functions expect; nothing else touches `self` during the call. The region belongs to
        // code that the caller holds, compiled for the frame's bytecode.
        let status = unsafe { region(context, pc as u32) };
        resume_kept_panic();
        status
    }

    /// Takes the machine's state from compiled code, at the program counter that it named.
    #[inline]
    pub fn take_over(&mut self) {
        let pc = self.context.pc as usize;
        assert!(pc < self.interpreter.bytecode.bytes_ref().len(), "compiled code left the code");
        self.hide(pc);
    }

    /// What the opcode that ended the frame, or suspended it, said.
    #[inline]
    pub fn left(&mut self) -> InstructionResult {
        self.left.take().expect("compiled code left a frame that no opcode ended")
    }

    /// Executes one opcode in tier 0.
    #[inline]
    pub fn interpret_one(&mut self) -> Result<(), InstructionResult> {
        self.interpreter.step(self.instructions.table, self.instructions.gas, self.host)
    }

    /// The frame.
    #[inline]
    pub fn interpreter(&mut self) -> &mut Interpreter<EthInterpreter> {
        self.interpreter
    }

    /// Puts the machine's state into the context.
    #[inline]
    fn show(&mut self) {
        let interpreter = &mut *self.interpreter;
        let stack = interpreter.stack.data_mut();
        debug_assert!(stack.capacity() >= STACK_WORDS);
        self.context.stack = stack.as_mut_ptr().cast();
        self.context.stack_length = stack.len() as u64;
        self.context.gas = interpreter.gas.remaining();
        self.context.return_data_length = interpreter.return_data.0.len() as u64;
        self.show_memory();
    }

    #[inline]
    fn show_memory(&mut self) {
        let interpreter = &mut *self.interpreter;
        {
            let mut memory = interpreter.memory.context_memory_mut();
            self.context.memory = memory.as_mut_ptr();
            self.context.memory_length = memory.len() as u64;
        }
        if let CallInput::SharedBuffer(range) = &interpreter.input.input
            // The range of empty call data is not in the buffer.
            && !range.is_empty()
        {
            self.context.calldata = interpreter.memory.global_slice(range.clone()).as_ptr();
        }
    }

    /// Puts the context's state back into the machine, standing at `pc`.
    #[inline]
    fn hide(&mut self, pc: usize) {
        let interpreter = &mut *self.interpreter;
        let stack_length = self.context.stack_length as usize;
        assert!(stack_length <= STACK_WORDS, "compiled code left the stack");
        // SAFETY: the stack has room for `STACK_WORDS` words, of which compiled code has written the
        // first `stack_length`, or they were there before.
        unsafe { interpreter.stack.data_mut().set_len(stack_length) };
        interpreter.gas.set_remaining(self.context.gas);
        interpreter.bytecode.absolute_jump(pc);
    }

    #[inline]
    fn step(&mut self, pc: usize) -> u32 {
        debug_assert!(pc < self.interpreter.bytecode.bytes_ref().len());
        self.hide(pc);
        match self.interpret_one() {
            Ok(()) => {
                self.show();
                GO_ON
            }
            Err(result) => {
                self.left = Some(result);
                LEAVE
            }
        }
    }

    fn grow(&mut self, new_length: u64) -> u32 {
        let interpreter = &mut *self.interpreter;
        let Ok(new_length) = usize::try_from(new_length) else { return LEAVE };
        let words = num_words(new_length);
        if words <= interpreter.gas.memory().words_num {
            return GO_ON;
        }
        let cost = self.host.gas_params().memory_cost(words);
        let expansion = cost.saturating_sub(interpreter.gas.memory().expansion_cost);
        let Some(left) = self.context.gas.checked_sub(expansion) else { return LEAVE };
        interpreter.gas.memory_mut().set_words_num(words, cost);
        self.context.gas = left;
        interpreter.memory.resize(words * 32);
        self.show_memory();
        GO_ON
    }
}

type Payload = Box<dyn Any + Send>;

/// Set once a panic was kept anywhere; until then no frame looks further.
static ANY_PANIC: AtomicBool = AtomicBool::new(false);

thread_local! {
    static KEPT_PANIC: Cell<Option<Payload>> = const { Cell::new(None) };
}

#[cold]
#[inline(never)]
fn keep_panic(payload: Payload) {
    ANY_PANIC.store(true, Ordering::Relaxed);
    KEPT_PANIC.with(|kept| {
        // The first panic is the cause of those after it.
        let first = kept.take().unwrap_or(payload);
        kept.set(Some(first));
    });
}

/// Goes on with a panic that a host function caught on this thread.
#[inline]
fn resume_kept_panic() {
    if ANY_PANIC.load(Ordering::Relaxed)
        && let Some(payload) = KEPT_PANIC.with(Cell::take)
    {
        resume_unwind(payload);
    }
}

/// Runs a host function's work; `otherwise` where it panics.
#[inline(always)]
fn guarded<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => value,
        Err(payload) => {
            keep_panic(payload);
            otherwise
        }
    }
}

unsafe extern "C" fn step<H: Host>(context: *mut Context, pc: u64) -> u32 {
    // SAFETY: compiled code hands back the pointer that `Running::call` gave it, made from a
    // `Running<H>` that is borrowed for the call and used by nothing else meanwhile.
    let running = unsafe { &mut *context.cast::<Running<'_, H>>() };
    guarded(LEAVE, || running.step(pc as usize))
}

unsafe extern "C" fn grow<H: Host>(context: *mut Context, new_length: u64) -> u32 {
    // SAFETY: as in `step`.
    let running = unsafe { &mut *context.cast::<Running<'_, H>>() };
    guarded(LEAVE, || running.grow(new_length))
}

unsafe extern "C" fn keccak(out: *mut Word, data: *const u8, length: u64) {
    guarded((), || {
        let data = if length == 0 {
            &[]
        } else {
            // SAFETY: compiled code has checked that these bytes are in the frame's memory, which
            // nothing changes during the call.
            unsafe { slice::from_raw_parts(data, length as usize) }
        };
        // SAFETY: `out` is a word of the contract, 8-byte aligned.
        unsafe { out.cast::<U256>().write(keccak256(data).into()) };
    });
}

/// Reads a word.
///
/// # Safety
/// `word` points to a word of the contract: 32 readable bytes, 8-byte aligned.
#[inline(always)]
unsafe fn read(word: *const Word) -> U256 {
    // SAFETY: the caller's; `U256` is transparent over the four limbs of a word.
    unsafe { word.cast::<U256>().read() }
}

macro_rules! arithmetic {
    ($($(#[$meta:meta])* $name:ident($($operand:ident),*) $body:block)*) => {
        $($(#[$meta])*
        unsafe extern "C" fn $name(out: *mut Word, $($operand: *const Word),*) {
            // SAFETY: the contract gives words. All are read before `out`, which may be one of
            // them, is written.
            unsafe {
                $(let $operand = read($operand);)*
                out.cast::<U256>().write(guarded(U256::ZERO, || $body));
            }
        })*
    };
}

arithmetic! {
    udiv(a, b) { divide(a, b).0 }
    umod(a, b) { divide(a, b).1 }
    sdiv(a, b) { i256_div(a, b) }
    smod(a, b) { i256_mod(a, b) }
    addmod(a, b, n) { a.add_mod(b, n) }
    mulmod(a, b, n) { a.mul_mod(b, n) }
    exp(base, exponent) { base.pow(exponent) }
}

/// Quotient and remainder, both 0 for a division by 0.
#[inline(always)]
fn divide(a: U256, b: U256) -> (U256, U256) {
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (*a.as_limbs(), *b.as_limbs());
    if a1 | a2 | a3 | b1 | b2 | b3 == 0 {
        if b0 == 0 {
            return (U256::ZERO, U256::ZERO);
        }
        return (U256::from(a0 / b0), U256::from(a0 % b0));
    }
    if b.is_zero() { (U256::ZERO, U256::ZERO) } else { a.div_rem(b) }
}
