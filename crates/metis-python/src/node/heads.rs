//! `Node`: its chain's rules and heads, and moving them.

use alloy_primitives::B256;
use metis_chain::chain::NewHeads;
use metis_node::BlockId;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use super::{Node, arguments::BlockReference};
use crate::{
    convert::{Fixed, to_bytes},
    errors::from_node,
    guard::guard_free,
    rules::ChainSpec,
};

#[pymethods]
impl Node {
    #[getter]
    fn spec(&self) -> PyResult<ChainSpec> {
        Ok(ChainSpec { inner: self.get()?.spec() })
    }

    #[getter]
    fn genesis_hash<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        Ok(to_bytes(py, node.genesis_hash()))
    }

    #[getter]
    fn head_number(&self) -> PyResult<u64> {
        let node = self.get()?;
        Ok(node.heads().latest.number)
    }

    #[getter]
    fn head_hash<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        Ok(to_bytes(py, node.heads().latest.hash))
    }

    #[getter]
    fn safe_number(&self) -> PyResult<u64> {
        let node = self.get()?;
        let heads = node.heads();
        Ok(heads.safe.unwrap_or(heads.first).number)
    }

    #[getter]
    fn finalized_number(&self) -> PyResult<u64> {
        let node = self.get()?;
        let heads = node.heads();
        Ok(heads.finalized.unwrap_or(heads.first).number)
    }

    #[getter]
    fn oldest_state_number(&self) -> PyResult<u64> {
        let node = self.get()?;
        Ok(node.oldest_state_number())
    }

    fn number_of(&self, block: BlockReference) -> PyResult<Option<u64>> {
        let node = self.get()?;
        let found = node.find(block.0).filter(|found| node.is_canonical(&found.hash));
        Ok(found.map(|found| found.number))
    }

    fn is_known(&self, block_hash: Fixed<32>) -> PyResult<bool> {
        let node = self.get()?;
        Ok(node.find(BlockId::Hash(block_hash.0.into())).is_some())
    }

    #[pyo3(signature = (safe_hash, finalized_hash))]
    fn set_safe_finalized(
        &self,
        py: Python<'_>,
        safe_hash: Option<Fixed<32>>,
        finalized_hash: Option<Fixed<32>>,
    ) -> PyResult<()> {
        let node = self.get()?;
        let heads = NewHeads {
            latest: None,
            safe: safe_hash.map(|hash| hash.0.into()),
            finalized: finalized_hash.map(|hash| hash.0.into()),
        };
        guard_free(py, || node.set_heads(heads))?.map(|_| ()).map_err(|error| from_node(&error))
    }

    fn set_head(&self, py: Python<'_>, block_hash: Fixed<32>) -> PyResult<()> {
        let node = self.get()?;
        let heads = NewHeads { latest: Some(block_hash.0.into()), ..NewHeads::default() };
        guard_free(py, || node.set_heads(heads))?.map(|_| ()).map_err(|error| from_node(&error))
    }

    fn truncate(&self, py: Python<'_>, block_hash: Fixed<32>) -> PyResult<()> {
        let node = self.get()?;
        let hash: B256 = block_hash.0.into();
        guard_free(py, || node.truncate(&hash))?.map(|_| ()).map_err(|error| from_node(&error))
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let node = self.get()?;
        let (pending, queued) = node.pool_status();
        let fields = PyDict::new(py);
        fields.set_item("head_number", node.heads().latest.number)?;
        fields.set_item("oldest_state_number", node.oldest_state_number())?;
        fields.set_item("pool_pending", pending)?;
        fields.set_item("pool_queued", queued)?;
        let totals = node.totals();
        fields.set_item("transaction_count", totals.transaction_count)?;
        fields.set_item("gas_used", totals.gas_used)?;
        fields.set_item("log_count", totals.log_count)?;
        fields.set_item("account_read_count", totals.account_read_count)?;
        fields.set_item("slot_read_count", totals.slot_read_count)?;
        let checkpoints = node.checkpoint_totals();
        fields.set_item("checkpoint_count", checkpoints.count)?;
        fields.set_item("checkpoint_failed_count", checkpoints.failed_count)?;
        fields.set_item("checkpoint_bytes", checkpoints.bytes)?;
        fields.set_item("checkpoint_duration_ns", checkpoints.duration_ns)?;
        fields.set_item("checkpoint_hold_ns_max", checkpoints.hold_ns_max)?;
        fields.set_item("checkpoint_number", checkpoints.last.map_or(0, |last| last.block.number))?;
        let (state_bytes, state_unsaved_bytes) = node.state_bytes();
        fields.set_item("state_bytes", state_bytes)?;
        fields.set_item("state_unsaved_bytes", state_unsaved_bytes)?;
        Ok(fields)
    }
}
