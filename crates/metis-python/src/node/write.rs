//! `Node`: building and importing blocks, and changing state without one.

use std::sync::Arc;

use alloy_primitives::B256;
use metis_node::Imported;
use metis_state_transition::{RecoveredTransaction, decode_block};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList},
};

use super::{Node, answers};
use crate::{
    block::Block,
    convert::{Blob, Fixed, Word},
    errors::{from_import, from_node, from_transaction},
    execution::block_attributes,
    guard::guard_free,
    transaction::Transaction,
};

#[pymethods]
impl Node {
    #[pyo3(signature = (attributes, transaction_count_max=None, fifo=false, allow_empty=true))]
    fn build<'py>(
        &self,
        py: Python<'py>,
        attributes: &Bound<'py, PyAny>,
        transaction_count_max: Option<usize>,
        fifo: bool,
        allow_empty: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let node = self.get()?;
        let attributes = block_attributes(attributes)?;
        let (report, dropped) = guard_free(py, || node.build(attributes, transaction_count_max, fifo, allow_empty))?
            .map_err(|error| from_node(&error))?;
        answers::report_fields(py, report, dropped.iter().map(|(hash, error)| (*hash, from_transaction(error, None))))
    }

    fn build_from<'py>(
        &self,
        py: Python<'py>,
        attributes: &Bound<'py, PyAny>,
        transactions: Vec<PyRef<'py, Transaction>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let node = self.get()?;
        let attributes = block_attributes(attributes)?;
        let candidates: Vec<&RecoveredTransaction> = transactions.iter().map(|entry| &entry.inner).collect();
        let report = guard_free(py, || node.build_from(attributes, &candidates))?.map_err(|error| from_node(&error))?;
        let dropped: Vec<(B256, PyErr)> = (report.skipped.iter())
            .map(|skipped| {
                let hash = *candidates[skipped.index].envelope.tx_hash();
                (hash, from_transaction(&skipped.error, Some(skipped.index)))
            })
            .collect();
        answers::report_fields(py, Some(report), dropped.into_iter())
    }

    #[pyo3(signature = (attributes, transactions=None))]
    fn propose<'py>(
        &self,
        py: Python<'py>,
        attributes: &Bound<'py, PyAny>,
        transactions: Option<Vec<PyRef<'py, Transaction>>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let node = self.get()?;
        let attributes = block_attributes(attributes)?;
        let candidates: Option<Vec<&RecoveredTransaction>> =
            transactions.as_ref().map(|entries| entries.iter().map(|entry| &entry.inner).collect());
        let proposal = guard_free(py, || node.propose(attributes, candidates))?.map_err(|error| from_node(&error))?;
        answers::proposal_fields(py, proposal)
    }

    fn blobs<'py>(&self, py: Python<'py>, versioned_hashes: Vec<Fixed<32>>) -> PyResult<Bound<'py, PyList>> {
        let node = self.get()?;
        let hashes: Vec<B256> = versioned_hashes.into_iter().map(|hash| hash.0.into()).collect();
        let found = guard_free(py, || node.blobs(&hashes))?;
        PyList::new(py, found.iter().map(|blob| blob.as_ref().map(|blob| answers::blob_fields(py, blob))))
    }

    fn store_block(&self, py: Python<'_>, block: &Block) -> PyResult<&'static str> {
        let node = self.get()?;
        let block = &block.inner;
        let stored = guard_free(py, || node.store_block(block))?.map_err(|error| from_node(&error))?;
        Ok(imported_name(stored))
    }

    fn import_block(&self, py: Python<'_>, block: &Block) -> PyResult<&'static str> {
        let node = self.get()?;
        let block = &block.inner;
        let imported = guard_free(py, || node.import_block(block))?.map_err(|error| from_node(&error))?;
        Ok(imported_name(imported))
    }

    fn import_blocks(&self, py: Python<'_>, encoded: Vec<Bound<'_, PyBytes>>) -> PyResult<Vec<&'static str>> {
        let node = self.get()?;
        let encoded: Vec<&[u8]> = encoded.iter().map(|rlp| rlp.as_bytes()).collect();
        let decode = |rlp: &&[u8]| Ok(Arc::new(decode_block(rlp)?));
        let imported = guard_free(py, || node.import_blocks(encoded.iter().map(decode)))?;
        Ok(imported.map_err(|error| from_import(&error))?.into_iter().map(imported_name).collect())
    }

    #[pyo3(signature = (address, nonce=None, balance_wei=None, code=None))]
    fn set_account(
        &self,
        py: Python<'_>,
        address: Fixed<20>,
        nonce: Option<u64>,
        balance_wei: Option<Word>,
        code: Option<Blob>,
    ) -> PyResult<()> {
        let node = self.get()?;
        let (balance, code) = (balance_wei.map(|Word(wei)| wei), code.map(|Blob(code)| code));
        guard_free(py, || node.set_account(address.0.into(), nonce, balance, code))?.map_err(|error| from_node(&error))
    }

    fn set_storage(&self, py: Python<'_>, address: Fixed<20>, slot: Word, value: Word) -> PyResult<()> {
        let node = self.get()?;
        guard_free(py, || node.set_storage(address.0.into(), slot.0, value.0))?.map_err(|error| from_node(&error))
    }
}

const fn imported_name(imported: Imported) -> &'static str {
    match imported {
        Imported::Head => "head",
        Imported::Side => "side",
        Imported::Known => "known",
    }
}
