//! Python numbers and bytes as engine values, and back.

use alloy_primitives::{Address, B256, Bytes, Log, U256};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyInt, PyList, PyTuple},
};

use crate::errors::decode_error;

/// An attribute of a Python object; a wrong type or range names the attribute.
pub fn attribute<'py, T>(object: &Bound<'py, PyAny>, subject: &str, name: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let value = object.getattr(name)?;
    value.extract::<T>().map_err(|error| {
        let error: PyErr = error.into();
        decode_error(subject, name, &error.value(object.py()).to_string(), None)
    })
}

/// An integer in [0, 2²⁵⁶).
pub struct Word(pub U256);

impl<'a, 'py> FromPyObject<'a, 'py> for Word {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let integer = object.cast::<PyInt>()?;
        if let Ok(small) = integer.extract::<u64>() {
            return Ok(Self(U256::from(small)));
        }
        let bytes = integer
            .call_method1("to_bytes", (32, "big"))
            .map_err(|_| pyo3::exceptions::PyOverflowError::new_err("must be in [0, 2**256)"))?;
        Ok(Self(U256::from_be_slice(bytes.cast::<PyBytes>()?.as_bytes())))
    }
}

/// Exactly `N` bytes.
pub struct Fixed<const N: usize>(pub [u8; N]);

impl<'a, 'py, const N: usize> FromPyObject<'a, 'py> for Fixed<N> {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let object = object.cast::<PyBytes>()?;
        let bytes = object.as_bytes();
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| pyo3::exceptions::PyValueError::new_err(format!("{} bytes, must be {N}", bytes.len())))
    }
}

/// Any bytes, copied once.
pub struct Blob(pub Bytes);

impl<'a, 'py> FromPyObject<'a, 'py> for Blob {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        Ok(Self(Bytes::copy_from_slice(object.cast::<PyBytes>()?.as_bytes())))
    }
}

pub fn address(object: &Bound<'_, PyAny>, subject: &str, name: &str) -> PyResult<Address> {
    attribute::<Fixed<20>>(object, subject, name).map(|Fixed(bytes)| Address::from(bytes))
}

pub fn hash(object: &Bound<'_, PyAny>, subject: &str, name: &str) -> PyResult<B256> {
    attribute::<Fixed<32>>(object, subject, name).map(|Fixed(bytes)| B256::from(bytes))
}

pub fn word(object: &Bound<'_, PyAny>, subject: &str, name: &str) -> PyResult<U256> {
    attribute::<Word>(object, subject, name).map(|Word(value)| value)
}

pub fn to_bytes<'py>(py: Python<'py>, bytes: impl AsRef<[u8]>) -> Bound<'py, PyBytes> {
    PyBytes::new(py, bytes.as_ref())
}

pub fn to_int(py: Python<'_>, value: U256) -> PyResult<Bound<'_, PyAny>> {
    if let Ok(small) = u64::try_from(value) {
        return Ok(small.into_pyobject(py)?.into_any());
    }
    py.get_type::<PyInt>().call_method1("from_bytes", (to_bytes(py, value.to_be_bytes::<32>()), "big"))
}

/// Logs as (address, topics, data).
pub fn to_logs<'py>(py: Python<'py>, logs: &[Log]) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for log in logs {
        let topics = PyList::new(py, log.topics().iter().map(|topic| to_bytes(py, topic)))?;
        let entry = (to_bytes(py, log.address), topics, to_bytes(py, &log.data.data));
        list.append(PyTuple::new(py, [entry.0.into_any(), entry.1.into_any(), entry.2.into_any()])?)?;
    }
    Ok(list)
}
