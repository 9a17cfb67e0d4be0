//! `Node`: opening it, and making what it holds durable.

use std::time::Instant;

use metis_node::{Durability, NodeConfig, StateProblem, StateReport, StateStoreKind};
use pyo3::{prelude::*, types::PyBytes};

use super::{
    Node,
    arguments::{development_rules, pool_config},
};
use crate::{
    alloc::alloc_accounts,
    code_registry::{CodeRegistry, virtual_machine},
    errors::{decode_error, from_node},
    genesis,
    guard::guard_free,
    models::ModelSet,
};

/// What nobody outside can know, from the operating system.
fn secret(py: Python<'_>) -> PyResult<[u64; 4]> {
    let bytes: [u8; 32] = py.import("os")?.call_method1("urandom", (32,))?.extract()?;
    // UNWRAP: four times eight bytes.
    Ok(std::array::from_fn(|word| u64::from_le_bytes(bytes[8 * word..][..8].try_into().unwrap())))
}

#[pymethods]
impl Node {
    #[staticmethod]
    #[allow(clippy::too_many_arguments)] // named ones, in Python
    #[pyo3(signature = (genesis_json, alloc, data_dir=None, durability="block", kept_block_count=1024, pool=None, development=None, registry=None, models=None, workers=0, state_store="metisdb", history="window"))]
    fn open(
        py: Python<'_>,
        genesis_json: &Bound<'_, PyBytes>,
        alloc: &Bound<'_, PyAny>,
        data_dir: Option<std::path::PathBuf>,
        durability: &str,
        kept_block_count: usize,
        pool: Option<&Bound<'_, PyAny>>,
        development: Option<&Bound<'_, PyAny>>,
        registry: Option<&CodeRegistry>,
        models: Option<&ModelSet>,
        workers: usize,
        state_store: &str,
        history: &str,
    ) -> PyResult<Self> {
        let durability = match durability {
            "block" => Durability::EveryBlock,
            "group" => Durability::Group { interval_ms: 10 },
            "none" => Durability::None,
            _ => return Err(decode_error("argument", "durability", "must be block, group or none", None)),
        };
        let state_store = match state_store {
            "metisdb" => StateStoreKind::Metis { secret: secret(py)? },
            "memory" => StateStoreKind::Memory,
            _ => return Err(decode_error("argument", "state_store", "must be metisdb or memory", None)),
        };
        let is_archive = match history {
            "window" => false,
            "archive" => true,
            _ => return Err(decode_error("argument", "history", "must be window or archive", None)),
        };
        let accounts = alloc_accounts(alloc)?;
        let document = genesis::parse(genesis_json.as_bytes())?;
        let mut spec = genesis::chain_spec(&document)?;
        spec.models = ModelSet::host(models);
        let config = NodeConfig {
            data_dir,
            durability,
            state_store,
            kept_block_count,
            is_archive,
            pool: pool_config(pool)?,
            development: development_rules(development)?,
            machine: virtual_machine(registry),
            workers,
        };
        let opened = guard_free(py, || {
            let root = metis_db::genesis_root(accounts.clone()).map_err(|error| from_node(&error.into()))?;
            let header = genesis::header(&document, root)?;
            let block = genesis::block(header);
            metis_node::Node::open(spec, block, accounts.into_iter().collect(), &config)
                .map_err(|error| from_node(&error))
        })?;
        Ok(Self::new(opened?))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.take() {
            Some(node) => guard_free(py, || node.close())?.map_err(|error| from_node(&error)),
            None => Ok(()),
        }
    }

    fn sync(&self, py: Python<'_>) -> PyResult<()> {
        let node = self.get()?;
        guard_free(py, || node.sync())?.map_err(|error| from_node(&error))
    }

    /// Whether there was something to do.
    fn checkpoint_if_due(&self, py: Python<'_>, state_count_max: u64) -> PyResult<bool> {
        let node = self.get()?;
        guard_free(py, || match node.is_checkpoint_due(state_count_max) {
            true => {
                let begun = Instant::now();
                node.checkpoint(&|| begun.elapsed().as_nanos() as u64).map(|()| true)
            }
            false => Ok(false),
        })?
        .map_err(|error| from_node(&error))
    }

    /// States that were made again at the opening, and why those on the disk were of no use, if so.
    fn state_report(&self) -> PyResult<(usize, Option<String>)> {
        let node = self.get()?;
        let StateReport { replayed_count, problem } = node.state_report();
        let problem = problem.as_ref().map(|problem| match problem {
            StateProblem::Unreadable { error, moved_to } => format!("{error}; moved to {}", moved_to.display()),
            StateProblem::NotOfThisChain => "the block log does not lead to it".to_owned(),
        });
        Ok((*replayed_count, problem))
    }

    fn tick(&self, py: Python<'_>, now_ms: u64) -> PyResult<bool> {
        let node = self.get()?;
        guard_free(py, || node.tick(now_ms))?.map_err(|error| from_node(&error))
    }
}
