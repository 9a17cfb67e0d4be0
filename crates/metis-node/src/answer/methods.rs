//! The methods that are answered here.

use alloy_consensus::{SignableTransaction, TxLegacy};
use alloy_primitives::{Address, Signature, TxKind, U256};
use metis_chain::logs::{LogFilter, LogLimits};
use metis_executor::GasEstimate;
use metis_state_transition::{ExecutionStatus, RecoveredTransaction};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    request::{AnswerLimits, Request},
    values::{self, At},
};
use crate::{BlockId, BlockOverrides, LogQuery, Node};

/// Slots of a proof that is answered on the spot.
const PROOF_SLOT_COUNT_MAX: usize = 16;

/// Blocks that a look for logs may span, and logs it may find, to be answered on the spot.
const LOG_BLOCK_COUNT_MAX: u64 = 64;
const LOG_COUNT_MAX: usize = 256;

/// An estimate runs a call a few times.
const ESTIMATE_RUN_COUNT: u64 = 4;

/// What every transaction pays (Yellow Paper appendix G).
const TRANSACTION_GAS: u64 = 21_000;

/// What it takes to begin and end a call, in gas that takes as long.
const CALL_GAS: u64 = 5_000;

/// What has to be run for a request.
pub(super) enum Plan {
    /// Nothing: it is answered by looking something up.
    LookUp,
    /// A call that is known to be quick.
    Call(Box<RecoveredTransaction>),
}

/// What a message may still do.
pub(super) struct Work<'a> {
    pub node: &'a Node,
    pub limits: &'a AnswerLimits,
    pub gas_left: u64,
}

impl Work<'_> {
    /// Reads what has to be run for a request; `None` leaves the message to the caller.
    pub fn plan(&mut self, request: &Request<'_>) -> Option<Plan> {
        Some(match (request.method, request.params.as_slice()) {
            ("eth_call", [call, ..]) => Plan::Call(Box::new(self.quick_call(call, 1)?)),
            ("eth_estimateGas", [call, ..]) => Plan::Call(Box::new(self.quick_call(call, ESTIMATE_RUN_COUNT)?)),
            _ => Plan::LookUp,
        })
    }

    /// Writes the result of a request and gives the method's name; `None` leaves the message to the caller.
    pub fn call(&self, request: &Request<'_>, plan: &Plan, json: &mut Vec<u8>) -> Option<&'static str> {
        let params = request.params.as_slice();
        Some(match (request.method, params) {
            ("eth_blockNumber", []) => {
                values::write_quantity(json, self.node.heads().latest.number);
                "eth_blockNumber"
            }
            ("eth_getBalance", [address, rest @ ..]) => {
                let (address, block) = (values::address(address)?, self.last_block(rest)?);
                values::write_quantity(json, self.node.balance(address, block).ok()?);
                "eth_getBalance"
            }
            ("eth_getTransactionCount", [address, rest @ ..]) => {
                let address = values::address(address)?;
                let nonce = if only_block(rest)? == At::Pending {
                    self.node.pending_nonce(address).ok()?
                } else {
                    self.node.nonce(address, self.last_block(rest)?).ok()?
                };
                values::write_quantity(json, nonce);
                "eth_getTransactionCount"
            }
            ("eth_getCode", [address, rest @ ..]) => {
                let (address, block) = (values::address(address)?, self.last_block(rest)?);
                values::write_data(json, &self.node.code(address, block).ok()?);
                "eth_getCode"
            }
            ("eth_getStorageAt", [address, slot, rest @ ..]) => {
                let (address, slot) = (values::address(address)?, storage_slot(slot)?);
                let value = self.node.storage(address, slot, self.last_block(rest)?).ok()?;
                values::write_data(json, &value.to_be_bytes::<32>());
                "eth_getStorageAt"
            }
            ("eth_getProof", [address, slots, rest @ ..]) => {
                let address = values::address(address)?;
                let slots: Vec<&RawValue> = serde_json::from_str(slots.get()).ok()?;
                if slots.len() > PROOF_SLOT_COUNT_MAX {
                    return None;
                }
                // Keys come back as they were written; only whole words are written in one way.
                let slots: Vec<U256> = slots
                    .into_iter()
                    .map(|slot| values::hash(slot).map(|word| U256::from_be_bytes(word.0)))
                    .collect::<Option<_>>()?;
                json.extend(self.node.proof_json(address, &slots, self.last_block(rest)?).ok()?);
                "eth_getProof"
            }
            ("eth_call", [_, rest @ ..]) => {
                let Plan::Call(call) = plan else { return None };
                let block = self.last_block(rest)?;
                let outcome = self.node.call(call, block, &[], &BlockOverrides::default()).ok()?;
                if outcome.status != ExecutionStatus::Success {
                    return None;
                }
                values::write_data(json, &outcome.output);
                "eth_call"
            }
            ("eth_estimateGas", [_, rest @ ..]) => {
                let Plan::Call(call) = plan else { return None };
                let block = self.last_block(rest)?;
                let estimate = self.node.estimate_gas(call, block, &[], &BlockOverrides::default()).ok()?;
                let GasEstimate::Gas(gas) = estimate else { return None };
                values::write_quantity(json, gas);
                "eth_estimateGas"
            }
            ("eth_getTransactionReceipt", [hash]) => {
                json.extend(self.node.receipt_json(&values::hash(hash)?).ok()??);
                "eth_getTransactionReceipt"
            }
            ("eth_getTransactionByHash", [hash]) => {
                json.extend(self.node.mined_transaction_json(&values::hash(hash)?).ok()??);
                "eth_getTransactionByHash"
            }
            ("eth_getBlockByNumber", [number, rest @ ..]) => {
                let block = match values::block(Some(number))? {
                    At::Block(BlockId::Hash(_)) => return None,
                    at => self.block_of(at)?,
                };
                json.extend(self.node.block_json(block, is_full(rest)?).ok()??);
                "eth_getBlockByNumber"
            }
            ("eth_getBlockByHash", [hash, rest @ ..]) => {
                let block = BlockId::Hash(values::hash(hash)?);
                json.extend(self.node.block_json(block, is_full(rest)?).ok()??);
                "eth_getBlockByHash"
            }
            ("eth_getLogs", [wish]) => {
                json.extend(self.logs(wish)?);
                "eth_getLogs"
            }
            _ => return None,
        })
    }

    /// The block of state queries: their last parameter, the newest where it is left out.
    fn last_block(&self, params: &[&RawValue]) -> Option<BlockId> {
        self.block_of(only_block(params)?)
    }

    fn block_of(&self, at: At) -> Option<BlockId> {
        let latest = self.node.heads().latest.number;
        match at {
            At::Latest => Some(BlockId::Number(latest)),
            At::Pending => None,
            At::Block(BlockId::Number(number)) if number > latest => None,
            At::Block(block) => Some(block),
        }
    }

    /// A call that is known to need little gas, `run_count` times.
    fn quick_call(&mut self, object: &RawValue, run_count: u64) -> Option<RecoveredTransaction> {
        let object: CallObject<'_> = serde_json::from_str(object.get()).ok()?;
        let to = Address::from(values::fixed(object.to)?);
        let input = match (object.data, object.input) {
            (None, None) => Vec::new(),
            (Some(data), None) | (None, Some(data)) => values::data(data)?,
            (Some(_), Some(_)) => return None,
        };
        // What every transaction pays takes no time.
        let gas = self.node.call_history.most_gas(to, &input)?.saturating_sub(TRANSACTION_GAS);
        let gas = gas.saturating_add(CALL_GAS).checked_mul(run_count)?;
        self.gas_left = self.gas_left.checked_sub(gas)?;
        let sender = match object.from {
            None => Address::ZERO,
            Some(text) => Address::from(values::fixed(text)?),
        };
        let gas_limit = match object.gas {
            None => 0,
            Some(text) => u64::try_from(values::quantity(text)?).ok()?,
        };
        let gas_max = self.limits.call_gas_max;
        let value = object.value.map_or(Some(U256::ZERO), values::quantity)?;
        let fields = TxLegacy {
            chain_id: Some(self.node.spec().chain_id),
            gas_limit: if gas_limit == 0 { gas_max } else { gas_limit.min(gas_max) },
            to: TxKind::Call(to),
            value,
            input: input.into(),
            ..TxLegacy::default()
        };
        // A stand-in: nobody signs a call.
        let signature = Signature::new(U256::from_be_slice(sender.as_slice()), U256::ONE, false);
        Some(RecoveredTransaction { envelope: fields.into_signed(signature).into(), sender })
    }

    fn logs(&self, wish: &RawValue) -> Option<Vec<u8>> {
        let wish: LogObject<'_> = serde_json::from_str(wish.get()).ok()?;
        let latest = self.node.heads().latest.number;
        let height = |value: Option<&&RawValue>| match values::block(value)? {
            At::Latest => Some(latest),
            At::Block(BlockId::Number(number)) if number <= latest => Some(number),
            At::Pending | At::Block(_) => None,
        };
        let (first, last) = (height(wish.from_block.as_ref())?, height(wish.to_block.as_ref())?);
        if first > last || last - first >= LOG_BLOCK_COUNT_MAX {
            return None;
        }
        let mut filter = LogFilter::default();
        if let Some(address) = wish.address {
            filter.addresses = vec![values::address(address)?];
        }
        for topic in wish.topics {
            filter.topics.push(vec![values::hash(topic)?]);
        }
        if filter.topics.len() > 4 {
            return None;
        }
        let limits = LogLimits { logs_max: LOG_COUNT_MAX, ..LogLimits::default() };
        self.node.logs_json(LogQuery { blocks: first..=last, filter }, limits).ok()
    }
}

/// The object of `eth_call`, as far as it is answered here: nobody pays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallObject<'a> {
    from: Option<&'a str>,
    to: &'a str,
    gas: Option<&'a str>,
    value: Option<&'a str>,
    data: Option<&'a str>,
    input: Option<&'a str>,
}

/// The object of `eth_getLogs`, as far as it is answered here: one address, one topic per position.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LogObject<'a> {
    #[serde(borrow)]
    from_block: Option<&'a RawValue>,
    #[serde(borrow)]
    to_block: Option<&'a RawValue>,
    #[serde(borrow)]
    address: Option<&'a RawValue>,
    #[serde(borrow, default)]
    topics: Vec<&'a RawValue>,
}

fn only_block(params: &[&RawValue]) -> Option<At> {
    if params.len() > 1 { None } else { values::block(params.first()) }
}

fn is_full(params: &[&RawValue]) -> Option<bool> {
    match params {
        [] => Some(false),
        [flag] => values::boolean(flag),
        _ => None,
    }
}

/// A storage key: a word, or a quantity.
fn storage_slot(value: &RawValue) -> Option<U256> {
    let text = values::string(value)?;
    values::fixed::<32>(text).map(U256::from_be_bytes).or_else(|| values::quantity(text))
}
