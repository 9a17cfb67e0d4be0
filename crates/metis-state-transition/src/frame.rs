//! How a frame is run: the seam where MetisVM's tiers and tracers plug in.
//!
//! Everything around a frame (journal, calls, creates, precompiles, gas of calls) is shared, so
//! two runners can differ only inside one.

use alloy_primitives::{Address, Bytes, U256};
use revm::{
    context::{BlockEnv, TxEnv},
    context_interface::{ContextTr, result::ResultAndState},
    handler::{EthFrame, FrameResult},
    inspector::JournalExt,
    interpreter::{
        CallScheme, CreateScheme, FrameInput, Host, InstructionResult, InterpreterAction,
        instructions::{GasTable, InstructionTable},
        interpreter::EthInterpreter,
        interpreter_action::FrameInit,
    },
};

use crate::{StateView, ViewDatabase, ViewError};

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

/// What lies around a frame: the opcodes' host and, for those who only watch, the journal.
pub trait FrameHost: Host + ContextTr<Journal: JournalExt> {}

impl<T: Host + ContextTr<Journal: JournalExt>> FrameHost for T {}

/// A transaction that has ended, before its changes leave the journal.
#[derive(Debug)]
pub struct ConcludedTransaction<'a, V> {
    /// The transaction as it was run.
    pub transaction: &'a TxEnv,
    /// The block it ran in.
    pub block: &'a BlockEnv,
    /// What it did, with every account it loaded as it is afterwards.
    pub result: &'a ResultAndState,
    /// The world as it was before.
    pub before: &'a ViewDatabase<V>,
}

/// Runs frames.
///
/// Implementations must leave the frame exactly as the interpreter would: same stack, memory,
/// gas, refund, logs, state accesses and final action, in the same order of failures.
///
/// ```text
/// (enter → [started → run … ] → exit)*  → conclude      frames nest; system calls are not concluded
/// ```
pub trait FrameRunner {
    /// Runs the frame until it returns, halts, or wants to call or create.
    fn run<H: FrameHost>(
        &mut self,
        frame: &mut EvmFrame,
        instructions: Instructions<'_, H>,
        host: &mut H,
    ) -> InterpreterAction;

    /// Whether the methods below want to be called.
    const OBSERVES_FRAMES: bool = false;

    /// A frame is about to start (precompile calls and failing calls included).
    fn enter<H: FrameHost>(&mut self, _host: &mut H, _init: &FrameInit) {}

    /// The frame entered last has code to run and is ready for it.
    fn started<H: FrameHost>(&mut self, _host: &mut H, _frame: &mut EvmFrame) {}

    /// The frame entered last has ended.
    fn exit<H: FrameHost>(&mut self, _host: &mut H, _input: &FrameInput, _result: &FrameResult) {}

    /// The transaction has ended.
    ///
    /// # Errors
    /// When the state before it cannot be read.
    fn conclude<V: StateView>(&mut self, _concluded: ConcludedTransaction<'_, V>) -> Result<(), ViewError<V::Error>> {
        Ok(())
    }
}

/// A runner that its owner looks at again afterwards.
impl<R: FrameRunner> FrameRunner for &mut R {
    fn run<H: FrameHost>(
        &mut self,
        frame: &mut EvmFrame,
        instructions: Instructions<'_, H>,
        host: &mut H,
    ) -> InterpreterAction {
        (**self).run(frame, instructions, host)
    }

    const OBSERVES_FRAMES: bool = R::OBSERVES_FRAMES;

    fn enter<H: FrameHost>(&mut self, host: &mut H, init: &FrameInit) {
        (**self).enter(host, init);
    }

    fn started<H: FrameHost>(&mut self, host: &mut H, frame: &mut EvmFrame) {
        (**self).started(host, frame);
    }

    fn exit<H: FrameHost>(&mut self, host: &mut H, input: &FrameInput, result: &FrameResult) {
        (**self).exit(host, input, result);
    }

    fn conclude<V: StateView>(&mut self, concluded: ConcludedTransaction<'_, V>) -> Result<(), ViewError<V::Error>> {
        (**self).conclude(concluded)
    }
}

/// Makes a frame runner for each execution.
///
/// Runners are per execution because they hold state of it (pinned code, a trace); what they share
/// (a code registry) lives in the factory.
pub trait FrameRunnerFactory: Send + Sync {
    /// The runner.
    type Runner: FrameRunner;

    /// A runner for one block or call, or for one of the threads of a block.
    fn runner(&self) -> Self::Runner;
}

/// Tier 0: revm's interpreter, one opcode after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct InterpreterRunner;

impl FrameRunnerFactory for InterpreterRunner {
    type Runner = Self;

    fn runner(&self) -> Self {
        *self
    }
}

impl FrameRunner for InterpreterRunner {
    #[inline]
    fn run<H: FrameHost>(
        &mut self,
        frame: &mut EvmFrame,
        instructions: Instructions<'_, H>,
        host: &mut H,
    ) -> InterpreterAction {
        frame.interpreter.run_plain(instructions.table, instructions.gas, host)
    }
}

impl FrameStart {
    /// What tracers want to know of a frame that is about to start.
    pub fn of(init: &FrameInit) -> Option<Self> {
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
    /// What tracers want to know of how a frame ended.
    pub fn of(result: &'a FrameResult) -> Self {
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
