//! Answers that are made of several values.

use alloy_primitives::B256;
use metis_node::{BlobWithProofs, BuiltReport, FeeHistory, Proposal};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use crate::{
    block::Block,
    convert::{to_bytes, to_int},
};

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

/// A block that was built, if one was: itself, its transactions' hashes, its requests, and who was
/// dropped.
pub fn report_fields<'py>(
    py: Python<'py>,
    report: Option<BuiltReport>,
    dropped: impl Iterator<Item = (B256, PyErr)>,
) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    let hashes = report.iter().flat_map(|report| &report.transaction_hashes).map(|hash| to_bytes(py, hash));
    fields.set_item("transaction_hashes", hashes.collect::<Vec<_>>())?;
    let requests = report.iter().flat_map(|report| &report.requests).flatten().map(|request| to_bytes(py, request));
    fields.set_item("requests", requests.collect::<Vec<_>>())?;
    let dropped = dropped.map(|(hash, error)| (to_bytes(py, hash), error.into_value(py)));
    fields.set_item("dropped", dropped.collect::<Vec<_>>())?;
    fields.set_item("block", report.map(|report| Py::new(py, Block::new(report.block))).transpose()?)?;
    Ok(fields)
}

/// A block that was built and not kept: itself, its tips, its requests and its blobs.
pub fn proposal_fields(py: Python<'_>, proposal: Proposal) -> PyResult<Bound<'_, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("tips_wei", to_int(py, proposal.tips)?)?;
    let requests = proposal.requests.iter().flatten().map(|request| to_bytes(py, request));
    fields.set_item("requests", requests.collect::<Vec<_>>())?;
    fields.set_item("blobs", proposal.blobs.iter().map(|blob| blob_fields(py, blob)).collect::<Vec<_>>())?;
    fields.set_item("block", Py::new(py, Block::new(proposal.block))?)?;
    Ok(fields)
}

type BlobFields<'py> = (Bound<'py, PyBytes>, Bound<'py, PyBytes>, Vec<Bound<'py, PyBytes>>);

/// A blob, its commitment and its proofs.
pub fn blob_fields<'py>(py: Python<'py>, blob: &BlobWithProofs) -> BlobFields<'py> {
    let proofs = blob.proofs.iter().map(|proof| to_bytes(py, proof)).collect();
    (to_bytes(py, blob.blob.as_slice()), to_bytes(py, blob.commitment), proofs)
}
