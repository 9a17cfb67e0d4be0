//! Runs that leave a trace, and what checks one operator of it.

use metis_inference::{
    How,
    freivalds::{Image, Refused, Sizes, product_holds},
    graph::{DType, Facts, Shape},
    trace::{commitments, trace_root as root_of},
};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyList},
};

use crate::{
    convert::{Fixed, to_bytes},
    errors::decode_error,
    guard::{guard, guard_free},
    inference::{Given, InferenceModel, Tensors, check_threads, kernel_named, to_lists},
};

/// Outputs and states, the points' commitments, the bytes of those that were asked for.
type TracedTensors<'py> = (Tensors<'py>, Vec<Bound<'py, PyBytes>>, Vec<Bound<'py, PyBytes>>);

#[pymethods]
impl InferenceModel {
    #[getter]
    fn points(&self, py: Python<'_>) -> PyResult<Vec<usize>> {
        guard_free(py, || self.inner.points().to_vec())
    }

    #[pyo3(signature = (tensors, threads=1, kernel=None, wanted=vec![]))]
    fn run_traced<'py>(
        &self,
        py: Python<'py>,
        tensors: Given<'py>,
        threads: usize,
        kernel: Option<&str>,
        wanted: Vec<usize>,
    ) -> PyResult<TracedTensors<'py>> {
        let kernel = kernel_named(kernel)?;
        check_threads(threads)?;
        self.check_count(tensors.len())?;
        let given: Vec<Option<&[u8]>> = tensors.iter().map(|tensor| tensor.as_ref().map(|it| it.as_bytes())).collect();
        let found = guard_free(py, || {
            self.inner.with_traced_workspace(threads, |workspace| {
                let run = self.inner.run_traced(How { kernel, threads }, &given, workspace);
                run.map(|commitments| {
                    let values: Vec<Option<Vec<u8>>> =
                        wanted.iter().map(|&number| self.inner.point(workspace, number)).collect();
                    (self.inner.traced_results(workspace), commitments, values)
                })
            })
        })?;
        let ((outputs, states), commitments, values) = found.map_err(|error| self.refused(&error))?;
        let values: Option<Vec<_>> = values.iter().map(|value| Some(PyBytes::new(py, value.as_ref()?))).collect();
        let values = values.ok_or_else(|| decode_error("argument", "wanted", "a trace does not commit to it", None))?;
        let commitments = commitments.iter().map(|hash| PyBytes::new(py, hash)).collect();
        Ok((to_lists(py, &outputs, &states), commitments, values))
    }
}

fn dtype_of(code: u8) -> PyResult<DType> {
    DType::of_code(code.into()).ok_or_else(|| decode_error("argument", "dtype", &format!("{code} is none"), None))
}

/// The commitments of tensors: type, dimensions and bytes of each.
#[pyfunction]
pub fn tensor_commitments<'py>(
    py: Python<'py>,
    tensors: Vec<(u8, Vec<u32>, Bound<'py, PyBytes>)>,
) -> PyResult<Bound<'py, PyList>> {
    let mut given = Vec::with_capacity(tensors.len());
    for (dtype, dimensions, bytes) in &tensors {
        let (dtype, shape) = (dtype_of(*dtype)?, Shape::new(dimensions));
        let facts = Facts { dtype, shape, lo: dtype.lo(), hi: dtype.hi() };
        let expected = u128::from(shape.elements()) * dtype.size_bytes() as u128;
        let bytes = bytes.as_bytes();
        if dimensions.is_empty() || shape.rank() != dimensions.len() || bytes.len() as u128 != expected {
            let problem = format!("{} bytes are not {} of {dimensions:?}", bytes.len(), dtype.name());
            return Err(decode_error("argument", "tensors", &problem, None));
        }
        given.push((facts, bytes));
    }
    let found = guard_free(py, || commitments(&given, 1))?;
    PyList::new(py, found.iter().map(|hash| PyBytes::new(py, hash)))
}

/// The root over the commitments of a run's points.
#[pyfunction]
pub fn trace_root<'py>(py: Python<'py>, commitments: Vec<Fixed<32>>) -> PyResult<Bound<'py, PyBytes>> {
    guard(|| Ok(to_bytes(py, root_of(&commitments.iter().map(|hash| hash.0).collect::<Vec<_>>()))))
}

/// A matrix: code of its type, little-endian elements in rows.
type Matrix<'py> = (u8, Bound<'py, PyBytes>);

/// Freivalds' check of products of one shape, with the second factor.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct ProductCheck {
    sizes: Sizes,
    image: Image,
}

fn refused(error: &Refused) -> PyErr {
    decode_error("argument", "product", &error.to_string(), None)
}

#[pymethods]
impl ProductCheck {
    #[new]
    #[pyo3(signature = (b, sizes, is_b_shared, transpose_b, random))]
    fn new(
        py: Python<'_>,
        b: Matrix<'_>,
        sizes: (usize, usize, usize, usize),
        is_b_shared: bool,
        transpose_b: bool,
        random: &Bound<'_, PyBytes>,
    ) -> PyResult<Self> {
        let (batch, m, k, n) = sizes;
        let sizes = Sizes { batch, m, k, n, is_b_shared, transpose_b };
        let (dtype, b, random) = (dtype_of(b.0)?, b.1.as_bytes(), random.as_bytes());
        let image = guard_free(py, || Image::of(&sizes, (dtype, b), random))?.map_err(|error| refused(&error))?;
        Ok(Self { sizes, image })
    }

    fn holds(&self, py: Python<'_>, a: Matrix<'_>, c: Matrix<'_>) -> PyResult<bool> {
        let (a_type, c_type) = (dtype_of(a.0)?, dtype_of(c.0)?);
        let (a, c) = (a.1.as_bytes(), c.1.as_bytes());
        guard_free(py, || product_holds(&self.sizes, (a_type, a), &self.image, (c_type, c)))?
            .map_err(|error| refused(&error))
    }
}
