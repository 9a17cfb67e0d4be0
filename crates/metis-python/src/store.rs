//! `MemoryStore` and proofs.

use std::{collections::BTreeMap, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use metis_db::{
    AccountProof, GenesisAccount, MemorySnapshot, MultiProof, ProvenAccount, StateSnapshot, StateStore, StorageProof,
    known,
};
use metis_state_transition::{Account, StateView};
use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyTuple},
};

use crate::{
    convert::{Blob, Fixed, Word, attribute, to_bytes, to_int, word},
    errors::{decode_error, from_multi_proof, from_proof, from_store},
    guard::{guard, guard_free},
};

/// The in-memory state store.
#[pyclass(frozen, module = "metis.engine._native")]
pub struct MemoryStore {
    pub inner: Arc<metis_db::MemoryStore>,
}

impl MemoryStore {
    fn snapshot(&self, block_number: Option<u64>) -> PyResult<Arc<MemorySnapshot>> {
        match block_number {
            None => Ok(self.inner.latest()),
            Some(number) => self.inner.at(number).map_err(|error| from_store(&error)),
        }
    }
}

#[pymethods]
impl MemoryStore {
    #[new]
    #[pyo3(signature = (alloc, kept_block_count=128))]
    fn new(py: Python<'_>, alloc: &Bound<'_, PyAny>, kept_block_count: usize) -> PyResult<Self> {
        let accounts = alloc_accounts(alloc)?;
        let inner = guard_free(py, || metis_db::MemoryStore::new(accounts, kept_block_count))?;
        Ok(Self { inner: Arc::new(inner) })
    }

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
        Ok(to_bytes(py, self.snapshot(block_number)?.block().state_root))
    }

    #[pyo3(signature = (address, block_number=None))]
    fn account<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        block_number: Option<u64>,
    ) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let snapshot = self.snapshot(block_number)?;
        let address = Address::from(address.0);
        guard(|| {
            let account = known(snapshot.account(&address)).zip(snapshot.storage_root(&address));
            account.map(|(account, storage_root)| account_tuple(py, &account, storage_root)).transpose()
        })
    }

    #[pyo3(signature = (address, block_number=None))]
    fn code<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        block_number: Option<u64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let snapshot = self.snapshot(block_number)?;
        let account = known(snapshot.account(&address.0.into())).unwrap_or_default();
        Ok(to_bytes(py, known(snapshot.code(&account.code_hash)).bytes()))
    }

    #[pyo3(signature = (address, slot, block_number=None))]
    fn storage<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        slot: Word,
        block_number: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let snapshot = self.snapshot(block_number)?;
        to_int(py, known(snapshot.storage(&address.0.into(), &slot.0)))
    }

    #[pyo3(signature = (address, slots, block_number=None))]
    fn proof<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        slots: Vec<Word>,
        block_number: Option<u64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = self.snapshot(block_number)?;
        let slots: Vec<U256> = slots.into_iter().map(|Word(slot)| slot).collect();
        let proof = guard_free(py, || known(snapshot.prove(address.0.into(), &slots)))?;
        let nodes = |nodes: &[alloy_primitives::Bytes]| nodes.iter().map(|node| to_bytes(py, node)).collect::<Vec<_>>();
        let result = PyDict::new(py);
        let account = proof.account.map(|(account, root)| account_tuple(py, &account, root)).transpose()?;
        result.set_item("account", account)?;
        result.set_item("account_proof", nodes(&proof.proof))?;
        let storage = proof
            .storage
            .iter()
            .map(|entry| Ok((to_int(py, entry.slot)?, to_int(py, entry.value)?, nodes(&entry.proof))));
        result.set_item("storage_proofs", storage.collect::<PyResult<Vec<_>>>()?)?;
        Ok(result)
    }

    #[pyo3(signature = (block_number=None))]
    fn accounts<'py>(&self, py: Python<'py>, block_number: Option<u64>) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let snapshot = self.snapshot(block_number)?;
        Ok(snapshot.addresses().into_iter().map(|address| to_bytes(py, address)).collect())
    }

    #[pyo3(signature = (address, block_number=None))]
    fn storage_of<'py>(
        &self,
        py: Python<'py>,
        address: Fixed<20>,
        block_number: Option<u64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let snapshot = self.snapshot(block_number)?;
        let slots = PyDict::new(py);
        for (slot, value) in snapshot.slots(&address.0.into()) {
            slots.set_item(to_int(py, slot)?, to_int(py, value)?)?;
        }
        Ok(slots)
    }

    fn revert_to(&self, block_number: u64) -> PyResult<()> {
        guard(|| self.inner.revert_to(block_number).map_err(|error| from_store(&error)))
    }

    fn fork(&self) -> PyResult<Self> {
        guard(|| Ok(Self { inner: Arc::new(self.inner.fork()) }))
    }
}

/// Accounts by address, from a mapping of addresses to `metis.types.Account`.
pub fn alloc_accounts(alloc: &Bound<'_, PyAny>) -> PyResult<BTreeMap<Address, GenesisAccount>> {
    let mut accounts: BTreeMap<Address, GenesisAccount> = BTreeMap::new();
    for item in alloc.call_method0("items")?.try_iter()? {
        let (key, account) = item?.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
        let Fixed(address) = key
            .extract::<Fixed<20>>()
            .map_err(|error| decode_error("account", "address", &error.value(alloc.py()).to_string(), None))?;
        accounts.insert(address.into(), genesis_account(&account)?);
    }
    Ok(accounts)
}

fn genesis_account(account: &Bound<'_, PyAny>) -> PyResult<GenesisAccount> {
    const SUBJECT: &str = "account";
    let storage: WordMap = attribute(account, SUBJECT, "storage")?;
    Ok(GenesisAccount {
        nonce: attribute(account, SUBJECT, "nonce")?,
        balance: word(account, SUBJECT, "balance_wei")?,
        code: attribute::<Blob>(account, SUBJECT, "code")?.0,
        storage: storage.0,
    })
}

/// A mapping of words to words.
pub struct WordMap(pub BTreeMap<U256, U256>);

impl<'a, 'py> FromPyObject<'a, 'py> for WordMap {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let mut map = BTreeMap::new();
        for item in object.call_method0("items")?.try_iter()? {
            let (slot, value): (Word, Word) = item?.extract()?;
            map.insert(slot.0, value.0);
        }
        Ok(Self(map))
    }
}

/// (nonce, balance, code hash, storage root).
fn account_tuple<'py>(py: Python<'py>, account: &Account, storage_root: B256) -> PyResult<Bound<'py, PyTuple>> {
    let balance = to_int(py, account.balance)?;
    (account.nonce, balance, to_bytes(py, account.code_hash), to_bytes(py, storage_root)).into_pyobject(py)
}

/// Checks an EIP-1186 proof against a state root.
#[pyfunction]
pub fn verify_proof(
    py: Python<'_>,
    state_root: Fixed<32>,
    address: Fixed<20>,
    proof: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let item = |name: &str| proof.get_item(name);
    let field = |name: &'static str| {
        move |error: PyErr| decode_error("proof", name, &Python::attach(|py| error.value(py).to_string()), None)
    };
    let account: Option<(u64, Word, Fixed<32>, Fixed<32>)> = item("account")?.extract().map_err(field("account"))?;
    let nodes: Vec<Blob> = item("account_proof")?.extract().map_err(field("account_proof"))?;
    let storage: Vec<(Word, Word, Vec<Blob>)> = item("storage_proofs")?.extract().map_err(field("storage_proofs"))?;
    let bytes = |blobs: Vec<Blob>| blobs.into_iter().map(|Blob(bytes)| bytes).collect();
    let claimed = AccountProof {
        address: address.0.into(),
        account: account.map(|(nonce, balance, code_hash, storage_root)| {
            (Account { nonce, balance: balance.0, code_hash: code_hash.0.into() }, storage_root.0.into())
        }),
        proof: bytes(nodes),
        storage: storage
            .into_iter()
            .map(|(slot, value, nodes)| StorageProof { slot: slot.0, value: value.0, proof: bytes(nodes) })
            .collect(),
    };
    guard_free(py, || claimed.verify(state_root.0.into()))?.map_err(|error| from_proof(&error))
}

/// Nonce, balance, code hash and storage root of an account that is claimed.
type ClaimedAccount = Option<(u64, Word, Fixed<32>, Fixed<32>)>;

/// What is claimed: an address, its account, and slots with their values.
type Claim = (Fixed<20>, ClaimedAccount, Vec<(Word, Word)>);

/// Checks a proof of many accounts and slots, whose nodes are there once, against a state root.
#[pyfunction]
pub fn verify_multi_proof(
    py: Python<'_>,
    state_root: Fixed<32>,
    claims: &Bound<'_, PyAny>,
    nodes: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let field = |name: &'static str| {
        move |error: PyErr| decode_error("proof", name, &Python::attach(|py| error.value(py).to_string()), None)
    };
    let claims: Vec<Claim> = claims.extract().map_err(field("claims"))?;
    let nodes: Vec<Blob> = nodes.extract().map_err(field("nodes"))?;
    let claimed = MultiProof {
        accounts: claims
            .into_iter()
            .map(|(address, account, slots)| ProvenAccount {
                address: address.0.into(),
                account: account.map(|(nonce, balance, code_hash, storage_root)| {
                    (Account { nonce, balance: balance.0, code_hash: code_hash.0.into() }, storage_root.0.into())
                }),
                slots: slots.into_iter().map(|(slot, value)| (slot.0, value.0)).collect(),
            })
            .collect(),
        nodes: nodes.into_iter().map(|Blob(bytes)| bytes).collect(),
    };
    guard_free(py, || claimed.verify(state_root.0.into()))?.map_err(|error| from_multi_proof(&error))
}
