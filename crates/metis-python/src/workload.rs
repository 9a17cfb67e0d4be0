//! `Workload`: generated blocks, run by plain revm and by our executors.

use std::{path::PathBuf, time::Duration};

use alloy_primitives::Bytes;
use metis_db::{MetisSnapshot, StateStore};
use metis_state_transition::RecoveredTransaction;
use metis_vm::VirtualMachine;
use metis_workloads::{Contest, Contestant, Contracts, Tally, compare_runs};
use pyo3::{prelude::*, types::PyDict};

use crate::{
    code_registry::{CodeRegistry, virtual_machine},
    convert::{Blob, Fixed},
    errors::{decode_error, from_block, from_store},
    execution::block_environment,
    guard::guard_free,
    models::ModelSet,
    record::record_fields,
    rules::ChainSpec,
    store::MemoryStore,
    transaction::Transaction,
};

/// A generated block and the state before it.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct Workload {
    inner: AnyContest,
}

/// A contest on a store of either kind.
enum AnyContest {
    Memory(Contest),
    Metis(Contest<MetisSnapshot>),
}

macro_rules! with_contest {
    ($contest:expr, $inner:ident => $body:expr) => {
        match &$contest {
            AnyContest::Memory($inner) => $body,
            AnyContest::Metis($inner) => $body,
        }
    };
}

impl AnyContest {
    fn new(py: Python<'_>, workload: metis_workloads::Workload, state_store: &str) -> PyResult<Self> {
        match state_store {
            "memory" => guard_free(py, || Self::Memory(Contest::new(workload))),
            "metisdb" => guard_free(py, || {
                let store = workload.metis_store().map_err(|error| from_store(&error))?;
                Ok(Self::Metis(Contest::on(workload, &store)))
            })?,
            _ => Err(decode_error("argument", "state_store", "must be memory or metisdb", None)),
        }
    }

    const fn workload(&self) -> &metis_workloads::Workload {
        with_contest!(*self, contest => contest.workload())
    }
}

#[pymethods]
impl Workload {
    #[new]
    #[pyo3(signature = (kind, transaction_count, contracts_path=None, state_store="memory"))]
    fn new(
        py: Python<'_>,
        kind: &str,
        transaction_count: usize,
        contracts_path: Option<PathBuf>,
        state_store: &str,
    ) -> PyResult<Self> {
        let workload = guard_free(py, || workload(kind, transaction_count, contracts_path))?;
        let workload = workload.map_err(|(field, problem)| decode_error("argument", field, &problem, None))?;
        Ok(Self { inner: AnyContest::new(py, workload, state_store)? })
    }

    #[staticmethod]
    #[pyo3(signature = (name, models, model_id, inputs, transaction_count, state_store="memory"))]
    fn inferences(
        py: Python<'_>,
        name: &str,
        models: &ModelSet,
        model_id: Fixed<32>,
        inputs: Vec<Blob>,
        transaction_count: usize,
        state_store: &str,
    ) -> PyResult<Self> {
        let inputs: Vec<Bytes> = inputs.into_iter().map(|Blob(bytes)| bytes).collect();
        let (models, model) = (ModelSet::host(Some(models)), model_id.0.into());
        let made = guard_free(py, || metis_workloads::inferences(name, models, model, &inputs, transaction_count))?;
        let workload = made.ok_or_else(|| decode_error("argument", "model_id", "no such model, or no inputs", None))?;
        Ok(Self { inner: AnyContest::new(py, workload, state_store)? })
    }

    #[getter]
    fn name(&self) -> &str {
        &self.inner.workload().name
    }

    #[getter]
    fn transaction_count(&self) -> usize {
        self.inner.workload().candidates.len()
    }

    #[pyo3(signature = (contestant, workers=0, latency_us=0))]
    fn run(&self, py: Python<'_>, contestant: &str, workers: usize, latency_us: u64) -> PyResult<(u64, u64)> {
        let by = match contestant {
            "revm" => Contestant::Revm,
            "sequential" => Contestant::Sequential,
            "parallel" => Contestant::Parallel(workers),
            "node" => Contestant::Node(workers),
            _ => {
                return Err(decode_error("argument", "contestant", "must be revm, sequential, parallel or node", None));
            }
        };
        let latency = Duration::from_micros(latency_us);
        let ran = guard_free(
            py,
            || with_contest!(self.inner, contest => contest.run(by, latency).map_err(|error| from_block(&error))),
        )?;
        let (elapsed, gas) = ran?;
        Ok((u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX), gas))
    }

    #[pyo3(signature = (workers=0))]
    fn record<'py>(&self, py: Python<'py>, workers: usize) -> PyResult<Bound<'py, PyDict>> {
        let record = guard_free(
            py,
            || with_contest!(self.inner, contest => contest.record(workers).map_err(|error| from_block(&error))),
        )??;
        record_fields(py, &record)
    }

    fn difference(&self, py: Python<'_>, workers: usize) -> PyResult<Option<String>> {
        let compared = guard_free(
            py,
            || with_contest!(self.inner, contest => contest.compare(workers, &VirtualMachine::Interpreter)),
        )?;
        Ok(compared.err().map(|mismatch| mismatch.to_string()))
    }
}

type Refused = (&'static str, String);

fn workload(kind: &str, count: usize, contracts_path: Option<PathBuf>) -> Result<metis_workloads::Workload, Refused> {
    let contracts = || {
        let path = contracts_path.ok_or(("contracts_path", "this workload needs the fixtures' contracts".into()))?;
        Contracts::read(&path).map_err(|error| ("contracts_path", error.to_string()))
    };
    Ok(match kind {
        "transfers" => metis_workloads::transfers(count),
        "erc20" => metis_workloads::tokens(&contracts()?, count, 0),
        "erc20-30-hot" => metis_workloads::tokens(&contracts()?, count, 30),
        "erc20-90-hot" => metis_workloads::tokens(&contracts()?, count, 90),
        "swaps" => metis_workloads::swaps(&contracts()?, count),
        "one-sender" => metis_workloads::one_sender(count),
        "relay" => metis_workloads::relay(count),
        "mixed" => metis_workloads::mixed(&contracts()?, count),
        "beneficiary-sends" => metis_workloads::beneficiary_is_sender(count),
        "beneficiary-contract" => metis_workloads::beneficiary_is_contract(count),
        "beneficiary-destroyed" => metis_workloads::beneficiary_is_destroyed(count),
        "recreations" => metis_workloads::recreations(count),
        "delegations" => metis_workloads::delegations(count),
        _ => return Err(("kind", format!("no workload is called {kind}"))),
    })
}

/// Random blocks from the seed on, sequentially and with so many workers; the seeds that differ, and how.
#[pyfunction]
#[pyo3(signature = (seed, block_count, workers, registry=None))]
pub fn fuzz_executor(
    py: Python<'_>,
    seed: u64,
    block_count: u64,
    workers: Vec<usize>,
    registry: Option<&CodeRegistry>,
) -> PyResult<Vec<(u64, String)>> {
    let machine = virtual_machine(registry);
    guard_free(py, || {
        let mut mismatches = Vec::new();
        for seed in (0..block_count).map(|number| seed.wrapping_add(number)) {
            let contest = Contest::new(metis_workloads::random(seed));
            let compared = workers.iter().try_for_each(|workers| contest.compare(*workers, &machine));
            if let Err(mismatch) = compared {
                mismatches.push((seed, mismatch.to_string()));
            }
        }
        mismatches
    })
}

/// Transactions as those of one block, sequentially and with so many workers: what became of them, and how that differs.
#[pyfunction]
#[pyo3(signature = (store, spec, environment, transactions, workers, registry=None))]
pub fn compare_executors<'py>(
    py: Python<'py>,
    store: &MemoryStore,
    spec: &ChainSpec,
    environment: &Bound<'py, PyAny>,
    transactions: Vec<PyRef<'py, Transaction>>,
    workers: Vec<usize>,
    registry: Option<&CodeRegistry>,
) -> PyResult<Bound<'py, PyDict>> {
    let environment = block_environment(environment)?;
    let in_order: Vec<&RecoveredTransaction> = transactions.iter().map(|entry| &entry.inner).collect();
    let (store, spec, machine) = (&store.inner, &spec.inner, virtual_machine(registry));
    let compared = guard_free(py, || {
        compare_runs(&&*store.latest(), spec, &environment, &in_order, &workers, &machine)
            .map_err(|error| from_block(&error))
    })??;
    let fields = PyDict::new(py);
    let (tally, difference) = match compared {
        Ok(tally) => (tally, None),
        Err(mismatch) => (Tally::default(), Some(mismatch.to_string())),
    };
    fields.set_item("included", tally.included)?;
    fields.set_item("failed", tally.failed)?;
    fields.set_item("skipped", tally.skipped)?;
    fields.set_item("gas_used", tally.gas_used)?;
    fields.set_item("difference", difference)?;
    Ok(fields)
}
