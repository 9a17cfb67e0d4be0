//! `CodeRegistry`: what is hot, and what is compiled.

use std::{sync::Arc, time::Duration};

use alloy_primitives::B256;
use metis_vm::{
    VirtualMachine,
    compiled::{CodeReport, Mode, Registry, RegistryLimits, abi},
};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use crate::{
    convert::{Fixed, to_bytes},
    errors::{decode_error, from_artifact},
    guard::{guard, guard_free},
    rules::fork_named,
};

/// Longest that a caller is kept waiting: an hour.
const TIMEOUT_MS_MAX: u64 = 3_600_000;

/// What is known of each contract's code: its heat, and its machine code where there is some.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct CodeRegistry {
    pub inner: Arc<Registry>,
}

/// The virtual machine that uses a registry.
pub fn virtual_machine(registry: Option<&CodeRegistry>) -> VirtualMachine {
    registry.map_or(VirtualMachine::Interpreter, |registry| VirtualMachine::Compiled(Arc::clone(&registry.inner)))
}

/// Hash of the code, fork, code.
type HotCode<'py> = (Bound<'py, PyBytes>, &'static str, Bound<'py, PyBytes>);

#[pymethods]
impl CodeRegistry {
    #[new]
    #[pyo3(signature = (mode, hot_gas=None, code_bytes_max=None))]
    fn new(mode: &str, hot_gas: Option<u64>, code_bytes_max: Option<usize>) -> PyResult<Self> {
        let mode = match mode {
            "off" => Mode::Off,
            "auto" => Mode::Auto,
            "eager" => Mode::Eager,
            _ => return Err(decode_error("argument", "mode", "must be off, auto or eager", None)),
        };
        let defaults = RegistryLimits::default();
        let limits = RegistryLimits {
            hot_gas: hot_gas.unwrap_or(defaults.hot_gas),
            code_bytes_max: code_bytes_max.unwrap_or(defaults.code_bytes_max),
        };
        Ok(Self { inner: Arc::new(Registry::new(mode, limits)) })
    }

    #[getter]
    fn mode(&self) -> &'static str {
        match self.inner.mode() {
            Mode::Off => "off",
            Mode::Auto => "auto",
            Mode::Eager => "eager",
        }
    }

    fn take_hot<'py>(&self, py: Python<'py>, timeout_ms: u64, count_max: usize) -> PyResult<Vec<HotCode<'py>>> {
        let timeout = Duration::from_millis(timeout_ms.min(TIMEOUT_MS_MAX));
        let hot = guard_free(py, || self.inner.take_hot(timeout, count_max))?;
        Ok(hot.into_iter().map(|hot| (to_bytes(py, hot.code_hash), hot.fork.name(), to_bytes(py, &hot.code))).collect())
    }

    fn install(&self, py: Python<'_>, artifact: &Bound<'_, PyBytes>) -> PyResult<()> {
        let bytes = artifact.as_bytes();
        guard_free(py, || self.inner.install(bytes))?.map_err(|error| from_artifact(&error))
    }

    fn refuse(&self, code_hash: Fixed<32>, fork: &str, reason: String) -> PyResult<()> {
        let fork = fork_named(fork)?;
        guard(|| {
            self.inner.refuse(B256::from(code_hash.0), fork, reason);
            Ok(())
        })
    }

    fn report<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let reports = guard_free(py, || self.inner.report())?;
        reports.iter().map(|report| report_fields(py, report)).collect()
    }

    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let counters = guard_free(py, || self.inner.counters())?;
        let fields = PyDict::new(py);
        fields.set_item("codes", counters.codes)?;
        fields.set_item("compiled", counters.compiled)?;
        fields.set_item("refused", counters.refused)?;
        fields.set_item("queued", counters.queued)?;
        fields.set_item("code_bytes", counters.code_bytes)?;
        fields.set_item("installed", counters.installed)?;
        fields.set_item("rejected", counters.rejected)?;
        fields.set_item("evicted", counters.evicted)?;
        Ok(fields)
    }
}

fn report_fields<'py>(py: Python<'py>, report: &CodeReport) -> PyResult<Bound<'py, PyDict>> {
    let deoptimisations = PyDict::new(py);
    for (cause, count) in report.deoptimisations_by_cause() {
        deoptimisations.set_item(cause, count)?;
    }
    let fields = PyDict::new(py);
    fields.set_item("code_hash", to_bytes(py, report.code_hash))?;
    fields.set_item("fork", report.fork.name())?;
    fields.set_item("state", report.state)?;
    fields.set_item("refusal", report.refusal.as_deref())?;
    fields.set_item("gas_interpreted", report.gas_interpreted)?;
    fields.set_item("gas_compiled", report.gas_compiled)?;
    fields.set_item("frames_interpreted", report.frames_interpreted)?;
    fields.set_item("frames_compiled", report.frames_compiled)?;
    fields.set_item("deoptimisations", deoptimisations)?;
    fields.set_item("code_bytes", report.code_bytes)?;
    Ok(fields)
}

/// The processor that compiled code may be made for.
#[pyfunction]
pub fn machine_target() -> &'static str {
    abi::machine_target()
}

/// The constants of docs/metisvm-abi.md.
#[pyfunction]
pub fn compiled_code_abi(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let constants = PyDict::new(py);
    for (name, value) in abi::CONSTANTS {
        constants.set_item(name, value)?;
    }
    Ok(constants)
}

/// Name, static gas, stack items taken and given, and whether the fork has it.
type OpcodeRow = (&'static str, u16, u8, u8, bool);

/// Every opcode of a fork: name, static gas, inputs, outputs, whether it is active.
#[pyfunction]
pub fn opcode_table(fork: &str) -> PyResult<Vec<OpcodeRow>> {
    let described = metis_vm::opcode_table(fork_named(fork)?);
    Ok(described.iter().map(|one| (one.name, one.static_gas, one.inputs, one.outputs, one.is_active)).collect())
}
