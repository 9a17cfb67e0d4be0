//! Which transaction a worker runs next, and which may be committed.
//!
//! ```text
//! waiting ──▶ running ──▶ ran ──▶ committed
//!    ▲           │  ▲      │
//!    └───────────┘  └──────┘ what it read has changed
//!     on another one
//! ```
//!
//! Transactions are taken in order. One that is predicted to depend on another waits until that has run; the one that
//! is next to be committed never waits, for all ahead of it are committed, so there is always something to do.

use std::{cmp::Reverse, collections::BinaryHeap};

use crossbeam_utils::CachePadded;

use super::{
    memory::Index,
    pace::Pace,
    sync::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Condvar, Mutex, Ordering::*, wait},
};

/// BOUND: transactions that are run ahead of the next one to be committed. It caps the versions that a read walks over,
/// and the work that is lost when a block is full.
pub(super) const AHEAD_MAX: u32 = 1024;

/// Sleepers are woken for a part of that.
const AHEAD_WAKING: u32 = AHEAD_MAX / 4;

/// Looks for work before a worker sleeps.
const LOOKS: u32 = 64;

/// Stages of transactions that follow each other lie so many cache lines apart: different workers write them.
const LANE_COUNT: usize = 64;

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const RAN: u8 = 2;
const COMMITTED: u8 = 3;
const STAGES: u8 = 3;
/// Beside the stage: somebody waits, or has waited.
const FOLLOWED: u8 = 4;

/// What transactions wait for and who is next.
pub(super) struct Order {
    count: u32,
    /// The next transaction that nobody has taken yet.
    next: CachePadded<AtomicU32>,
    /// All below are committed.
    committed: CachePadded<AtomicU32>,
    is_stopped: AtomicBool,
    /// Somebody commits.
    is_committing: CachePadded<AtomicBool>,
    /// See [`Self::place`].
    stages: Box<[AtomicU8]>,
    /// Who waits for a transaction to have run.
    followers: Box<[Mutex<Vec<Index>>]>,
    /// Those that have waited long enough.
    ready: Mutex<BinaryHeap<Reverse<Index>>>,
    ready_count: CachePadded<AtomicUsize>,
    sleepers: CachePadded<AtomicUsize>,
    bed: Mutex<()>,
    alarm: Condvar,
}

impl Order {
    pub(super) fn new(count: u32) -> Self {
        Self {
            count,
            next: AtomicU32::new(0).into(),
            committed: AtomicU32::new(0).into(),
            is_stopped: AtomicBool::new(false),
            is_committing: AtomicBool::new(false).into(),
            stages: (0..count.next_multiple_of(LANE_COUNT as u32)).map(|_| AtomicU8::new(WAITING)).collect(),
            followers: (0..count).map(|_| Mutex::new(Vec::new())).collect(),
            ready: Mutex::new(BinaryHeap::new()),
            ready_count: AtomicUsize::new(0).into(),
            sleepers: AtomicUsize::new(0).into(),
            bed: Mutex::new(()),
            alarm: Condvar::new(),
        }
    }

    /// The transaction that is next to be committed.
    pub(super) fn head(&self) -> Index {
        self.committed.load(SeqCst)
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_stopped.load(Acquire) || self.head() >= self.count
    }

    fn end_of_window(&self) -> u32 {
        self.count.min(self.head().saturating_add(AHEAD_MAX))
    }

    /// Takes the next transaction to run; `None` when the block is over. Sleeps while there is none.
    pub(super) fn take<P: Pace>(&self, pace: &P) -> Option<Index> {
        let mut looks = 0;
        loop {
            if self.is_over() {
                return None;
            }
            if let Some(index) = self.try_take() {
                return Some(index);
            }
            looks += 1;
            if looks < LOOKS && !P::CHOOSES {
                std::hint::spin_loop();
            } else {
                self.sleep(pace);
                looks = 0;
            }
        }
    }

    fn try_take(&self) -> Option<Index> {
        if self.ready_count.load(SeqCst) > 0 {
            let mut ready = self.ready.lock();
            if let Some(Reverse(index)) = ready.pop() {
                self.ready_count.store(ready.len(), SeqCst);
                return Some(self.start(index));
            }
        }
        let next = self.next.load(SeqCst);
        // Another worker that comes between takes the same way a moment later.
        if next < self.end_of_window() && self.next.compare_exchange(next, next + 1, SeqCst, SeqCst).is_ok() {
            return Some(self.start(next));
        }
        None
    }

    /// Marks a transaction that the caller has taken.
    fn start(&self, index: Index) -> Index {
        self.enter(index, RUNNING);
        index
    }

    /// Moves a transaction, which is the caller's, to another stage; says whether somebody may wait for it.
    fn enter(&self, index: Index, stage: u8) -> bool {
        let place = self.place(index);
        // Others only set `FOLLOWED` meanwhile.
        let before = place.load(SeqCst) & STAGES;
        place.fetch_xor(before ^ stage, SeqCst) & FOLLOWED != 0
    }

    fn stage(&self, index: Index) -> u8 {
        self.place(index).load(SeqCst) & STAGES
    }

    fn place(&self, index: Index) -> &AtomicU8 {
        let lane_len = self.stages.len() / LANE_COUNT;
        &self.stages[index as usize % LANE_COUNT * lane_len + index as usize / LANE_COUNT]
    }

    fn sleep(&self, pace: &impl Pace) {
        if pauses(pace) {
            return;
        }
        let mut bed = self.bed.lock();
        self.sleepers.fetch_add(1, SeqCst);
        // Looked at once more: who makes work sees the sleeper from now on, and has to wait for the lock.
        let is_idle =
            self.ready_count.load(SeqCst) == 0 && self.next.load(SeqCst) >= self.end_of_window() && !self.is_over();
        if is_idle {
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

    /// Makes a transaction that the caller has taken wait for another one ahead of it; `false` where that has run.
    pub(super) fn wait_for(&self, index: Index, ahead: Index) -> bool {
        let mut followers = self.followers[ahead as usize].lock();
        // Whoever moves it on later sees this, and waits for the lock.
        if self.place(ahead).fetch_or(FOLLOWED, SeqCst) & STAGES >= RAN {
            return false;
        }
        self.enter(index, WAITING);
        followers.push(index);
        true
    }

    /// Lets a transaction that waits for another one go on, if it does; `false` where nobody has taken it yet.
    pub(super) fn free(&self, index: Index, ahead: Index) -> bool {
        let is_waiting = {
            let mut followers = self.followers[ahead as usize].lock();
            let place = followers.iter().position(|follower| *follower == index);
            place.map(|place| followers.swap_remove(place)).is_some()
        };
        if is_waiting {
            self.make_ready(&[index]);
        }
        index < self.next.load(SeqCst)
    }

    /// A transaction has run and published what it writes. Gives one that waited for it to the caller, who has taken
    /// it with that.
    pub(super) fn ran(&self, index: Index) -> Option<Index> {
        if self.enter(index, RAN) { self.release(index) } else { None }
    }

    fn release(&self, index: Index) -> Option<Index> {
        let mut followers = std::mem::take(&mut *self.followers[index as usize].lock());
        if followers.is_empty() {
            return None;
        }
        followers.sort_unstable_by_key(|follower| Reverse(*follower));
        let first = followers.pop();
        self.make_ready(&followers);
        first.map(|first| self.start(first))
    }

    fn make_ready(&self, indices: &[Index]) {
        if indices.is_empty() {
            return;
        }
        let mut ready = self.ready.lock();
        ready.extend(indices.iter().map(|index| Reverse(*index)));
        self.ready_count.store(ready.len(), SeqCst);
        drop(ready);
        self.wake();
    }

    /// Gives a transaction that the caller has taken to whoever has time.
    pub(super) fn give_back(&self, index: Index) {
        self.make_ready(&[index]);
    }

    /// Makes the caller the one that commits, where nobody is. Until [`Self::leave_desk`] the head does not move but by
    /// [`Self::committed`].
    pub(super) fn take_desk(&self) -> bool {
        !self.is_committing.swap(true, SeqCst)
    }

    /// After this the caller looks at the head once more: a transaction that ran meanwhile found the desk taken.
    pub(super) fn leave_desk(&self) {
        self.is_committing.store(false, SeqCst);
    }

    /// Whether the head has run and can be committed.
    pub(super) fn head_has_run(&self) -> bool {
        let head = self.head();
        head < self.count && self.stage(head) == RAN
    }

    /// The head is about to be run again by whoever commits.
    pub(super) fn run_again(&self, index: Index) {
        self.start(index);
    }

    /// The head is committed. Gives one that waited for it to the caller.
    pub(super) fn committed(&self, index: Index) -> Option<Index> {
        let is_followed = self.enter(index, COMMITTED);
        self.committed.store(index + 1, SeqCst);
        let released = if is_followed { self.release(index) } else { None };
        let waiting = self.end_of_window().saturating_sub(self.next.load(SeqCst));
        if index + 1 == self.count || waiting >= AHEAD_WAKING {
            self.wake();
        }
        released
    }

    /// The block ends here, whatever is left.
    pub(super) fn stop(&self) {
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
