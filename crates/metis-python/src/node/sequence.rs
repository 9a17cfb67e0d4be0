//! `Node`: messages one after the other, and the state between the transactions of a block.

use metis_node::MessageBundle;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyTuple},
};

use super::{
    Node,
    arguments::BlockReference,
    parity::trace_types,
    simulate::{block_assumptions, state_overrides},
};
use crate::{
    convert::{Fixed, to_bytes, to_int},
    errors::from_node,
    execution::call_fields,
    guard::guard_free,
    transaction::unsigned_call,
};

/// Messages, and what replaces the values of their block.
type Bundle<'py> = (Vec<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>);

#[pymethods]
impl Node {
    #[pyo3(signature = (bundles, block, transaction_count=None, overrides=None))]
    fn call_many<'py>(
        &self,
        py: Python<'py>,
        bundles: Vec<Bundle<'py>>,
        block: BlockReference,
        transaction_count: Option<usize>,
        overrides: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Vec<Bound<'py, PyDict>>>> {
        let node = self.get()?;
        let read = |(messages, assumed): (Vec<Bound<'py, PyAny>>, Option<Bound<'py, PyAny>>)| {
            let messages = messages.iter().map(unsigned_call).collect::<PyResult<_>>()?;
            Ok(MessageBundle { block: block_assumptions(assumed.as_ref())?, messages })
        };
        let bundles = bundles.into_iter().map(read).collect::<PyResult<Vec<_>>>()?;
        let overrides = state_overrides(overrides)?;
        let outcomes = guard_free(py, || node.call_many(&bundles, block.0, transaction_count, &overrides))?
            .map_err(|error| from_node(&error))?;
        let shown = |bundle: &Vec<_>| bundle.iter().map(|outcome| call_fields(py, outcome)).collect();
        outcomes.iter().map(shown).collect()
    }

    fn replayed_calls_json<'py>(
        &self,
        py: Python<'py>,
        calls: Vec<(Bound<'py, PyAny>, Vec<String>)>,
        block: BlockReference,
        size_bytes_max: usize,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let node = self.get()?;
        let read = |(call, types): &(Bound<'py, PyAny>, Vec<String>)| Ok((unsigned_call(call)?, trace_types(types)?));
        let calls = calls.iter().map(read).collect::<PyResult<Vec<_>>>()?;
        let encoded = guard_free(py, || node.replayed_calls_json(&calls, block.0, size_bytes_max))?;
        Ok(to_bytes(py, encoded.map_err(|error| from_node(&error))?))
    }

    fn account_within<'py>(
        &self,
        py: Python<'py>,
        block: BlockReference,
        transaction_count: usize,
        address: Fixed<20>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let node = self.get()?;
        let address = address.0.into();
        let found = guard_free(py, || node.account_within(block.0, transaction_count, &address))?
            .map_err(|error| from_node(&error))?;
        let Some((account, code)) = found else { return Ok(None) };
        Ok(Some((account.nonce, to_int(py, account.balance)?, to_bytes(py, code)).into_pyobject(py)?))
    }

    fn code_of_hash<'py>(&self, py: Python<'py>, code_hash: Fixed<32>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let found = self.get()?.code_of_hash(&code_hash.0.into()).map_err(|error| from_node(&error))?;
        Ok(found.map(|code| to_bytes(py, code)))
    }
}
