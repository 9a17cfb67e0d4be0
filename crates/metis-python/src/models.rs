//! `ModelSet`: the models that precompiles find.

use std::sync::Arc;

use alloy_primitives::B256;
use metis_state_transition::Models;
use pyo3::{prelude::*, types::PyBytes};

use crate::{convert::Fixed, inference::InferenceModel};

/// Models by id, shared by all who are given the set.
#[pyclass(frozen, module = "metis.engine._native")]
#[derive(Default)]
pub struct ModelSet {
    inner: Arc<metis_executor::ModelSet>,
}

impl ModelSet {
    /// As chain rules want it; without a set, there are no models.
    pub fn host(given: Option<&Self>) -> Models {
        given.map_or_else(Models::default, |set| Models::new(set.inner.clone()))
    }
}

#[pymethods]
impl ModelSet {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    fn add(&self, model_id: Fixed<32>, model: &InferenceModel) {
        self.inner.add(model_id.0.into(), model.inner.clone());
    }

    fn remove(&self, model_id: Fixed<32>) -> bool {
        self.inner.remove(&model_id.0.into())
    }

    fn ids<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.inner.ids().iter().map(|id: &B256| PyBytes::new(py, id.as_slice())).collect()
    }
}
