//! `Node`: its mempool.

use alloy_primitives::Address;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyList},
};

use super::Node;
use crate::{
    convert::{Blob, Fixed, to_bytes},
    errors::{from_node, from_submit},
    guard::{guard, guard_free},
    transaction::Transaction,
};

#[pymethods]
impl Node {
    fn submit<'py>(&self, py: Python<'py>, raw: Blob) -> PyResult<Bound<'py, PyBytes>> {
        let hash = guard_free(py, || self.inner.submit(&raw.0))?;
        hash.map(|hash| to_bytes(py, hash)).map_err(|error| from_submit(&error))
    }

    fn submit_many<'py>(&self, py: Python<'py>, raw: Vec<Bound<'py, PyBytes>>) -> PyResult<Bound<'py, PyList>> {
        let items: Vec<&[u8]> = raw.iter().map(|bytes| bytes.as_bytes()).collect();
        let results = guard_free(py, || self.inner.submit_many(&items))?;
        let list = PyList::empty(py);
        for result in results {
            match result {
                Ok(hash) => list.append(to_bytes(py, hash))?,
                Err(error) => list.append(from_submit(&error).into_value(py))?,
            }
        }
        Ok(list)
    }

    fn submit_unsigned<'py>(&self, py: Python<'py>, transaction: &Transaction) -> PyResult<Bound<'py, PyBytes>> {
        let transaction = transaction.inner.clone();
        let hash = guard_free(py, || self.inner.submit_recovered(transaction))?;
        hash.map(|hash| to_bytes(py, hash)).map_err(|error| from_submit(&error))
    }

    fn drop(&self, transaction_hash: Fixed<32>) -> PyResult<bool> {
        guard(|| Ok(self.inner.drop_transaction(&transaction_hash.0.into())))
    }

    fn drop_all(&self) -> PyResult<usize> {
        guard(|| Ok(self.inner.drop_all()))
    }

    fn pool_status(&self) -> (usize, usize) {
        self.inner.pool_status()
    }

    #[pyo3(signature = (sender=None))]
    fn pool_content_json<'py>(&self, py: Python<'py>, sender: Option<Fixed<20>>) -> PyResult<Bound<'py, PyBytes>> {
        let sender = sender.map(|sender| Address::from(sender.0));
        Ok(to_bytes(py, guard_free(py, || self.inner.pool_content_json(sender))?))
    }

    fn pool_inspect_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        Ok(to_bytes(py, guard_free(py, || self.inner.pool_inspect_json())?))
    }

    fn pending_nonce(&self, address: Fixed<20>) -> PyResult<u64> {
        guard(|| self.inner.pending_nonce(address.0.into()).map_err(|error| from_node(&error)))
    }

    fn pending_hashes<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.inner.pending_hashes().into_iter().map(|hash| to_bytes(py, hash)).collect()
    }
}
