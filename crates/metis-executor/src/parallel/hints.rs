//! Which transactions probably depend on which, known or learned before they run.

use metis_state_transition::RecoveredTransaction;

use super::{
    likes::{Likes, SELECTOR_SIZE_BYTES, SUBJECT_SIZE_BYTES, Senders},
    memory::Index,
    sums::SlotWriters,
    sync::{AtomicU32, OnceLock, Ordering::Relaxed},
};

/// How far behind a transaction that is run again others like it are looked for.
const BEHIND_MAX: Index = 2048;

/// Transactions of a kind that were under way when it was found to collide may still have to be run again.
const PATIENCE: u32 = 64;

/// Calls of a kind wait for each other as long as that is trusted to help. A collision makes it so, and each call shows
/// whether it would have been needed: after the first payment to an account, say, they soon run freely again.
const TRUST_MAX: u32 = 16;
const TRUST_GAIN: u32 = 2;

/// Calls of a kind are followed (see [`super::sums`]) once one of them was run again for a slot, as long as it helps: each
/// call that could stand although a slot had changed gains credit for it, each that could not, or whose words had to be
/// as they were, costs some.
const CREDIT_FIRST: u32 = 8;
const CREDIT_MAX: u32 = 32;
/// None was tried.
const UNTRIED: u32 = u32::MAX;

/// What was wrong with a run at its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// A slot had changed.
    pub(super) is_of_slot: bool,
    /// The run was followed.
    pub(super) was_followed: bool,
}

/// Predictions. A wrong one costs time only.
pub(super) struct Hints<'m> {
    transactions: &'m [&'m RecoveredTransaction],
    by_sender: Senders<'m>,
    /// By subject and by function. Made when the first transaction has to be run again.
    kinds: OnceLock<[Kinds<'m>; 2]>,
    workers: usize,
    follows_all: bool,
}

/// Transactions by what they call, and which kinds were found to get into each other's way.
struct Kinds<'m> {
    likes: Likes<'m>,
    /// What is known of a kind, by the first of it.
    known: Box<[Kind]>,
}

struct Kind {
    /// How often one of the kind had to be run again.
    repeats: AtomicU32,
    /// Above zero, each waits for the one before it.
    trust: AtomicU32,
    /// Above zero, they are followed.
    credit: AtomicU32,
}

impl Kind {
    fn new() -> Self {
        Self { repeats: AtomicU32::new(0), trust: AtomicU32::new(0), credit: AtomicU32::new(UNTRIED) }
    }

    fn is_followed(&self) -> bool {
        !matches!(self.credit.load(Relaxed), 0 | UNTRIED)
    }

    /// Following helped, or did not. What another worker does in between may be lost.
    fn follow(&self, has_helped: bool) {
        let credit = self.credit.load(Relaxed);
        if !matches!(credit, 0 | UNTRIED) {
            self.credit.store(if has_helped { (credit + 1).min(CREDIT_MAX) } else { credit - 1 }, Relaxed);
        }
    }
}

impl<'m> Kinds<'m> {
    fn of(transactions: &'m [&'m RecoveredTransaction], size_bytes: usize, from: Index) -> Self {
        let known = std::iter::repeat_with(Kind::new).take(transactions.len()).collect();
        Self { likes: Likes::of(transactions, size_bytes, from), known }
    }

    /// The transaction before one of the same kind, and what is known of the kind.
    fn ahead(&self, index: Index) -> Option<(Index, &Kind)> {
        let (first, before) = self.likes.ahead(index)?;
        Some((before, &self.known[first as usize]))
    }

    /// A transaction of the kind had to be run again. Says whether others of the kind explain it: one is ahead of it, and
    /// it did not go on long after they began to wait for each other.
    fn learn(&self, index: Index) -> bool {
        let Some((_, kind)) = self.ahead(index) else { return false };
        if kind.repeats.fetch_add(1, Relaxed) >= PATIENCE {
            return false;
        }
        // What another worker learns in between may be lost.
        kind.trust.store((kind.trust.load(Relaxed) + TRUST_GAIN).min(TRUST_MAX), Relaxed);
        true
    }

    fn ahead_of(&self, index: Index) -> Option<Index> {
        self.ahead(index).filter(|(_, kind)| kind.trust.load(Relaxed) > 0).map(|(before, _)| before)
    }

    /// A transaction has run: `writer` is the last one ahead of it that gave something it read a value. Where that is
    /// not at or behind the one before of its kind, waiting for that was in vain. Says whether the kind lost its trust
    /// by that.
    fn judge(&self, index: Index, writer: Option<Index>) -> bool {
        let Some((before, kind)) = self.ahead(index) else { return false };
        let trust = kind.trust.load(Relaxed);
        if trust == 0 {
            return false;
        }
        let is_useful = writer.is_some_and(|writer| writer >= before);
        kind.trust.store(if is_useful { (trust + 1).min(TRUST_MAX) } else { trust - 1 }, Relaxed);
        trust == 1 && !is_useful
    }
}

impl<'m> Hints<'m> {
    pub(super) fn of(transactions: &'m [&'m RecoveredTransaction], workers: usize, follows_all: bool) -> Self {
        Self { transactions, by_sender: Senders::of(transactions), kinds: OnceLock::new(), workers, follows_all }
    }

    /// The kinds of transactions, where one was found to collide.
    fn kinds(&self) -> impl Iterator<Item = &Kinds<'m>> {
        self.kinds.get().into_iter().flatten()
    }

    /// The transaction that should have run first.
    pub(super) fn ahead_of(&self, index: Index) -> Option<Index> {
        let of_sender = self.by_sender.ahead(index);
        // The newest of them: the others are ahead of it, and have mostly run by then.
        self.kinds().fold(of_sender, |newest, kinds| newest.max(kinds.ahead_of(index)))
    }

    /// Whether a transaction should be followed.
    pub(super) fn follows(&self, index: Index) -> bool {
        self.follows_all || self.followed_kinds(index).next().is_some()
    }

    /// The kinds of a transaction that are followed, each with the one before it of the kind.
    fn followed_kinds(&self, index: Index) -> impl Iterator<Item = (Index, &Kind)> {
        self.kinds().filter_map(move |kinds| kinds.ahead(index)).filter(|(_, kind)| kind.is_followed())
    }

    /// A slot that a followed transaction had read was changed, and yet it could stand.
    pub(super) fn has_helped(&self, index: Index) {
        self.followed_kinds(index).for_each(|(_, kind)| kind.follow(true));
    }

    /// A transaction was followed: the last ones ahead of it that wrote slots whose words had to be as they were, and
    /// others. Only where the one before of its kind wrote none of the former may it help.
    pub(super) fn judge_following(&self, index: Index, writers: SlotWriters) {
        for (before, kind) in self.followed_kinds(index) {
            let is_since = |writer: Option<Index>| writer.is_some_and(|writer| writer >= before);
            if is_since(writers.exact) {
                kind.follow(false);
            } else if is_since(writers.free) {
                kind.follow(true);
            }
        }
    }

    /// A transaction that was not followed was run again for a slot: says whether others like it are or will be followed.
    fn begin_following(&self, index: Index, kinds: &[Kinds<'m>]) -> bool {
        for (kinds, (_, kind)) in kinds.iter().filter_map(|kinds| Some((kinds, kinds.ahead(index)?))) {
            match kind.credit.load(Relaxed) {
                // It did not help with these.
                0 => {}
                UNTRIED => {
                    // While those of a smaller kind wait for each other, other workers have enough to do.
                    let (count, seen) = kinds.likes.count(index);
                    let is_large = count as usize * self.workers > seen as usize;
                    if is_large {
                        kind.credit.store(CREDIT_FIRST, Relaxed);
                    }
                    return is_large;
                }
                _ => return true,
            }
        }
        false
    }

    /// What a transaction read had changed when its turn came: others like it will be followed, if it was for a slot, or
    /// else wait for each other. Those about the same subject first; where that was not it, all calls of the function.
    pub(super) fn learn(&self, index: Index, failure: Failure) {
        let of = |size_bytes| Kinds::of(self.transactions, size_bytes, index.saturating_sub(BEHIND_MAX));
        let kinds = self.kinds.get_or_init(|| [SUBJECT_SIZE_BYTES, SELECTOR_SIZE_BYTES].map(of));
        if failure.was_followed {
            self.followed_kinds(index).for_each(|(_, kind)| kind.follow(false));
        } else if failure.is_of_slot && self.begin_following(index, kinds) {
            return;
        }
        let _explained = kinds.iter().any(|kinds| kinds.learn(index));
    }

    /// A transaction has run; `writer` is the last one ahead of it that gave something it read a value.
    /// `free` is told of those who need not wait any more: who waits, and for whom.
    pub(super) fn judge(&self, index: Index, writer: Option<Index>, mut free: impl FnMut(Index, Index) -> bool) {
        for kinds in self.kinds() {
            if kinds.judge(index, writer) {
                let _all = kinds.likes.rest_of(index).all(|(before, after)| free(after, before));
            }
        }
    }
}
