//! MetisDB's files: looking at them, and torturing them.

use std::sync::Arc;

use metis_db::{ArchiveReport, CommittedBlock, StoreReport, torture};
use pyo3::{prelude::*, types::PyDict};

use crate::{
    convert::to_bytes,
    errors::{from_store, storage_error},
    guard::guard_free,
    store::existing_folder,
};

pub fn block_fields<'py>(py: Python<'py>, block: &CommittedBlock) -> PyResult<Bound<'py, PyDict>> {
    let fields = PyDict::new(py);
    fields.set_item("number", block.number)?;
    fields.set_item("hash", to_bytes(py, block.hash))?;
    fields.set_item("state_root", to_bytes(py, block.state_root))?;
    Ok(fields)
}

pub fn archive_fields<'py>(py: Python<'py>, report: Option<&ArchiveReport>) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(report) = report else { return Ok(None) };
    let fields = PyDict::new(py);
    fields.set_item("state_count", report.state_count)?;
    fields.set_item("value_count", report.value_count)?;
    fields.set_item("file_count", report.file_count)?;
    fields.set_item("bytes", report.bytes)?;
    Ok(Some(fields))
}

/// What lies in the store of a directory; with `verify` every byte of it is checked.
#[pyfunction]
pub fn inspect_database<'py>(py: Python<'py>, path: &str, verify: bool) -> PyResult<Bound<'py, PyDict>> {
    let disk = existing_folder(path)?;
    let report = guard_free(py, || {
        let looked = if verify { metis_db::verify(&disk) } else { metis_db::inspect(&disk) };
        looked.map_err(|error| from_store(&error))
    })??;
    let StoreReport { checkpoint, newest, .. } = &report;
    let fields = PyDict::new(py);
    fields.set_item("generation", report.generation)?;
    fields.set_item("checkpoint", block_fields(py, checkpoint)?)?;
    fields.set_item("newest", newest.as_ref().map(|newest| block_fields(py, newest)).transpose()?)?;
    fields.set_item("oldest_block_number", report.oldest_block_number)?;
    fields.set_item("archive", archive_fields(py, report.archive.as_ref())?)?;
    fields.set_item("state_bytes", report.state_bytes)?;
    fields.set_item("used_bytes", report.used_bytes)?;
    fields.set_item("codes_bytes", report.codes_bytes)?;
    fields.set_item("log_bytes", report.log_bytes)?;
    fields.set_item("log_record_count", report.log_record_count)?;
    fields.set_item("damage", report.damage)?;
    Ok(fields)
}

/// Power cuts at many instants of so many plans: how many disks were opened, and what went wrong.
#[pyfunction]
pub fn torture_database(py: Python<'_>, seed: u64, rounds: u64) -> PyResult<(u64, Vec<String>)> {
    let report = guard_free(py, || torture::torture_images(seed, rounds))?;
    Ok((report.images, report.failures))
}

/// Takes steps of a plan in a directory; calls `acknowledge` with how many after each.
#[pyfunction]
pub fn write_database(
    py: Python<'_>,
    path: &str,
    seed: u64,
    begun: u64,
    step_count: u64,
    acknowledge: Py<PyAny>,
) -> PyResult<()> {
    let acknowledge = Arc::new(acknowledge);
    let written = guard_free(py, || {
        torture::write_until_killed(path, seed, begun, step_count, |count| {
            // Whoever reads the acknowledgements notices one that is missing.
            let _ = Python::attach(|py| acknowledge.call1(py, (count,)));
        })
    })?;
    written.map_err(|problem| storage_error("torture", &problem))
}

/// Checks what a killed writer left; how many steps it holds.
#[pyfunction]
pub fn check_database(py: Python<'_>, path: &str, seed: u64, acknowledged: u64) -> PyResult<u64> {
    guard_free(py, || torture::check_after_kill(path, seed, acknowledged))?
        .map_err(|problem| storage_error("torture", &problem))
}
