//! `Node`: its chain's rules and heads, and moving them.

use std::sync::Arc;

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
    fn spec(&self) -> ChainSpec {
        ChainSpec { inner: Arc::new(self.inner.spec().clone()) }
    }

    #[getter]
    fn genesis_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        to_bytes(py, self.inner.genesis_hash())
    }

    #[getter]
    fn head_number(&self) -> u64 {
        self.inner.heads().latest.number
    }

    #[getter]
    fn head_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        to_bytes(py, self.inner.heads().latest.hash)
    }

    #[getter]
    fn safe_number(&self) -> u64 {
        let heads = self.inner.heads();
        heads.safe.unwrap_or(heads.first).number
    }

    #[getter]
    fn finalized_number(&self) -> u64 {
        let heads = self.inner.heads();
        heads.finalized.unwrap_or(heads.first).number
    }

    #[getter]
    fn oldest_state_number(&self) -> u64 {
        self.inner.oldest_state_number()
    }

    fn number_of(&self, block: BlockReference) -> Option<u64> {
        let found = self.inner.find(block.0)?;
        self.inner.is_canonical(&found.hash).then_some(found.number)
    }

    fn is_known(&self, block_hash: Fixed<32>) -> bool {
        self.inner.find(BlockId::Hash(block_hash.0.into())).is_some()
    }

    #[pyo3(signature = (safe_hash, finalized_hash))]
    fn set_safe_finalized(
        &self,
        py: Python<'_>,
        safe_hash: Option<Fixed<32>>,
        finalized_hash: Option<Fixed<32>>,
    ) -> PyResult<()> {
        let heads = NewHeads {
            latest: None,
            safe: safe_hash.map(|hash| hash.0.into()),
            finalized: finalized_hash.map(|hash| hash.0.into()),
        };
        guard_free(py, || self.inner.set_heads(heads))?.map(|_| ()).map_err(|error| from_node(&error))
    }

    fn set_head(&self, py: Python<'_>, block_hash: Fixed<32>) -> PyResult<()> {
        let heads = NewHeads { latest: Some(block_hash.0.into()), ..NewHeads::default() };
        guard_free(py, || self.inner.set_heads(heads))?.map(|_| ()).map_err(|error| from_node(&error))
    }

    fn truncate(&self, py: Python<'_>, block_hash: Fixed<32>) -> PyResult<()> {
        let hash: B256 = block_hash.0.into();
        guard_free(py, || self.inner.truncate(&hash))?.map(|_| ()).map_err(|error| from_node(&error))
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (pending, queued) = self.inner.pool_status();
        let fields = PyDict::new(py);
        fields.set_item("head_number", self.inner.heads().latest.number)?;
        fields.set_item("oldest_state_number", self.inner.oldest_state_number())?;
        fields.set_item("pool_pending", pending)?;
        fields.set_item("pool_queued", queued)?;
        Ok(fields)
    }
}
