//! Transfers of the native token.

use metis_state_transition::Fork;

use crate::{
    Workload,
    seeded::address,
    transactions::{Draft, Genesis},
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
        fork: Fork::Osaka,
        genesis: genesis.0,
        candidates,
        beneficiary: address("beneficiary", 0),
    }
}

/// Transfers of one sender: each needs the one before.
pub fn one_sender(count: usize) -> Workload {
    let mut genesis = Genesis::new();
    let sender = address("sender", 0);
    genesis.funded(sender);
    let candidates =
        (0..count).map(|number| Draft::transfer(address("receiver", number), 1).sent(sender, number as u64)).collect();
    Workload {
        name: "one sender".into(),
        fork: Fork::Osaka,
        genesis: genesis.0,
        candidates,
        beneficiary: address("beneficiary", 0),
    }
}
