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
        let node = self.get()?;
        let hash = guard_free(py, || node.submit(&raw.0))?;
        hash.map(|hash| to_bytes(py, hash)).map_err(|error| from_submit(&error))
    }

    fn submit_many<'py>(&self, py: Python<'py>, raw: Vec<Bound<'py, PyBytes>>) -> PyResult<Bound<'py, PyList>> {
        let node = self.get()?;
        let items: Vec<&[u8]> = raw.iter().map(|bytes| bytes.as_bytes()).collect();
        let results = guard_free(py, || node.submit_many(&items))?;
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
        let node = self.get()?;
        let transaction = transaction.inner.clone();
        let hash = guard_free(py, || node.submit_recovered(transaction))?;
        hash.map(|hash| to_bytes(py, hash)).map_err(|error| from_submit(&error))
    }

    fn drop(&self, transaction_hash: Fixed<32>) -> PyResult<bool> {
        let node = self.get()?;
        guard(|| Ok(node.drop_transaction(&transaction_hash.0.into())))
    }

    fn drop_all(&self) -> PyResult<usize> {
        let node = self.get()?;
        guard(|| Ok(node.drop_all()))
    }

    fn pool_status(&self) -> PyResult<(usize, usize)> {
        let node = self.get()?;
        Ok(node.pool_status())
    }

    fn ready_gas(&self, count_max: usize) -> PyResult<Option<u64>> {
        let node = self.get()?;
        guard(|| Ok(node.ready_gas(count_max)))
    }

    #[pyo3(signature = (sender=None))]
    fn pool_content_json<'py>(&self, py: Python<'py>, sender: Option<Fixed<20>>) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        let sender = sender.map(|sender| Address::from(sender.0));
        Ok(to_bytes(py, guard_free(py, || node.pool_content_json(sender))?))
    }

    fn pool_inspect_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        Ok(to_bytes(py, guard_free(py, || node.pool_inspect_json())?))
    }

    fn pending_nonce(&self, address: Fixed<20>) -> PyResult<u64> {
        let node = self.get()?;
        guard(|| node.pending_nonce(address.0.into()).map_err(|error| from_node(&error)))
    }

    fn pending_hashes<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let node = self.get()?;
        Ok(node.pending_hashes().into_iter().map(|hash| to_bytes(py, hash)).collect())
    }
}
