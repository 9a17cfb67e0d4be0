//! `Node`: what the transactions of a block did to each other.

use pyo3::{prelude::*, types::PyDict};

use super::{Node, arguments::BlockReference};
use crate::{errors::from_node, guard::guard_free, record::record_fields};

#[pymethods]
impl Node {
    fn block_record<'py>(
        &self,
        py: Python<'py>,
        block: BlockReference,
        workers: usize,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let node = self.get()?;
        let record = guard_free(py, || node.block_record(block.0, workers))?.map_err(|error| from_node(&error))?;
        record.map(|record| record_fields(py, &record)).transpose()
    }
}
