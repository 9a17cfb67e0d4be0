//! What this build is, and small services.

use metis_state_transition::TransactionError;
use pyo3::{prelude::*, types::PyBytes};

use crate::{
    convert::{Blob, to_bytes},
    guard::{guard, guard_free},
};

/// Version, cargo profile, target, CPU features and revm version of this build.
#[pyfunction]
pub fn build_info(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let info = pyo3::types::PyDict::new(py);
    info.set_item("version", env!("CARGO_PKG_VERSION"))?;
    info.set_item("profile", if cfg!(debug_assertions) { "debug" } else { "release" })?;
    info.set_item("target", format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS))?;
    info.set_item("cpu_features", cpu_features())?;
    info.set_item("revm", metis_vm::REVM_VERSION)?;
    Ok(info.into_any())
}

/// Features of the processor that later kernels choose by.
fn cpu_features() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let found = [
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("avx512f", std::arch::is_x86_feature_detected!("avx512f")),
            ("avx512vnni", std::arch::is_x86_feature_detected!("avx512vnni")),
        ];
        found.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
    }
    #[cfg(not(target_arch = "x86_64"))]
    String::new()
}

/// Keccak-256.
#[pyfunction]
pub fn keccak256<'py>(py: Python<'py>, data: Blob) -> Bound<'py, PyBytes> {
    to_bytes(py, alloy_primitives::keccak256(&data.0))
}

/// Slugs that `InvalidTransaction.reason` may have.
#[pyfunction]
pub fn transaction_error_slugs() -> Vec<&'static str> {
    TransactionError::SLUGS.to_vec()
}

/// Panics, on this thread or with the interpreter lock free, so that tests can see what comes out.
#[pyfunction]
#[pyo3(signature = (message, detached=false))]
pub fn inject_panic(py: Python<'_>, message: String, detached: bool) -> PyResult<()> {
    if detached { guard_free(py, || panic!("{message}")) } else { guard(|| panic!("{message}")) }
}
