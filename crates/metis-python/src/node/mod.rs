//! `Node`: one node's hot state.

mod answers;
mod arguments;
mod keys;
mod simulate;

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use metis_chain::{chain::NewHeads, logs::LogLimits};
use metis_node::{BlockId, Durability, Imported, LogQuery, NodeConfig};
use metis_state_transition::RecoveredTransaction;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyList, PyTuple},
};

pub use keys::{address_of, derive_private_key, sign_hash, sign_transaction};

use crate::{
    block::Block,
    convert::{Blob, Fixed, Word, to_bytes, to_int},
    errors::{decode_error, from_node, from_submit, from_transaction},
    execution::block_attributes,
    genesis,
    guard::{guard, guard_free},
    rules::ChainSpec,
    store::alloc_accounts,
    transaction::Transaction,
};
use arguments::{BlockReference, log_filter, pool_config};

/// One node's hot state behind one door.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct Node {
    inner: Arc<metis_node::Node>,
}

type Json<'py> = Option<Bound<'py, PyBytes>>;

fn json<'py>(py: Python<'py>, encoded: Result<Option<Vec<u8>>, metis_node::NodeError>) -> PyResult<Json<'py>> {
    Ok(encoded.map_err(|error| from_node(&error))?.map(|bytes| to_bytes(py, bytes)))
}

#[pymethods]
impl Node {
    #[staticmethod]
    #[pyo3(signature = (genesis_json, alloc, data_dir=None, durability="block", kept_block_count=1024, pool=None))]
    fn open(
        py: Python<'_>,
        genesis_json: &Bound<'_, PyBytes>,
        alloc: &Bound<'_, PyAny>,
        data_dir: Option<std::path::PathBuf>,
        durability: &str,
        kept_block_count: usize,
        pool: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let durability = match durability {
            "block" => Durability::EveryBlock,
            "group" => Durability::Group { interval_ms: 10 },
            "none" => Durability::None,
            _ => return Err(decode_error("argument", "durability", "must be block, group or none", None)),
        };
        let accounts = alloc_accounts(alloc)?;
        let document = genesis::parse(genesis_json.as_bytes())?;
        let spec = genesis::chain_spec(&document)?;
        let config = NodeConfig { data_dir, durability, kept_block_count, pool: pool_config(pool)? };
        let opened = guard_free(py, || {
            let state = metis_db::MemoryStore::new(accounts.clone(), 0);
            let root = metis_db::StateSnapshot::block(&*metis_db::StateStore::latest(&state)).state_root;
            let header = genesis::header(&document, root)?;
            let block = genesis::block(header);
            metis_node::Node::open(spec, block, accounts.into_iter().collect(), &config)
                .map_err(|error| from_node(&error))
        })?;
        Ok(Self { inner: Arc::new(opened?) })
    }

    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        guard_free(py, || self.inner.sync())?.map_err(|error| from_node(&error))
    }

    fn tick(&self, py: Python<'_>, now_ms: u64) -> PyResult<bool> {
        guard_free(py, || self.inner.tick(now_ms))?.map_err(|error| from_node(&error))
    }

    #[getter]
    fn spec(&self) -> ChainSpec {
        ChainSpec { inner: Arc::new(self.inner.spec().clone()) }
    }

    #[getter]
    fn genesis_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        to_bytes(py, self.inner.genesis_hash())
    }

    #[getter]
    fn head_number(&self) -> u64 {
        self.inner.heads().latest.number
    }

    #[getter]
    fn head_hash<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        to_bytes(py, self.inner.heads().latest.hash)
    }

    #[getter]
    fn safe_number(&self) -> u64 {
        let heads = self.inner.heads();
        heads.safe.unwrap_or(heads.first).number
    }

    #[getter]
    fn finalized_number(&self) -> u64 {
        let heads = self.inner.heads();
        heads.finalized.unwrap_or(heads.first).number
    }

    #[getter]
    fn oldest_state_number(&self) -> u64 {
        self.inner.oldest_state_number()
    }

    fn number_of(&self, block: BlockReference) -> Option<u64> {
        let found = self.inner.find(block.0)?;
        self.inner.is_canonical(&found.hash).then_some(found.number)
    }

    fn is_known(&self, block_hash: Fixed<32>) -> bool {
        self.inner.find(BlockId::Hash(block_hash.0.into())).is_some()
    }

    fn block(&self, block: BlockReference) -> PyResult<Option<Block>> {
        let stored = self.inner.stored(block.0).map_err(|error| from_node(&error))?;
        Ok(stored.map(|stored| Block::new(stored.block.clone())))
    }

    #[pyo3(signature = (safe_hash, finalized_hash))]
    fn set_safe_finalized(
        &self,
        py: Python<'_>,
        safe_hash: Option<Fixed<32>>,
        finalized_hash: Option<Fixed<32>>,
    ) -> PyResult<()> {
        let heads = NewHeads {
            latest: None,
            safe: safe_hash.map(|hash| hash.0.into()),
            finalized: finalized_hash.map(|hash| hash.0.into()),
        };
        guard_free(py, || self.inner.set_heads(heads))?.map(|_| ()).map_err(|error| from_node(&error))
    }

    fn set_head(&self, py: Python<'_>, block_hash: Fixed<32>) -> PyResult<()> {
        let heads = NewHeads { latest: Some(block_hash.0.into()), ..NewHeads::default() };
        guard_free(py, || self.inner.set_heads(heads))?.map(|_| ()).map_err(|error| from_node(&error))
    }

    fn truncate(&self, py: Python<'_>, block_hash: Fixed<32>) -> PyResult<()> {
        let hash: B256 = block_hash.0.into();
        guard_free(py, || self.inner.truncate(&hash))?.map(|_| ()).map_err(|error| from_node(&error))
    }

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

    #[pyo3(signature = (attributes, transaction_count_max=None, fifo=false))]
    fn build<'py>(
        &self,
        py: Python<'py>,
        attributes: &Bound<'py, PyAny>,
        transaction_count_max: Option<usize>,
        fifo: bool,
    ) -> PyResult<Bound<'py, PyDict>> {
        let attributes = block_attributes(attributes)?;
        let (report, dropped) = guard_free(py, || self.inner.build(attributes, transaction_count_max, fifo))?
            .map_err(|error| from_node(&error))?;
        answers::report_fields(py, report, dropped.iter().map(|(hash, error)| (*hash, from_transaction(error, None))))
    }

    fn build_from<'py>(
        &self,
        py: Python<'py>,
        attributes: &Bound<'py, PyAny>,
        transactions: Vec<PyRef<'py, Transaction>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let attributes = block_attributes(attributes)?;
        let candidates: Vec<RecoveredTransaction> = transactions.iter().map(|entry| entry.inner.clone()).collect();
        let report =
            guard_free(py, || self.inner.build_from(attributes, &candidates))?.map_err(|error| from_node(&error))?;
        let dropped: Vec<(B256, PyErr)> = (report.skipped.iter())
            .map(|skipped| {
                let hash = *candidates[skipped.index].envelope.tx_hash();
                (hash, from_transaction(&skipped.error, Some(skipped.index)))
            })
            .collect();
        answers::report_fields(py, report, dropped.into_iter())
    }

    fn import_block(&self, py: Python<'_>, block: &Block) -> PyResult<&'static str> {
        let block = &block.inner;
        let imported = guard_free(py, || self.inner.import_block(block))?.map_err(|error| from_node(&error))?;
        Ok(match imported {
            Imported::Head => "head",
            Imported::Side => "side",
            Imported::Known => "known",
        })
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
        let (balance, code) = (balance_wei.map(|Word(wei)| wei), code.map(|Blob(code)| code));
        guard_free(py, || self.inner.set_account(address.0.into(), nonce, balance, code))?
            .map_err(|error| from_node(&error))
    }

    fn set_storage(&self, py: Python<'_>, address: Fixed<20>, slot: Word, value: Word) -> PyResult<()> {
        guard_free(py, || self.inner.set_storage(address.0.into(), slot.0, value.0))?.map_err(|error| from_node(&error))
    }

    fn balance<'py>(&self, py: Python<'py>, address: Fixed<20>, block: BlockReference) -> PyResult<Bound<'py, PyAny>> {
        let wei = guard(|| self.inner.balance(address.0.into(), block.0).map_err(|error| from_node(&error)))?;
        to_int(py, wei)
    }

    fn nonce(&self, address: Fixed<20>, block: BlockReference) -> PyResult<u64> {
        guard(|| self.inner.nonce(address.0.into(), block.0).map_err(|error| from_node(&error)))
    }

    fn code<'py>(&self, py: Python<'py>, address: Fixed<20>, block: BlockReference) -> PyResult<Bound<'py, PyBytes>> {
        let code = guard(|| self.inner.code(address.0.into(), block.0).map_err(|error| from_node(&error)))?;
        Ok(to_bytes(py, code))
    }

    fn storage<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        slot: Word,
        block: BlockReference,
    ) -> PyResult<Bound<'py, PyAny>> {
        let value = guard(|| self.inner.storage(address.0.into(), slot.0, block.0).map_err(|error| from_node(&error)))?;
        to_int(py, value)
    }

    fn proof_json<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        slots: Vec<Word>,
        block: BlockReference,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let slots: Vec<U256> = slots.into_iter().map(|Word(slot)| slot).collect();
        let encoded = guard_free(py, || self.inner.proof_json(address.0.into(), &slots, block.0))?;
        Ok(to_bytes(py, encoded.map_err(|error| from_node(&error))?))
    }

    fn header_json<'py>(&self, py: Python<'py>, block: BlockReference) -> PyResult<Json<'py>> {
        guard(|| json(py, self.inner.header_json(block.0)))
    }

    fn block_json<'py>(&self, py: Python<'py>, block: BlockReference, full: bool) -> PyResult<Json<'py>> {
        guard(|| json(py, self.inner.block_json(block.0, full)))
    }

    fn transaction_json<'py>(&self, py: Python<'py>, transaction_hash: Fixed<32>) -> PyResult<Json<'py>> {
        guard(|| json(py, self.inner.transaction_json(&transaction_hash.0.into())))
    }

    fn transaction_at_json<'py>(&self, py: Python<'py>, block: BlockReference, index: usize) -> PyResult<Json<'py>> {
        guard(|| json(py, self.inner.transaction_at_json(block.0, index)))
    }

    fn receipt_json<'py>(&self, py: Python<'py>, transaction_hash: Fixed<32>) -> PyResult<Json<'py>> {
        guard(|| json(py, self.inner.receipt_json(&transaction_hash.0.into())))
    }

    fn block_receipts_json<'py>(&self, py: Python<'py>, block: BlockReference) -> PyResult<Json<'py>> {
        guard(|| json(py, self.inner.block_receipts_json(block.0)))
    }

    fn transaction_count(&self, block: BlockReference) -> PyResult<Option<usize>> {
        let stored = self.inner.stored(block.0).map_err(|error| from_node(&error))?;
        Ok(stored.map(|stored| stored.block.body.transactions.len()))
    }

    fn uncle_count(&self, block: BlockReference) -> PyResult<Option<usize>> {
        let stored = self.inner.stored(block.0).map_err(|error| from_node(&error))?;
        Ok(stored.map(|stored| stored.block.body.ommers.len()))
    }

    fn raw_transaction<'py>(&self, py: Python<'py>, transaction_hash: Fixed<32>) -> PyResult<Json<'py>> {
        guard(|| json(py, self.inner.raw_transaction(&transaction_hash.0.into())))
    }

    fn raw_receipts<'py>(&self, py: Python<'py>, block: BlockReference) -> PyResult<Option<Vec<Bound<'py, PyBytes>>>> {
        let raw = guard(|| self.inner.raw_receipts(block.0).map_err(|error| from_node(&error)))?;
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
        let filter = log_filter(addresses, topics)?;
        let limits = LogLimits { logs_max: count_max, ..LogLimits::default() };
        let query = LogQuery { blocks: from_block..=to_block, filter };
        let encoded = guard_free(py, || self.inner.logs_json(query, limits))?;
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
        let filter = log_filter(addresses, topics)?;
        json(py, guard_free(py, || self.inner.block_logs_json(&block_hash.0.into(), &filter, count_max))?)
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (pending, queued) = self.inner.pool_status();
        let fields = PyDict::new(py);
        fields.set_item("head_number", self.inner.heads().latest.number)?;
        fields.set_item("oldest_state_number", self.inner.oldest_state_number())?;
        fields.set_item("pool_pending", pending)?;
        fields.set_item("pool_queued", queued)?;
        Ok(fields)
    }

    #[pyo3(signature = (call, block, overrides=None, block_overrides=None))]
    fn call<'py>(
        &self,
        py: Python<'py>,
        call: &Bound<'py, PyAny>,
        block: BlockReference,
        overrides: Option<&Bound<'py, PyAny>>,
        block_overrides: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        simulate::call(py, &self.inner, call, block, overrides, block_overrides)
    }

    #[pyo3(signature = (call, block, overrides=None, block_overrides=None))]
    fn estimate_gas<'py>(
        &self,
        py: Python<'py>,
        call: &Bound<'py, PyAny>,
        block: BlockReference,
        overrides: Option<&Bound<'py, PyAny>>,
        block_overrides: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        simulate::estimate_gas(py, &self.inner, call, block, overrides, block_overrides)
    }

    #[pyo3(signature = (call, block, overrides=None))]
    fn create_access_list<'py>(
        &self,
        py: Python<'py>,
        call: &Bound<'py, PyAny>,
        block: BlockReference,
        overrides: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyDict>)> {
        simulate::create_access_list(py, &self.inner, call, block, overrides)
    }

    fn fee_history<'py>(
        &self,
        py: Python<'py>,
        newest: u64,
        block_count: u64,
        percentiles: Vec<f64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let history = guard_free(py, || self.inner.fee_history(newest, block_count, &percentiles))?
            .map_err(|error| from_node(&error))?;
        answers::history_fields(py, history, !percentiles.is_empty())
    }
}
