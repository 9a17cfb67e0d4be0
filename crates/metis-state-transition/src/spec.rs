//! Which rules hold at which block.

use alloc::vec::Vec;

use alloy_eips::{eip1559::BaseFeeParams, eip7840::BlobParams};
use alloy_primitives::{Address, U256, address};

use crate::{Fork, InferenceRules, Models};

/// When a fork begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForkActivation {
    /// At this block number and after it.
    Block(u64),
    /// At this timestamp (seconds) and after it.
    Timestamp(u64),
}

impl ForkActivation {
    const fn is_active(self, number: u64, timestamp: u64) -> bool {
        match self {
            Self::Block(first) => number >= first,
            Self::Timestamp(first) => timestamp >= first,
        }
    }
}

/// Everything about a chain that its rules depend on.
#[derive(Clone, Debug, PartialEq)]
pub struct ChainSpec {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Forks in order; those never activated are absent.
    pub forks: Vec<(Fork, ForkActivation)>,
    /// Blob parameters by the timestamp from which they hold, in order (EIP-7840, EIP-7892).
    pub blob_schedule: Vec<(u64, BlobParams)>,
    /// How the base fee moves (EIP-1559).
    pub base_fee: BaseFeeParams,
    /// Base fee of the first block with one.
    pub initial_base_fee_per_gas: u64,
    /// Where deposit logs come from (EIP-6110).
    pub deposit_contract: Address,
    /// Replaces EIP-7825's cap: `None` = each fork's own, `Some(None)` = no cap at any fork.
    pub transaction_gas_limit_cap: Option<Option<u64>>,
    /// Receives the base fee that Ethereum burns; `None` burns it.
    pub base_fee_recipient: Option<Address>,
    /// What a chain for development leaves out of Ethereum's rules.
    pub development: DevelopmentRules,
    /// What inference costs and may take by the block from which it holds, in order; without, there is no inference.
    pub inference: Vec<(u64, InferenceRules)>,
    /// Who has the models.
    pub models: Models,
}

/// What a chain for development leaves out of Ethereum's rules; by default nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DevelopmentRules {
    /// Whoever is impersonated may have code, against EIP-3607: transactions that carry the stand-in
    /// for a signature ([`RecoveredTransaction::is_unsigned`](crate::RecoveredTransaction::is_unsigned)).
    pub unsigned_may_have_code: bool,
    /// Most bytes of a contract's code; its creation may take twice as much. `None`: EIP-170 and EIP-3860.
    pub code_size_bytes_max: Option<usize>,
}

/// The rules of one block.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Active fork.
    pub fork: Fork,
    /// Blob parameters, from Cancun on.
    pub blob: Option<BlobParams>,
    /// Most gas a transaction may ask for (EIP-7825), if there is a cap.
    pub transaction_gas_limit_cap: Option<u64>,
    /// Receives the base fee instead of burning it.
    pub base_fee_recipient: Option<Address>,
    /// Where deposit logs come from (EIP-6110).
    pub deposit_contract: Address,
    /// What a chain for development leaves out.
    pub development: DevelopmentRules,
    /// What inference costs and may take, where there is inference.
    pub inference: Option<InferenceRules>,
    /// Who has the models.
    pub models: Models,
}

/// Ethereum mainnet's deposit contract.
const MAINNET_DEPOSIT_CONTRACT: Address = address!("00000000219ab540356cbb839cbe05303d7705fa");

/// EIP-7825: 2²⁴.
const OSAKA_TRANSACTION_GAS_LIMIT_CAP: u64 = 16_777_216;

/// EIP-1559: 1 Gwei.
const INITIAL_BASE_FEE_PER_GAS: u64 = 1_000_000_000;

impl ChainSpec {
    /// `fork` and all before it, active from block 0 and time 0, with mainnet's parameters.
    pub fn at_fork(fork: Fork, chain_id: u64) -> Self {
        let forks = Fork::ALL
            .into_iter()
            .take_while(|candidate| *candidate <= fork)
            .map(|candidate| (candidate, ForkActivation::Block(0)))
            .collect();
        let blob_schedule = match fork {
            Fork::Cancun => [(0, BlobParams::cancun())].into(),
            Fork::Prague => [(0, BlobParams::prague())].into(),
            Fork::Osaka => [(0, BlobParams::osaka())].into(),
            _ => Vec::new(),
        };
        Self {
            chain_id,
            forks,
            blob_schedule,
            base_fee: BaseFeeParams::ethereum(),
            initial_base_fee_per_gas: INITIAL_BASE_FEE_PER_GAS,
            deposit_contract: MAINNET_DEPOSIT_CONTRACT,
            transaction_gas_limit_cap: None,
            base_fee_recipient: None,
            development: DevelopmentRules::default(),
            inference: Vec::new(),
            models: Models::default(),
        }
    }

    /// A chain with no fork but Frontier; the caller adds the others.
    pub fn new(chain_id: u64) -> Self {
        Self::at_fork(Fork::Frontier, chain_id)
    }

    /// The fork of a block.
    pub fn fork_at(&self, number: u64, timestamp: u64) -> Fork {
        self.forks
            .iter()
            .filter(|(_, activation)| activation.is_active(number, timestamp))
            .map(|(fork, _)| *fork)
            .max()
            .unwrap_or(Fork::Frontier)
    }

    /// The rules of a block.
    pub fn rules_at(&self, number: u64, timestamp: u64) -> Rules {
        let fork = self.fork_at(number, timestamp);
        let blob = (fork >= Fork::Cancun).then(|| self.blob_params_at(fork, timestamp));
        let cap = self.transaction_gas_limit_cap;
        Rules {
            chain_id: self.chain_id,
            fork,
            blob,
            transaction_gas_limit_cap: cap.unwrap_or((fork >= Fork::Osaka).then_some(OSAKA_TRANSACTION_GAS_LIMIT_CAP)),
            base_fee_recipient: self.base_fee_recipient,
            deposit_contract: self.deposit_contract,
            development: self.development,
            inference: self.inference.iter().rev().find(|(first, _)| *first <= number).map(|(_, rules)| rules.clone()),
            models: self.models.clone(),
        }
    }

    fn blob_params_at(&self, fork: Fork, timestamp: u64) -> BlobParams {
        let scheduled = self.blob_schedule.iter().rev().find(|(from, _)| *from <= timestamp);
        let mut params = scheduled.map_or_else(
            || match fork {
                Fork::Cancun => BlobParams::cancun(),
                Fork::Prague => BlobParams::prague(),
                _ => BlobParams::osaka(),
            },
            |(_, params)| *params,
        );
        if fork >= Fork::Osaka {
            // EIP-7594 caps blobs per transaction, EIP-7918 bounds the blob fee from below.
            let osaka = BlobParams::osaka();
            params.max_blobs_per_tx = params.max_blob_count.min(osaka.max_blobs_per_tx);
            params.blob_base_cost = osaka.blob_base_cost;
        } else {
            params.max_blobs_per_tx = params.max_blob_count;
        }
        params
    }

    /// Base fee of the child of a block (EIP-1559), or `None` before London.
    pub fn next_base_fee(&self, parent: &alloy_consensus::Header, timestamp: u64) -> Option<u64> {
        if self.fork_at(parent.number + 1, timestamp) < Fork::London {
            return None;
        }
        Some(match parent.base_fee_per_gas {
            None => self.initial_base_fee_per_gas,
            Some(base_fee) => self.base_fee.next_block_base_fee(parent.gas_used, parent.gas_limit, base_fee),
        })
    }

    /// Excess blob gas of the child of a block (EIP-4844, EIP-7918), or `None` before Cancun.
    pub fn next_excess_blob_gas(&self, parent: &alloy_consensus::Header, timestamp: u64) -> Option<u64> {
        let blob = self.rules_at(parent.number + 1, timestamp).blob?;
        Some(blob.next_block_excess_blob_gas_osaka(
            parent.excess_blob_gas.unwrap_or(0),
            parent.blob_gas_used.unwrap_or(0),
            parent.base_fee_per_gas.unwrap_or(0),
        ))
    }
}

impl Rules {
    /// Static block reward in wei, before the merge (EIP-649, EIP-1234).
    pub fn block_reward(&self) -> Option<U256> {
        let ether = U256::from(1_000_000_000_000_000_000u128);
        match self.fork {
            Fork::Paris | Fork::Shanghai | Fork::Cancun | Fork::Prague | Fork::Osaka => None,
            fork if fork >= Fork::Constantinople => Some(ether * U256::from(2)),
            fork if fork >= Fork::Byzantium => Some(ether * U256::from(3)),
            _ => Some(ether * U256::from(5)),
        }
    }
}
