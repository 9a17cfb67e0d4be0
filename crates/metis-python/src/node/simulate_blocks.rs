//! `Node`: blocks of calls that were never sent.

use metis_node::{BlockCalls, BlockReport, SimulatedCall, SimulationMode};
use pyo3::{
    prelude::*,
    types::{PyDict, PyList},
};

use super::{
    Node,
    arguments::BlockReference,
    simulate::{block_assumptions, state_overrides},
};
use crate::{
    convert::{attribute, hash, to_bytes},
    errors::from_node,
    execution::withdrawals,
    guard::guard_free,
    transaction::unsigned_call,
};

const SUBJECT: &str = "simulated block";

#[pymethods]
impl Node {
    #[pyo3(signature = (blocks, block, gas_max, *, validates=false, logs_transfers=false, shows_transactions=false))]
    #[allow(clippy::too_many_arguments)] // the mode is keywords in Python
    fn simulate_blocks<'py>(
        &self,
        py: Python<'py>,
        blocks: Vec<Bound<'py, PyAny>>,
        block: BlockReference,
        gas_max: u64,
        validates: bool,
        logs_transfers: bool,
        shows_transactions: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let node = self.get()?;
        let blocks = blocks.iter().map(block_calls).collect::<PyResult<Vec<_>>>()?;
        let mode = SimulationMode { validates, logs_transfers, shows_transactions, gas_max };
        let reports = guard_free(py, || node.simulate_blocks(block.0, &blocks, mode))?;
        let reports = reports.map_err(|error| from_node(&error))?;
        PyList::new(py, reports.iter().map(|report| report_fields(py, report)).collect::<PyResult<Vec<_>>>()?)
    }
}

fn block_calls(block: &Bound<'_, PyAny>) -> PyResult<BlockCalls> {
    let mut calls = Vec::new();
    for entry in block.getattr("calls")?.try_iter()? {
        let entry = entry?;
        calls.push(SimulatedCall {
            call: unsigned_call(&entry.getattr("message")?)?,
            has_nonce: attribute(&entry, SUBJECT, "has_nonce")?,
            has_gas_limit: attribute(&entry, SUBJECT, "has_gas_limit")?,
        });
    }
    Ok(BlockCalls {
        timestamp: attribute(block, SUBJECT, "timestamp_s")?,
        block: block_assumptions(Some(&block.getattr("environment")?))?,
        parent_beacon_block_root: hash(block, SUBJECT, "parent_beacon_block_root")?,
        withdrawals: withdrawals(block, SUBJECT)?,
        state: state_overrides(Some(&block.getattr("state")?))?,
        calls,
    })
}

fn report_fields<'py>(py: Python<'py>, report: &BlockReport) -> PyResult<Bound<'py, PyDict>> {
    let calls = PyList::empty(py);
    for call in &report.calls {
        let fields = PyDict::new(py);
        let (status, halt_reason) = match call.failure {
            None => ("success", None),
            Some("revert") => ("revert", None),
            Some(reason) => ("halt", Some(reason)),
        };
        fields.set_item("status", status)?;
        fields.set_item("halt_reason", halt_reason)?;
        fields.set_item("output", to_bytes(py, &call.output))?;
        fields.set_item("gas_used", call.gas_used)?;
        fields.set_item("gas_used_max", call.gas_used_max)?;
        fields.set_item("logs_json", to_bytes(py, &call.logs_json))?;
        calls.append(fields)?;
    }
    let fields = PyDict::new(py);
    fields.set_item("block_json", to_bytes(py, &report.block_json))?;
    fields.set_item("calls", calls)?;
    Ok(fields)
}
