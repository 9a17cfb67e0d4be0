//! Which words on the stack come from storage, and what is made of them.

use alloc::vec::Vec;

use alloy_primitives::{Address, U256};

use super::{Condition, FollowedSlot, Formulas, Origin, Term};

/// BOUND: slots that are followed; the words of others must be what they were.
const SLOT_COUNT_MAX: usize = 64;
/// BOUND: terms and conditions of a transaction. What has more is not followed at all.
const TERM_COUNT_MAX: usize = 1024;
const CONDITION_COUNT_MAX: usize = 1024;

/// Follows the words of one transaction.
#[derive(Debug, Default)]
pub(super) struct Follower {
    pub(super) is_on: bool,
    pub(super) formulas: Formulas,
    /// Frames that have begun and not ended, the outermost first.
    frames: Vec<Frame>,
    /// Followed words on the stacks of the frames: height above the stack's bottom, term. Upwards in each frame.
    words: Vec<(usize, Term)>,
    /// Slots that were stored to, with what was in them before: for frames that revert.
    stored: Vec<(usize, Term)>,
    /// Words of the innermost frame's stack up to the topmost that is followed.
    reach: usize,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Where its words begin among all.
    first_word: usize,
    /// What had been stored to when it called another one.
    stored: usize,
}

impl Follower {
    /// A transaction is about to run.
    pub(super) fn begin(&mut self) {
        self.is_on = true;
        self.formulas.clear();
        self.frames.clear();
        self.words.clear();
        self.stored.clear();
        self.reach = 0;
    }

    /// All slots must be what they were.
    pub(super) fn give_up(&mut self) {
        self.is_on = false;
        self.formulas.clear();
        self.words.clear();
        self.stored.clear();
        self.reach = 0;
    }

    /// A frame begins, or goes on after one that it called. `top` is then whether that one succeeded: zero where all that
    /// it stored was taken back.
    pub(super) fn enter(&mut self, depth: usize, top: Option<U256>) {
        if let Some(next) = self.frames.get(depth + 1) {
            self.words.truncate(next.first_word);
            self.frames.truncate(depth + 1);
        }
        if depth == self.frames.len() {
            self.frames.push(Frame { first_word: self.words.len(), stored: self.stored.len() });
        } else if depth < self.frames.len() {
            if top.is_none_or(|top| top.is_zero()) {
                self.take_back(self.frames[depth].stored);
            }
        } else {
            // Its callers were not followed.
            self.give_up();
        }
        self.measure();
    }

    /// The innermost frame calls another one, or ends.
    pub(super) fn leave(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.stored = self.stored.len();
        }
    }

    fn take_back(&mut self, count: usize) {
        for (slot, before) in self.stored.drain(count.min(self.stored.len())..).rev() {
            self.formulas.slots[slot].present = before;
        }
    }

    /// Whether one of the topmost words of a stack of this height is followed.
    pub(super) const fn touches(&self, word_count: usize, height: usize) -> bool {
        self.reach + word_count > height
    }

    fn measure(&mut self) {
        let first = self.frames.last().map_or(0, |frame| frame.first_word);
        self.reach = self.words[first..].last().map_or(0, |(height, _)| height + 1);
    }

    /// Takes the mark off a word; says which term it is.
    pub(super) fn take(&mut self, height: usize) -> Option<Term> {
        let first = self.frames.last().map_or(0, |frame| frame.first_word);
        let place = first + self.words[first..].iter().rposition(|(at, _)| *at == height)?;
        let (_, term) = self.words.remove(place);
        self.measure();
        Some(term)
    }

    /// The term that a word is.
    pub(super) fn look(&self, height: usize) -> Option<Term> {
        let first = self.frames.last().map_or(0, |frame| frame.first_word);
        self.words[first..].iter().rfind(|(at, _)| *at == height).map(|(_, term)| *term)
    }

    /// Marks a word that is not marked.
    pub(super) fn put(&mut self, height: usize, term: Option<Term>) {
        let Some(term) = term.filter(|term| self.formulas.origins[usize::from(*term)] != Origin::Known) else { return };
        let first = self.frames.last().map_or(0, |frame| frame.first_word);
        let above = self.words[first..].iter().rev().take_while(|(at, _)| *at > height).count();
        self.words.insert(self.words.len() - above, (height, term));
        self.measure();
    }

    /// Makes the values of all words at and above a height conditions.
    pub(super) fn fix_from(&mut self, height: usize) {
        while let Some(&(at, term)) = self.words.last()
            && self.reach > height
            && at >= height
        {
            self.words.pop();
            self.measure();
            self.require(Condition::Same(term));
        }
    }

    /// Makes the value of a word a condition.
    pub(super) fn fix(&mut self, term: Option<Term>) {
        if let Some(term) = term {
            self.require(Condition::Same(term));
        }
    }

    pub(super) fn require(&mut self, condition: Condition) {
        if self.formulas.conditions.len() >= CONDITION_COUNT_MAX {
            self.give_up();
        } else if self.is_on {
            self.formulas.conditions.push(condition);
        }
    }

    /// A new term; `None` where there are too many, and nothing is followed any more.
    pub(super) fn term(&mut self, origin: Origin, value: U256) -> Option<Term> {
        let place = self.formulas.origins.len();
        if place >= TERM_COUNT_MAX || !self.is_on {
            self.give_up();
            return None;
        }
        self.formulas.origins.push(origin);
        self.formulas.values.push(value);
        Some(place as Term)
    }

    pub(super) fn value(&self, term: Term) -> U256 {
        self.formulas.values[usize::from(term)]
    }

    /// The place of a slot that is followed.
    pub(super) fn find(&self, address: Address, slot: U256) -> Option<usize> {
        self.formulas.slots.iter().position(|one| one.slot == slot && one.address == address)
    }

    /// What is in a slot that is followed.
    pub(super) fn present(&self, place: usize) -> Term {
        self.formulas.slots[place].present
    }

    /// Follows a slot that this transaction accesses for the first time.
    pub(super) fn follow(&mut self, address: Address, slot: U256, value: U256) -> Option<usize> {
        let place = self.formulas.slots.len();
        if place >= SLOT_COUNT_MAX {
            return None;
        }
        let original = self.term(Origin::Loaded { slot: place as u16 }, value)?;
        self.formulas.slots.push(FollowedSlot { address, slot, original, present: original });
        Some(place)
    }

    /// The condition on storing a word to a slot.
    pub(super) fn price(&mut self, place: usize, new: Term) {
        let FollowedSlot { original, present, .. } = self.formulas.slots[place];
        self.require(Condition::Store { original, present, new });
    }

    /// A word was stored to a slot.
    pub(super) fn store(&mut self, place: usize, new: Term) {
        let Some(slot) = self.formulas.slots.get_mut(place) else { return };
        self.stored.push((place, core::mem::replace(&mut slot.present, new)));
    }
}
