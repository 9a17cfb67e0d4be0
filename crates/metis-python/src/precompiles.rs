//! `ChainPrecompiles`: a chain's own precompiles for somebody else's virtual machine.

use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, Log, U256};
use metis_state_transition::{PrecompileCall, PrecompileHost, PrecompileOutcome, PrecompileSet as _};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyList},
};

use crate::{
    convert::{Fixed, Word, to_int, to_logs},
    errors::{engine_fault, model_unavailable},
    guard::guard,
    rules::ChainSpec,
};

/// The precompiles that a chain has beside Ethereum's, as of one block.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct ChainPrecompiles {
    inner: Mutex<metis_state_transition::ChainPrecompiles>,
    addresses: Vec<Address>,
    block_number: u64,
}

/// The world as Python has it: storage by a function, logs in a list.
struct Host<'a, 'py> {
    load: &'a Bound<'py, PyAny>,
    logs: Vec<Log>,
    raised: Option<PyErr>,
}

impl PrecompileHost for Host<'_, '_> {
    fn sload(&mut self, address: Address, slot: U256) -> Option<U256> {
        let asked = || -> PyResult<U256> {
            let address = PyBytes::new(self.load.py(), address.as_slice());
            let found = self.load.call1((address, to_int(self.load.py(), slot)?))?;
            Ok(found.extract::<Word>()?.0)
        };
        asked().map_err(|error| self.raised = Some(error)).ok()
    }

    fn log(&mut self, log: Log) {
        self.logs.push(log);
    }
}

#[pymethods]
impl ChainPrecompiles {
    #[new]
    fn new(chain: &ChainSpec, block_number: u64, timestamp_s: u64) -> PyResult<Self> {
        guard(|| {
            let mut inner = metis_state_transition::ChainPrecompiles::default();
            let addresses = inner.activate(&chain.inner.rules_at(block_number, timestamp_s));
            Ok(Self { inner: Mutex::new(inner), addresses, block_number })
        })
    }

    #[getter]
    fn addresses<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.addresses.iter().map(|address| PyBytes::new(py, address.as_slice())).collect()
    }

    fn begin_transaction(&self) {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).begin_transaction();
    }

    #[allow(clippy::too_many_arguments)] // what a call is
    fn run<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        data: &Bound<'py, PyBytes>,
        gas_limit: u64,
        caller: Fixed<20>,
        value_wei: Word,
        load: &Bound<'py, PyAny>,
    ) -> PyResult<(&'static str, Bound<'py, PyBytes>, u64, Bound<'py, PyList>)> {
        let call = PrecompileCall {
            address: address.0.into(),
            input: data.as_bytes(),
            gas_limit,
            is_static: false,
            caller: caller.0.into(),
            value: value_wei.0,
            block_number: self.block_number,
        };
        let mut host = Host { load, logs: Vec::new(), raised: None };
        // What Python is asked may call this again: nothing is locked meanwhile.
        let mut own = self.inner.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let outcome = guard(|| Ok(own.run(call, &mut host)))?;
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = own;
        if let Some(error) = host.raised {
            return Err(error);
        }
        let (status, output, gas_used) = match outcome {
            PrecompileOutcome::Return { output, gas_used } => ("success", output, gas_used),
            PrecompileOutcome::Revert { output, gas_used } => ("revert", output, gas_used),
            PrecompileOutcome::OutOfGas | PrecompileOutcome::Failure => ("halt", Default::default(), gas_limit),
            PrecompileOutcome::MissingModel(model) => return Err(model_unavailable(&model)),
            PrecompileOutcome::Fault(message) => return Err(engine_fault(&message)),
        };
        let logs = if status == "success" { host.logs } else { Vec::new() };
        Ok((status, PyBytes::new(py, &output), gas_used, to_logs(py, &logs)?))
    }
}
