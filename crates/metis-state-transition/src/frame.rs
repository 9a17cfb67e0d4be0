//! How a frame is run: the seam where MetisVM's tiers and tracers plug in.
//!
//! Everything around a frame (journal, calls, creates, precompiles, gas of calls) is shared, so
//! two runners can differ only inside one.

use alloy_primitives::{Address, Bytes, U256};
use revm::{
    handler::{EthFrame, FrameResult},
    interpreter::{
        CallScheme, CreateScheme, FrameInput, Host, InstructionResult, InterpreterAction,
        instructions::{GasTable, InstructionTable},
        interpreter::EthInterpreter,
        interpreter_action::FrameInit,
    },
};

/// The frame a runner gets: interpreter (code, stack, memory, gas), call data, checkpoint.
pub type EvmFrame = EthFrame<EthInterpreter>;

/// Opcode functions and static gas of the active fork.
#[derive(Debug)]
pub struct Instructions<'a, H: ?Sized> {
    /// One function per opcode.
    pub table: &'a InstructionTable<EthInterpreter, H>,
    /// Static gas per opcode.
    pub gas: &'a GasTable,
}

/// A frame that is about to start, as tracers see it.
#[derive(Debug)]
pub struct FrameStart {
    /// 0 for the transaction's own frame.
    pub depth: usize,
    /// `CALL`, `CALLCODE`, `DELEGATECALL`, `STATICCALL`, `CREATE` or `CREATE2`.
    pub kind: &'static str,
    /// Who calls or creates.
    pub caller: Address,
    /// Whose storage the frame works on; for creations the address is not known yet.
    pub target: Option<Address>,
    /// Where the code comes from; for creations none.
    pub code_address: Option<Address>,
    /// Value moved or, for DELEGATECALL, seen.
    pub value: U256,
    /// Gas the frame may use.
    pub gas_limit: u64,
    /// Init code of a creation. Call data stays in the frame: it may lie in shared memory.
    pub init_code: Option<Bytes>,
}

/// How a frame ended, as tracers see it.
#[derive(Debug)]
pub struct FrameEnd<'a> {
    /// Final instruction result.
    pub result: InstructionResult,
    /// Returned or reverted bytes.
    pub output: &'a Bytes,
    /// Gas used by the frame, before refunds.
    pub gas_used: u64,
    /// The deployed contract, for a creation that succeeded.
    pub created: Option<Address>,
}

/// Runs frames.
///
/// Implementations must leave the frame exactly as the interpreter would: same stack, memory,
/// gas, refund, logs, state accesses and final action, in the same order of failures.
pub trait FrameRunner {
    /// Runs the frame until it returns, halts, or wants to call or create.
    fn run<H: Host>(
        &mut self,
        frame: &mut EvmFrame,
        instructions: Instructions<'_, H>,
        host: &mut H,
    ) -> InterpreterAction;

    /// Whether [`Self::enter`] and [`Self::exit`] want to be called.
    const OBSERVES_FRAMES: bool = false;

    /// A frame is about to start (precompile calls and failing calls included).
    fn enter(&mut self, _start: &FrameStart) {}

    /// The frame entered last has ended.
    fn exit(&mut self, _end: &FrameEnd<'_>) {}
}

/// Tier 0: revm's interpreter, one opcode after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct InterpreterRunner;

impl FrameRunner for InterpreterRunner {
    #[inline]
    fn run<H: Host>(
        &mut self,
        frame: &mut EvmFrame,
        instructions: Instructions<'_, H>,
        host: &mut H,
    ) -> InterpreterAction {
        frame.interpreter.run_plain(instructions.table, instructions.gas, host)
    }
}

impl FrameStart {
    pub(crate) fn of(init: &FrameInit) -> Option<Self> {
        let depth = init.depth;
        match &init.frame_input {
            FrameInput::Call(call) => Some(Self {
                depth,
                kind: match call.scheme {
                    CallScheme::Call => "CALL",
                    CallScheme::CallCode => "CALLCODE",
                    CallScheme::DelegateCall => "DELEGATECALL",
                    CallScheme::StaticCall => "STATICCALL",
                },
                caller: call.caller,
                target: Some(call.target_address),
                code_address: Some(call.bytecode_address),
                value: call.value.get(),
                gas_limit: call.gas_limit,
                init_code: None,
            }),
            FrameInput::Create(create) => Some(Self {
                depth,
                kind: match create.scheme() {
                    CreateScheme::Create2 { .. } => "CREATE2",
                    _ => "CREATE",
                },
                caller: create.caller(),
                target: None,
                code_address: None,
                value: create.value(),
                gas_limit: create.gas_limit(),
                init_code: Some(create.init_code().clone()),
            }),
            FrameInput::Empty => None,
        }
    }
}

impl<'a> FrameEnd<'a> {
    pub(crate) fn of(result: &'a FrameResult) -> Self {
        let interpreter_result = result.interpreter_result();
        Self {
            result: interpreter_result.result,
            output: &interpreter_result.output,
            gas_used: interpreter_result.gas.total_gas_spent(),
            created: match result {
                FrameResult::Create(outcome) => outcome.address,
                FrameResult::Call(_) => None,
            },
        }
    }
}
