//! What a transaction makes of the words that it loads from storage, so that it need not be run again for others.
//!
//! A token transfer loads the receiver's balance, adds to it, looks whether that overflows, and stores the sum. Run on
//! another balance it does the same, as long as nothing overflows and the store has the same price. [`Following`] is a
//! frame runner that follows loaded words through the stack and writes down what is made of them: [`Formulas`], which
//! can be put to other values of the slots.
//!
//! ```text
//! SLOAD a ─▶ t0     PUSH 5, ADD ─▶ t1 = t0 + 5     DUP, GT ─▶ t2 = t0 > t1     JUMPI: t2 is zero
//! SSTORE a t1: t0, t0, t1 are equal and zero as they were            a = t1
//! ```
//!
//! Whatever else is done with such a word (memory, hashes, logs, calls, keys, results) makes its value a condition. A
//! transaction whose conditions hold for other values of the slots takes the same path with the same gas, logs and
//! output, and leaves in the slots what the formulas give. Only [`Formulas::replay`] has to be right for that: nobody
//! predicts anything here.
//!
//! Source: operation logs that are redone in part, ParallelEVM (Lin et al., EuroSys 2025).

mod follow;
mod operation;
mod runner;

use alloc::vec::Vec;

use alloy_primitives::{Address, U256};

pub use runner::Following;

/// Place of a term among the terms.
type Term = u16;

/// How a term comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The code, the call data, the block: it stays what it is.
    Known,
    /// What was in a slot before the transaction.
    Loaded { slot: u16 },
    /// An operation on earlier terms; one that takes one word takes the left one.
    Computed { opcode: u8, left: Term, right: Term },
}

/// What must stay as it was for the transaction to do the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// The value.
    Same(Term),
    /// Whether it is zero: a jump was decided by it.
    Jump(Term),
    /// Which of the three words of an SSTORE are equal, and which are zero.
    Store { original: Term, present: Term, new: Term },
}

/// A slot whose word was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowedSlot {
    /// Whose storage.
    pub address: Address,
    /// Which slot.
    pub slot: U256,
    /// What was in it before the transaction.
    original: Term,
    /// What is in it now.
    present: Term,
}

/// What a transaction made of the words that it loaded.
#[derive(Clone, Debug, Default)]
pub struct Formulas {
    slots: Vec<FollowedSlot>,
    origins: Vec<Origin>,
    /// Of the terms, when the transaction ran.
    values: Vec<U256>,
    conditions: Vec<Condition>,
}

/// Values of all terms of some formulas: room that is used again and again.
#[derive(Clone, Debug, Default)]
pub struct TermValues(Vec<U256>);

impl Formulas {
    /// Slots that the transaction may find other words in; each other one must be as it was.
    pub fn slots(&self) -> &[FollowedSlot] {
        &self.slots
    }

    /// Forgets everything: all slots must be as they were.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.origins.clear();
        self.values.clear();
        self.conditions.clear();
    }

    /// What was in a slot before the transaction, and after it if nothing was reverted.
    pub fn seen(&self, slot: &FollowedSlot) -> (U256, U256) {
        (self.values[usize::from(slot.original)], self.values[usize::from(slot.present)])
    }

    /// Whether a slot's own word is a condition, so that no other one will do.
    pub fn is_exact(&self, slot: &FollowedSlot) -> bool {
        self.conditions.contains(&Condition::Same(slot.original))
    }

    /// Whether the transaction does the same where the slots, by their place in [`Self::slots`], hold other words. If so,
    /// `values` are those of the terms then.
    pub fn replay(&self, mut word: impl FnMut(usize) -> U256, values: &mut TermValues) -> bool {
        let now = &mut values.0;
        now.clear();
        for (origin, seen) in self.origins.iter().zip(&self.values) {
            now.push(match *origin {
                Origin::Known => *seen,
                Origin::Loaded { slot } => word(usize::from(slot)),
                Origin::Computed { opcode, left, right } => {
                    let (left, right) = (now[usize::from(left)], now[usize::from(right)]);
                    // What is not an operation makes no term.
                    let Some(value) = operation::compute(opcode, left, right) else { return false };
                    value
                }
            });
        }
        self.conditions.iter().all(|condition| condition.of(&self.values) == condition.of(now))
    }
}

impl TermValues {
    /// What the slot holds after the transaction.
    pub fn after(&self, slot: &FollowedSlot) -> U256 {
        self.0[usize::from(slot.present)]
    }
}

/// What a condition says of some values.
#[derive(PartialEq, Eq)]
enum Finding {
    Value(U256),
    Flags([bool; 6]),
}

impl Condition {
    fn of(self, values: &[U256]) -> Finding {
        let value = |term: Term| values[usize::from(term)];
        match self {
            Self::Same(term) => Finding::Value(value(term)),
            Self::Jump(term) => Finding::Flags([value(term).is_zero(), false, false, false, false, false]),
            // SPEC: all that EIP-1283, EIP-2200, EIP-3529 and what came before them ask of the three.
            Self::Store { original, present, new } => {
                let (original, present, new) = (value(original), value(present), value(new));
                Finding::Flags([
                    original == present,
                    present == new,
                    original == new,
                    original.is_zero(),
                    present.is_zero(),
                    new.is_zero(),
                ])
            }
        }
    }
}
