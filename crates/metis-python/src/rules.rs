//! `ChainSpec`.

use std::sync::Arc;

use metis_state_transition::Fork;
use pyo3::{prelude::*, types::PyBytes};

use crate::{block::Block, errors::genesis_error, genesis, guard::guard, models::ModelSet};

/// Which rules hold at which block.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct ChainSpec {
    pub inner: Arc<metis_state_transition::ChainSpec>,
}

impl ChainSpec {
    fn new(inner: metis_state_transition::ChainSpec) -> Self {
        Self { inner: Arc::new(inner) }
    }
}

#[pymethods]
impl ChainSpec {
    #[staticmethod]
    #[pyo3(signature = (genesis_json, models=None))]
    fn from_genesis(genesis_json: &Bound<'_, PyBytes>, models: Option<&ModelSet>) -> PyResult<Self> {
        guard(|| {
            let mut spec = genesis::chain_spec(&genesis::parse(genesis_json.as_bytes())?)?;
            spec.models = ModelSet::host(models);
            Ok(Self::new(spec))
        })
    }

    #[staticmethod]
    #[pyo3(signature = (fork, chain_id=1))]
    fn at_fork(fork: &str, chain_id: u64) -> PyResult<Self> {
        Ok(Self::new(metis_state_transition::ChainSpec::at_fork(fork_named(fork)?, chain_id)))
    }

    fn without_transaction_gas_limit_cap(&self) -> Self {
        let mut spec = (*self.inner).clone();
        spec.transaction_gas_limit_cap = Some(None);
        Self::new(spec)
    }

    #[getter]
    fn chain_id(&self) -> u64 {
        self.inner.chain_id
    }

    fn fork_at(&self, block_number: u64, timestamp_s: u64) -> &'static str {
        self.inner.fork_at(block_number, timestamp_s).name()
    }

    fn next_base_fee_wei(&self, parent: &Block, timestamp_s: u64) -> PyResult<Option<u64>> {
        guard(|| Ok(self.inner.next_base_fee(&parent.inner.header, timestamp_s)))
    }

    fn next_excess_blob_gas(&self, parent: &Block, timestamp_s: u64) -> PyResult<Option<u64>> {
        guard(|| Ok(self.inner.next_excess_blob_gas(&parent.inner.header, timestamp_s)))
    }
}

/// The fork of a name; `GenesisError` where there is none.
pub fn fork_named(name: &str) -> PyResult<Fork> {
    Fork::from_name(name).map_err(|_| {
        let known = Fork::ALL.map(Fork::name).join(", ");
        genesis_error("fork", &format!("no fork is named {name:?}; known: {known}"))
    })
}

/// Every fork the engine implements, oldest first.
#[pyfunction]
pub fn fork_names() -> Vec<&'static str> {
    Fork::ALL.map(Fork::name).to_vec()
}
