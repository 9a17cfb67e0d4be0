//! A block as chains have them: some of everything.

use std::collections::BTreeMap;

use metis_state_transition::Fork;

use crate::{Contracts, Workload, one_sender, seeded::address, spec_at, swaps, tokens, transfers};

/// Half transfers, four tenths ERC-20 (a third of them to one account), a twentieth swaps, a twentieth of one sender;
/// each kind spread over the block.
pub fn mixed(contracts: &Contracts, count: usize) -> Workload {
    let (many, few) = (count * 2 / 5, count / 20);
    let parts =
        [transfers(count - many - 2 * few), tokens(contracts, many, 33), swaps(contracts, few), one_sender(few)];
    let mut genesis = BTreeMap::new();
    let mut places = Vec::new();
    for (kind, part) in parts.into_iter().enumerate() {
        let size = part.candidates.len();
        for (index, candidate) in part.candidates.into_iter().enumerate() {
            places.push(((index * count) / size.max(1), kind, candidate));
        }
        genesis.extend(part.genesis);
    }
    places.sort_by_key(|(place, kind, _)| (*place, *kind));
    let candidates = places.into_iter().map(|(_, _, candidate)| candidate).collect();
    Workload {
        name: "mixed".into(),
        spec: spec_at(Fork::Osaka),
        genesis,
        candidates,
        beneficiary: address("beneficiary", 0),
    }
}
