//! Answers that are made of several values.

use alloy_primitives::B256;
use metis_node::{BuiltReport, FeeHistory};
use pyo3::{
    prelude::*,
    types::{PyDict, PyList},
};

use crate::{block::Block, convert::to_bytes};

/// `eth_feeHistory`: the history with ratios instead of amounts; rewards only where percentiles were asked for.
pub fn history_fields(py: Python<'_>, history: FeeHistory, has_rewards: bool) -> PyResult<Bound<'_, PyDict>> {
    let ratios = |amounts: &[(u64, u64)]| -> Vec<f64> {
        let ratio = |(used, most): &(u64, u64)| if *most == 0 { 0.0 } else { *used as f64 / *most as f64 };
        amounts.iter().map(ratio).collect()
    };
    let fields = PyDict::new(py);
    fields.set_item("oldest_block", history.oldest_block)?;
    fields.set_item("gas_used_ratio", ratios(&history.gas))?;
    fields.set_item("blob_gas_used_ratio", ratios(&history.blob_gas))?;
    fields.set_item("base_fee_per_gas", history.base_fee_per_gas)?;
    fields.set_item("base_fee_per_blob_gas", history.base_fee_per_blob_gas)?;
    fields.set_item("reward", has_rewards.then_some(history.rewards))?;
    Ok(fields)
}

/// A block that was built: itself, its transactions' hashes, and who was dropped.
pub fn report_fields<'py>(
    py: Python<'py>,
    report: BuiltReport,
    dropped: impl Iterator<Item = (B256, PyErr)>,
) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    let hashes = report.transaction_hashes.iter().map(|hash| to_bytes(py, hash));
    fields.set_item("transaction_hashes", PyList::new(py, hashes)?)?;
    let dropped = dropped.map(|(hash, error)| (to_bytes(py, hash), error.into_value(py)));
    fields.set_item("dropped", dropped.collect::<Vec<_>>())?;
    fields.set_item("block", Py::new(py, Block::new(report.block))?)?;
    Ok(fields)
}
