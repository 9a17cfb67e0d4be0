//! Which batch a worker runs next, and which is committed next.
//!
//! Batches are taken in order, and only a few ahead of the one that is to be committed next, the head. Who has run one
//! leaves it at its place and looks whether the head has run; so does who leaves the desk.

use alloy_consensus::Transaction as _;
use crossbeam_utils::CachePadded;
use metis_state_transition::RecoveredTransaction;

use super::{Lengths, batch::Batch};
use crate::parallel::{
    memory::Index,
    pace::Pace,
    sync::{AtomicBool, AtomicU32, AtomicUsize, Condvar, Mutex, Ordering::*, wait},
};

/// Batches of each worker that may be ahead of the head.
const AHEAD_PER_WORKER: usize = 4;

/// The last transactions of a block are taken in such parts of what is left, so that all workers end at about the same time.
const LAST_PARTS: usize = 2;

/// Looks for work before a worker sleeps.
const LOOKS: u32 = 256;

/// Transactions of a batch that somebody has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::parallel) struct Taken {
    /// Number of the batch.
    pub(in crate::parallel) number: u32,
    pub(in crate::parallel) first: Index,
    /// One after the last.
    pub(in crate::parallel) end: Index,
}

/// The batches of a block.
pub(in crate::parallel) struct Line<'m> {
    transactions: &'m [&'m RecoveredTransaction],
    lengths: Lengths,
    workers: usize,
    next: CachePadded<Mutex<Next>>,
    /// What `next` says, for who only looks.
    next_number: CachePadded<AtomicU32>,
    is_all_taken: AtomicBool,
    /// Number of the head.
    head: CachePadded<AtomicU32>,
    is_stopped: AtomicBool,
    /// Somebody commits.
    is_committing: CachePadded<AtomicBool>,
    /// Batches that have run, by number modulo the length.
    places: Box<[CachePadded<Place<'m>>]>,
    sleepers: CachePadded<AtomicUsize>,
    bed: Mutex<()>,
    alarm: Condvar,
}

/// The first batch that nobody has taken.
struct Next {
    number: u32,
    first: Index,
}

struct Place<'m> {
    has_run: AtomicBool,
    batch: Mutex<Option<Box<Batch<'m>>>>,
}

impl<'m> Line<'m> {
    pub(in crate::parallel) fn new(
        transactions: &'m [&'m RecoveredTransaction],
        lengths: Lengths,
        workers: usize,
    ) -> Self {
        let place = || Place { has_run: AtomicBool::new(false), batch: Mutex::new(None) }.into();
        Self {
            transactions,
            lengths,
            workers,
            next: Mutex::new(Next { number: 0, first: 0 }).into(),
            next_number: AtomicU32::new(0).into(),
            is_all_taken: AtomicBool::new(false),
            head: AtomicU32::new(0).into(),
            is_stopped: AtomicBool::new(false),
            is_committing: AtomicBool::new(false).into(),
            places: std::iter::repeat_with(place).take(workers * AHEAD_PER_WORKER).collect(),
            sleepers: AtomicUsize::new(0).into(),
            bed: Mutex::new(()),
            alarm: Condvar::new(),
        }
    }

    pub(in crate::parallel) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Acquire)
    }

    pub(in crate::parallel) fn is_head(&self, number: u32) -> bool {
        self.head.load(SeqCst) == number
    }

    fn has_room(&self) -> bool {
        // In this order: the head never passes what is taken, and an older head only says that there is less room.
        let head = self.head.load(SeqCst);
        self.next_number.load(SeqCst) - head < self.places.len() as u32
    }

    fn is_over(&self) -> bool {
        self.is_all_taken.load(SeqCst) || self.is_stopped()
    }

    /// Takes the next batch; `None` when there is none left. Sleeps while too many are ahead.
    pub(in crate::parallel) fn take<P: Pace>(&self, pace: &P) -> Option<Taken> {
        let mut looks = 0;
        while !self.is_over() {
            if self.has_room()
                && let Some(taken) = self.try_take()
            {
                return Some(taken);
            }
            looks += 1;
            if looks < LOOKS && !P::CHOOSES {
                std::hint::spin_loop();
            } else {
                self.sleep(pace);
                looks = 0;
            }
        }
        None
    }

    fn try_take(&self) -> Option<Taken> {
        let mut next = self.next.lock();
        let (number, first) = (next.number, next.first);
        // Looked at once more: another worker may have come between.
        if !self.has_room() || self.is_over() {
            return None;
        }
        let end = self.end_of(first);
        *next = Next { number: number + 1, first: end };
        self.next_number.store(number + 1, SeqCst);
        if end as usize == self.transactions.len() {
            self.is_all_taken.store(true, SeqCst);
            drop(next);
            // Who waits for room waits for nothing.
            self.wake();
        }
        Some(Taken { number, first, end })
    }

    /// Where the batch ends that begins at a transaction: by count and by gas, and earlier near the end of the block.
    fn end_of(&self, first: Index) -> Index {
        let rest = &self.transactions[first as usize..];
        let count_max = (rest.len() / (LAST_PARTS * self.workers)).clamp(1, self.lengths.count_max);
        let mut gas = 0u64;
        let is_full = |transaction: &&RecoveredTransaction| {
            gas = gas.saturating_add(transaction.envelope.gas_limit());
            gas >= self.lengths.gas_max
        };
        let count = rest[..count_max].iter().position(is_full).map_or(count_max, |place| place + 1);
        first + count as Index
    }

    fn sleep(&self, pace: &impl Pace) {
        if pauses(pace) {
            return;
        }
        let mut bed = self.bed.lock();
        self.sleepers.fetch_add(1, SeqCst);
        // Looked at once more: who makes room sees the sleeper from now on, and has to wait for the lock.
        if !self.has_room() && !self.is_over() {
            bed = wait(&self.alarm, bed);
        }
        self.sleepers.fetch_sub(1, SeqCst);
        drop(bed);
    }

    fn wake(&self) {
        if self.sleepers.load(SeqCst) > 0 {
            drop(self.bed.lock());
            self.alarm.notify_all();
        }
    }

    fn place(&self, number: u32) -> &Place<'m> {
        &self.places[number as usize % self.places.len()]
    }

    /// A batch has run ahead of its turn.
    pub(in crate::parallel) fn ran(&self, number: u32, batch: Box<Batch<'m>>) {
        let place = self.place(number);
        *place.batch.lock() = Some(batch);
        place.has_run.store(true, SeqCst);
    }

    /// Whether the head has run.
    pub(in crate::parallel) fn head_has_run(&self) -> bool {
        self.place(self.head.load(SeqCst)).has_run.load(SeqCst) && !self.is_stopped()
    }

    /// Takes the head, which has run, for its commit.
    pub(in crate::parallel) fn take_head(&self) -> Option<Box<Batch<'m>>> {
        let place = self.place(self.head.load(SeqCst));
        place.has_run.store(false, SeqCst);
        place.batch.lock().take()
    }

    /// The head is committed.
    pub(in crate::parallel) fn committed(&self) {
        self.head.fetch_add(1, SeqCst);
        self.wake();
    }

    /// Makes the caller the one that commits, where nobody is. The head does not move until [`Self::leave_desk`] but by
    /// [`Self::committed`].
    pub(in crate::parallel) fn take_desk(&self) -> bool {
        !self.is_committing.swap(true, SeqCst)
    }

    /// After this the caller looks at the head once more: a batch that ran meanwhile found the desk taken.
    pub(in crate::parallel) fn leave_desk(&self) {
        self.is_committing.store(false, SeqCst);
    }

    /// The block ends here, whatever is left.
    pub(in crate::parallel) fn stop(&self) {
        self.is_stopped.store(true, SeqCst);
        self.wake();
    }
}

fn pauses<P: Pace>(pace: &P) -> bool {
    if P::CHOOSES {
        pace.pause();
    }
    P::CHOOSES
}
