//! Records of blocks: access list, dependencies, conflicts.

use alloy_eips::eip7928::compute_block_access_list_hash;
use metis_executor::{ExecuteError, Executor, ParallelExecutor, Recording, Sealed, recover_block};
use metis_state_transition::{BlockRecord, Location};
use pyo3::{prelude::*, types::PyDict};

use crate::{
    block::Block,
    code_registry::{CodeRegistry, virtual_machine},
    convert::{to_bytes, to_int},
    errors::{engine_fault, from_batch, from_execute},
    guard::guard_free,
    rules::ChainSpec,
    store::{AnyStore, with_store},
};

/// Keyword arguments of `metis.engine.BlockRecord`.
pub fn record_fields<'py>(py: Python<'py>, record: &BlockRecord) -> PyResult<Bound<'py, PyDict>> {
    let (list, dependencies, chain, conflicts) = guard_free(py, || {
        let dependencies = record.dependencies();
        let (chain, conflicts) = (record.longest_chain(&dependencies), record.conflicts(&dependencies));
        (record.access_list(), dependencies, chain, conflicts)
    })?;
    let place = |location: Location| match location {
        Location::Account(address) => Ok::<_, PyErr>((to_bytes(py, address), None)),
        Location::Slot(address, slot) => Ok((to_bytes(py, address), Some(to_int(py, slot)?))),
    };
    let fields = PyDict::new(py);
    fields.set_item("access_list", to_bytes(py, alloy_rlp::encode(&list)))?;
    fields.set_item("access_list_hash", to_bytes(py, compute_block_access_list_hash(&list)))?;
    let rows = dependencies.iter().map(|one| {
        let (address, slot) = place(one.location)?;
        Ok((one.transaction, one.on, address, slot))
    });
    fields.set_item("dependencies", rows.collect::<PyResult<Vec<_>>>()?)?;
    fields.set_item("chain", chain.transactions)?;
    fields.set_item("chain_gas", chain.gas_used)?;
    fields.set_item("gas_used", record.transactions().iter().map(|step| step.gas_used).sum::<u64>())?;
    fields.set_item("transaction_count", record.transactions().len())?;
    let rows = conflicts.iter().map(|one| {
        let (address, slot) = place(one.location)?;
        Ok((one.transaction, one.on, address, slot))
    });
    fields.set_item("conflicts", rows.collect::<PyResult<Vec<_>>>()?)?;
    fields.set_item("rerun_count", record.reruns().len())?;
    Ok(fields)
}

/// The record of an outcome that was asked to have one.
pub fn kept(record: Option<Box<BlockRecord>>) -> PyResult<Box<BlockRecord>> {
    record.ok_or_else(|| engine_fault("no record was kept"))
}

/// Verifies a block on so many threads, however few, and says what its transactions accessed. Nothing is committed.
#[pyfunction]
#[pyo3(signature = (store, spec, parent, block, registry=None, workers=0))]
pub fn explain_block<'py>(
    py: Python<'py>,
    store: AnyStore<'py>,
    spec: &ChainSpec,
    parent: &Block,
    block: &Block,
    registry: Option<&CodeRegistry>,
    workers: usize,
) -> PyResult<Bound<'py, PyDict>> {
    let (spec, parent, block) = (&spec.inner, &parent.inner.header, &block.inner);
    let machine = virtual_machine(registry);
    let outcome = with_store!(store, store => guard_free(py, || {
        let transactions = recover_block(block).map_err(|error| from_batch(&error))?;
        let snapshot = metis_db::StateStore::latest(store);
        let ancestors = metis_db::StateStore::ancestors(store).with(parent.number, parent.hash_slow());
        let sealed = Sealed { parent, block, transactions: &transactions, ancestors };
        let executor = Recording(ParallelExecutor::new(workers).forced());
        executor.verify(&*snapshot, spec, sealed, &machine).map_err(|error| from_execute(&ExecuteError::Block(error)))
    })??);
    record_fields(py, &*kept(outcome.record)?)
}
