//! Which transactions of a block are like each other. Looked through a piece at a time, as the block goes on: a block that
//! is given up early, or whose kinds of calls are asked for in its midst, does not wait for all of it.

use std::collections::hash_map::Entry;

use alloy_consensus::Transaction as _;
use alloy_primitives::{
    Address,
    map::{AddressMap, HashMap},
};
use metis_state_transition::RecoveredTransaction;

use super::{
    memory::Index,
    sync::{
        AtomicU32, Mutex,
        Ordering::{Acquire, Relaxed, Release},
    },
};

/// Function selector and first argument: what calls of one kind about one thing have in common, such as transfers of a
/// token to one account.
pub(super) const SUBJECT_SIZE_BYTES: usize = 4 + 32;
pub(super) const SELECTOR_SIZE_BYTES: usize = 4;

const NONE: Index = Index::MAX;

/// Transactions that are looked at together.
const PIECE_LEN: Index = 256;

type Indices = Box<[AtomicU32]>;

fn none(count: usize) -> Indices {
    std::iter::repeat_with(|| AtomicU32::new(NONE)).take(count).collect()
}

fn found(indices: &Indices, index: Index) -> Option<Index> {
    Some(indices[index as usize].load(Relaxed)).filter(|found| *found != NONE)
}

/// How far transactions have been looked at.
struct Looked<T> {
    /// All below; what is written of them is seen by who reads this.
    below: AtomicU32,
    state: Mutex<T>,
}

impl<T> Looked<T> {
    const fn from(index: Index, state: T) -> Self {
        Self { below: AtomicU32::new(index), state: Mutex::new(state) }
    }

    /// Looks at transactions up to one and a few more, of `count`, each of them once and in order.
    fn up_to(&self, index: Index, count: usize, mut look: impl FnMut(&mut T, Index)) {
        if index < self.below.load(Acquire) {
            return;
        }
        let mut state = self.state.lock();
        let end = index.saturating_add(PIECE_LEN).min(count as Index);
        for index in self.below.load(Relaxed)..end {
            look(&mut state, index);
        }
        self.below.fetch_max(end, Release);
    }
}

/// Transactions by sender.
pub(super) struct Senders<'m> {
    transactions: &'m [&'m RecoveredTransaction],
    looked: Looked<AddressMap<Index>>,
    /// The one before it of the same sender.
    before: Indices,
}

impl<'m> Senders<'m> {
    pub(super) fn of(transactions: &'m [&'m RecoveredTransaction]) -> Self {
        let last = AddressMap::with_capacity_and_hasher(transactions.len(), Default::default());
        Self { transactions, looked: Looked::from(0, last), before: none(transactions.len()) }
    }

    /// The transaction before one of the same sender.
    pub(super) fn ahead(&self, index: Index) -> Option<Index> {
        self.looked.up_to(index, self.transactions.len(), |last, index| {
            let before = last.insert(self.transactions[index as usize].sender, index);
            self.before[index as usize].store(before.unwrap_or(NONE), Relaxed);
        });
        found(&self.before, index)
    }
}

/// What is called, and the beginning of the input.
type Kind<'m> = (Address, &'m [u8]);

/// Calls by what they call, with the same beginning of the input. Of those before the first that was asked for nothing is
/// known.
pub(super) struct Likes<'m> {
    transactions: &'m [&'m RecoveredTransaction],
    size_bytes: usize,
    from: Index,
    /// The first and the last of a kind.
    looked: Looked<HashMap<Kind<'m>, (Index, Index)>>,
    /// The first of the same kind, which stands for the kind.
    first: Indices,
    /// The one before it of the same kind.
    before: Indices,
    /// The one after it.
    after: Indices,
    /// How many there are of a kind so far, by the first of it.
    counts: Indices,
}

impl<'m> Likes<'m> {
    pub(super) fn of(transactions: &'m [&'m RecoveredTransaction], size_bytes: usize, from: Index) -> Self {
        let none = || none(transactions.len());
        let looked = Looked::from(from, HashMap::default());
        Self { transactions, size_bytes, from, looked, first: none(), before: none(), after: none(), counts: none() }
    }

    /// The first one like a transaction, and the one before it.
    pub(super) fn ahead(&self, index: Index) -> Option<(Index, Index)> {
        self.looked.up_to(index, self.transactions.len(), |known, index| self.look(known, index));
        Some((found(&self.first, index)?, found(&self.before, index)?))
    }

    fn look(&self, known: &mut HashMap<Kind<'m>, (Index, Index)>, index: Index) {
        let transaction = &self.transactions[index as usize].envelope;
        let input: &[u8] = transaction.input();
        let (Some(to), Some(beginning)) = (transaction.to(), input.get(..self.size_bytes)) else { return };
        let place = index as usize;
        match known.entry((to, beginning)) {
            Entry::Occupied(mut entry) => {
                let (first, last) = entry.get_mut();
                self.first[place].store(*first, Relaxed);
                self.before[place].store(*last, Relaxed);
                self.after[*last as usize].store(index, Relaxed);
                let count = &self.counts[*first as usize];
                count.store(count.load(Relaxed) + 1, Relaxed);
                *last = index;
            }
            Entry::Vacant(entry) => {
                self.first[place].store(index, Relaxed);
                self.counts[place].store(1, Relaxed);
                entry.insert((index, index));
            }
        }
    }

    /// How many there are like a transaction, and transactions at all, as far as they have been looked at.
    pub(super) fn count(&self, index: Index) -> (u32, u32) {
        let count = found(&self.first, index).and_then(|first| found(&self.counts, first)).unwrap_or_default();
        (count, self.looked.below.load(Acquire).saturating_sub(self.from))
    }

    /// All of the kind that come after one, each with the one before it, as far as they have been looked at.
    pub(super) fn rest_of(&self, index: Index) -> impl Iterator<Item = (Index, Index)> + '_ {
        let after = |index: Index| found(&self.after, index);
        std::iter::successors(Some(index), move |index| after(*index))
            .filter_map(move |index| after(index).map(|after| (index, after)))
    }
}
