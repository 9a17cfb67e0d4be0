//! Calls, estimates and access lists against what running the result says.

#![allow(non_snake_case)] // subject__condition__outcome

use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, TxEip1559, TxEip4844};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, hex, map::AddressSet};
use metis_db::{GenesisAccount, MemorySnapshot, MemoryStore, StateStore};
use metis_executor::{GasEstimate, Simulation};
use metis_state_transition::{
    BlockEnvironment, ChainSpec, ChangeSet, ExecutionStatus, Fork, InterpreterRunner, PrecompileMoves,
    RecoveredTransaction,
};

const SENDER: Address = address!("00000000000000000000000000000000000000aa");
const CONTRACT: Address = address!("00000000000000000000000000000000000000c0");
const OTHER: Address = address!("00000000000000000000000000000000000000b0");

fn world(code: &[u8]) -> std::sync::Arc<MemorySnapshot> {
    let sender = GenesisAccount { balance: U256::from(10u64.pow(18)), nonce: 5, ..GenesisAccount::default() };
    let contract = GenesisAccount { nonce: 1, code: Bytes::copy_from_slice(code), ..GenesisAccount::default() };
    MemoryStore::new([(SENDER, sender), (CONTRACT, contract)], 0).latest()
}

fn call(gas_limit: u64, value: u64) -> RecoveredTransaction {
    let fields = TxEip1559 {
        chain_id: 1,
        gas_limit,
        to: TxKind::Call(CONTRACT),
        value: U256::from(value),
        ..TxEip1559::default()
    };
    let stand_in = Signature::new(U256::ONE, U256::ONE, false);
    let envelope: EthereumTxEnvelope<TxEip4844> = fields.into_signed(stand_in).into();
    RecoveredTransaction { envelope, sender: SENDER }
}

fn simulation<'a>(view: &'a MemorySnapshot, spec: &'a ChainSpec) -> Simulation<'a, MemorySnapshot> {
    let environment =
        BlockEnvironment { number: 1, timestamp: 1, gas_limit: 30_000_000, ..BlockEnvironment::default() };
    let precompiles = PrecompileMoves::default();
    Simulation { view, overrides: ChangeSet::default(), precompiles, spec, environment }
}

#[test]
fn call__with_any_nonce_and_much_gas__runs() {
    // Returns CALLVALUE.
    let view = world(&hex!("3460005260206000f3"));
    let spec = ChainSpec::at_fork(Fork::Osaka, 1);
    let outcome = simulation(&view, &spec).call(&call(1_000_000_000, 9), InterpreterRunner).unwrap();
    assert_eq!(outcome.status, ExecutionStatus::Success);
    assert_eq!(U256::from_be_slice(&outcome.output), U256::from(9));
}

#[test]
fn estimate__of_a_call_that_stores__is_enough_and_close() {
    // SSTORE(1, 1), then clears it: a refund makes the gas used less than the gas needed.
    let view = world(&hex!("600160015560006001556001600255"));
    let spec = ChainSpec::at_fork(Fork::Osaka, 1);
    let simulation = simulation(&view, &spec);
    let GasEstimate::Gas(gas) = simulation.estimate_gas(&call(30_000_000, 0), || InterpreterRunner).unwrap() else {
        panic!("the call succeeds with enough gas");
    };
    let succeeds = |gas_limit: u64| {
        let outcome = simulation.call(&call(gas_limit, 0), InterpreterRunner);
        outcome.is_ok_and(|outcome| outcome.status == ExecutionStatus::Success)
    };
    assert!(succeeds(gas));
    assert!(!succeeds(gas - gas * 15 / 1000 - 1), "more than the tolerance above what is needed");
}

#[test]
fn estimate__of_a_call_that_always_reverts__says_so() {
    let view = world(&hex!("60aa60005260206000fd"));
    let spec = ChainSpec::at_fork(Fork::Osaka, 1);
    let estimate = simulation(&view, &spec).estimate_gas(&call(30_000_000, 0), || InterpreterRunner).unwrap();
    let GasEstimate::Fails(outcome) = estimate else { panic!("it can not succeed") };
    assert_eq!(outcome.status, ExecutionStatus::Revert);
    assert_eq!(outcome.output[31], 0xaa);
}

#[test]
fn access_list__of_a_call__covers_slots_and_other_accounts() {
    // SLOAD(7) and BALANCE(0xb0).
    let view = world(&hex!("60075460b03100"));
    let spec = ChainSpec::at_fork(Fork::Osaka, 1);
    let (list, outcome) = simulation(&view, &spec)
        .create_access_list(&call(1_000_000, 0), || InterpreterRunner, &AddressSet::default())
        .unwrap();
    assert_eq!(outcome.status, ExecutionStatus::Success);
    let found: Vec<(Address, Vec<B256>)> = list.0.into_iter().map(|item| (item.address, item.storage_keys)).collect();
    assert_eq!(found, [(OTHER, vec![]), (CONTRACT, vec![B256::with_last_byte(7)])]);
}
