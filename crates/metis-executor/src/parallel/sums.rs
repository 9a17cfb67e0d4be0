//! Slots that may hold other words than a run found in them: balances of tokens, say, that it only added to.
//!
//! Of a call that is followed there are [`Formulas`] of what it made of the words that it loaded. At the desk they are put
//! to the committed words: if all conditions hold, the run's writes are what the formulas give for those.

use alloy_primitives::U256;
use metis_state_transition::{FollowedSlot, Formulas, StateView, TermValues};

use super::{
    attempt::Writes,
    memory::Index,
    pace::Pace,
    view::{Reads, VersionedView},
};

/// BOUND: a run that read more slots is not looked through for those that it followed.
const READ_COUNT_MAX: usize = 1024;

/// What one run made of the slots that it read.
#[derive(Default)]
pub(super) struct Sums {
    pub(super) formulas: Formulas,
    /// Of each slot of the formulas the place among the reads; none where only the transaction itself decides what is in
    /// it, as in a contract that it creates.
    reads: Vec<Option<usize>>,
    /// Slots that are written: place among the writes, place among the slots of the formulas.
    writes: Vec<(usize, usize)>,
    values: TermValues,
}

/// How slots were found at the commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// As they were read.
    Same,
    /// With other words, which would have led to the same; the writes are right for them.
    Replayed,
    /// Else.
    Different,
}

/// Who wrote what a followed run read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SlotWriters {
    /// The last one that wrote a slot whose word must be as it was.
    pub(super) exact: Option<Index>,
    /// The last one that wrote another slot.
    pub(super) free: Option<Index>,
}

impl Sums {
    pub(super) fn clear(&mut self) {
        self.formulas.clear();
        self.reads.clear();
        self.writes.clear();
    }

    /// Finds the slots of the formulas among what the run read and writes.
    pub(super) fn fill(&mut self, reads: &Reads<'_>, writes: &Writes<'_>) {
        let Self { formulas, reads: of_reads, writes: of_writes, .. } = self;
        of_reads.clear();
        of_writes.clear();
        let slots = formulas.slots();
        let is_of = |slot: &FollowedSlot, cell: &super::memory::SlotCell<'_>| {
            cell.slot == slot.slot && cell.owner.address == slot.address
        };
        let mut fits = reads.slots.len() <= READ_COUNT_MAX;
        if fits {
            let place = |slot| reads.slots.iter().position(|(cell, _)| is_of(slot, cell));
            of_reads.extend(slots.iter().map(place));
            for (place, (cell, value)) in writes.slots.iter().enumerate() {
                let Some(of_slot) = slots.iter().position(|slot| is_of(slot, cell)) else { continue };
                of_writes.push((place, of_slot));
                fits &= formulas.seen(&slots[of_slot]).1 == *value;
            }
            let is_seen = |(slot, place): (&FollowedSlot, &Option<usize>)| {
                place.is_none_or(|place| reads.slots[place].1 == formulas.seen(slot).0)
            };
            fits &= slots.iter().zip(of_reads.iter()).all(is_seen);
        }
        if !fits {
            self.clear();
        }
    }

    /// The place among the formulas' slots of a slot that was read.
    fn followed(&self, read: usize) -> Option<usize> {
        self.reads.iter().position(|place| *place == Some(read))
    }

    /// The last writers of what was read, of whom the view knows by the order of reads.
    pub(super) fn writers(&self, by_read: &[Option<Index>]) -> SlotWriters {
        let mut writers = SlotWriters::default();
        for (read, writer) in by_read.iter().enumerate() {
            let slot = self.followed(read).map(|place| &self.formulas.slots()[place]);
            let kind = match slot {
                Some(slot) if writer.is_some() && !self.formulas.is_exact(slot) => &mut writers.free,
                _ => &mut writers.exact,
            };
            *kind = (*kind).max(*writer);
        }
        writers
    }

    /// Compares the slots that were read with what is committed, and puts the writes right where they may differ.
    pub(super) fn settle<'m, 'a: 'm, V: StateView, P: Pace>(
        &mut self,
        view: &VersionedView<'m, 'a, V, P>,
        reads: &Reads<'m>,
        writes: &mut Writes<'m>,
    ) -> Finding {
        let mut is_same = true;
        for (place, (cell, seen)) in reads.slots.iter().enumerate() {
            let Some(now) = view.slot_now(cell) else { return Finding::Different };
            if now != *seen {
                if self.followed(place).is_none() {
                    return Finding::Different;
                }
                is_same = false;
            }
        }
        if is_same {
            return Finding::Same;
        }
        if !self.replay(reads) {
            return Finding::Different;
        }
        self.rewrite(writes);
        Finding::Replayed
    }

    /// Puts the formulas to what is committed of the slots; says whether the run would have done the same.
    pub(super) fn replay(&mut self, reads: &Reads<'_>) -> bool {
        let Self { formulas, reads: of_reads, values, .. } = self;
        let word = |place: usize| -> U256 {
            let own = || formulas.seen(&formulas.slots()[place]).0;
            of_reads[place].map_or_else(own, |read| reads.slots[read].0.now())
        };
        formulas.replay(word, values)
    }

    /// Writes what the formulas gave when they were replayed.
    pub(super) fn rewrite(&self, writes: &mut Writes<'_>) {
        for (place, slot) in &self.writes {
            writes.slots[*place].1 = self.values.after(&self.formulas.slots()[*slot]);
        }
    }
}
