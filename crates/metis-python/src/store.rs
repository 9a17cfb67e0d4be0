//! The stores that Python holds: the same methods, whichever keeps the state.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use metis_db::{
    Durability, MemorySnapshot, MetisConfig, MetisSnapshot, MissingState, StateSnapshot, StateStore, StoreError,
};
use metis_disk::FileDisk;
use metis_state_transition::Account;
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyTuple, PyType},
};

use crate::{
    alloc::alloc_accounts,
    convert::{Fixed, Word, to_bytes, to_int},
    errors::{ReadError, decode_error, from_store, storage_error},
    guard::{guard, guard_free},
};

/// What Python reads of a state beyond what execution needs.
trait Readable: StateSnapshot<Error: ReadError> {
    fn storage_root_of(&self, address: &Address) -> Result<Option<B256>, Self::Error>;
    fn addresses(&self) -> Result<Vec<Address>, Self::Error>;
    fn storage_of(&self, address: &Address) -> Result<BTreeMap<U256, U256>, Self::Error>;
}

impl Readable for MemorySnapshot {
    fn storage_root_of(&self, address: &Address) -> Result<Option<B256>, MissingState> {
        Ok(self.storage_root(address))
    }

    fn addresses(&self) -> Result<Vec<Address>, MissingState> {
        Ok(self.addresses())
    }

    fn storage_of(&self, address: &Address) -> Result<BTreeMap<U256, U256>, MissingState> {
        Ok(self.slots(address))
    }
}

impl Readable for MetisSnapshot {
    fn storage_root_of(&self, address: &Address) -> Result<Option<B256>, StoreError> {
        self.storage_root(address)
    }

    fn addresses(&self) -> Result<Vec<Address>, StoreError> {
        self.addresses()
    }

    fn storage_of(&self, address: &Address) -> Result<BTreeMap<U256, U256>, StoreError> {
        self.storage_of(address)
    }
}

/// The state after a block, the newest one without a number.
fn snapshot<S: StateStore>(store: &S, block_number: Option<u64>) -> PyResult<Arc<S::Snapshot>> {
    block_number.map_or_else(|| Ok(store.latest()), |number| store.at(number).map_err(|error| from_store(&error)))
}

fn account_of<'py>(py: Python<'py>, state: &impl Readable, address: &Address) -> PyResult<Option<Bound<'py, PyTuple>>> {
    let failed = |error: &dyn ReadError| error.to_python();
    let Some(account) = state.account(address).map_err(|error| failed(&error))? else { return Ok(None) };
    let storage_root = state.storage_root_of(address).map_err(|error| failed(&error))?;
    storage_root.map(|root| account_tuple(py, &account, root)).transpose()
}

fn proof_of<'py>(
    py: Python<'py>,
    state: &impl Readable,
    address: Address,
    slots: Vec<Word>,
) -> PyResult<Bound<'py, PyDict>> {
    let slots: Vec<U256> = slots.into_iter().map(|Word(slot)| slot).collect();
    let proof = guard_free(py, || state.prove(address, &slots).map_err(|error| error.to_python()))??;
    let nodes = |nodes: &[alloy_primitives::Bytes]| nodes.iter().map(|node| to_bytes(py, node)).collect::<Vec<_>>();
    let result = PyDict::new(py);
    let account = proof.account.map(|(account, root)| account_tuple(py, &account, root)).transpose()?;
    result.set_item("account", account)?;
    result.set_item("account_proof", nodes(&proof.proof))?;
    let storage =
        proof.storage.iter().map(|entry| Ok((to_int(py, entry.slot)?, to_int(py, entry.value)?, nodes(&entry.proof))));
    result.set_item("storage_proofs", storage.collect::<PyResult<Vec<_>>>()?)?;
    Ok(result)
}

/// (nonce, balance, code hash, storage root).
fn account_tuple<'py>(py: Python<'py>, account: &Account, storage_root: B256) -> PyResult<Bound<'py, PyTuple>> {
    let balance = to_int(py, account.balance)?;
    (account.nonce, balance, to_bytes(py, account.code_hash), to_bytes(py, storage_root)).into_pyobject(py)
}

/// Methods of a class with a store as its `inner`: those that are its own, and those of every store.
macro_rules! store_methods {
    ($class:ident { $($own:tt)* }) => {
        #[pymethods]
        impl $class {
            $($own)*

            #[getter]
            fn block_number(&self) -> u64 {
                self.inner.latest().block().number
            }

            #[getter]
            fn oldest_block_number(&self) -> u64 {
                self.inner.oldest_block_number()
            }

            #[pyo3(signature = (block_number=None))]
            fn state_root<'py>(&self, py: Python<'py>, block_number: Option<u64>) -> PyResult<Bound<'py, PyBytes>> {
                Ok(to_bytes(py, snapshot(&*self.inner, block_number)?.block().state_root))
            }

            #[pyo3(signature = (address, block_number=None))]
            fn account<'py>(
                &self,
                py: Python<'py>,
                address: Fixed<20>,
                block_number: Option<u64>,
            ) -> PyResult<Option<Bound<'py, PyTuple>>> {
                let state = snapshot(&*self.inner, block_number)?;
                guard(|| account_of(py, &*state, &address.0.into()))
            }

            #[pyo3(signature = (address, block_number=None))]
            fn code<'py>(
                &self,
                py: Python<'py>,
                address: Fixed<20>,
                block_number: Option<u64>,
            ) -> PyResult<Bound<'py, PyBytes>> {
                use metis_state_transition::StateView;
                let state = snapshot(&*self.inner, block_number)?;
                let account = state.account(&address.0.into()).map_err(|error| error.to_python())?.unwrap_or_default();
                let code = state.code(&account.code_hash).map_err(|error| error.to_python())?;
                Ok(to_bytes(py, code.bytes()))
            }

            #[pyo3(signature = (address, slot, block_number=None))]
            fn storage<'py>(
                &self,
                py: Python<'py>,
                address: Fixed<20>,
                slot: Word,
                block_number: Option<u64>,
            ) -> PyResult<Bound<'py, PyAny>> {
                use metis_state_transition::StateView;
                let state = snapshot(&*self.inner, block_number)?;
                to_int(py, state.storage(&address.0.into(), &slot.0).map_err(|error| error.to_python())?)
            }

            #[pyo3(signature = (address, slots, block_number=None))]
            fn proof<'py>(
                &self,
                py: Python<'py>,
                address: Fixed<20>,
                slots: Vec<Word>,
                block_number: Option<u64>,
            ) -> PyResult<Bound<'py, PyDict>> {
                proof_of(py, &*snapshot(&*self.inner, block_number)?, address.0.into(), slots)
            }

            #[pyo3(signature = (block_number=None))]
            fn accounts<'py>(
                &self,
                py: Python<'py>,
                block_number: Option<u64>,
            ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
                let state = snapshot(&*self.inner, block_number)?;
                let addresses = guard_free(py, || Readable::addresses(&*state))?.map_err(|error| error.to_python())?;
                Ok(addresses.into_iter().map(|address| to_bytes(py, address)).collect())
            }

            #[pyo3(signature = (address, block_number=None))]
            fn storage_of<'py>(
                &self,
                py: Python<'py>,
                address: Fixed<20>,
                block_number: Option<u64>,
            ) -> PyResult<Bound<'py, PyDict>> {
                let state = snapshot(&*self.inner, block_number)?;
                let found = guard_free(py, || Readable::storage_of(&*state, &address.0.into()))?;
                let found = found.map_err(|error| error.to_python())?;
                let slots = PyDict::new(py);
                for (slot, value) in found {
                    slots.set_item(to_int(py, slot)?, to_int(py, value)?)?;
                }
                Ok(slots)
            }

            fn revert_to(&self, py: Python<'_>, block_number: u64) -> PyResult<()> {
                guard_free(py, || self.inner.revert_to(block_number))?.map_err(|error| from_store(&error))
            }
        }
    };
}

/// The in-memory state store.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct MemoryStore {
    pub inner: Arc<metis_db::MemoryStore>,
}

store_methods!(MemoryStore {
    #[new]
    #[pyo3(signature = (alloc, kept_block_count=128))]
    fn new(py: Python<'_>, alloc: &Bound<'_, PyAny>, kept_block_count: usize) -> PyResult<Self> {
        let accounts = alloc_accounts(alloc)?;
        let inner = guard_free(py, || metis_db::MemoryStore::new(accounts, kept_block_count))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    fn fork(&self) -> PyResult<Self> {
        guard(|| Ok(Self { inner: Arc::new(self.inner.fork()) }))
    }
});

/// MetisDB, in memory or in a folder.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct MetisStore {
    pub inner: Arc<metis_db::MetisStore>,
}

store_methods!(MetisStore {
    #[new]
    #[pyo3(signature = (alloc, kept_block_count=128, segment_log2=14))]
    fn new(
        py: Python<'_>,
        alloc: &Bound<'_, PyAny>,
        kept_block_count: usize,
        segment_log2: u32,
    ) -> PyResult<Self> {
        let accounts = alloc_accounts(alloc)?;
        if !(6..=14).contains(&segment_log2) {
            return Err(decode_error("argument", "segment_log2", "must be 6 to 14", None));
        }
        let config = MetisConfig::new(secret(py)?).keeping(kept_block_count).with_segments(segment_log2);
        let inner = guard_free(py, || metis_db::MetisStore::in_memory(accounts, config))?;
        Ok(Self { inner: Arc::new(inner.map_err(|error| from_store(&error))?) })
    }

    #[classmethod]
    #[pyo3(signature = (path, alloc, kept_block_count=128, durability="every-block", history="window"))]
    fn open(
        _class: &Bound<'_, PyType>,
        py: Python<'_>,
        path: &str,
        alloc: &Bound<'_, PyAny>,
        kept_block_count: usize,
        durability: &str,
        history: &str,
    ) -> PyResult<Self> {
        let accounts = alloc_accounts(alloc)?;
        let durability = match durability {
            "every-block" => Durability::EveryBlock,
            "on-flush" => Durability::OnFlush,
            "on-checkpoint" => Durability::OnCheckpoint,
            _ => {
                let problem = "must be every-block, on-flush or on-checkpoint";
                return Err(decode_error("argument", "durability", problem, None));
            }
        };
        let config = MetisConfig::new(secret(py)?).keeping(kept_block_count).durable(durability);
        let config = match history {
            "window" => config,
            "archive" => config.archiving(),
            _ => return Err(decode_error("argument", "history", "must be window or archive", None)),
        };
        let inner = guard_free(py, || {
            let disk = FileDisk::new(path).map_err(|error| storage_error("io", &error.to_string()))?;
            metis_db::MetisStore::open(Arc::new(disk), accounts, config).map_err(|error| from_store(&error))
        })??;
        Ok(Self { inner: Arc::new(inner) })
    }

    #[classmethod]
    fn open_to_read(_class: &Bound<'_, PyType>, py: Python<'_>, path: &str) -> PyResult<Self> {
        let disk = existing_folder(path)?;
        let inner = guard_free(py, || metis_db::MetisStore::open_to_read(&disk))?;
        Ok(Self { inner: Arc::new(inner.map_err(|error| from_store(&error))?) })
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        guard_free(py, || self.inner.flush())?.map_err(|error| from_store(&error))
    }

    fn checkpoint(&self, py: Python<'_>) -> PyResult<()> {
        guard_free(py, || self.inner.checkpoint())?.map_err(|error| from_store(&error))
    }
});

/// A folder that must be there.
pub fn existing_folder(path: &str) -> PyResult<FileDisk> {
    if !std::path::Path::new(path).is_dir() {
        return Err(storage_error("not-there", &format!("{path} is no directory")));
    }
    FileDisk::new(path).map_err(|error| storage_error("io", &error.to_string()))
}

/// Where keys lie in the index follows from a secret: chosen anew for each store.
pub fn secret(py: Python<'_>) -> PyResult<[u64; 4]> {
    let bytes = py.import("secrets")?.call_method1("token_bytes", (32,))?.extract::<Fixed<32>>()?.0;
    let word = |index: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[8 * index..8 * index + 8]);
        u64::from_le_bytes(word)
    };
    Ok([word(0), word(1), word(2), word(3)])
}

/// A store of either kind, as an argument.
#[derive(FromPyObject)]
pub enum AnyStore<'py> {
    Memory(PyRef<'py, MemoryStore>),
    Metis(PyRef<'py, MetisStore>),
}

/// Does the same with a store of whichever kind: `$inner` is the engine's store in `$body`.
macro_rules! with_store {
    ($store:expr, $inner:ident => $body:expr) => {
        match &$store {
            $crate::store::AnyStore::Memory(store) => {
                let $inner = &*store.inner;
                $body
            }
            $crate::store::AnyStore::Metis(store) => {
                let $inner = &*store.inner;
                $body
            }
        }
    };
}
pub(crate) use with_store;
