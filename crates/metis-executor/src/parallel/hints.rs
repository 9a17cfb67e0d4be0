//! Which transactions probably depend on which, known or learned before they run.

use alloy_primitives::{Address, map::AddressMap};
use metis_state_transition::RecoveredTransaction;

use super::memory::Index;

const NONE: Index = Index::MAX;

/// Predictions. A wrong one costs time only.
pub(super) struct Hints {
    /// The transaction before it of the same sender.
    by_sender: Vec<Index>,
}

impl Hints {
    pub(super) fn of(transactions: &[&RecoveredTransaction]) -> Self {
        let mut last: AddressMap<Index> = AddressMap::default();
        last.reserve(transactions.len());
        let before = |(index, transaction): (usize, &&RecoveredTransaction)| {
            let sender: Address = transaction.sender;
            last.insert(sender, index as Index).unwrap_or(NONE)
        };
        Self { by_sender: transactions.iter().enumerate().map(before).collect() }
    }

    /// The transaction that should have run first.
    pub(super) fn ahead_of(&self, index: Index) -> Option<Index> {
        let ahead = self.by_sender[index as usize];
        (ahead != NONE).then_some(ahead)
    }
}
