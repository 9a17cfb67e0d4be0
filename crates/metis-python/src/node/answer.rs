//! `Answerer`: whole JSON-RPC messages answered by the engine.

use std::sync::{Arc, Weak};

use metis_node::AnswerLimits;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyList, PyString},
};

use super::Node;
use crate::{convert::to_bytes, guard::guard};

/// Answers what is plain and quick; see `metis_node::Node::answer`.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct Answerer {
    /// Does not keep a node open that is closed.
    node: Weak<metis_node::Node>,
    limits: AnswerLimits,
}

#[pymethods]
impl Answerer {
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        message: &Bound<'py, PyBytes>,
    ) -> PyResult<Option<(Bound<'py, PyBytes>, Bound<'py, PyAny>)>> {
        let answered =
            guard(|| Ok(self.node.upgrade().and_then(|node| node.answer(message.as_bytes(), &self.limits))))?;
        let Some(answer) = answered else { return Ok(None) };
        let methods = if answer.is_batch {
            PyList::new(py, answer.methods.iter().map(|name| PyString::intern(py, name)))?.into_any()
        } else {
            PyString::intern(py, answer.methods[0]).into_any()
        };
        Ok(Some((to_bytes(py, answer.json), methods)))
    }
}

#[pymethods]
impl Node {
    fn answerer(&self, call_gas_max: u64, batch_count_max: usize, answer_size_bytes_max: usize) -> PyResult<Answerer> {
        let limits = AnswerLimits { call_gas_max, batch_count_max, answer_size_bytes_max };
        Ok(Answerer { node: Arc::downgrade(&self.get()?), limits })
    }
}
