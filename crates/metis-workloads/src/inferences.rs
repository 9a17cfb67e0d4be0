//! Calls of a model.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, address as fixed, keccak256};
use metis_state_transition::{Fork, INFERENCE, InferenceRules, Models};

use crate::{
    Workload,
    contracts::{call_data, word},
    seeded::address,
    spec_at,
    transactions::{Draft, Genesis},
};

/// `infer(bytes32,bytes)`
const INFER: [u8; 4] = [0x54, 0x61, 0x6c, 0xd8];
const REGISTRY: Address = fixed!("4d45544953000000000000000000000000000003");
/// What a run pays the model's owner.
const PRICE_WEI: u64 = 1_000_000_000_000;
/// Gas beside that of the run and of the call's bytes.
const OTHER_GAS: u64 = 100_000;
/// The most that a byte of call data costs (EIP-7623), and what reading it costs.
const BYTE_GAS: u64 = 41;

/// Prices of docs/inference.md, without its limits on a transaction and a block.
const RULES: InferenceRules = InferenceRules {
    registry: REGISTRY,
    base_gas: 12_000,
    word_gas: 12,
    macs_per_gas: 500,
    moved_bytes_per_gas: 40,
    vector_macs_per_gas: 16,
    transaction_macs_max: u64::MAX,
    block_macs_max: u64::MAX,
};

/// Paid runs of one model, each for another user, with the given inputs in turn. `None` where the model is not among
/// `models` or there are no inputs.
pub fn inferences(name: &str, models: Models, model: B256, inputs: &[Bytes], count: usize) -> Option<Workload> {
    let run_gas = RULES.gas_of(&models.cost(&model)?)?;
    let mut genesis = Genesis::new();
    let mut inputs = inputs.iter().cycle();
    let candidates = (0..count).map(|number| {
        let sender = address("user", number);
        genesis.funded(sender);
        let input = inputs.next()?;
        let mut data = call_data(INFER, &[model.into(), U256::from(64), U256::from(input.len())]).to_vec();
        data.extend_from_slice(input);
        data.resize(data.len() + input.len().next_multiple_of(32) - input.len(), 0);
        let gas_limit = OTHER_GAS + run_gas + BYTE_GAS * data.len() as u64;
        let draft = Draft { value: U256::from(PRICE_WEI), ..Draft::call(INFERENCE, data.into(), gas_limit) };
        Some(draft.sent(sender, 0))
    });
    let candidates = candidates.collect::<Option<Vec<_>>>()?;
    genesis.contract(REGISTRY, Bytes::from_static(&[0]), entry(model));
    let mut spec = spec_at(Fork::Osaka);
    spec.inference = vec![(0, RULES)];
    spec.models = models;
    let (name, beneficiary) = (format!("inference, {name}"), address("beneficiary", 0));
    Some(Workload { name, spec, genesis: genesis.0, candidates, beneficiary })
}

/// What the registry says of a model that is active: owner, price, and from which block on (contracts/ModelRegistry.vy).
fn entry(model: B256) -> BTreeMap<U256, U256> {
    let first = U256::from_be_bytes(keccak256([[0; 32], model.0].concat()).0);
    let fields = [word(address("model owner", 0)), U256::from(PRICE_WEI), U256::ONE];
    (0_u64..).map(|field| first.wrapping_add(U256::from(field))).zip(fields).collect()
}
