//! Blocks made to be executed: what tests, fuzzing and benches run on every executor.
//!
//! In: a size, or a seed. Out: a [`Workload`]: the state before a block and the block's candidates. Invariant: the
//! same arguments give the same workload on every machine. The transactions carry their senders and no signatures:
//! how signatures are recovered is measured elsewhere. Sources of the first three: the gigagas blocks of pevm and
//! grevm, whose contracts the caller supplies ([`Contracts`]).

mod contest;
mod contracts;
mod inferences;
mod latency;
mod mixed;
mod odd;
mod programs;
mod random;
mod seeded;
mod swaps;
mod tokens;
mod transactions;
mod transfers;

use std::collections::BTreeMap;

use alloy_consensus::Header;
use alloy_primitives::Address;
use metis_db::{GenesisAccount, MemoryStore, MetisConfig, MetisStore, StateSnapshot, StateStore, StoreError};
use metis_state_transition::{
    Ancestors, BlockAttributes, BlockEnvironment, ChainSpec, Fork, RecoveredTransaction, genesis_header,
};

pub use contest::{Contest, Contestant, Mismatch, Tally, compare_runs};
pub use contracts::{Contracts, ContractsError};
pub use inferences::inferences;
pub use latency::{Latency, LatentView};
pub use mixed::mixed;
pub use odd::{beneficiary_is_contract, beneficiary_is_destroyed, beneficiary_is_sender, delegations, recreations};
pub use random::random;
pub use swaps::swaps;
pub use tokens::tokens;
pub use transfers::{one_sender, relay, transfers};

/// Chain of all workloads.
pub const CHAIN_ID: u64 = 7_133_717;
/// What the transactions pay for a unit of gas; the base fee of the block is far below.
const GAS_PRICE_WEI: u128 = 10_000_000_000;
const BASE_FEE_WEI: u64 = 1_000_000_000;
/// Where keys lie in MetisDB's index follows from it. Nobody chooses keys here, and workloads are always the same.
const INDEX_SECRET: [u64; 4] = [1, 2, 3, 4];

fn spec_at(fork: Fork) -> ChainSpec {
    ChainSpec::at_fork(fork, CHAIN_ID)
}

/// A block's candidates and the state before it.
#[derive(Clone, Debug)]
pub struct Workload {
    /// What it is, as in "erc20, 30 % hot".
    pub name: String,
    /// The rules of its chain.
    pub spec: ChainSpec,
    /// Accounts before the block.
    pub genesis: BTreeMap<Address, GenesisAccount>,
    /// Candidates in their order; of some workloads not all may be in a block.
    pub candidates: Vec<RecoveredTransaction>,
    /// Who gets the fees.
    pub beneficiary: Address,
}

impl Workload {
    /// A store with the state before the block.
    pub fn store(&self) -> MemoryStore {
        MemoryStore::new(self.genesis.clone(), 1)
    }

    /// MetisDB with that state, without a disk: what nodes read.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub fn metis_store(&self) -> Result<MetisStore, StoreError> {
        MetisStore::in_memory(self.genesis.clone(), MetisConfig::new(INDEX_SECRET))
    }

    /// Header of the block before, for a store's state.
    pub fn parent(&self, store: &impl StateStore) -> Header {
        let header = Header {
            gas_limit: self.gas_limit(),
            timestamp: 1_700_000_000,
            base_fee_per_gas: Some(BASE_FEE_WEI),
            state_root: store.latest().block().state_root,
            ..Header::default()
        };
        genesis_header(&self.spec, header)
    }

    /// What the block is built with.
    pub fn attributes(&self) -> BlockAttributes {
        BlockAttributes {
            timestamp: 1_700_000_002,
            beneficiary: self.beneficiary,
            gas_limit: self.gas_limit(),
            ..BlockAttributes::default()
        }
    }

    /// What the block's transactions see of it.
    pub fn environment(&self, parent: &Header) -> BlockEnvironment {
        let header = Header {
            number: parent.number + 1,
            timestamp: parent.timestamp + 2,
            beneficiary: self.beneficiary,
            gas_limit: self.gas_limit(),
            base_fee_per_gas: Some(BASE_FEE_WEI),
            excess_blob_gas: Some(0),
            ..Header::default()
        };
        BlockEnvironment::of(&header, Ancestors::default())
    }

    /// All candidates fit, by the limits that they ask for.
    fn gas_limit(&self) -> u64 {
        let asked: u64 = self.candidates.iter().map(|one| alloy_consensus::Transaction::gas_limit(&one.envelope)).sum();
        asked.max(30_000_000)
    }
}
