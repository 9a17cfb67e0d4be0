//! Transfers of the native token.

use alloy_primitives::U256;
use metis_state_transition::Fork;

use crate::{
    GAS_PRICE_WEI, Workload,
    seeded::address,
    spec_at,
    transactions::{BALANCE_WEI, Draft, Genesis},
};

/// Transfers, each by its own sender to its own receiver.
pub fn transfers(count: usize) -> Workload {
    let mut genesis = Genesis::new();
    let candidates = (0..count).map(|number| {
        let sender = address("sender", number);
        genesis.funded(sender);
        Draft::transfer(address("receiver", number), 1).sent(sender, 0)
    });
    let candidates = candidates.collect();
    Workload {
        name: "raw transfers".into(),
        spec: spec_at(Fork::Osaka),
        genesis: genesis.0,
        candidates,
        beneficiary: address("beneficiary", 0),
    }
}

/// Transfers of one sender: each needs the one before.
pub fn one_sender(count: usize) -> Workload {
    let mut genesis = Genesis::new();
    let sender = address("lone sender", 0);
    genesis.funded(sender);
    let candidates =
        (0..count).map(|number| Draft::transfer(address("receiver", number), 1).sent(sender, number as u64)).collect();
    Workload {
        name: "one sender".into(),
        spec: spec_at(Fork::Osaka),
        genesis: genesis.0,
        candidates,
        beneficiary: address("beneficiary", 0),
    }
}

/// Transfers of which each spends what the one before has brought: the longest chain of dependencies, through
/// balances alone.
pub fn relay(count: usize) -> Workload {
    let mut genesis = Genesis::new();
    let first = address("sender", 0);
    genesis.funded(first);
    // Gas is paid from what is passed on.
    let fee = U256::from(21_000) * U256::from(GAS_PRICE_WEI);
    let mut left = U256::from(BALANCE_WEI);
    let candidates = (0..count).map(|number| {
        left -= fee;
        Draft { value: left, ..Draft::transfer(address("sender", number + 1), 0) }.sent(address("sender", number), 0)
    });
    let candidates = candidates.collect();
    let (name, beneficiary) = ("relay of one balance".into(), address("beneficiary", 0));
    Workload { name, spec: spec_at(Fork::Osaka), genesis: genesis.0, candidates, beneficiary }
}
