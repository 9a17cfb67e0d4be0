//! The frame runner that follows words, instruction by instruction, in tier 0.

use alloy_primitives::U256;
use revm::{
    bytecode::opcode::{self, OPCODE_INFO},
    context_interface::JournalTr,
    handler::FrameResult,
    interpreter::{
        FrameInput, InstructionResult, Interpreter, InterpreterAction,
        interpreter::EthInterpreter,
        interpreter_action::FrameInit,
        interpreter_types::{InputsTr, Jumps, LoopControl},
    },
};

use super::{
    Condition, Formulas, Origin,
    follow::Follower,
    operation::{compute, operand_count},
};
use crate::{ConcludedTransaction, EvmFrame, FrameHost, FrameRunner, Instructions, StateView, ViewError};

/// More than a stack has.
const ALWAYS: u16 = 2048;

/// Words below the top that an instruction looks at or moves.
static WORD_COUNTS: [u16; 256] = word_counts();

const fn word_counts() -> [u16; 256] {
    let mut counts = [0; 256];
    let mut place = 0;
    while place < 256 {
        if let Some(info) = OPCODE_INFO[place] {
            counts[place] = info.inputs() as u16;
        }
        place += 1;
    }
    counts[opcode::SLOAD as usize] = ALWAYS;
    counts[opcode::SSTORE as usize] = ALWAYS;
    // EIP-8024: how far they reach is in the code.
    counts[opcode::DUPN as usize] = ALWAYS;
    counts[opcode::SWAPN as usize] = ALWAYS;
    counts[opcode::EXCHANGE as usize] = ALWAYS;
    counts
}

/// A runner that follows the words of those transactions that it is asked to; others are run as by `R`.
#[derive(Debug)]
pub struct Following<R> {
    inner: R,
    follower: Follower,
}

impl<R> Following<R> {
    /// A runner that follows nothing yet.
    pub fn new(inner: R) -> Self {
        Self { inner, follower: Follower::default() }
    }

    /// The next transaction is followed or not.
    pub fn begin(&mut self, is_followed: bool) {
        self.follower.begin();
        self.follower.is_on = is_followed;
    }

    /// The formulas of the transaction that has run, none where it was not followed to its end; for others whose room the
    /// next one uses.
    pub fn swap_formulas(&mut self, formulas: &mut Formulas) {
        if !self.follower.is_on {
            self.follower.formulas.clear();
        }
        core::mem::swap(&mut self.follower.formulas, formulas);
    }
}

impl<R: FrameRunner> FrameRunner for Following<R> {
    fn run<H: FrameHost>(
        &mut self,
        frame: &mut EvmFrame,
        instructions: Instructions<'_, H>,
        host: &mut H,
    ) -> InterpreterAction {
        if self.follower.is_on {
            run_followed(&mut self.follower, frame, instructions, host)
        } else {
            self.inner.run(frame, instructions, host)
        }
    }

    const OBSERVES_FRAMES: bool = R::OBSERVES_FRAMES;

    fn enter<H: FrameHost>(&mut self, host: &mut H, init: &FrameInit) {
        self.inner.enter(host, init);
    }

    fn started<H: FrameHost>(&mut self, host: &mut H, frame: &mut EvmFrame) {
        self.inner.started(host, frame);
    }

    fn exit<H: FrameHost>(&mut self, host: &mut H, input: &FrameInput, result: &FrameResult) {
        self.inner.exit(host, input, result);
    }

    fn conclude<V: StateView>(&mut self, concluded: ConcludedTransaction<'_, V>) -> Result<(), ViewError<V::Error>> {
        self.inner.conclude(concluded)
    }
}

/// As `Interpreter::run_plain`, with a look at each instruction.
fn run_followed<H: FrameHost>(
    follower: &mut Follower,
    frame: &mut EvmFrame,
    instructions: Instructions<'_, H>,
    host: &mut H,
) -> InterpreterAction {
    let interpreter = &mut frame.interpreter;
    follower.enter(frame.depth, interpreter.stack.data().last().copied());
    let mut step = Step { follower, interpreter, instructions, host };
    let ended = loop {
        let opcode = step.interpreter.bytecode.opcode();
        let height = step.interpreter.stack.len();
        let stepped = if step.follower.touches(usize::from(WORD_COUNTS[usize::from(opcode)]), height) {
            step.followed(opcode, height)
        } else {
            step.plain()
        };
        if let Err(result) = stepped {
            break result;
        }
    };
    follower.leave();
    if interpreter.bytecode.action().is_none() {
        interpreter.halt(ended);
    }
    interpreter.take_next_action()
}

type Stepped = Result<(), InstructionResult>;

/// One instruction in its surroundings.
struct Step<'a, H: ?Sized> {
    follower: &'a mut Follower,
    interpreter: &'a mut Interpreter<EthInterpreter>,
    instructions: Instructions<'a, H>,
    host: &'a mut H,
}

impl<H: FrameHost> Step<'_, H> {
    #[inline]
    fn plain(&mut self) -> Stepped {
        self.interpreter.step(self.instructions.table, self.instructions.gas, self.host)
    }

    /// The word so far below the top.
    fn word(&self, below_top: usize) -> U256 {
        self.interpreter.stack.data().iter().nth_back(below_top).copied().unwrap_or_default()
    }

    /// An instruction that may look at followed words.
    fn followed(&mut self, opcode: u8, height: usize) -> Stepped {
        if !self.follower.is_on {
            return self.plain();
        }
        match opcode {
            opcode::SLOAD => self.sload(height),
            opcode::SSTORE => self.sstore(height),
            opcode::POP => {
                self.take(height, 1);
                self.plain()
            }
            opcode::DUP1..=opcode::DUP16 => {
                let from = height.checked_sub(usize::from(opcode - opcode::DUP1) + 1);
                let term = from.and_then(|from| self.follower.look(from));
                self.plain()?;
                self.follower.put(height, term);
                Ok(())
            }
            opcode::SWAP1..=opcode::SWAP16 => {
                self.plain()?;
                let (top, other) = (height - 1, height - 2 - usize::from(opcode - opcode::SWAP1));
                let (of_top, of_other) = (self.follower.take(top), self.follower.take(other));
                self.follower.put(other, of_top);
                self.follower.put(top, of_other);
                Ok(())
            }
            opcode::JUMPI => {
                let (destination, decision) = (self.take(height, 1), self.take(height, 2));
                self.follower.fix(destination);
                if let Some(decision) = decision {
                    self.follower.require(Condition::Jump(decision));
                }
                self.plain()
            }
            opcode::DUPN | opcode::SWAPN | opcode::EXCHANGE => {
                self.follower.fix_from(0);
                self.plain()
            }
            _ => match operand_count(opcode) {
                Some(count) => self.operate(opcode, count, height),
                None => {
                    self.follower.fix_from(height.saturating_sub(usize::from(WORD_COUNTS[usize::from(opcode)])));
                    self.plain()
                }
            },
        }
    }

    /// Takes the mark off the word that is the so many-th from the top.
    fn take(&mut self, height: usize, from_top: usize) -> Option<u16> {
        height.checked_sub(from_top).and_then(|at| self.follower.take(at))
    }

    fn operate(&mut self, opcode: u8, count: usize, height: usize) -> Stepped {
        let (a, b) = (self.word(0), self.word(1));
        let left = self.take(height, 1);
        let right = if count == 2 { self.take(height, 2) } else { left };
        self.plain()?;
        let result = self.word(0);
        if compute(opcode, a, b) != Some(result) {
            debug_assert!(false, "operation {opcode:#x} on {a} and {b} is {result}");
            self.follower.give_up();
            return Ok(());
        }
        let Some(left) = left.or_else(|| self.follower.term(Origin::Known, a)) else { return Ok(()) };
        let Some(right) = right.or_else(|| self.follower.term(Origin::Known, b)) else { return Ok(()) };
        let term = self.follower.term(Origin::Computed { opcode, left, right }, result);
        self.follower.put(height - count, term);
        Ok(())
    }

    fn sload(&mut self, height: usize) -> Stepped {
        let (address, slot) = (self.interpreter.input.target_address(), self.word(0));
        let key = self.take(height, 1);
        self.follower.fix(key);
        self.plain()?;
        if !self.follower.is_on {
            return Ok(());
        }
        let value = self.word(0);
        let place = self.follower.find(address, slot).or_else(|| self.follower.follow(address, slot, value));
        let Some(place) = place else { return Ok(()) };
        let term = self.follower.present(place);
        if self.follower.value(term) == value {
            self.follower.put(height - 1, Some(term));
        } else {
            debug_assert!(false, "slot {slot} of {address} holds {value}");
            self.follower.give_up();
        }
        Ok(())
    }

    fn sstore(&mut self, height: usize) -> Stepped {
        let (address, slot, value) = (self.interpreter.input.target_address(), self.word(0), self.word(1));
        let (key, word) = (self.take(height, 1), self.take(height, 2));
        self.follower.fix(key);
        let Some(new) = word.or_else(|| self.follower.term(Origin::Known, value)) else { return self.plain() };
        if let Some(place) = self.follower.find(address, slot) {
            // Also where it fails: it may for want of gas.
            self.follower.price(place, new);
            self.plain()?;
            if self.follower.is_on {
                self.follower.store(place, new);
            }
            return Ok(());
        }
        let stepped = self.plain();
        let original = stepped.is_ok().then(|| self.original(address, slot)).flatten();
        match original.and_then(|original| self.follower.follow(address, slot, original)) {
            Some(place) => {
                self.follower.price(place, new);
                self.follower.store(place, new);
            }
            None => self.follower.fix(word),
        }
        stepped
    }

    /// What was in a slot before the transaction, which has accessed it.
    fn original(&self, address: alloy_primitives::Address, slot: U256) -> Option<U256> {
        let account = self.host.journal().evm_state().get(&address)?;
        account.storage.get(&slot).map(|entry| entry.original_value)
    }
}
