//! Transfers between any accounts, run as those of a block: what it brings that executors tell the state what they will
//! read.

use std::time::Instant;

use alloy_consensus::{EthereumTxEnvelope, Header, SignableTransaction, TxEip4844, TxLegacy};
use alloy_primitives::{Address, B256, Signature, TxKind, U256};
use metis_db::{MetisSnapshot, MetisStore, StateStore, StoreError};
use metis_executor::{Executor, ParallelExecutor, SequentialExecutor};
use metis_state_transition::{
    Account, Ancestors, BlockEnvironment, ChainSpec, ChangeSet, Code, Fork, InterpreterRunner, RecoveredTransaction,
    StateCommitment, StateView,
};
use serde_json::Value;

use crate::{
    progress,
    timing::{Spread, row},
    workload::{Random, State, address},
};

const TRANSFER_COUNT: usize = 5_000;
const ROUNDS: u64 = 30;
const CHAIN_ID: u64 = 1;
const GAS_PRICE_WEI: u64 = 7;

/// A snapshot that is told nothing.
struct Untold<'a>(&'a MetisSnapshot);

impl StateView for Untold<'_> {
    type Error = StoreError;

    fn account(&self, address: &Address) -> Result<Option<Account>, StoreError> {
        self.0.account(address)
    }

    fn code(&self, code_hash: &B256) -> Result<Code, StoreError> {
        self.0.code(code_hash)
    }

    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, StoreError> {
        self.0.storage(address, slot)
    }

    fn has_storage(&self, address: &Address) -> Result<bool, StoreError> {
        self.0.has_storage(address)
    }
}

impl StateCommitment for Untold<'_> {
    fn state_root_after(&self, changes: &ChangeSet) -> Result<B256, StoreError> {
        self.0.state_root_after(changes)
    }
}

/// Transfers of which each has a sender of its own; other ones for each number.
fn transfers(number: u64, state: State) -> Vec<RecoveredTransaction> {
    let mut random = Random(number << 40);
    let stride = state.account_count / TRANSFER_COUNT as u64;
    let transfers = (0..TRANSFER_COUNT as u64).map(|index| {
        // The first account has no balance.
        let sender = (index * stride + random.below(stride)).max(1);
        let fields = TxLegacy {
            chain_id: Some(CHAIN_ID),
            nonce: sender + 1,
            gas_price: GAS_PRICE_WEI.into(),
            gas_limit: 21_000,
            to: TxKind::Call(address(random.below(state.account_count))),
            value: U256::ONE,
            ..TxLegacy::default()
        };
        let signature = Signature::new(U256::from(sender), U256::ONE, false);
        let envelope: EthereumTxEnvelope<TxEip4844> = fields.into_signed(signature).into();
        RecoveredTransaction { envelope, sender: address(sender) }
    });
    let mut transfers: Vec<_> = transfers.collect();
    for index in (1..transfers.len()).rev() {
        transfers.swap(index, random.below(index as u64 + 1) as usize);
    }
    transfers
}

/// Nanoseconds for each transfer of a block.
fn time(executor: &impl Executor, view: impl StateCommitment + Sync, transfers: &[RecoveredTransaction]) -> f64 {
    let header = Header {
        number: 1,
        gas_limit: 21_000 * TRANSFER_COUNT as u64,
        base_fee_per_gas: Some(GAS_PRICE_WEI),
        excess_blob_gas: Some(0),
        ..Header::default()
    };
    let environment = BlockEnvironment::of(&header, Ancestors::default());
    let transfers: Vec<&RecoveredTransaction> = transfers.iter().collect();
    let spec = ChainSpec::at_fork(Fork::Osaka, CHAIN_ID);
    let start = Instant::now();
    let ran = executor.run(view, &spec, environment, &transfers, &InterpreterRunner);
    let elapsed = start.elapsed();
    let ran = ran.map_err(|error| error.to_string()).expect("run");
    assert_eq!(ran.receipts.len(), TRANSFER_COUNT, "all of them are paid for: {:?}", ran.skipped.first());
    elapsed.as_nanos() as f64 / TRANSFER_COUNT as f64
}

fn pair(name: &str, executor: &impl Executor, store: &MetisStore, state: State) -> [Value; 2] {
    progress(&format!("blocks: {name}"));
    let snapshot = store.latest();
    let (mut told, mut untold) = (Vec::new(), Vec::new());
    // The first two are not counted.
    for round in 0..ROUNDS + 2 {
        let [first, second] = [2 * round + 1, 2 * round + 2].map(|number| transfers(number, state));
        let times = (time(executor, &*snapshot, &first), time(executor, Untold(&snapshot), &second));
        if round >= 2 {
            told.push(times.0);
            untold.push(times.1);
        }
    }
    let name = |how: &str| format!("transfer between any accounts, {name}, {how}");
    [("told what is read soon", told), ("told nothing", untold)]
        .map(|(how, times)| row(&name(how), "ns", &Spread::new(times), &[]))
}

/// A transfer's time in a block, by executor.
pub fn rows(store: &MetisStore, state: State) -> Vec<Value> {
    let cores = metis_db::Cores::get().count();
    let mut rows = pair("one after the other", &SequentialExecutor, store, state).to_vec();
    if cores > 1 {
        rows.extend(pair(&format!("{cores} workers"), &ParallelExecutor::new(cores), store, state));
    }
    rows
}
