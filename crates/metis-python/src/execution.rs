//! Running transactions, code and blocks.

use alloy_consensus::proofs;
use alloy_eips::eip4895::Withdrawal;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256, address};
use metis_db::{CommittedBlock, GenesisAccount, MemorySnapshot, MissingState, StateStore, known};
use metis_executor::{
    ExecuteError, Executor, ParallelExecutor, Recording, SequentialExecutor, build_and_commit, import_and_commit,
};
use metis_state_transition::{
    Ancestors, BlockAttributes, BlockEnvironment, BlockExecutor, ChainPrecompiles, ChangeSet, Evm, ExecutionStatus,
    FrameRunner, ReceiptDetails, RecoveredTransaction, StateCommitment, StateView, TransactionFault,
    TransactionOutcome, receipts_root,
};
use metis_vm::FrameRunnerFactory;
use pyo3::{
    prelude::*,
    types::{PyDict, PyList},
};

use crate::{
    block::Block,
    code_registry::{CodeRegistry, virtual_machine},
    convert::{Blob, Fixed, Word, address, attribute, hash, to_bytes, to_logs, word},
    errors::{ReadError, decode_error, engine_fault, from_execute, from_fault, from_store, from_transaction},
    guard::{guard, guard_free},
    record::record_fields,
    rules::ChainSpec,
    store::{AnyStore, with_store},
    trace::PythonTrace,
    transaction::Transaction,
};

/// Where `run_code` puts the code, and who calls it.
pub const CODE_ADDRESS: Address = address!("000000000000000000000000000000000000c0de");
pub const CALLER_ADDRESS: Address = address!("00000000000000000000000000000000000ca11e");

pub fn block_environment(object: &Bound<'_, PyAny>) -> PyResult<BlockEnvironment> {
    const SUBJECT: &str = "block environment";
    let excess_blob_gas: Option<u64> = attribute(object, SUBJECT, "excess_blob_gas")?;
    Ok(BlockEnvironment {
        number: attribute(object, SUBJECT, "number")?,
        timestamp: attribute(object, SUBJECT, "timestamp_s")?,
        beneficiary: address(object, SUBJECT, "beneficiary")?,
        gas_limit: attribute(object, SUBJECT, "gas_limit")?,
        base_fee_per_gas: attribute(object, SUBJECT, "base_fee_per_gas_wei")?,
        difficulty: word(object, SUBJECT, "difficulty")?,
        prev_randao: hash(object, SUBJECT, "prev_randao")?,
        excess_blob_gas,
        assumed_blob_base_fee: None,
        ancestors: block_hashes(object)?,
    })
}

fn block_hashes(object: &Bound<'_, PyAny>) -> PyResult<Ancestors> {
    let mut hashes = Vec::new();
    for item in object.getattr("block_hashes")?.call_method0("items")?.try_iter()? {
        let (number, Fixed(bytes)): (u64, Fixed<32>) = item?.extract().map_err(|error: PyErr| {
            let problem = error.value(object.py()).to_string();
            decode_error("block environment", "block_hashes", &problem, None)
        })?;
        hashes.push((number, bytes.into()));
    }
    Ok(hashes.into_iter().collect())
}

/// What a call did, without what only a whole transaction has.
pub fn call_fields<'py>(py: Python<'py>, outcome: &TransactionOutcome) -> PyResult<Bound<'py, PyDict>> {
    let (status, halt_reason) = match outcome.status {
        ExecutionStatus::Success => ("success", None),
        ExecutionStatus::Revert => ("revert", None),
        ExecutionStatus::Halt(reason) => ("halt", Some(reason)),
    };
    let fields = PyDict::new(py);
    fields.set_item("status", status)?;
    fields.set_item("halt_reason", halt_reason)?;
    fields.set_item("gas_used", outcome.gas_used)?;
    fields.set_item("gas_refunded", outcome.gas_refunded)?;
    fields.set_item("output", to_bytes(py, &outcome.output))?;
    fields.set_item("contract_address", outcome.contract_address.map(|created| to_bytes(py, created)))?;
    fields.set_item("logs", to_logs(py, &outcome.logs)?)?;
    Ok(fields)
}

pub fn outcome_fields<'py>(
    py: Python<'py>,
    outcome: &TransactionOutcome,
    state_root: impl AsRef<[u8]>,
) -> PyResult<Bound<'py, PyDict>> {
    let fields = call_fields(py, outcome)?;
    fields.set_item("logs_hash", to_bytes(py, outcome.logs_hash()))?;
    fields.set_item("state_root", to_bytes(py, state_root))?;
    Ok(fields)
}

fn receipt_fields<'py>(py: Python<'py>, details: &ReceiptDetails) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("type", u8::from(details.receipt.tx_type))?;
    fields.set_item("success", details.receipt.success)?;
    fields.set_item("gas_used", details.gas_used)?;
    fields.set_item("cumulative_gas_used", details.receipt.cumulative_gas_used)?;
    fields.set_item("effective_gas_price_wei", details.effective_gas_price)?;
    fields.set_item("blob_gas_used", details.blob_gas_used)?;
    fields.set_item("contract_address", details.contract_address.map(|created| to_bytes(py, created)))?;
    fields.set_item("logs", to_logs(py, &details.receipt.logs)?)?;
    fields.set_item("logs_bloom", to_bytes(py, details.bloom))?;
    fields.set_item("state_root", details.state_root.map(|root| to_bytes(py, root)))?;
    Ok(fields)
}

fn receipt_list<'py>(py: Python<'py>, receipts: &[ReceiptDetails]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, receipts.iter().map(|details| receipt_fields(py, details)).collect::<PyResult<Vec<_>>>()?)
}

type Ran<E> = Result<(TransactionOutcome, ChangeSet), TransactionFault<E>>;

/// Runs one transaction on the newest state without keeping the result.
#[pyfunction]
#[pyo3(signature = (store, spec, environment, transaction, trace=None, registry=None))]
pub fn execute_transaction<'py>(
    py: Python<'py>,
    store: AnyStore<'py>,
    spec: &ChainSpec,
    environment: &Bound<'py, PyAny>,
    transaction: &Transaction,
    trace: Option<&Bound<'py, PyAny>>,
    registry: Option<&CodeRegistry>,
) -> PyResult<Bound<'py, PyDict>> {
    let environment = block_environment(environment)?;
    let (spec, transaction) = (&spec.inner, &transaction.inner);
    with_store!(store, store => {
        let snapshot = store.latest();
        let (outcome, root) = if let Some(callback) = trace {
            let mut error = None;
            let ran = guard(|| {
                let runner = PythonTrace::runner(callback, &mut error);
                Ok(execute_one(&*snapshot, spec, environment, transaction, runner))
            })?;
            if let Some(error) = error {
                return Err(error);
            }
            let (outcome, changes) = ran.map_err(|fault| from_fault(&fault, None))?;
            (outcome, snapshot.state_root_after(&changes))
        } else {
            let machine = virtual_machine(registry);
            let ran = guard_free(py, || {
                execute_one(&*snapshot, spec, environment, transaction, machine.runner())
                    .map(|(outcome, changes)| (outcome, snapshot.state_root_after(&changes)))
            })?;
            ran.map_err(|fault| from_fault(&fault, None))?
        };
        outcome_fields(py, &outcome, root.map_err(|error| error.to_python())?)
    })
}

fn execute_one<V: StateView>(
    view: &V,
    spec: &metis_state_transition::ChainSpec,
    environment: BlockEnvironment,
    transaction: &RecoveredTransaction,
    runner: impl FrameRunner,
) -> Ran<V::Error> {
    let rules = spec.rules_at(environment.number, environment.timestamp);
    // Through the block executor, so that the rules about the block's gas apply as well.
    let mut executor = BlockExecutor::new(view, rules, environment, runner, ChainPrecompiles::default());
    let outcome = executor.try_execute(transaction)?;
    Ok((outcome, executor.changes()))
}

/// Runs transactions in order as one block without sealing it.
#[pyfunction]
#[pyo3(signature = (store, spec, environment, transactions, commit=false, registry=None, workers=None, keeps_record=false))]
#[allow(clippy::too_many_arguments)] // the Python signature
pub fn execute_transactions<'py>(
    py: Python<'py>,
    store: AnyStore<'py>,
    spec: &ChainSpec,
    environment: &Bound<'py, PyAny>,
    transactions: Vec<PyRef<'py, Transaction>>,
    commit: bool,
    registry: Option<&CodeRegistry>,
    workers: Option<usize>,
    keeps_record: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let environment = block_environment(environment)?;
    let transactions: Vec<RecoveredTransaction> = transactions.iter().map(|entry| entry.inner.clone()).collect();
    let (spec, machine) = (&spec.inner, virtual_machine(registry));
    let ran = with_store!(store, store => guard_free(py, || {
        let snapshot = store.latest();
        let number = environment.number;
        let in_order: Vec<&RecoveredTransaction> = transactions.iter().collect();
        let (view, machine) = (&*snapshot, &machine);
        let parallel = ParallelExecutor::new(workers.unwrap_or(1)).forced();
        let ran = match (workers.is_some(), keeps_record) {
            (false, false) => SequentialExecutor.run(view, spec, environment, &in_order, machine),
            (false, true) => Recording(SequentialExecutor).run(view, spec, environment, &in_order, machine),
            (true, false) => parallel.run(view, spec, environment, &in_order, machine),
            (true, true) => Recording(parallel).run(view, spec, environment, &in_order, machine),
        };
        let ran = ran.map_err(|error| from_execute(&ExecuteError::Block(error)))?;
        if let Some(refused) = ran.skipped.first() {
            return Err(from_transaction(&refused.error, Some(refused.index)));
        }
        let state_root = snapshot.state_root_after(&ran.changes).map_err(|error| error.to_python())?;
        if commit {
            let block =
                CommittedBlock { number, hash: Default::default(), parent_hash: Default::default(), state_root };
            store.commit(&snapshot, block, &ran.changes).map_err(|error| from_store(&error))?;
        }
        Ok::<_, PyErr>((ran.receipts, ran.record, state_root))
    })?);
    let (receipts, record, state_root) = ran?;
    let envelopes: Vec<_> = transactions.into_iter().map(|transaction| transaction.envelope).collect();
    let fields = PyDict::new(py);
    fields.set_item("receipts", receipt_list(py, &receipts)?)?;
    fields.set_item("state_root", to_bytes(py, state_root))?;
    fields.set_item("receipts_root", to_bytes(py, receipts_root(&receipts)))?;
    fields.set_item("transactions_root", to_bytes(py, proofs::calculate_transaction_root(&envelopes)))?;
    let bloom = receipts.iter().fold(Bloom::ZERO, |all, details| all | details.bloom);
    fields.set_item("logs_bloom", to_bytes(py, bloom))?;
    let logs: Vec<_> = receipts.iter().flat_map(|details| &details.receipt.logs).collect();
    let mut encoded = Vec::new();
    alloy_rlp::encode_list::<_, alloy_primitives::Log>(&logs, &mut encoded);
    fields.set_item("logs_hash", to_bytes(py, alloy_primitives::keccak256(encoded)))?;
    fields.set_item("gas_used", receipts.last().map_or(0, |details| details.receipt.cumulative_gas_used))?;
    let record = record.map(|record| record_fields(py, &record)).transpose()?;
    fields.set_item("record", record)?;
    Ok(fields)
}

/// Runs bytecode as one message call in a world that holds nothing else.
#[pyfunction]
#[pyo3(signature = (spec, code, calldata, gas_limit, value_wei=None, trace=None, registry=None))]
#[allow(clippy::too_many_arguments)] // the Python signature
pub fn run_code<'py>(
    py: Python<'py>,
    spec: &ChainSpec,
    code: Blob,
    calldata: Blob,
    gas_limit: u64,
    value_wei: Option<Word>,
    trace: Option<&Bound<'py, PyAny>>,
    registry: Option<&CodeRegistry>,
) -> PyResult<Bound<'py, PyDict>> {
    let value = value_wei.map_or(U256::ZERO, |Word(value)| value);
    let world = [
        (CODE_ADDRESS, GenesisAccount { nonce: 1, code: code.0, ..GenesisAccount::default() }),
        (CALLER_ADDRESS, GenesisAccount { balance: value, ..GenesisAccount::default() }),
    ];
    let snapshot = metis_db::MemoryStore::new(world, 0).latest();
    let spec = &spec.inner;
    let ran = match trace {
        Some(callback) => {
            let mut error = None;
            let ran = guard(|| {
                Ok(call_code(&snapshot, spec, calldata.0, value, gas_limit, PythonTrace::runner(callback, &mut error)))
            })?;
            if let Some(error) = error {
                return Err(error);
            }
            ran
        }
        None => {
            let machine = virtual_machine(registry);
            guard_free(py, || call_code(&snapshot, spec, calldata.0, value, gas_limit, machine.runner()))?
        }
    };
    let (outcome, changes) = ran.map_err(|fault| engine_fault(&fault.to_string()))?;
    let root = known(snapshot.state_root_after(&changes));
    outcome_fields(py, &outcome, root)
}

fn call_code(
    snapshot: &MemorySnapshot,
    spec: &metis_state_transition::ChainSpec,
    calldata: Bytes,
    value: U256,
    gas_limit: u64,
    runner: impl FrameRunner,
) -> Ran<MissingState> {
    // Block 1 of a chain whose block 0 has no hash worth knowing.
    let ancestors = Ancestors::default().with(0, B256::ZERO);
    let environment = BlockEnvironment { number: 1, timestamp: 1, gas_limit, ancestors, ..BlockEnvironment::default() };
    let rules = spec.rules_at(environment.number, environment.timestamp);
    let mut evm = Evm::new(snapshot, &rules, &environment, runner, ChainPrecompiles::default());
    evm.message_call(CALLER_ADDRESS, CODE_ADDRESS, calldata, value, gas_limit)
}

/// The withdrawals that an object has.
pub fn withdrawals(object: &Bound<'_, PyAny>, subject: &str) -> PyResult<Vec<Withdrawal>> {
    let mut withdrawals = Vec::new();
    for entry in object.getattr("withdrawals")?.try_iter()? {
        let entry = entry?;
        withdrawals.push(Withdrawal {
            index: attribute(&entry, subject, "index")?,
            validator_index: attribute(&entry, subject, "validator_index")?,
            address: address(&entry, subject, "address")?,
            amount: attribute(&entry, subject, "amount_gwei")?,
        });
    }
    Ok(withdrawals)
}

pub fn block_attributes(object: &Bound<'_, PyAny>) -> PyResult<BlockAttributes> {
    const SUBJECT: &str = "block attributes";
    Ok(BlockAttributes {
        timestamp: attribute(object, SUBJECT, "timestamp_s")?,
        beneficiary: address(object, SUBJECT, "beneficiary")?,
        gas_limit: attribute(object, SUBJECT, "gas_limit")?,
        prev_randao: hash(object, SUBJECT, "prev_randao")?,
        extra_data: attribute::<Blob>(object, SUBJECT, "extra_data")?.0,
        parent_beacon_block_root: hash(object, SUBJECT, "parent_beacon_block_root")?,
        withdrawals: withdrawals(object, SUBJECT)?,
        // The store knows the ancestors.
        ancestors: Ancestors::default(),
        // The node is told by its own method.
        base_fee_per_gas: None,
        is_any_gas_limit: attribute(object, SUBJECT, "is_any_gas_limit")?,
    })
}

/// Builds and commits the next block from candidates.
#[pyfunction]
#[pyo3(signature = (store, spec, parent, attributes, transactions, registry=None, workers=1))]
#[allow(clippy::too_many_arguments)] // the Python signature
pub fn build_block<'py>(
    py: Python<'py>,
    store: AnyStore<'py>,
    spec: &ChainSpec,
    parent: &Block,
    attributes: &Bound<'py, PyAny>,
    transactions: Vec<PyRef<'py, Transaction>>,
    registry: Option<&CodeRegistry>,
    workers: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let attributes = block_attributes(attributes)?;
    let candidates: Vec<&RecoveredTransaction> = transactions.iter().map(|entry| &entry.inner).collect();
    let (spec, parent) = (&spec.inner, &parent.inner.header);
    let machine = virtual_machine(registry);
    let executor = ParallelExecutor::new(workers);
    let built = with_store!(store, store => guard_free(py, || {
        build_and_commit(&executor, store, spec, parent, attributes, &candidates, &machine)
    })?
    .map_err(|error| from_execute(&error))?)
    .built;
    let fields = PyDict::new(py);
    fields.set_item("receipts", receipt_list(py, &built.outcome.receipts)?)?;
    let skipped = built.skipped.iter().map(|entry| {
        let error = from_transaction(&entry.error, Some(entry.index));
        (entry.index, error.into_value(py))
    });
    fields.set_item("skipped", skipped.collect::<Vec<_>>())?;
    fields.set_item("block", Py::new(py, Block::new(built.block))?)?;
    Ok(fields)
}

/// Executes a block, checks every field and root, and commits it.
#[pyfunction]
#[pyo3(signature = (store, spec, parent, block, registry=None, workers=1))]
pub fn import_block<'py>(
    py: Python<'py>,
    store: AnyStore<'py>,
    spec: &ChainSpec,
    parent: &Block,
    block: &Block,
    registry: Option<&CodeRegistry>,
    workers: usize,
) -> PyResult<Bound<'py, PyList>> {
    let (spec, parent, block) = (&spec.inner, &parent.inner.header, &block.inner);
    let machine = virtual_machine(registry);
    let executor = ParallelExecutor::new(workers);
    let outcome = with_store!(store, store => guard_free(py, || {
        import_and_commit(&executor, store, spec, parent, block, &machine)
    })?
    .map_err(|error| from_execute(&error))?);
    receipt_list(py, &outcome.receipts)
}
