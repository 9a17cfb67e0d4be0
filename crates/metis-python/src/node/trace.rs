//! `Node`: go-ethereum's traces of blocks, transactions and calls.

use metis_node::Tracer;
use pyo3::{prelude::*, types::PyBytes};

use super::{
    Node,
    arguments::BlockReference,
    read::{Json, json},
    simulate::{block_assumptions, state_overrides},
};
use crate::{
    block::Block,
    convert::{Blob, Fixed, to_bytes},
    errors::{from_node, from_tracer},
    guard::guard_free,
    transaction::unsigned_call,
};

fn tracer(options: &Blob) -> PyResult<Tracer> {
    Tracer::from_json(&options.0).map_err(|error| from_tracer(&error))
}

#[pymethods]
impl Node {
    fn trace_block_json<'py>(
        &self,
        py: Python<'py>,
        block: BlockReference,
        options_json: Blob,
        size_bytes_max: usize,
    ) -> PyResult<Json<'py>> {
        let node = self.get()?;
        let tracer = tracer(&options_json)?;
        json(py, guard_free(py, || node.trace_block_json(block.0, &tracer, size_bytes_max))?)
    }

    fn trace_given_block_json<'py>(
        &self,
        py: Python<'py>,
        block: &Block,
        options_json: Blob,
        size_bytes_max: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        let (block, tracer) = (&block.inner, tracer(&options_json)?);
        let encoded = guard_free(py, || node.trace_given_block_json(block, &tracer, size_bytes_max))?;
        Ok(to_bytes(py, encoded.map_err(|error| from_node(&error))?))
    }

    fn trace_transaction_json<'py>(
        &self,
        py: Python<'py>,
        transaction_hash: Fixed<32>,
        options_json: Blob,
        size_bytes_max: usize,
    ) -> PyResult<Json<'py>> {
        let node = self.get()?;
        let (hash, tracer) = (transaction_hash.0.into(), tracer(&options_json)?);
        json(py, guard_free(py, || node.trace_transaction_json(&hash, &tracer, size_bytes_max))?)
    }

    #[pyo3(signature = (
        call, block, options_json, size_bytes_max, overrides=None, block_overrides=None, transaction_count=None
    ))]
    #[allow(clippy::too_many_arguments)] // a call and what it assumes, as in `call`
    fn trace_call_json<'py>(
        &self,
        py: Python<'py>,
        call: &Bound<'py, PyAny>,
        block: BlockReference,
        options_json: Blob,
        size_bytes_max: usize,
        overrides: Option<&Bound<'py, PyAny>>,
        block_overrides: Option<&Bound<'py, PyAny>>,
        transaction_count: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        let (call, tracer) = (unsigned_call(call)?, tracer(&options_json)?);
        let (overrides, assumed) = (state_overrides(overrides)?, block_assumptions(block_overrides)?);
        let encoded = guard_free(py, || {
            let count = transaction_count;
            node.trace_call_json(&call, block.0, count, &overrides, &assumed, &tracer, size_bytes_max)
        })?;
        Ok(to_bytes(py, encoded.map_err(|error| from_node(&error))?))
    }
}
