//! A small world in which two runners are compared.

use std::sync::Arc;

use alloy_primitives::{Address, Bytes, U256, address};
use metis_db::{GenesisAccount, MemorySnapshot, MemoryStore, StateStore};
use metis_state_transition::{
    Ancestors, BlockEnvironment, ChainPrecompiles, ChainSpec, ChangeSet, Evm, Fork, FrameRunner, TransactionOutcome,
};
use metis_vm::{
    Registry, TieredRunner,
    compiled::{Mode, RegistryLimits},
};

use super::{Jumps, compile};

pub const CALLER: Address = address!("00000000000000000000000000000000000000ca");
pub const CODE: Address = address!("00000000000000000000000000000000000000c0");
/// A second contract, for calls between contracts.
pub const OTHER: Address = address!("00000000000000000000000000000000000000c1");

pub type Outcome = (TransactionOutcome, ChangeSet);

/// Contracts at [`CODE`] and [`OTHER`].
#[derive(Clone, Debug)]
pub struct World {
    pub fork: Fork,
    pub code: Vec<u8>,
    pub other: Vec<u8>,
    pub calldata: Vec<u8>,
    pub value: u64,
}

impl World {
    pub fn new(code: &[u8]) -> Self {
        Self { fork: Fork::Osaka, code: code.into(), other: Vec::new(), calldata: Vec::new(), value: 0 }
    }

    pub fn with_other(mut self, other: &[u8]) -> Self {
        self.other = other.into();
        self
    }

    pub fn with_calldata(mut self, calldata: &[u8]) -> Self {
        self.calldata = calldata.into();
        self
    }

    pub fn at(mut self, fork: Fork) -> Self {
        self.fork = fork;
        self
    }

    fn snapshot(&self) -> Arc<MemorySnapshot> {
        let contract = |code: &[u8]| GenesisAccount {
            nonce: 1,
            balance: U256::from(1000),
            code: Bytes::copy_from_slice(code),
            storage: [(U256::from(1), U256::from(7))].into_iter().collect(),
        };
        let caller = GenesisAccount { balance: U256::MAX >> 1, ..GenesisAccount::default() };
        MemoryStore::new([(CODE, contract(&self.code)), (OTHER, contract(&self.other)), (CALLER, caller)], 0).latest()
    }

    /// Calls [`CODE`].
    pub fn run(&self, gas_limit: u64, runner: impl FrameRunner) -> Outcome {
        let snapshot = self.snapshot();
        let ancestors = Ancestors::default().with(0, Default::default());
        let environment =
            BlockEnvironment { number: 1, timestamp: 1, gas_limit, ancestors, ..BlockEnvironment::default() };
        let rules = ChainSpec::at_fork(self.fork, 1).rules_at(1, 1);
        let mut evm = Evm::new(&*snapshot, &rules, &environment, runner, ChainPrecompiles::default());
        let calldata = Bytes::copy_from_slice(&self.calldata);
        evm.message_call(CALLER, CODE, calldata, U256::from(self.value), gas_limit).unwrap()
    }

    /// A registry with every code of this world compiled.
    pub fn compiled(&self, jumps: Jumps) -> Arc<Registry> {
        let registry = Arc::new(Registry::new(Mode::Auto, RegistryLimits::default()));
        for code in [&self.code, &self.other] {
            if !code.is_empty() {
                registry.install(&compile(code, self.fork, jumps).encode()).unwrap();
            }
        }
        registry
    }

    /// Runs in both tiers and expects the same; gives how often code ran compiled.
    pub fn expect_same(&self, gas_limit: u64, jumps: Jumps) -> u64 {
        let registry = self.compiled(jumps);
        let compiled = self.run(gas_limit, TieredRunner::new(&registry));
        let interpreted = self.run(gas_limit, TieredRunner::interpreter());
        assert_eq!(compiled, interpreted, "gas {gas_limit}, {jumps:?}, {self:?}");
        registry.report().iter().map(|report| report.frames_compiled).sum()
    }
}
