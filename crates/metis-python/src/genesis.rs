//! Genesis documents (geth's format) as chain rules and block 0.

use std::num::NonZero;

use alloy_consensus::Header;
use alloy_genesis::{ChainConfig, Genesis};
use alloy_primitives::{Address, B64, B256, U256};
use metis_state_transition::{ChainSpec, Fork, ForkActivation, InferenceRules, genesis_header};
use pyo3::prelude::*;
use serde::Deserialize;
use serde_json::Value;

use crate::errors::genesis_error;

/// Parses a document; an error names the field by its path.
pub fn parse(document: &[u8]) -> PyResult<Genesis> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    serde_path_to_error::deserialize(&mut deserializer)
        .map_err(|error| genesis_error(&error.path().to_string(), &error.inner().to_string()))
}

/// The rules that `config` describes.
pub fn chain_spec(genesis: &Genesis) -> PyResult<ChainSpec> {
    let config = &genesis.config;
    if config.dao_fork_support && config.dao_fork_block.is_some_and(|block| block > 0) {
        // It moved the balances of given accounts, once.
        return Err(genesis_error("config.daoForkSupport", "the DAO fork's change of balances is not implemented"));
    }
    let mut spec = ChainSpec::new(config.chain_id);
    spec.forks.extend(activations(config));
    spec.blob_schedule = blob_schedule(config)?;
    if let Some(contract) = config.deposit_contract_address {
        spec.deposit_contract = contract;
    }
    metis_rules(config, &mut spec)?;
    Ok(spec)
}

fn activations(config: &ChainConfig) -> impl Iterator<Item = (Fork, ForkActivation)> {
    let at_block = |fork, block: Option<u64>| block.map(|block| (fork, ForkActivation::Block(block)));
    let at_time = |fork, time: Option<u64>| time.map(|time| (fork, ForkActivation::Timestamp(time)));
    // A chain that says it is past the merge, or starts without work to do, is so from block 0.
    let is_merged_at_genesis =
        config.terminal_total_difficulty_passed || config.terminal_total_difficulty == Some(U256::ZERO);
    let merge = config.merge_netsplit_block.or(is_merged_at_genesis.then_some(0));
    [
        at_block(Fork::Homestead, config.homestead_block),
        at_block(Fork::TangerineWhistle, config.eip150_block),
        at_block(Fork::SpuriousDragon, config.eip158_block),
        at_block(Fork::Byzantium, config.byzantium_block),
        at_block(Fork::Constantinople, config.constantinople_block),
        at_block(Fork::Petersburg, config.petersburg_block),
        at_block(Fork::Istanbul, config.istanbul_block),
        at_block(Fork::Berlin, config.berlin_block),
        at_block(Fork::London, config.london_block),
        at_block(Fork::Paris, merge),
        at_time(Fork::Shanghai, config.shanghai_time),
        at_time(Fork::Cancun, config.cancun_time),
        at_time(Fork::Prague, config.prague_time),
        at_time(Fork::Osaka, config.osaka_time),
    ]
    .into_iter()
    .flatten()
}

fn blob_schedule(config: &ChainConfig) -> PyResult<Vec<(u64, alloy_eips::eip7840::BlobParams)>> {
    let times = [
        ("cancun", config.cancun_time),
        ("prague", config.prague_time),
        ("osaka", config.osaka_time),
        ("bpo1", config.bpo1_time),
        ("bpo2", config.bpo2_time),
        ("bpo3", config.bpo3_time),
        ("bpo4", config.bpo4_time),
        ("bpo5", config.bpo5_time),
    ];
    for name in config.blob_schedule.keys() {
        if !times.iter().any(|(known, _)| known == name) {
            return Err(genesis_error(&format!("config.blobSchedule.{name}"), "no such fork"));
        }
    }
    let mut schedule = Vec::new();
    for (name, time) in times {
        let (Some(time), Some(params)) = (time, config.blob_schedule.get(name)) else {
            continue;
        };
        let field = |part: &str| format!("config.blobSchedule.{name}.{part}");
        if params.max_blob_count == 0 || params.max_blob_count > 4096 {
            return Err(genesis_error(&field("max"), "must be 1 to 4096"));
        }
        if params.target_blob_count > params.max_blob_count {
            return Err(genesis_error(&field("target"), "must be at most max"));
        }
        if params.update_fraction == 0 || u64::try_from(params.update_fraction).is_err() {
            return Err(genesis_error(&field("baseFeeUpdateFraction"), "must be 1 to 2**64 - 1"));
        }
        schedule.push((time, *params));
    }
    // Forks at one time: the later name wins, as the later fork does.
    schedule.sort_by_key(|(time, _)| *time);
    Ok(schedule)
}

/// Metis' own rules, in `config.metis`.
fn metis_rules(config: &ChainConfig, spec: &mut ChainSpec) -> PyResult<()> {
    let Some(metis) = config.extra_fields.get("metis") else {
        return Ok(());
    };
    let Value::Object(rules) = metis else {
        return Err(genesis_error("config.metis", "must be an object"));
    };
    for (name, value) in rules {
        let field = format!("config.metis.{name}");
        match (name.as_str(), value) {
            ("transactionGasLimitCap", Value::Null) => spec.transaction_gas_limit_cap = Some(None),
            ("transactionGasLimitCap", Value::Number(number)) => {
                let cap = number.as_u64().filter(|cap| *cap >= 21_000);
                let cap = cap.ok_or_else(|| genesis_error(&field, "must be an integer, 21000 or more, or null"))?;
                spec.transaction_gas_limit_cap = Some(Some(cap));
            }
            ("baseFeeRecipient", Value::Null) => spec.base_fee_recipient = None,
            ("baseFeeRecipient", Value::String(text)) => {
                let recipient: Address =
                    text.parse().map_err(|_| genesis_error(&field, "must be an address of 20 bytes in hex"))?;
                spec.base_fee_recipient = Some(recipient);
            }
            ("inference", steps) => spec.inference = inference(steps, &field)?,
            ("transactionGasLimitCap" | "baseFeeRecipient", _) => {
                return Err(genesis_error(&field, "wrong type"));
            }
            _ => {
                let known = "transactionGasLimitCap, baseFeeRecipient, inference";
                return Err(genesis_error(&field, &format!("no such rule; known: {known}")));
            }
        }
    }
    Ok(())
}

/// What inference costs and may take from a block on, as `config.metis.inference` lists it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InferenceStep {
    from_block: u64,
    registry: Address,
    base_gas: u64,
    word_gas: u64,
    macs_per_gas: NonZero<u64>,
    moved_bytes_per_gas: NonZero<u64>,
    vector_macs_per_gas: NonZero<u64>,
    transaction_macs_max: u64,
    block_macs_max: u64,
}

fn inference(steps: &Value, field: &str) -> PyResult<Vec<(u64, InferenceRules)>> {
    let steps: Vec<InferenceStep> = serde_path_to_error::deserialize(steps)
        .map_err(|error| genesis_error(&format!("{field}{}", error.path()), &error.inner().to_string()))?;
    if !steps.is_sorted_by_key(|step| step.from_block) {
        return Err(genesis_error(field, "must be in the order of fromBlock"));
    }
    if steps.iter().any(|step| step.transaction_macs_max > step.block_macs_max) {
        return Err(genesis_error(field, "transactionMacsMax must be at most blockMacsMax: it would fit no block"));
    }
    let rules = |step: InferenceStep| InferenceRules {
        registry: step.registry,
        base_gas: step.base_gas,
        word_gas: step.word_gas,
        macs_per_gas: step.macs_per_gas.get(),
        moved_bytes_per_gas: step.moved_bytes_per_gas.get(),
        vector_macs_per_gas: step.vector_macs_per_gas.get(),
        transaction_macs_max: step.transaction_macs_max,
        block_macs_max: step.block_macs_max,
    };
    Ok(steps.into_iter().map(|step| (step.from_block, rules(step))).collect())
}

/// Block 0, from its header.
pub fn block(header: Header) -> metis_state_transition::Block {
    let withdrawals = header.withdrawals_root.map(|_| Default::default());
    let body = alloy_consensus::BlockBody { transactions: Vec::new(), ommers: Vec::new(), withdrawals };
    metis_state_transition::Block { header, body }
}

/// Header of block 0.
pub fn header(genesis: &Genesis, state_root: B256) -> PyResult<Header> {
    let base_fee = genesis
        .base_fee_per_gas
        .map(|fee| u64::try_from(fee).map_err(|_| genesis_error("baseFeePerGas", "must fit 64 bits")))
        .transpose()?;
    let header = Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        beneficiary: genesis.coinbase,
        state_root,
        difficulty: genesis.difficulty,
        number: 0,
        gas_limit: genesis.gas_limit,
        timestamp: genesis.timestamp,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: B64::from(genesis.nonce),
        base_fee_per_gas: base_fee,
        blob_gas_used: genesis.blob_gas_used,
        excess_blob_gas: genesis.excess_blob_gas,
        ..Header::default()
    };
    Ok(genesis_header(&chain_spec(genesis)?, header))
}
