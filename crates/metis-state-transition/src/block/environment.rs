//! What a block's transactions see of the block.

use alloc::{collections::BTreeMap, sync::Arc};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256};

/// Hashes of ancestor blocks, for BLOCKHASH. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ancestors(Arc<BTreeMap<u64, B256>>);

impl Ancestors {
    /// The hash of an ancestor, if it is held.
    pub fn hash(&self, number: u64) -> Option<B256> {
        self.0.get(&number).copied()
    }

    /// These and one more.
    pub fn with(mut self, number: u64, hash: B256) -> Self {
        Arc::make_mut(&mut self.0).insert(number, hash);
        self
    }
}

impl FromIterator<(u64, B256)> for Ancestors {
    fn from_iter<T: IntoIterator<Item = (u64, B256)>>(hashes: T) -> Self {
        Self(Arc::new(hashes.into_iter().collect()))
    }
}

/// The block a transaction runs in (Yellow Paper §9.3, I_H).
#[derive(Clone, Debug, Default)]
pub struct BlockEnvironment {
    /// Height.
    pub number: u64,
    /// Seconds since the Unix epoch.
    pub timestamp: u64,
    /// Receives priority fees.
    pub beneficiary: Address,
    /// Gas limit of the block.
    pub gas_limit: u64,
    /// Wei per gas; 0 before London.
    pub base_fee_per_gas: u64,
    /// Difficulty, before Paris.
    pub difficulty: U256,
    /// Randomness, from Paris on (EIP-4399).
    pub prev_randao: B256,
    /// Excess blob gas, from Cancun on (EIP-4844).
    pub excess_blob_gas: Option<u64>,
    /// Wei per blob gas that a call assumes instead of what follows from [`Self::excess_blob_gas`].
    pub assumed_blob_base_fee: Option<u128>,
    /// Ancestors that BLOCKHASH may be asked for.
    pub ancestors: Ancestors,
}

impl BlockEnvironment {
    /// The environment that a header describes.
    pub fn of(header: &Header, ancestors: Ancestors) -> Self {
        Self {
            number: header.number,
            timestamp: header.timestamp,
            beneficiary: header.beneficiary,
            gas_limit: header.gas_limit,
            base_fee_per_gas: header.base_fee_per_gas.unwrap_or(0),
            difficulty: header.difficulty,
            prev_randao: header.mix_hash,
            excess_blob_gas: header.excess_blob_gas,
            assumed_blob_base_fee: None,
            ancestors,
        }
    }
}
