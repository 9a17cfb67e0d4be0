//! `Node`: one node's hot state. Each file adds the methods of one idea.

mod answer;
mod answers;
mod arguments;
mod control;
mod explain;
mod fork;
mod heads;
mod keys;
mod open;
mod parity;
mod pool;
mod read;
mod sequence;
mod simulate;
mod simulate_blocks;
mod trace;
mod write;

use std::sync::{Arc, PoisonError, RwLock};

use pyo3::prelude::*;

use crate::errors::storage_error;

pub use answer::Answerer;
pub use keys::{address_of, derive_private_key, recover_address, sign_hash, sign_transaction};

/// One node's hot state behind one door.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct Node {
    /// `None` once it is closed.
    inner: RwLock<Option<Arc<metis_node::Node>>>,
}

impl Node {
    fn new(node: metis_node::Node) -> Self {
        Self { inner: RwLock::new(Some(Arc::new(node))) }
    }

    /// The node, unless it is closed.
    fn get(&self) -> PyResult<Arc<metis_node::Node>> {
        let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
        inner.clone().ok_or_else(|| storage_error("closed", "this node is closed"))
    }

    /// The node, which nobody gets any more.
    fn take(&self) -> Option<Arc<metis_node::Node>> {
        self.inner.write().unwrap_or_else(PoisonError::into_inner).take()
    }
}
