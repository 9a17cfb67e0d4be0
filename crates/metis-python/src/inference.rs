//! `InferenceModel`: a model of `metis-inference`, and what is proven of graphs.

// An error carries the values that break a rule, and is made once.
#![allow(clippy::result_large_err)]

use std::{io::ErrorKind, path::PathBuf, sync::Arc};

use alloy_primitives::{B256, Keccak256};
use metis_inference::{
    How, InvalidInput, Kernel, Model, OpenError, THREADS_MAX, WeightBytes,
    graph::{Cost, Facts, Limits, Proven, decode, prove},
};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyTuple},
};

use crate::{
    errors::{decode_error, from_open, invalid_input, invalid_weights},
    guard::guard_free,
};

/// Bytes of weights under one leaf of their tree of hashes, which docs/ai-graph.md describes.
const CHUNK_BYTES: usize = 1 << 16;

/// A model that is ready to run, shared by all threads.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct InferenceModel {
    pub inner: Arc<Model<WeightBytes>>,
}

/// Weights in bytes, memory in bytes, MACs.
type LimitValues = (u128, u128, u128);

fn limits_of(given: Option<LimitValues>) -> Limits {
    given.map_or_else(Limits::default, |(weights_bytes, memory_bytes, macs)| Limits {
        weights_bytes,
        memory_bytes,
        macs,
    })
}

impl InferenceModel {
    fn of(py: Python<'_>, graph: &[u8], weights: WeightBytes, limits: &Limits) -> PyResult<Self> {
        let inner = guard_free(py, || Model::open(graph, weights, limits))?.map_err(|error| from_open(&error))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    pub fn check_count(&self, given: usize) -> PyResult<()> {
        let expected = self.inner.proven().graph.first_constant();
        if given == expected {
            return Ok(());
        }
        let problem = format!("{given} tensors for {expected} inputs and states");
        Err(decode_error("argument", "tensors", &problem, None))
    }

    pub fn refused(&self, error: &InvalidInput) -> PyErr {
        let graph = &self.inner.proven().graph;
        let name = graph.declarations().nth(error.index()).map_or("", |tensor| tensor.name());
        invalid_input(name, &error.to_string())
    }
}

pub fn kernel_named(name: Option<&str>) -> PyResult<Kernel> {
    let Some(name) = name else { return Ok(Kernel::best()) };
    let available = Kernel::available();
    available.iter().copied().find(|kernel| kernel.name() == name).ok_or_else(|| {
        let names: Vec<&str> = available.iter().map(|kernel| kernel.name()).collect();
        decode_error("argument", "kernel", &format!("this machine has {}", names.join(", ")), None)
    })
}

/// From 1 to [`THREADS_MAX`].
pub fn check_threads(threads: usize) -> PyResult<()> {
    if (1..=THREADS_MAX).contains(&threads) {
        return Ok(());
    }
    let problem = format!("{threads} is not from 1 to {THREADS_MAX}");
    Err(decode_error("argument", "threads", &problem, None))
}

/// Inputs or states: bytes of each, None for zeros.
pub type Given<'py> = Vec<Option<Bound<'py, PyBytes>>>;
pub type Tensors<'py> = (Vec<Bound<'py, PyBytes>>, Vec<Bound<'py, PyBytes>>);

pub fn to_lists<'py>(py: Python<'py>, outputs: &[Vec<u8>], states: &[Vec<u8>]) -> Tensors<'py> {
    let list = |tensors: &[Vec<u8>]| tensors.iter().map(|bytes| PyBytes::new(py, bytes)).collect();
    (list(outputs), list(states))
}

#[pymethods]
impl InferenceModel {
    #[staticmethod]
    #[pyo3(signature = (graph, weights, limits=None))]
    fn from_bytes(
        py: Python<'_>,
        graph: &Bound<'_, PyBytes>,
        weights: &Bound<'_, PyBytes>,
        limits: Option<LimitValues>,
    ) -> PyResult<Self> {
        let (graph, bytes) = (graph.as_bytes(), weights.as_bytes());
        let weights = guard_free(py, || WeightBytes::copy_of(bytes))?;
        Self::of(py, graph, weights, &limits_of(limits))
    }

    #[staticmethod]
    #[pyo3(signature = (graph, path, offset, length, limits=None))]
    fn open(
        py: Python<'_>,
        graph: &Bound<'_, PyBytes>,
        path: PathBuf,
        offset: u64,
        length: u64,
        limits: Option<LimitValues>,
    ) -> PyResult<Self> {
        let graph = graph.as_bytes();
        let length = usize::try_from(length).map_err(|_| invalid_weights("length", "it is more than memory"))?;
        let weights =
            guard_free(py, || WeightBytes::read(&path, offset, length))?.map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => invalid_weights("length", "the file ends before them"),
                _ => error.into(),
            })?;
        Self::of(py, graph, weights, &limits_of(limits))
    }

    #[getter]
    fn proven<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        proven_fields(py, self.inner.proven())
    }

    #[getter]
    fn weights_root<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let root = guard_free(py, || weights_root(self.inner.weights()))?;
        Ok(PyBytes::new(py, root.as_slice()))
    }

    #[getter]
    fn arena_bytes(&self) -> usize {
        self.inner.arena_bytes()
    }

    #[pyo3(signature = (tensors, threads=1, kernel=None))]
    fn run<'py>(
        &self,
        py: Python<'py>,
        tensors: Given<'py>,
        threads: usize,
        kernel: Option<&str>,
    ) -> PyResult<Tensors<'py>> {
        let kernel = kernel_named(kernel)?;
        check_threads(threads)?;
        self.check_count(tensors.len())?;
        let given: Vec<Option<&[u8]>> = tensors.iter().map(|tensor| tensor.as_ref().map(|it| it.as_bytes())).collect();
        let (outputs, states) = guard_free(py, || {
            self.inner.with_workspace(threads, |workspace| {
                let run = self.inner.run(How { kernel, threads }, &given, workspace);
                run.map(|()| (self.inner.outputs(workspace), self.inner.states(workspace)))
            })
        })?
        .map_err(|error| self.refused(&error))?;
        Ok(to_lists(py, &outputs, &states))
    }

    #[pyo3(signature = (tensors, observe, kernel=None))]
    fn run_observed<'py>(
        &self,
        py: Python<'py>,
        tensors: Given<'py>,
        observe: Bound<'py, PyAny>,
        kernel: Option<&str>,
    ) -> PyResult<Tensors<'py>> {
        let kernel = kernel_named(kernel)?;
        self.check_count(tensors.len())?;
        let given: Vec<Option<&[u8]>> = tensors.iter().map(|tensor| tensor.as_ref().map(|it| it.as_bytes())).collect();
        let observe = observe.unbind();
        let mut raised = None;
        let run = guard_free(py, || {
            self.inner.run_observed(kernel, &given, &mut |node, results| {
                if raised.is_none() {
                    raised = Python::attach(|py| {
                        let results = PyList::new(py, results.iter().map(|bytes| PyBytes::new(py, bytes)))?;
                        observe.call1(py, (node, results))
                    })
                    .err();
                }
            })
        })?;
        if let Some(error) = raised {
            return Err(error);
        }
        let finished = run.map_err(|error| self.refused(&error))?;
        Ok(to_lists(py, &finished.outputs, &finished.states))
    }
}

/// What commits to weights, and to their length. SPEC: docs/ai-graph.md, "Weights".
fn weights_root(weights: &[u8]) -> B256 {
    let hash = |parts: &[&[u8]]| {
        let mut hasher = Keccak256::new();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finalize()
    };
    let mut level: Vec<B256> = weights.chunks(CHUNK_BYTES).map(|chunk| hash(&[&[0], chunk])).collect();
    while level.len() > 1 {
        let pair = |nodes: &[B256]| match nodes {
            [left, right] => hash(&[&[1], left.as_slice(), right.as_slice()]),
            alone => alone[0],
        };
        level = level.chunks(2).map(pair).collect();
    }
    let top = level.first().copied().unwrap_or_default();
    hash(&[b"metis/ai/weights/v1\0", &(weights.len() as u64).to_le_bytes(), top.as_slice()])
}

/// What is proven of a graph's bytes.
#[pyfunction]
#[pyo3(signature = (graph, limits=None))]
pub fn prove_graph<'py>(
    py: Python<'py>,
    graph: &Bound<'py, PyBytes>,
    limits: Option<LimitValues>,
) -> PyResult<Bound<'py, PyDict>> {
    let graph = graph.as_bytes();
    let limits = limits_of(limits);
    let proven = guard_free(py, || Ok(prove(decode(graph)?, &limits)?))?;
    proven_fields(py, &proven.map_err(|error: OpenError| from_open(&error))?)
}

/// Names of the kernels that this machine has, the fastest last.
#[pyfunction]
pub fn inference_kernels() -> Vec<&'static str> {
    Kernel::available().iter().map(|kernel| kernel.name()).collect()
}

fn proven_fields<'py>(py: Python<'py>, proven: &Proven) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    let Cost { macs, moved_bytes, memory_bytes, weights_bytes } = proven.cost;
    fields.set_item("cost", (macs, moved_bytes, memory_bytes, weights_bytes))?;
    fields.set_item("node_macs", &proven.node_macs)?;
    let tensors = proven.tensors.iter().map(|facts| tensor_fields(py, facts)).collect::<PyResult<Vec<_>>>()?;
    fields.set_item("tensors", tensors)?;
    Ok(fields)
}

fn tensor_fields<'py>(py: Python<'py>, facts: &Facts) -> PyResult<Bound<'py, PyTuple>> {
    let shape = PyTuple::new(py, facts.shape.dimensions())?;
    (facts.dtype as u8, shape, facts.lo, facts.hi).into_pyobject(py)
}
