//! Methods of `Node` for development chains.

use metis_chain::chain::{BlockRef, HeadChange};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};

use super::Node;
use crate::{
    alloc::alloc_accounts,
    convert::{Fixed, Word, to_bytes},
    errors::from_node,
    execution::block_attributes,
    guard::{guard, guard_free},
};

fn block_list<'py>(py: Python<'py>, blocks: &[BlockRef]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, blocks.iter().map(|block| (block.number, to_bytes(py, block.hash))))
}

fn change_fields<'py>(py: Python<'py>, change: &HeadChange) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("removed", block_list(py, &change.removed)?)?;
    fields.set_item("added", block_list(py, &change.added)?)?;
    Ok(fields)
}

#[pymethods]
impl Node {
    fn next_base_fee_wei(&self) -> PyResult<u64> {
        let node = self.get()?;
        guard(|| node.next_base_fee().map_err(|error| from_node(&error)))
    }

    fn set_next_base_fee(&self, base_fee_per_gas_wei: Option<u64>) -> PyResult<()> {
        let node = self.get()?;
        guard(|| node.set_next_base_fee(base_fee_per_gas_wei).map_err(|error| from_node(&error)))
    }

    fn set_chain_id(&self, py: Python<'_>, chain_id: u64) -> PyResult<()> {
        let node = self.get()?;
        guard_free(py, || node.set_chain_id(chain_id))?.map_err(|error| from_node(&error))
    }

    fn set_min_gas_price(&self, price_wei: u128) -> PyResult<()> {
        let node = self.get()?;
        guard(|| {
            node.set_min_gas_price(price_wei);
            Ok(())
        })
    }

    fn add_balance(&self, py: Python<'_>, address: Fixed<20>, wei: Word) -> PyResult<()> {
        let node = self.get()?;
        guard_free(py, || node.add_balance(address.0.into(), wei.0))?.map_err(|error| from_node(&error))
    }

    fn drop_sender(&self, sender: Fixed<20>) -> PyResult<usize> {
        let node = self.get()?;
        guard(|| Ok(node.drop_sender(&sender.0.into())))
    }

    fn accounts_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        let json = guard_free(py, || node.accounts_json())?;
        Ok(to_bytes(py, json.map_err(|error| from_node(&error))?))
    }

    fn merge_accounts(&self, py: Python<'_>, accounts: &Bound<'_, PyAny>) -> PyResult<()> {
        let node = self.get()?;
        let accounts = alloc_accounts(accounts)?.into_iter().collect();
        guard_free(py, || node.merge_accounts(accounts))?.map_err(|error| from_node(&error))
    }

    fn take_snapshot(&self, py: Python<'_>) -> PyResult<u64> {
        let node = self.get()?;
        guard_free(py, || node.take_snapshot())?.map_err(|error| from_node(&error))
    }

    fn snapshots<'py>(&self, py: Python<'py>) -> PyResult<Vec<(u64, u64, Bound<'py, PyBytes>)>> {
        let node = self.get()?;
        let snapshots = guard(|| Ok(node.snapshots()))?;
        Ok(snapshots.into_iter().map(|(id, number, hash)| (id, number, to_bytes(py, hash))).collect())
    }

    fn revert<'py>(&self, py: Python<'py>, snapshot: u64) -> PyResult<Option<Bound<'py, PyDict>>> {
        let node = self.get()?;
        let change = guard_free(py, || node.revert(snapshot))?.map_err(|error| from_node(&error))?;
        change.map(|change| change_fields(py, &change)).transpose()
    }

    fn discard(&self, py: Python<'_>, snapshot: u64) -> PyResult<()> {
        let node = self.get()?;
        guard_free(py, || node.discard(snapshot))
    }

    fn transaction_of_sender_json<'py>(
        &self,
        py: Python<'py>,
        sender: Fixed<20>,
        nonce: u64,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let node = self.get()?;
        let found = guard_free(py, || node.transaction_of_sender_json(&sender.0.into(), nonce))?;
        Ok(found.map_err(|error| from_node(&error))?.map(|encoded| to_bytes(py, encoded)))
    }

    fn rewind<'py>(&self, py: Python<'py>, block_count: u64) -> PyResult<Bound<'py, PyDict>> {
        let node = self.get()?;
        let change = guard_free(py, || node.rewind(block_count))?.map_err(|error| from_node(&error))?;
        change_fields(py, &change)
    }

    fn reset<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let node = self.get()?;
        let change = guard_free(py, || node.reset())?.map_err(|error| from_node(&error))?;
        change_fields(py, &change)
    }

    fn mine_empty<'py>(
        &self,
        py: Python<'py>,
        attributes: &Bound<'py, PyAny>,
        block_count: u64,
        interval_s: u64,
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let node = self.get()?;
        let attributes = block_attributes(attributes)?;
        let mined = guard_free(py, || node.mine_empty(attributes, block_count, interval_s))?;
        let hashes = mined.map_err(|error| from_node(&error))?;
        Ok(hashes.into_iter().map(|hash| to_bytes(py, hash)).collect())
    }
}
