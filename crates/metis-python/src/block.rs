//! `Block`.

use std::sync::Arc;

use alloy_consensus::Header;
use alloy_primitives::B256;
use metis_executor::recover_block;
use metis_state_transition::decode_block;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};

use crate::{
    convert::{Fixed, to_bytes, to_int},
    errors::{from_batch, from_decode},
    genesis,
    guard::{guard, guard_free},
    transaction::Transaction,
};

/// A sealed block.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct Block {
    pub inner: Arc<metis_state_transition::Block>,
    hash: B256,
}

impl Block {
    pub fn new(inner: impl Into<Arc<metis_state_transition::Block>>) -> Self {
        let inner = inner.into();
        Self { hash: inner.header.hash_slow(), inner }
    }
}

#[pymethods]
impl Block {
    #[staticmethod]
    fn decode(rlp: &Bound<'_, PyBytes>) -> PyResult<Self> {
        guard(|| decode_block(rlp.as_bytes()).map(Self::new).map_err(|error| from_decode(&error, None)))
    }

    #[staticmethod]
    fn genesis(genesis_json: &Bound<'_, PyBytes>, state_root: Fixed<32>) -> PyResult<Self> {
        guard(|| {
            let document = genesis::parse(genesis_json.as_bytes())?;
            let header = genesis::header(&document, state_root.0.into())?;
            Ok(Self::new(genesis::block(header)))
        })
    }

    #[getter]
    fn hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        to_bytes(py, self.hash)
    }

    #[getter]
    fn number(&self) -> u64 {
        self.inner.header.number
    }

    #[getter]
    fn rlp<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        to_bytes(py, alloy_rlp::encode(&*self.inner))
    }

    fn header_fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        header_fields(py, &self.inner.header)
    }

    fn body_fields<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let block = &self.inner;
        let recovered = guard_free(py, || recover_block(block))?.map_err(|error| from_batch(&error))?;
        let transactions = recovered.into_iter().map(|inner| Py::new(py, Transaction { inner }));
        let ommers = block.body.ommers.iter().map(|ommer| to_bytes(py, ommer.hash_slow()));
        let withdrawals = block.body.withdrawals.as_ref().map(|withdrawals| {
            let entries = withdrawals
                .iter()
                .map(|entry| (entry.index, entry.validator_index, to_bytes(py, entry.address), entry.amount));
            entries.collect::<Vec<_>>()
        });
        let fields = PyDict::new(py);
        fields.set_item("transactions", transactions.collect::<PyResult<Vec<_>>>()?)?;
        fields.set_item("ommer_hashes", PyList::new(py, ommers)?)?;
        fields.set_item("withdrawals", withdrawals)?;
        Ok(fields)
    }
}

fn header_fields<'py>(py: Python<'py>, header: &Header) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    let optional_hash = |hash: Option<B256>| hash.map(|hash| to_bytes(py, hash));
    fields.set_item("parent_hash", to_bytes(py, header.parent_hash))?;
    fields.set_item("ommers_hash", to_bytes(py, header.ommers_hash))?;
    fields.set_item("beneficiary", to_bytes(py, header.beneficiary))?;
    fields.set_item("state_root", to_bytes(py, header.state_root))?;
    fields.set_item("transactions_root", to_bytes(py, header.transactions_root))?;
    fields.set_item("receipts_root", to_bytes(py, header.receipts_root))?;
    fields.set_item("logs_bloom", to_bytes(py, header.logs_bloom))?;
    fields.set_item("difficulty", to_int(py, header.difficulty)?)?;
    fields.set_item("number", header.number)?;
    fields.set_item("gas_limit", header.gas_limit)?;
    fields.set_item("gas_used", header.gas_used)?;
    fields.set_item("timestamp_s", header.timestamp)?;
    fields.set_item("extra_data", to_bytes(py, &header.extra_data))?;
    fields.set_item("prev_randao", to_bytes(py, header.mix_hash))?;
    fields.set_item("nonce", to_bytes(py, header.nonce))?;
    fields.set_item("base_fee_per_gas_wei", header.base_fee_per_gas)?;
    fields.set_item("withdrawals_root", optional_hash(header.withdrawals_root))?;
    fields.set_item("blob_gas_used", header.blob_gas_used)?;
    fields.set_item("excess_blob_gas", header.excess_blob_gas)?;
    fields.set_item("parent_beacon_block_root", optional_hash(header.parent_beacon_block_root))?;
    fields.set_item("requests_hash", optional_hash(header.requests_hash))?;
    Ok(fields)
}
