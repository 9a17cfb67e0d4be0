//! Tier 0 that reports every step, in the terms of EIP-3155.

use alloy_primitives::{Address, Bytes, U256};
use metis_state_transition::{EvmFrame, FrameEnd, FrameHost, FrameRunner, FrameStart, Instructions};
use revm::{
    bytecode::opcode::OpCode,
    handler::FrameResult,
    interpreter::{
        FrameInput, InstructionResult, InterpreterAction,
        interpreter_action::FrameInit,
        interpreter_types::{InputsTr, Jumps, LoopControl, MemoryTr, ReturnData},
    },
};

/// One executed opcode, with the machine as it was before it.
#[derive(Debug)]
pub struct TraceStep<'a> {
    /// Call depth, 1 for the transaction's own frame.
    pub depth: usize,
    /// Program counter.
    pub program_counter: usize,
    /// Opcode byte.
    pub opcode: u8,
    /// Its name, where the byte is an opcode.
    pub name: Option<&'static str>,
    /// Gas before the opcode.
    pub gas: u64,
    /// Gas the opcode took, with what it handed to a frame it started.
    pub gas_cost: u64,
    /// Gas that the opcode takes whatever its operands are.
    pub static_gas: u64,
    /// Whose storage the frame works on.
    pub target: Address,
    /// Size of the memory before the opcode.
    pub memory_size_bytes: usize,
    /// Memory before the opcode, where the sink wants it.
    pub memory: &'a [u8],
    /// Stack before the opcode, top last.
    pub stack: &'a [U256],
    /// Top of the stack after the opcode.
    pub result: Option<U256>,
    /// Return data buffer before the opcode.
    pub return_data: &'a Bytes,
    /// Refund counter of the frame before the opcode.
    pub refund: i64,
    /// Why the frame ended here, if the opcode halted it exceptionally.
    pub halt: Option<&'static str>,
}

/// Receives what a [`TraceRunner`] observes.
pub trait TraceSink {
    /// Whether steps should carry the memory: a copy of it per step.
    fn wants_memory(&self) -> bool {
        false
    }

    /// An opcode was executed.
    fn step(&mut self, step: &TraceStep<'_>);

    /// A frame is about to start.
    fn enter(&mut self, _start: &FrameStart) {}

    /// The frame entered last has ended.
    fn exit(&mut self, _end: &FrameEnd<'_>) {}
}

/// Copies that outlive the opcode they were made before; kept to save allocations.
#[derive(Debug, Default)]
pub struct StepCopies {
    stack: Vec<U256>,
    memory: Vec<u8>,
}

/// Runs a frame opcode by opcode and reports each.
pub fn run_stepwise<H: FrameHost>(
    sink: &mut impl TraceSink,
    copies: &mut StepCopies,
    frame: &mut EvmFrame,
    instructions: Instructions<'_, H>,
    host: &mut H,
) -> InterpreterAction {
    let depth = frame.depth + 1;
    let wants_memory = sink.wants_memory();
    let interpreter = &mut frame.interpreter;
    loop {
        let program_counter = interpreter.bytecode.pc();
        let opcode = interpreter.bytecode.opcode();
        let gas = interpreter.gas.remaining();
        let memory_size_bytes = interpreter.memory.size();
        let refund = interpreter.gas.refunded();
        let return_data = interpreter.return_data.buffer().clone();
        copies.stack.clear();
        copies.stack.extend_from_slice(interpreter.stack.data());
        copies.memory.clear();
        if wants_memory {
            copies.memory.extend_from_slice(&interpreter.memory.context_memory());
        }

        let ended = interpreter.step(instructions.table, instructions.gas, host).err();

        sink.step(&TraceStep {
            depth,
            program_counter,
            opcode,
            name: OpCode::new(opcode).map(OpCode::as_str),
            gas,
            gas_cost: gas.saturating_sub(interpreter.gas.remaining()),
            static_gas: u64::from(instructions.gas[usize::from(opcode)]),
            target: interpreter.input.target_address(),
            memory_size_bytes,
            memory: &copies.memory,
            stack: &copies.stack,
            result: interpreter.stack.data().last().copied(),
            return_data: &return_data,
            refund,
            halt: ended.and_then(halt_name),
        });
        if let Some(result) = ended {
            // As `run_plain` ends: an opcode that set no action has halted the frame.
            if interpreter.bytecode.action().is_none() {
                interpreter.halt(result);
            }
            return interpreter.take_next_action();
        }
    }
}

/// Runs frames opcode by opcode and reports each to a sink.
#[derive(Debug)]
pub struct TraceRunner<S> {
    sink: S,
    copies: StepCopies,
}

impl<S: TraceSink> TraceRunner<S> {
    /// A runner that reports to `sink`.
    pub const fn new(sink: S) -> Self {
        Self { sink, copies: StepCopies { stack: Vec::new(), memory: Vec::new() } }
    }
}

impl<S: TraceSink> FrameRunner for TraceRunner<S> {
    const OBSERVES_FRAMES: bool = true;

    fn run<H: FrameHost>(
        &mut self,
        frame: &mut EvmFrame,
        instructions: Instructions<'_, H>,
        host: &mut H,
    ) -> InterpreterAction {
        run_stepwise(&mut self.sink, &mut self.copies, frame, instructions, host)
    }

    fn enter<H: FrameHost>(&mut self, _host: &mut H, init: &FrameInit) {
        if let Some(start) = FrameStart::of(init) {
            self.sink.enter(&start);
        }
    }

    fn exit<H: FrameHost>(&mut self, _host: &mut H, _input: &FrameInput, result: &FrameResult) {
        self.sink.exit(&FrameEnd::of(result));
    }
}

/// The name of an exceptional halt; `None` for the ordinary ends of a frame.
const fn halt_name(result: InstructionResult) -> Option<&'static str> {
    Some(match result {
        InstructionResult::OutOfGas | InstructionResult::ReentrancySentryOOG => "out of gas",
        InstructionResult::MemoryOOG | InstructionResult::MemoryLimitOOG => "out of gas: memory",
        InstructionResult::InvalidOperandOOG => "out of gas: operand",
        InstructionResult::OpcodeNotFound => "unknown opcode",
        InstructionResult::InvalidFEOpcode => "invalid opcode",
        InstructionResult::NotActivated => "opcode not active",
        InstructionResult::InvalidJump => "invalid jump",
        InstructionResult::StackUnderflow => "stack underflow",
        InstructionResult::StackOverflow => "stack overflow",
        InstructionResult::OutOfOffset => "offset out of bounds",
        InstructionResult::StateChangeDuringStaticCall => "write in static call",
        InstructionResult::CallNotAllowedInsideStatic => "value in static call",
        InstructionResult::CreateInitCodeSizeLimit => "init code too large",
        InstructionResult::FatalExternalError => "state cannot be read",
        _ => return None,
    })
}
