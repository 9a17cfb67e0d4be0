//! MetisDB's states on their way out and in, and room given back.

use std::sync::Arc;

use metis_db::{MetisConfig, StateCounts, StateSnapshot, StateStore, TableLoad};
use metis_disk::FileDisk;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use crate::{
    convert::to_bytes,
    database::{archive_fields, block_fields},
    errors::{engine_fault, from_store, storage_error},
    guard::guard_free,
    store::{existing_folder, secret},
};

/// A state being exported: an iterator over bytes.
#[pyclass(module = "metis.engine._native")]
pub struct StateExport {
    inner: metis_db::StateExport,
}

#[pymethods]
impl StateExport {
    #[new]
    #[pyo3(signature = (path, block_number=None))]
    fn new(py: Python<'_>, path: &str, block_number: Option<u64>) -> PyResult<Self> {
        let disk = existing_folder(path)?;
        let inner = guard_free(py, || metis_db::MetisStore::open_to_read(&disk)?.export(block_number))?;
        Ok(Self { inner: inner.map_err(|error| from_store(&error))? })
    }

    const fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let next = guard_free(py, || self.inner.next())?;
        Ok(next.transpose().map_err(|error| from_store(&error))?.map(|bytes| to_bytes(py, bytes)))
    }

    #[getter]
    fn block<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        block_fields(py, &self.inner.snapshot().block())
    }

    #[getter]
    fn account_count(&self) -> usize {
        self.inner.account_count()
    }

    #[getter]
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        counts_fields(py, &self.inner.counts())
    }
}

/// An exported state being read.
#[pyclass(module = "metis.engine._native")]
pub struct StateImport {
    /// Gone when it is finished.
    inner: Option<metis_db::StateImport>,
}

#[pymethods]
impl StateImport {
    #[new]
    fn new(py: Python<'_>) -> PyResult<Self> {
        let config = MetisConfig::new(secret(py)?);
        let inner = metis_db::StateImport::new(&config).map_err(|error| from_store(&error))?;
        Ok(Self { inner: Some(inner) })
    }

    fn feed(&mut self, py: Python<'_>, data: &[u8]) -> PyResult<()> {
        guard_free(py, || self.inner.as_mut().map(|import| import.feed(data)))?
            .ok_or_else(finished)?
            .map_err(|error| from_store(&error))
    }

    #[getter]
    fn counts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counts = self.inner.as_ref().map(metis_db::StateImport::counts).ok_or_else(finished)?;
        counts_fields(py, &counts)
    }

    fn finish<'py>(&mut self, py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyDict>> {
        let import = self.inner.take().ok_or_else(finished)?;
        let store = guard_free(py, || {
            let disk = FileDisk::new(path).map_err(|error| storage_error("io", &error.to_string()))?;
            import.finish(Arc::new(disk)).map_err(|error| from_store(&error))
        })??;
        block_fields(py, &store.latest().block())
    }
}

fn finished() -> PyErr {
    engine_fault("the import was finished before")
}

fn counts_fields<'py>(py: Python<'py>, counts: &StateCounts) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("accounts", counts.accounts)?;
    fields.set_item("slots", counts.slots)?;
    fields.set_item("codes", counts.codes)?;
    Ok(fields)
}

fn load_fields<'py>(py: Python<'py>, load: &TableLoad) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("segment_count", load.segment_count)?;
    fields.set_item("entry_count", load.entry_count)?;
    fields.set_item("used_count", load.used_count)?;
    fields.set_item("deleted_count", load.deleted_count)?;
    fields.set_item("load", load.used_count as f64 / load.entry_count.max(1) as f64)?;
    Ok(fields)
}

/// What the store of a directory holds, and what it takes.
#[pyfunction]
pub fn database_stats<'py>(py: Python<'py>, path: &str) -> PyResult<Bound<'py, PyDict>> {
    let disk = existing_folder(path)?;
    let stats = guard_free(py, || metis_db::stats(&disk))?.map_err(|error| from_store(&error))?;
    let fields = PyDict::new(py);
    fields.set_item("newest", block_fields(py, &stats.newest)?)?;
    fields.set_item("oldest_block_number", stats.oldest_block_number)?;
    fields.set_item("counts", counts_fields(py, &stats.counts)?)?;
    let index = PyDict::new(py);
    index.set_item("accounts", load_fields(py, &stats.accounts)?)?;
    index.set_item("slots", load_fields(py, &stats.slots)?)?;
    fields.set_item("index", index)?;
    let tries = PyDict::new(py);
    tries.set_item("branch_count", stats.tries.branch_count)?;
    tries.set_item("extension_count", stats.tries.extension_count)?;
    tries.set_item("account_count", stats.tries.account_count)?;
    tries.set_item("slot_count", stats.tries.slot_count)?;
    tries.set_item("storage_count", stats.tries.storage_count)?;
    tries.set_item("account_depths", stats.tries.account_depths)?;
    tries.set_item("slot_depths", stats.tries.slot_depths)?;
    fields.set_item("tries", tries)?;
    fields.set_item("state_count", stats.state_count)?;
    fields.set_item("old_value_count", stats.old_value_count)?;
    fields.set_item("archive", archive_fields(py, stats.archive.as_ref())?)?;
    let bytes = PyDict::new(py);
    bytes.set_item("accounts", stats.bytes.accounts)?;
    bytes.set_item("slots", stats.bytes.slots)?;
    bytes.set_item("tries", stats.bytes.tries)?;
    bytes.set_item("document", stats.bytes.document)?;
    bytes.set_item("rest", stats.bytes.rest)?;
    bytes.set_item("codes", stats.bytes.codes)?;
    bytes.set_item("log", stats.bytes.log)?;
    fields.set_item("bytes", bytes)?;
    Ok(fields)
}

/// Forgets older states of a directory's store, and gives room back.
#[pyfunction]
#[pyo3(signature = (path, kept_block_count, oldest_block_number=None))]
pub fn prune_database<'py>(
    py: Python<'py>,
    path: &str,
    kept_block_count: usize,
    oldest_block_number: Option<u64>,
) -> PyResult<Bound<'py, PyDict>> {
    let disk = existing_folder(path)?;
    let config = MetisConfig::new(secret(py)?).keeping(usize::MAX);
    let report = guard_free(py, || {
        // Opening a folder without a store would make one.
        metis_db::inspect(&disk)?;
        metis_db::MetisStore::open(Arc::new(disk), [], config)?.prune(kept_block_count, oldest_block_number)
    })?
    .map_err(|error| from_store(&error))?;
    let fields = PyDict::new(py);
    fields.set_item("state_count_before", report.state_count_before)?;
    fields.set_item("state_count", report.state_count)?;
    fields.set_item("bytes_before", report.bytes_before)?;
    fields.set_item("bytes", report.bytes)?;
    Ok(fields)
}
