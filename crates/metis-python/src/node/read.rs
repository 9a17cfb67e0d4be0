//! `Node`: state, blocks, transactions, receipts and logs.

use alloy_primitives::U256;
use metis_chain::logs::LogLimits;
use metis_node::LogQuery;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use super::{
    Node, answers,
    arguments::{BlockReference, log_filter},
};
use crate::{
    block::Block,
    convert::{Fixed, Word, to_bytes, to_int},
    errors::from_node,
    guard::{guard, guard_free},
};

pub(super) type Json<'py> = Option<Bound<'py, PyBytes>>;

pub(super) fn json<'py>(
    py: Python<'py>,
    encoded: Result<Option<Vec<u8>>, metis_node::NodeError>,
) -> PyResult<Json<'py>> {
    Ok(encoded.map_err(|error| from_node(&error))?.map(|bytes| to_bytes(py, bytes)))
}

#[pymethods]
impl Node {
    fn balance<'py>(&self, py: Python<'py>, address: Fixed<20>, block: BlockReference) -> PyResult<Bound<'py, PyAny>> {
        let node = self.get()?;
        let wei = guard(|| node.balance(address.0.into(), block.0).map_err(|error| from_node(&error)))?;
        to_int(py, wei)
    }

    fn nonce(&self, address: Fixed<20>, block: BlockReference) -> PyResult<u64> {
        let node = self.get()?;
        guard(|| node.nonce(address.0.into(), block.0).map_err(|error| from_node(&error)))
    }

    fn code<'py>(&self, py: Python<'py>, address: Fixed<20>, block: BlockReference) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        let code = guard(|| node.code(address.0.into(), block.0).map_err(|error| from_node(&error)))?;
        Ok(to_bytes(py, code))
    }

    fn storage<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        slot: Word,
        block: BlockReference,
    ) -> PyResult<Bound<'py, PyAny>> {
        let node = self.get()?;
        let value = guard(|| node.storage(address.0.into(), slot.0, block.0).map_err(|error| from_node(&error)))?;
        to_int(py, value)
    }

    fn proof_json<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        slots: Vec<Word>,
        block: BlockReference,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        let slots: Vec<U256> = slots.into_iter().map(|Word(slot)| slot).collect();
        let encoded = guard_free(py, || node.proof_json(address.0.into(), &slots, block.0))?;
        Ok(to_bytes(py, encoded.map_err(|error| from_node(&error))?))
    }

    fn block(&self, block: BlockReference) -> PyResult<Option<Block>> {
        let node = self.get()?;
        let stored = node.stored(block.0).map_err(|error| from_node(&error))?;
        Ok(stored.map(|stored| Block::new(stored.block.clone())))
    }

    fn header_json<'py>(&self, py: Python<'py>, block: BlockReference) -> PyResult<Json<'py>> {
        let node = self.get()?;
        guard(|| json(py, node.header_json(block.0)))
    }

    fn block_json<'py>(&self, py: Python<'py>, block: BlockReference, full: bool) -> PyResult<Json<'py>> {
        let node = self.get()?;
        guard(|| json(py, node.block_json(block.0, full)))
    }

    fn transaction_json<'py>(&self, py: Python<'py>, transaction_hash: Fixed<32>) -> PyResult<Json<'py>> {
        let node = self.get()?;
        guard(|| json(py, node.transaction_json(&transaction_hash.0.into())))
    }

    fn transaction_at_json<'py>(&self, py: Python<'py>, block: BlockReference, index: usize) -> PyResult<Json<'py>> {
        let node = self.get()?;
        guard(|| json(py, node.transaction_at_json(block.0, index)))
    }

    fn receipt_json<'py>(&self, py: Python<'py>, transaction_hash: Fixed<32>) -> PyResult<Json<'py>> {
        let node = self.get()?;
        guard(|| json(py, node.receipt_json(&transaction_hash.0.into())))
    }

    fn block_receipts_json<'py>(&self, py: Python<'py>, block: BlockReference) -> PyResult<Json<'py>> {
        let node = self.get()?;
        guard(|| json(py, node.block_receipts_json(block.0)))
    }

    fn transaction_count(&self, block: BlockReference) -> PyResult<Option<usize>> {
        let node = self.get()?;
        let stored = node.stored(block.0).map_err(|error| from_node(&error))?;
        Ok(stored.map(|stored| stored.block.body.transactions.len()))
    }

    fn uncle_count(&self, block: BlockReference) -> PyResult<Option<usize>> {
        let node = self.get()?;
        let stored = node.stored(block.0).map_err(|error| from_node(&error))?;
        Ok(stored.map(|stored| stored.block.body.ommers.len()))
    }

    fn raw_transaction<'py>(&self, py: Python<'py>, transaction_hash: Fixed<32>) -> PyResult<Json<'py>> {
        let node = self.get()?;
        guard(|| json(py, node.raw_transaction(&transaction_hash.0.into())))
    }

    fn raw_receipts<'py>(&self, py: Python<'py>, block: BlockReference) -> PyResult<Option<Vec<Bound<'py, PyBytes>>>> {
        let node = self.get()?;
        let raw = guard(|| node.raw_receipts(block.0).map_err(|error| from_node(&error)))?;
        Ok(raw.map(|receipts| receipts.into_iter().map(|receipt| to_bytes(py, receipt)).collect()))
    }

    fn logs_json<'py>(
        &self,
        py: Python<'py>,
        from_block: u64,
        to_block: u64,
        addresses: Vec<Fixed<20>>,
        topics: &Bound<'py, PyAny>,
        count_max: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        let filter = log_filter(addresses, topics)?;
        let limits = LogLimits { logs_max: count_max, ..LogLimits::default() };
        let query = LogQuery { blocks: from_block..=to_block, filter };
        let encoded = guard_free(py, || node.logs_json(query, limits))?;
        Ok(to_bytes(py, encoded.map_err(|error| from_node(&error))?))
    }

    fn block_logs_json<'py>(
        &self,
        py: Python<'py>,
        block_hash: Fixed<32>,
        addresses: Vec<Fixed<20>>,
        topics: &Bound<'py, PyAny>,
        count_max: usize,
    ) -> PyResult<Json<'py>> {
        let node = self.get()?;
        let filter = log_filter(addresses, topics)?;
        json(py, guard_free(py, || node.block_logs_json(&block_hash.0.into(), &filter, count_max))?)
    }

    fn fee_history<'py>(
        &self,
        py: Python<'py>,
        newest: u64,
        block_count: u64,
        percentiles: Vec<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let node = self.get()?;
        let history = guard_free(py, || node.fee_history(newest, block_count, &percentiles))?
            .map_err(|error| from_node(&error))?;
        answers::history_fields(py, history, !percentiles.is_empty())
    }
}
