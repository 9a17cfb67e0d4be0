//! When it does not help to run transactions at the same time: where each needs the one before it.
//!
//! Of a block that one sender mostly fills this is seen beforehand. Other chains show while the block runs: what was run
//! ahead is run again, or next to nothing is run ahead. Then the workers stop, and the block goes on in order for a
//! while, as without a scheduler:
//!
//! ```text
//! at the same time ──gives up──▶ in order ──▶ at the same time ──gives up──▶ in order, 4 times as long ──▶ …
//! ```
//!
//! A block that is one chain loses what the first attempts cost, and one whose chain ends gains from its rest.

use alloy_consensus::Transaction as _;
use alloy_primitives::Address;
use metis_state_transition::RecoveredTransaction;

/// How soon a block goes on in order, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// What runs ahead may lose, in points, less what they gain: see [`Trial`].
    pub(crate) points: u32,
    /// Transactions that are run in order the first time.
    pub(crate) stretch: usize,
}

impl Patience {
    /// Where calls of a function collide, a few dozen of them are under way before it is known; and threads need a while
    /// to begin.
    pub(crate) const USUAL: Self = Self { points: 256, stretch: 4096 };
    /// For tests, in which every turn should be taken often.
    pub(crate) const NEARLY_NONE: Self = Self { points: 4, stretch: 1 };

    /// How many transactions run in order when running ahead was given up after `times` times that were in vain.
    pub(super) const fn stretch(self, times: u32) -> usize {
        self.stretch.saturating_mul(STRETCH_GROWTH.saturating_pow(times))
    }
}

/// Points for a transaction that was run ahead, where that stands; one that was run ahead in vain; and one that was not run
/// ahead. Two workers do about as much as one without a scheduler where a quarter of the transactions are of the first
/// kind and the rest of the last.
const HELD: u32 = 3;
const IN_VAIN: u32 = 2;
const NOT_AHEAD: u32 = 1;

/// How much longer than the last time a block goes on in order.
const STRETCH_GROWTH: usize = 4;

/// Of four parts of the gas that transactions may use, those that one sender's have in a block that is run in order.
const CHAIN_PARTS: u128 = 3;

/// How well running ahead goes; kept at the desk.
pub(super) struct Trial {
    patience: Option<Patience>,
    /// Points that may still be lost.
    left: u32,
}

impl Trial {
    /// Without patience to lose it goes on whatever happens.
    pub(super) fn of(patience: Option<Patience>) -> Self {
        Self { patience, left: patience.map_or(0, |patience| patience.points) }
    }

    /// A transaction was run ahead, and that stands.
    pub(super) fn held(&mut self) {
        if let Some(patience) = self.patience {
            self.left = (self.left + HELD).min(patience.points);
        }
    }

    /// A transaction was run ahead, and again at the desk.
    pub(super) const fn was_in_vain(&mut self) {
        self.left = self.left.saturating_sub(IN_VAIN);
    }

    /// A transaction was run at the desk when its turn came.
    pub(super) const fn was_not_ahead(&mut self) {
        self.left = self.left.saturating_sub(NOT_AHEAD);
    }

    /// Whether the block should go on in order.
    pub(super) const fn has_failed(&self) -> bool {
        self.patience.is_some() && self.left == 0
    }
}

/// Whether one sender's transactions may use most of the gas of all. They run one after the other anyway.
pub(super) fn is_one_senders(transactions: &[&RecoveredTransaction]) -> bool {
    let gas = |transaction: &RecoveredTransaction| u128::from(transaction.envelope.gas_limit());
    // Whoever has more than half of the votes wins, whatever their order (Boyer and Moore, 1981).
    let (mut candidate, mut votes): (Option<Address>, u128) = (None, 0);
    for transaction in transactions {
        let gas = gas(transaction);
        if candidate == Some(transaction.sender) {
            votes += gas;
        } else if votes >= gas {
            votes -= gas;
        } else {
            (candidate, votes) = (Some(transaction.sender), gas - votes);
        }
    }
    if votes == 0 {
        return false;
    }
    let (mut own, mut all) = (0, 0);
    for transaction in transactions {
        let gas = gas(transaction);
        all += gas;
        if candidate == Some(transaction.sender) {
            own += gas;
        }
    }
    own * 4 >= all * CHAIN_PARTS
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)] // subject__condition__outcome

    use alloy_consensus::{Signed, TxLegacy};
    use alloy_primitives::{B256, Signature, U256};

    use super::*;

    /// Transactions by the last byte of their senders, and gas limits.
    fn of_senders(transactions: &[(u8, u64)]) -> bool {
        let signature = Signature::new(U256::ONE, U256::ONE, false);
        let made: Vec<RecoveredTransaction> = transactions
            .iter()
            .map(|(sender, gas_limit)| {
                let unsigned = TxLegacy { gas_limit: *gas_limit, ..TxLegacy::default() };
                let envelope = Signed::new_unchecked(unsigned, signature, B256::ZERO).into();
                RecoveredTransaction { envelope, sender: Address::with_last_byte(*sender) }
            })
            .collect();
        is_one_senders(&made.iter().collect::<Vec<_>>())
    }

    #[test]
    fn block__three_quarters_of_the_gas_by_one_sender__is_one_chain() {
        assert!(of_senders(&[(1, 30), (2, 5), (1, 30), (3, 5), (1, 15), (4, 15)]));
    }

    #[test]
    fn block__less_by_one_sender__is_none() {
        assert!(!of_senders(&[(1, 30), (2, 5), (1, 30), (3, 5), (1, 14), (4, 16)]));
        assert!(!of_senders(&[(1, 1), (2, 1), (3, 1), (4, 1)]));
    }

    #[test]
    fn trial__a_quarter_holds__goes_on() {
        let mut trial = Trial::of(Some(Patience { points: 8, stretch: 1 }));
        for _ in 0..100 {
            (0..3).for_each(|_| trial.was_not_ahead());
            trial.held();
        }
        assert!(!trial.has_failed());
    }

    #[test]
    fn trial__nothing_holds__fails_when_patience_ends() {
        let mut trial = Trial::of(Some(Patience { points: 8, stretch: 1 }));
        (0..3).for_each(|_| trial.was_in_vain());
        trial.was_not_ahead();
        assert!(!trial.has_failed());
        trial.was_not_ahead();
        assert!(trial.has_failed());
    }

    #[test]
    fn trial__without_patience_to_lose__goes_on() {
        let mut trial = Trial::of(None);
        (0..1_000).for_each(|_| trial.was_in_vain());
        assert!(!trial.has_failed());
    }

    #[test]
    fn stretch__each_time__is_longer() {
        let patience = Patience { points: 1, stretch: 10 };
        assert_eq!([0, 1, 2].map(|times| patience.stretch(times)), [10, 40, 160]);
        assert_eq!(patience.stretch(u32::MAX), usize::MAX);
    }
}
