//! Runs frames in compiled code where there is some, and in tier 0 where there is none.

use std::sync::Arc;

use alloy_primitives::{B256, map::B256Map};
use metis_state_transition::{EvmFrame, FrameRunner, Instructions};
use revm::{
    bytecode::{Bytecode, opcode},
    interpreter::{
        FrameInput, Host, InstructionResult, Interpreter, InterpreterAction,
        interpreter::EthInterpreter,
        interpreter_types::{Jumps, LoopControl},
    },
    primitives::hardfork::SpecId,
};

use super::{
    abi::{Cause, DEOPTIMISE, JUMP, LEFT},
    code::Code,
    entry::{Entry, Tally},
    host::Running,
    registry::{Mode, Registry},
    seen::Recall,
};

/// Gas that a runner counts of a code before it tells the registry.
const TALLY_GAS_MAX: u64 = 1 << 17;

/// Runs frames with the machine code of a registry. One per execution: a block, a call.
///
/// Machine code that this runner has met stays mapped until the runner is dropped.
#[derive(Debug, Default)]
pub struct TieredRunner {
    registry: Option<Arc<Registry>>,
    /// What this runner has met. All of one rule set.
    slots: B256Map<Slot>,
    spec: SpecId,
    recall: Recall,
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    bytecode: Bytecode,
    code: Option<Arc<Code>>,
    /// Of the registry, when `code` was looked up.
    generation: u64,
    tally: Tally,
}

impl TieredRunner {
    /// Tier 0 for every frame.
    pub fn interpreter() -> Self {
        Self::default()
    }

    /// A runner that uses and feeds a registry.
    pub fn new(registry: &Arc<Registry>) -> Self {
        let registry = (registry.mode() != Mode::Off).then(|| Arc::clone(registry));
        Self { registry, slots: B256Map::default(), spec: SpecId::default(), recall: Recall::default() }
    }

    fn tell(&mut self) {
        if let Some(registry) = &self.registry {
            for slot in self.slots.values_mut() {
                registry.record(&slot.entry, &mut slot.tally, &slot.bytecode);
            }
        }
    }
}

impl Drop for TieredRunner {
    fn drop(&mut self) {
        self.tell();
    }
}

impl FrameRunner for TieredRunner {
    fn run<H: Host>(
        &mut self,
        frame: &mut EvmFrame,
        instructions: Instructions<'_, H>,
        host: &mut H,
    ) -> InterpreterAction {
        let interpreter = &mut frame.interpreter;
        let Some(registry) = &self.registry else {
            return interpreter.run_plain(instructions.table, instructions.gas, host);
        };
        let code_hash = match interpreter.bytecode.hash() {
            Some(code_hash) => code_hash,
            // Init code runs once, mostly: hashing it would cost more than it gains.
            None if registry.mode() != Mode::Eager || interpreter.bytecode.is_empty() => {
                return interpreter.run_plain(instructions.table, instructions.gas, host);
            }
            None => interpreter.bytecode.get_or_calculate_hash(),
        };
        let spec = interpreter.runtime_flag.spec_id;
        if spec != self.spec {
            self.tell();
            self.slots.clear();
            self.spec = spec;
        }
        // UNWRAP: it was there above; `tell` does not take it.
        let registry = self.registry.as_ref().unwrap();
        let slot =
            self.slots.entry(code_hash).or_insert_with(|| Slot::new(registry, code_hash, &interpreter.bytecode, spec));
        if slot.generation != registry.generation() {
            slot.look_up(registry);
        }

        let is_start = u64::from(interpreter.bytecode.pc() == 0);
        let gas_before = interpreter.gas.remaining();
        let action = match &slot.code {
            None => {
                let action = interpreter.run_plain(instructions.table, instructions.gas, host);
                slot.tally.frames_interpreted += is_start;
                slot.tally.gas_interpreted += gas_spent(gas_before, interpreter, &action);
                action
            }
            Some(code) => {
                let is_entry = code.entry(interpreter.bytecode.pc()).is_some();
                let gas_interpreted = slot.tally.gas_interpreted;
                let running = Running::new(interpreter, instructions, host, &mut self.recall);
                let action = run_compiled(code, running, &mut slot.tally);
                slot.tally.frames_compiled += is_start & u64::from(is_entry);
                slot.tally.frames_interpreted += is_start & u64::from(!is_entry);
                let interpreted = slot.tally.gas_interpreted - gas_interpreted;
                slot.tally.gas_compiled += gas_spent(gas_before, interpreter, &action).saturating_sub(interpreted);
                action
            }
        };
        if slot.tally.gas_interpreted + slot.tally.gas_compiled > TALLY_GAS_MAX {
            registry.record(&slot.entry, &mut slot.tally, &slot.bytecode);
        }
        action
    }
}

impl Slot {
    #[cold]
    fn new(registry: &Registry, code_hash: B256, bytecode: &Bytecode, spec: SpecId) -> Self {
        let entry = registry.meet(code_hash, spec, bytecode);
        let mut slot = Self { entry, bytecode: bytecode.clone(), code: None, generation: 0, tally: Tally::default() };
        slot.look_up(registry);
        slot
    }

    #[cold]
    fn look_up(&mut self, registry: &Registry) {
        self.generation = registry.generation();
        // A length that differs is a compiler's mistake, and cheap to see.
        self.code = self.entry.code().filter(|code| code.code_length() == self.bytecode.len());
    }
}

/// Gas that a run took, without what it handed to a frame that it wants started.
fn gas_spent(gas_before: u64, interpreter: &Interpreter<EthInterpreter>, action: &InterpreterAction) -> u64 {
    let handed_on = match action {
        InterpreterAction::NewFrame(FrameInput::Call(call)) => call.gas_limit,
        InterpreterAction::NewFrame(FrameInput::Create(create)) => create.gas_limit(),
        InterpreterAction::NewFrame(FrameInput::Empty) | InterpreterAction::Return(_) => 0,
    };
    gas_before.saturating_sub(interpreter.gas.remaining()).saturating_sub(handed_on)
}

/// Runs a frame until it ends or suspends.
fn run_compiled<H: Host>(code: &Code, mut running: Running<'_, H>, tally: &mut Tally) -> InterpreterAction {
    let mut pc = running.interpreter().bytecode.pc();
    let result = loop {
        let Some(region) = code.entry(pc) else {
            match interpret(code, &mut running, tally) {
                Ok(entry) => {
                    pc = entry;
                    continue;
                }
                Err(result) => break result,
            }
        };
        let status = running.call(region, pc);
        if status == LEFT {
            break running.left();
        }
        running.take_over();
        pc = running.interpreter().bytecode.pc();
        match status & 0xff {
            JUMP => {}
            DEOPTIMISE => {
                tally.deoptimisations[Cause::of_status(status) as usize] += 1;
                match interpret(code, &mut running, tally) {
                    Ok(entry) => pc = entry,
                    Err(result) => break result,
                }
            }
            _ => panic!("compiled code returned the unknown status {status}"),
        }
    };
    // As `Interpreter::run_plain` ends: an opcode that set no action has halted the frame.
    let interpreter = running.interpreter();
    if interpreter.bytecode.action().is_none() {
        interpreter.halt(result);
    }
    interpreter.take_next_action()
}

/// Goes on in tier 0, for one opcode at least: up to a JUMPDEST that is an entry, which it gives, or
/// up to the frame's end.
#[cold]
fn interpret<H: Host>(
    code: &Code,
    running: &mut Running<'_, H>,
    tally: &mut Tally,
) -> Result<usize, InstructionResult> {
    running.forget_slots();
    let gas_before = running.interpreter().gas.remaining();
    let ended = loop {
        if let Err(result) = running.interpret_one() {
            break Err(result);
        }
        let bytecode = &running.interpreter().bytecode;
        if bytecode.opcode() == opcode::JUMPDEST {
            let pc = bytecode.pc();
            if code.entry(pc).is_some() {
                break Ok(pc);
            }
        }
    };
    if ended.is_ok() {
        tally.gas_interpreted += gas_before.saturating_sub(running.interpreter().gas.remaining());
    }
    ended
}
