//! `Node`: one node's hot state. Each file adds the methods of one idea.

mod answers;
mod arguments;
mod heads;
mod keys;
mod open;
mod pool;
mod read;
mod simulate;
mod write;

use std::sync::Arc;

use pyo3::prelude::*;

pub use keys::{address_of, derive_private_key, sign_hash, sign_transaction};

/// One node's hot state behind one door.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct Node {
    inner: Arc<metis_node::Node>,
}
