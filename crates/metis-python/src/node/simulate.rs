//! `Node`: calls, estimates and access lists.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use metis_executor::GasEstimate;
use metis_node::{BlockOverrides, StateOverride};
use pyo3::{
    prelude::*,
    types::{PyDict, PyList, PyTuple},
};

use super::{Node, arguments::BlockReference};
use crate::{
    alloc::WordMap,
    convert::{Blob, Fixed, Word, attribute, to_bytes, to_int},
    errors::{decode_error, from_node},
    execution::call_fields,
    guard::guard_free,
    transaction::unsigned_call,
};

#[pymethods]
impl Node {
    #[pyo3(signature = (call, block, overrides=None, block_overrides=None))]
    fn call<'py>(
        &self,
        py: Python<'py>,
        call: &Bound<'py, PyAny>,
        block: BlockReference,
        overrides: Option<&Bound<'py, PyAny>>,
        block_overrides: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let node = self.get()?;
        let call = unsigned_call(call)?;
        let (overrides, assumed) = (state_overrides(overrides)?, block_assumptions(block_overrides)?);
        let outcome =
            guard_free(py, || node.call(&call, block.0, &overrides, &assumed))?.map_err(|error| from_node(&error))?;
        call_fields(py, &outcome)
    }

    #[pyo3(signature = (call, block, overrides=None, block_overrides=None))]
    fn estimate_gas<'py>(
        &self,
        py: Python<'py>,
        call: &Bound<'py, PyAny>,
        block: BlockReference,
        overrides: Option<&Bound<'py, PyAny>>,
        block_overrides: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let node = self.get()?;
        let call = unsigned_call(call)?;
        let (overrides, assumed) = (state_overrides(overrides)?, block_assumptions(block_overrides)?);
        let estimate = guard_free(py, || node.estimate_gas(&call, block.0, &overrides, &assumed))?
            .map_err(|error| from_node(&error))?;
        match estimate {
            GasEstimate::Gas(gas) => ("gas", gas).into_pyobject(py),
            GasEstimate::Fails(outcome) => ("fails", call_fields(py, &outcome)?).into_pyobject(py),
            GasEstimate::AllowanceTooLow { gas_limit } => ("allowance", gas_limit).into_pyobject(py),
        }
    }

    #[pyo3(signature = (call, block, overrides=None))]
    fn create_access_list<'py>(
        &self,
        py: Python<'py>,
        call: &Bound<'py, PyAny>,
        block: BlockReference,
        overrides: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyDict>)> {
        let node = self.get()?;
        let call = unsigned_call(call)?;
        let overrides = state_overrides(overrides)?;
        let (list, outcome) = guard_free(py, || node.create_access_list(&call, block.0, &overrides))?
            .map_err(|error| from_node(&error))?;
        let entries = PyList::empty(py);
        for item in list.0 {
            let slots = item.storage_keys.iter().map(|key| to_int(py, U256::from_be_bytes(key.0)));
            entries.append((to_bytes(py, item.address), slots.collect::<PyResult<Vec<_>>>()?))?;
        }
        Ok((entries, call_fields(py, &outcome)?))
    }
}

pub(super) fn state_overrides(overrides: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<(Address, StateOverride)>> {
    const SUBJECT: &str = "state override";
    let Some(overrides) = overrides else { return Ok(Vec::new()) };
    let mut changes = Vec::new();
    for item in overrides.call_method0("items")?.try_iter()? {
        let (key, assumed) = item?.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        let Fixed(address) = key
            .extract::<Fixed<20>>()
            .map_err(|error| decode_error(SUBJECT, "address", &error.value(key.py()).to_string(), None))?;
        let words = |name: &str| -> PyResult<Option<BTreeMap<U256, U256>>> {
            Ok(attribute::<Option<WordMap>>(&assumed, SUBJECT, name)?.map(|WordMap(map)| map))
        };
        changes.push((
            address.into(),
            StateOverride {
                nonce: attribute(&assumed, SUBJECT, "nonce")?,
                balance: attribute::<Option<Word>>(&assumed, SUBJECT, "balance_wei")?.map(|Word(wei)| wei),
                code: attribute::<Option<Blob>>(&assumed, SUBJECT, "code")?.map(|Blob(code)| code),
                storage: words("storage")?,
                storage_diff: words("storage_diff")?,
                move_precompile_to: attribute::<Option<Fixed<20>>>(&assumed, SUBJECT, "move_precompile_to")?
                    .map(|Fixed(address)| address.into()),
            },
        ));
    }
    Ok(changes)
}

pub(super) fn block_assumptions(overrides: Option<&Bound<'_, PyAny>>) -> PyResult<BlockOverrides> {
    const SUBJECT: &str = "block override";
    let Some(assumed) = overrides else { return Ok(BlockOverrides::default()) };
    Ok(BlockOverrides {
        number: attribute(assumed, SUBJECT, "number")?,
        timestamp: attribute(assumed, SUBJECT, "timestamp_s")?,
        gas_limit: attribute(assumed, SUBJECT, "gas_limit")?,
        beneficiary: attribute::<Option<Fixed<20>>>(assumed, SUBJECT, "beneficiary")?.map(|bytes| bytes.0.into()),
        prev_randao: attribute::<Option<Fixed<32>>>(assumed, SUBJECT, "prev_randao")?.map(|bytes| bytes.0.into()),
        base_fee_per_gas: attribute(assumed, SUBJECT, "base_fee_per_gas_wei")?,
        blob_base_fee: attribute(assumed, SUBJECT, "blob_base_fee_wei")?,
    })
}
