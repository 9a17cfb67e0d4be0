//! Transfers of an ERC-20 token.

use metis_state_transition::Fork;

use crate::{
    Contracts, Workload,
    contracts::{TOKEN_TRANSFER, Token, call_data, word},
    seeded::{Seeded, address},
    spec_at,
    transactions::{Draft, Genesis},
};
use alloy_primitives::U256;

/// Gas that a transfer may use; it needs about 29,700, or 34,500 with a new receiver.
const GAS_LIMIT: u64 = 60_000;

/// Transfers of one token, each by its own sender: `hot_percent` of a hundred to one and the same receiver, the others
/// each to its own.
pub fn tokens(contracts: &Contracts, count: usize, hot_percent: u64) -> Workload {
    let mut genesis = Genesis::new();
    let mut token = Token::default();
    let at = address("token", 0);
    let mut seeded = Seeded::new(hot_percent);
    let candidates = (0..count).map(|number| {
        let sender = address("holder", number);
        genesis.funded(sender);
        let receiver = if seeded.percent(hot_percent) { address("hot", 0) } else { address("receiver", number) };
        token.set_balance(sender, 1_000_000);
        token.set_balance(receiver, 1);
        let input = call_data(TOKEN_TRANSFER, &[word(receiver), U256::from(1 + seeded.below(255))]);
        Draft::call(at, input, GAS_LIMIT).sent(sender, 0)
    });
    let candidates = candidates.collect();
    genesis.contract(at, contracts.token.clone(), token.into_storage());
    let name = if hot_percent == 0 { "ERC-20 transfers".into() } else { format!("ERC-20, {hot_percent} % hot") };
    Workload {
        name,
        spec: spec_at(Fork::Osaka),
        genesis: genesis.0,
        candidates,
        beneficiary: address("beneficiary", 0),
    }
}
