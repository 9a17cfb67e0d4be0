//! A frame while compiled code runs it, and the functions that the code calls. None lets a panic out.

use core::slice;

use alloy_primitives::U256;
use metis_state_transition::Instructions;
use revm::{
    bytecode::opcode,
    context_interface::cfg::GasId,
    interpreter::{
        CallInput, Host, InstructionResult, Interpreter,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, MemoryTr},
        num_words,
    },
};

use super::{
    abi::{Context, GO_ON, LEAVE, Region, STACK_WORDS, Word},
    arithmetic::{addmod, exp, mulmod, sdiv, smod, udiv, umod},
    guard::{guarded, resume_kept_panic},
    seen::Recall,
};

/// A frame while compiled code runs it: what the code sees, and what its host functions need.
#[repr(C)]
pub struct Running<'a, H: Host> {
    /// First, so that a pointer to it is a pointer to the whole.
    context: Context,
    interpreter: &'a mut Interpreter<EthInterpreter>,
    instructions: Instructions<'a, H>,
    host: &'a mut H,
    left: Option<InstructionResult>,
    recall: &'a mut Recall,
}

impl<'a, H: Host> Running<'a, H> {
    /// Prepares a frame for compiled code.
    #[inline]
    pub fn new(
        interpreter: &'a mut Interpreter<EthInterpreter>,
        instructions: Instructions<'a, H>,
        host: &'a mut H,
        recall: &'a mut Recall,
    ) -> Self {
        recall.slots.clear();
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
            keccak: keccak::<H>,
            udiv,
            umod,
            sdiv,
            smod,
            addmod,
            mulmod,
            exp,
            exp_byte_gas: host.gas_params().get(GasId::exp_byte_gas()),
            is_static: u64::from(interpreter.runtime_flag.is_static),
            sload: sload::<H>,
        };
        Self { context, interpreter, instructions, host, left: None, recall }
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

    /// Forgets what compiled code has read of the storage: tier 0 goes on, and may write it.
    pub fn forget_slots(&mut self) {
        self.recall.slots.clear();
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
        let access = self.storage_access();
        match self.interpret_one() {
            Ok(()) => {
                if let Some((slot, written)) = access {
                    self.see_slot(slot, written);
                }
                self.show();
                GO_ON
            }
            Err(result) => {
                self.left = Some(result);
                LEAVE
            }
        }
    }

    /// The slot that the next opcode reads, or that it writes, and what.
    #[inline(always)]
    fn storage_access(&self) -> Option<(U256, Option<U256>)> {
        let opcode = self.interpreter.bytecode.opcode();
        if opcode != opcode::SLOAD && opcode != opcode::SSTORE {
            return None;
        }
        match (self.interpreter.stack.data().as_slice(), opcode) {
            ([.., slot], opcode::SLOAD) => Some((*slot, None)),
            ([.., value, slot], opcode::SSTORE) => Some((*slot, Some(*value))),
            _ => None,
        }
    }

    #[inline(always)]
    fn see_slot(&mut self, slot: U256, written: Option<U256>) {
        if let Some(value) = written.or_else(|| self.interpreter.stack.data().last().copied()) {
            self.recall.slots.insert(slot, value);
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

unsafe extern "C" fn sload<H: Host>(context: *mut Context, word: *mut Word) -> u32 {
    // SAFETY: as in `step`.
    let running = unsafe { &*context.cast::<Running<'_, H>>() };
    // SAFETY: `word` is a word of the contract, 8-byte aligned.
    let word = unsafe { &mut *word.cast::<U256>() };
    match running.recall.slots.value(word) {
        Some(value) => {
            *word = value;
            GO_ON
        }
        None => LEAVE,
    }
}

unsafe extern "C" fn keccak<H: Host>(context: *mut Context, out: *mut Word, data: *const u8, length: u64) {
    // SAFETY: as in `step`.
    let running = unsafe { &mut *context.cast::<Running<'_, H>>() };
    guarded((), || {
        let data = if length == 0 {
            &[]
        } else {
            // SAFETY: compiled code has checked that these bytes are in the frame's memory, which
            // nothing changes during the call.
            unsafe { slice::from_raw_parts(data, length as usize) }
        };
        let hash = running.recall.hashes.keccak(data);
        // SAFETY: `out` is a word of the contract, 8-byte aligned.
        unsafe { out.cast::<U256>().write(hash) };
    });
}
