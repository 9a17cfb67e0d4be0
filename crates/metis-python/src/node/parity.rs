//! `Node`: call traces in Parity's form, and Otterscan's internal operations.

use alloy_primitives::map::HashSet;
use alloy_rpc_types_trace::parity::TraceType;
use metis_node::CallTraceFilter;
use pyo3::{prelude::*, types::PyBytes};

use super::{
    Node,
    arguments::BlockReference,
    read::{Json, json},
    simulate::{block_assumptions, state_overrides},
};
use crate::{
    convert::{Fixed, to_bytes},
    errors::{decode_error, from_node},
    guard::guard_free,
    transaction::unsigned_call,
};

pub(super) fn trace_types(names: &[String]) -> PyResult<HashSet<TraceType>> {
    let kind = |name: &String| match name.as_str() {
        "trace" => Ok(TraceType::Trace),
        "vmTrace" => Ok(TraceType::VmTrace),
        "stateDiff" => Ok(TraceType::StateDiff),
        _ => Err(decode_error("trace options", "types", "must be trace, vmTrace or stateDiff", None)),
    };
    names.iter().map(kind).collect()
}

#[pymethods]
impl Node {
    fn call_traces_json<'py>(
        &self,
        py: Python<'py>,
        block: BlockReference,
        size_bytes_max: usize,
    ) -> PyResult<Json<'py>> {
        let node = self.get()?;
        json(py, guard_free(py, || node.call_traces_json(block.0, size_bytes_max))?)
    }

    fn transaction_call_traces_json<'py>(
        &self,
        py: Python<'py>,
        transaction_hash: Fixed<32>,
        size_bytes_max: usize,
    ) -> PyResult<Json<'py>> {
        let node = self.get()?;
        let hash = transaction_hash.0.into();
        json(py, guard_free(py, || node.transaction_call_traces_json(&hash, size_bytes_max))?)
    }

    #[pyo3(signature = (
        from_block, to_block, size_bytes_max, *, senders=Vec::new(), receivers=Vec::new(), union=false, skip_count=0,
        count_max=None
    ))]
    #[allow(clippy::too_many_arguments)] // a filter of keywords in Python
    fn filtered_call_traces_json<'py>(
        &self,
        py: Python<'py>,
        from_block: u64,
        to_block: u64,
        size_bytes_max: usize,
        senders: Vec<Fixed<20>>,
        receivers: Vec<Fixed<20>>,
        union: bool,
        skip_count: usize,
        count_max: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        let filter = CallTraceFilter {
            from: senders.into_iter().map(|Fixed(address)| address.into()).collect(),
            to: receivers.into_iter().map(|Fixed(address)| address.into()).collect(),
            is_union: union,
            skip_count,
            count_max: count_max.unwrap_or(usize::MAX),
        };
        let blocks = from_block..=to_block;
        let encoded = guard_free(py, || node.filtered_call_traces_json(blocks, &filter, size_bytes_max))?;
        Ok(to_bytes(py, encoded.map_err(|error| from_node(&error))?))
    }

    fn replayed_block_json<'py>(
        &self,
        py: Python<'py>,
        block: BlockReference,
        types: Vec<String>,
        size_bytes_max: usize,
    ) -> PyResult<Json<'py>> {
        let node = self.get()?;
        let types = trace_types(&types)?;
        json(py, guard_free(py, || node.replayed_block_json(block.0, &types, size_bytes_max))?)
    }

    fn replayed_transaction_json<'py>(
        &self,
        py: Python<'py>,
        transaction_hash: Fixed<32>,
        types: Vec<String>,
    ) -> PyResult<Json<'py>> {
        let node = self.get()?;
        let (hash, types) = (transaction_hash.0.into(), trace_types(&types)?);
        json(py, guard_free(py, || node.replayed_transaction_json(&hash, &types))?)
    }

    #[pyo3(signature = (call, block, types, overrides=None, block_overrides=None))]
    fn replayed_call_json<'py>(
        &self,
        py: Python<'py>,
        call: &Bound<'py, PyAny>,
        block: BlockReference,
        types: Vec<String>,
        overrides: Option<&Bound<'py, PyAny>>,
        block_overrides: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        let (call, types) = (unsigned_call(call)?, trace_types(&types)?);
        let (overrides, assumed) = (state_overrides(overrides)?, block_assumptions(block_overrides)?);
        let encoded = guard_free(py, || node.replayed_call_json(&call, block.0, &overrides, &assumed, &types))?;
        Ok(to_bytes(py, encoded.map_err(|error| from_node(&error))?))
    }

    fn internal_operations_json<'py>(&self, py: Python<'py>, transaction_hash: Fixed<32>) -> PyResult<Json<'py>> {
        let node = self.get()?;
        let hash = transaction_hash.0.into();
        json(py, guard_free(py, || node.internal_operations_json(&hash))?)
    }
}
