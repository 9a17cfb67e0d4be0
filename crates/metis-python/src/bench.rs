//! Measuring whole transactions, and comparing tiers over many gas limits.

use std::{sync::Arc, time::Instant};

use alloy_primitives::{Address, Bytes};
use metis_db::{GenesisAccount, MemorySnapshot, MissingState, StateStore, known};
use metis_state_transition::{
    Ancestors, BlockEnvironment, ChainPrecompiles, ChainSpec as Spec, ChangeSet, Evm, RecoveredTransaction,
    StateCommitment, TransactionFault, TransactionOutcome,
};
use metis_vm::{Contestant, PlainRevm, Tiered, TieredRunner};
use pyo3::{prelude::*, types::PyDict};

use crate::{
    code_registry::CodeRegistry,
    convert::{Blob, Fixed, Word},
    errors::{decode_error, engine_fault, from_fault},
    execution::{CALLER_ADDRESS, CODE_ADDRESS, block_environment, outcome_fields},
    guard::guard_free,
    rules::ChainSpec,
    store::MemoryStore,
    transaction::Transaction,
};

/// Runs one transaction `rounds` times from the same state; nanoseconds of each round and the outcome.
#[pyfunction]
#[pyo3(signature = (store, spec, environment, transaction, contestant, rounds, registry=None))]
#[allow(clippy::too_many_arguments)] // the Python signature
pub fn bench_transaction<'py>(
    py: Python<'py>,
    store: &MemoryStore,
    spec: &ChainSpec,
    environment: &Bound<'py, PyAny>,
    transaction: &Transaction,
    contestant: &str,
    rounds: usize,
    registry: Option<&CodeRegistry>,
) -> PyResult<Bound<'py, PyDict>> {
    let environment = block_environment(environment)?;
    let snapshot = store.inner.latest();
    let (spec, transaction) = (&spec.inner, &transaction.inner);
    let registry = registry.map(|registry| Arc::clone(&registry.inner));
    let rules = spec.rules_at(environment.number, environment.timestamp);
    let state = &*snapshot;
    let tiered = |runner| Box::new(Tiered::new(state, &rules, &environment, transaction, runner));
    let measured = match contestant {
        "revm" => guard_free(py, || {
            checked(state, spec, &environment, transaction)?;
            Ok(measure(&mut PlainRevm::new(state, &rules, &environment, transaction), rounds))
        })?,
        "tier0" => guard_free(py, || {
            checked(state, spec, &environment, transaction)?;
            Ok(measure(&mut *tiered(TieredRunner::interpreter()), rounds))
        })?,
        "tier1" => guard_free(py, || {
            checked(state, spec, &environment, transaction)?;
            let runner = registry.as_ref().map_or_else(TieredRunner::interpreter, TieredRunner::new);
            Ok(measure(&mut *tiered(runner), rounds))
        })?,
        _ => return Err(decode_error("argument", "contestant", "must be revm, tier0 or tier1", None)),
    };
    let (times_ns, outcome, changes) = measured.map_err(|fault| from_fault(&fault, None))?;
    let root = known(snapshot.state_root_after(&changes));
    let fields = PyDict::new(py);
    fields.set_item("times_ns", times_ns)?;
    fields.set_item("outcome", outcome_fields(py, &outcome, root)?)?;
    Ok(fields)
}

type Fault = TransactionFault<MissingState>;

/// Whether the transaction may run at all: contestants say so by a panic.
fn checked(
    state: &MemorySnapshot,
    spec: &Spec,
    environment: &BlockEnvironment,
    transaction: &RecoveredTransaction,
) -> Result<(), Fault> {
    let rules = spec.rules_at(environment.number, environment.timestamp);
    let runner = TieredRunner::interpreter();
    Evm::new(state, &rules, environment, runner, ChainPrecompiles::default()).execute(transaction).map(|_| ())
}

fn measure(contestant: &mut impl Contestant, rounds: usize) -> (Vec<u64>, TransactionOutcome, ChangeSet) {
    let mut times_ns = Vec::with_capacity(rounds.min(1 << 20));
    for _ in 0..rounds {
        let start = Instant::now();
        contestant.round();
        times_ns.push(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX));
    }
    let (outcome, changes) = contestant.outcome();
    (times_ns, outcome, changes)
}

/// Runs code with each gas limit in tier 0 and with a registry; the first difference.
#[pyfunction]
#[pyo3(signature = (spec, code, calldata, gas_limits, registry, contracts=None, value_wei=None))]
#[allow(clippy::too_many_arguments)] // the Python signature
pub fn compare_tiers<'py>(
    py: Python<'py>,
    spec: &ChainSpec,
    code: Blob,
    calldata: Blob,
    gas_limits: Vec<u64>,
    registry: &CodeRegistry,
    contracts: Option<Vec<(Fixed<20>, Blob)>>,
    value_wei: Option<Word>,
) -> PyResult<Option<Bound<'py, PyDict>>> {
    let value = value_wei.map_or_else(Default::default, |Word(value)| value);
    let contract = |code: Bytes| GenesisAccount { nonce: 1, code, ..GenesisAccount::default() };
    let mut world: Vec<(Address, GenesisAccount)> = contracts
        .unwrap_or_default()
        .into_iter()
        .map(|(Fixed(address), Blob(code))| (address.into(), contract(code)))
        .collect();
    world.push((CODE_ADDRESS, contract(code.0)));
    world.push((CALLER_ADDRESS, GenesisAccount { balance: value, ..GenesisAccount::default() }));
    let (spec, registry) = (&spec.inner, &registry.inner);
    let found = guard_free(py, || {
        let snapshot = metis_db::MemoryStore::new(world, 0).latest();
        let rules = spec.rules_at(1, 1);
        for &gas_limit in &gas_limits {
            let ancestors = Ancestors::default().with(0, Default::default());
            let environment =
                BlockEnvironment { number: 1, timestamp: 1, gas_limit, ancestors, ..BlockEnvironment::default() };
            let run = |runner| {
                Evm::new(&*snapshot, &rules, &environment, runner, ChainPrecompiles::default()).message_call(
                    CALLER_ADDRESS,
                    CODE_ADDRESS,
                    calldata.0.clone(),
                    value,
                    gas_limit,
                )
            };
            let interpreted = run(TieredRunner::interpreter())?;
            let compiled = run(TieredRunner::new(registry))?;
            if interpreted != compiled {
                return Ok(Some((gas_limit, interpreted, compiled)));
            }
        }
        Ok::<_, Fault>(None)
    })?
    .map_err(|fault| engine_fault(&fault.to_string()))?;
    let Some((gas_limit, interpreted, compiled)) = found else { return Ok(None) };
    let snapshot = metis_db::MemoryStore::new([], 0).latest();
    let fields = PyDict::new(py);
    fields.set_item("gas_limit", gas_limit)?;
    for (name, (outcome, changes)) in [("interpreted", interpreted), ("compiled", compiled)] {
        let root = known(snapshot.state_root_after(&changes));
        fields.set_item(name, outcome_fields(py, &outcome, root)?)?;
    }
    Ok(Some(fields))
}
