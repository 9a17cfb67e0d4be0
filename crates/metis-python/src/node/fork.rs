//! `Node`: forks of other chains.

use metis_db::Supply;
use metis_node::{ForkBlock, NodeConfig};
use metis_state_transition::Code;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict},
};

use super::{
    Node,
    arguments::{development_rules, pool_config},
};
use crate::{
    alloc::alloc_accounts,
    code_registry::{CodeRegistry, virtual_machine},
    convert::{Blob, Fixed, Word},
    errors::{decode_error, from_node},
    genesis,
    guard::guard_free,
    models::ModelSet,
};

#[pymethods]
impl Node {
    #[staticmethod]
    #[allow(clippy::too_many_arguments)] // named ones, in Python
    #[pyo3(signature = (genesis_json, header_json, accounts, kept_block_count=1024, pool=None, development=None, registry=None, models=None))]
    fn open_fork(
        py: Python<'_>,
        genesis_json: &Bound<'_, PyBytes>,
        header_json: &Bound<'_, PyBytes>,
        accounts: &Bound<'_, PyAny>,
        kept_block_count: usize,
        pool: Option<&Bound<'_, PyAny>>,
        development: Option<&Bound<'_, PyAny>>,
        registry: Option<&CodeRegistry>,
        models: Option<&ModelSet>,
    ) -> PyResult<Self> {
        let accounts = alloc_accounts(accounts)?.into_iter().collect();
        let mut spec = genesis::chain_spec(&genesis::parse(genesis_json.as_bytes())?)?;
        spec.models = ModelSet::host(models);
        let header = metis_node::header_from_json(header_json.as_bytes())
            .map_err(|problem| decode_error("header", problem.field(), &problem.to_string(), None))?;
        let fork = ForkBlock { block: genesis::block(header), accounts };
        let (pool, development) = (pool_config(pool)?, development_rules(development)?);
        let machine = virtual_machine(registry);
        let config = NodeConfig { kept_block_count, pool, development, machine, ..NodeConfig::default() };
        let node =
            guard_free(py, || metis_node::Node::open_fork(spec, fork, &config))?.map_err(|error| from_node(&error))?;
        Ok(Self::new(node))
    }

    fn supply(
        &self,
        py: Python<'_>,
        accounts: Vec<(Fixed<20>, u64, Word, Blob)>,
        slots: Vec<(Fixed<20>, Word, Word)>,
        block_hashes: Vec<(u64, Fixed<32>)>,
    ) -> PyResult<()> {
        let node = self.get()?;
        guard_free(py, || {
            let account = |(address, nonce, Word(balance), Blob(code)): (Fixed<20>, u64, Word, Blob)| {
                (address.0.into(), nonce, balance, Code::new(code))
            };
            let slot = |(address, Word(slot), Word(value)): (Fixed<20>, Word, Word)| (address.0.into(), slot, value);
            node.supply(Supply {
                accounts: accounts.into_iter().map(account).collect(),
                slots: slots.into_iter().map(slot).collect(),
                block_hashes: block_hashes.into_iter().map(|(number, hash)| (number, hash.0.into())).collect(),
            });
        })
    }

    /// Accounts, slots and block hashes that are known of the forked chain.
    fn known_of_fork<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some((accounts, slots, block_hashes)) = self.get()?.known_of_fork() else { return Ok(None) };
        let fields = PyDict::new(py);
        fields.set_item("accounts", accounts)?;
        fields.set_item("slots", slots)?;
        fields.set_item("block_hashes", block_hashes)?;
        Ok(Some(fields))
    }

    fn is_changed(
        &self,
        py: Python<'_>,
        address: Fixed<20>,
        block: super::arguments::BlockReference,
    ) -> PyResult<bool> {
        let node = self.get()?;
        guard_free(py, || node.is_changed(address.0.into(), block.0))?.map_err(|error| from_node(&error))
    }
}
