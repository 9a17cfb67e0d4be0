//! Accounts of a genesis, from Python's objects.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use metis_db::GenesisAccount;
use pyo3::prelude::*;

use crate::{
    convert::{Blob, Fixed, Word, attribute, word},
    errors::decode_error,
};

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
