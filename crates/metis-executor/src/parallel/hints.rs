//! Which transactions probably depend on which, known or learned before they run.

use std::collections::hash_map::Entry;

use alloy_consensus::Transaction as _;
use alloy_primitives::{
    Address,
    map::{AddressMap, HashMap},
};
use metis_state_transition::RecoveredTransaction;

use super::{
    memory::Index,
    sums::SlotWriters,
    sync::{AtomicU32, OnceLock, Ordering::Relaxed},
};

const NONE: Index = Index::MAX;

/// Function selector and first argument: what calls of one kind about one thing have in common, such as transfers of a
/// token to one account.
const SUBJECT_SIZE_BYTES: usize = 4 + 32;
const SELECTOR_SIZE_BYTES: usize = 4;

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
pub(super) struct Hints {
    /// The transaction before it of the same sender.
    by_sender: Vec<Index>,
    /// By subject and by function. Made when the first transaction has to be run again.
    kinds: OnceLock<[Kinds; 2]>,
    workers: usize,
    follows_all: bool,
}

/// Transactions by what they call, and which kinds were found to get into each other's way.
struct Kinds {
    /// The first transaction of the same kind, which stands for the kind.
    first: Vec<Index>,
    /// The transaction before it of the same kind.
    before: Vec<Index>,
    /// The one after it.
    after: Vec<Index>,
    /// What is known of a kind, by the first of it.
    known: Box<[Kind]>,
}

struct Kind {
    /// Transactions of the kind.
    count: u32,
    /// How often one of the kind had to be run again.
    repeats: AtomicU32,
    /// Above zero, each waits for the one before it.
    trust: AtomicU32,
    /// Above zero, they are followed.
    credit: AtomicU32,
}

impl Kind {
    fn of(count: u32) -> Self {
        Self { count, repeats: AtomicU32::new(0), trust: AtomicU32::new(0), credit: AtomicU32::new(UNTRIED) }
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

impl Kinds {
    fn of(transactions: &[&RecoveredTransaction], size_bytes: usize) -> Self {
        let count = transactions.len();
        let (mut first, mut before, mut after) = (vec![NONE; count], vec![NONE; count], vec![NONE; count]);
        let mut counts = vec![0; count];
        let mut known: HashMap<(Address, &[u8]), (Index, Index)> = HashMap::default();
        for (index, transaction) in transactions.iter().enumerate() {
            let input: &[u8] = transaction.envelope.input();
            let (Some(to), Some(kind)) = (transaction.envelope.to(), input.get(..size_bytes)) else { continue };
            let index = index as Index;
            match known.entry((to, kind)) {
                Entry::Occupied(mut entry) => {
                    let (beginning, last) = entry.get_mut();
                    (first[index as usize], before[index as usize]) = (*beginning, *last);
                    after[*last as usize] = index;
                    counts[*beginning as usize] += 1;
                    *last = index;
                }
                Entry::Vacant(entry) => {
                    first[index as usize] = index;
                    counts[index as usize] = 1;
                    entry.insert((index, index));
                }
            }
        }
        Self { first, before, after, known: counts.into_iter().map(Kind::of).collect() }
    }

    /// The transaction before one of the same kind, and what is known of the kind.
    fn ahead(&self, index: Index) -> Option<(Index, &Kind)> {
        let before = self.before[index as usize];
        (before != NONE).then(|| (before, &self.known[self.first[index as usize] as usize]))
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

    /// All of the kind that come after one, each with the one before it.
    fn rest_of(&self, index: Index) -> impl Iterator<Item = (Index, Index)> + '_ {
        let after = |index: Index| Some(self.after[index as usize]).filter(|after| *after != NONE);
        std::iter::successors(Some(index), move |index| after(*index))
            .filter_map(move |index| after(index).map(|after| (index, after)))
    }
}

impl Hints {
    pub(super) fn of(transactions: &[&RecoveredTransaction], workers: usize, follows_all: bool) -> Self {
        let mut last: AddressMap<Index> = AddressMap::default();
        last.reserve(transactions.len());
        let before = |(index, transaction): (usize, &&RecoveredTransaction)| {
            last.insert(transaction.sender, index as Index).unwrap_or(NONE)
        };
        let by_sender = transactions.iter().enumerate().map(before).collect();
        Self { by_sender, kinds: OnceLock::new(), workers, follows_all }
    }

    /// The kinds of transactions, where one was found to collide.
    fn kinds(&self) -> impl Iterator<Item = &Kinds> {
        self.kinds.get().into_iter().flatten()
    }

    /// The transaction that should have run first.
    pub(super) fn ahead_of(&self, index: Index) -> Option<Index> {
        let of_sender = Some(self.by_sender[index as usize]).filter(|ahead| *ahead != NONE);
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
    fn begin_following(&self, index: Index, kinds: &[Kinds]) -> bool {
        for (_, kind) in kinds.iter().filter_map(|kinds| kinds.ahead(index)) {
            match kind.credit.load(Relaxed) {
                // It did not help with these.
                0 => {}
                UNTRIED => {
                    // While those of a smaller kind wait for each other, other workers have enough to do.
                    let is_large = kind.count as usize * self.workers > self.by_sender.len();
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
    pub(super) fn learn(&self, index: Index, transactions: &[&RecoveredTransaction], failure: Failure) {
        let sizes_bytes = [SUBJECT_SIZE_BYTES, SELECTOR_SIZE_BYTES];
        let kinds = self.kinds.get_or_init(|| sizes_bytes.map(|size_bytes| Kinds::of(transactions, size_bytes)));
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
                let _all = kinds.rest_of(index).all(|(before, after)| free(after, before));
            }
        }
    }
}
