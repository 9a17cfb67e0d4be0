//! The whole state as development tools keep it in files: out as JSON, in as accounts.

use alloy_primitives::{Address, U256};
use metis_db::GenesisAccount;
use metis_state_transition::{AccountChange, ChangeSet, Code, StateView};
use serde_json::{Map, Value, json};

use crate::{Node, NodeError, views};

fn word(value: U256) -> String {
    format!("{:#066x}", value)
}

impl Node {
    /// Every account of the newest state: nonce, balance, code, and slots that are not zero. Walks all of it.
    ///
    /// # Errors
    /// [`NodeError::Store`].
    pub fn accounts_json(&self) -> Result<Vec<u8>, NodeError> {
        let (state, storages) = self.store.latest_storages()?;
        let accounts = storages.into_iter().map(|(address, storage)| {
            let account = state.account(&address)?.unwrap_or_default();
            let storage: Map<String, Value> =
                storage.into_iter().map(|(slot, value)| (word(slot), word(value).into())).collect();
            let fields = json!({
                "nonce": account.nonce,
                "balance": account.balance,
                "code": state.code(&account.code_hash)?.bytes(),
                "storage": storage,
            });
            Ok((format!("{address:#x}"), fields))
        });
        Ok(views::encode(&Value::Object(accounts.collect::<Result<_, NodeError>>()?)))
    }

    /// Puts accounts over those of the newest state, without a block: balance and code are replaced, slots added, and
    /// of two nonces the higher one stays.
    ///
    /// # Errors
    /// [`NodeError::Chain`].
    pub fn merge_accounts(&self, accounts: Vec<(Address, GenesisAccount)>) -> Result<(), NodeError> {
        self.patch(|view| {
            let mut changes = ChangeSet::default();
            for (address, given) in accounts {
                let mut account = view.account(&address)?.unwrap_or_default();
                let code = Code::new(given.code);
                account.nonce = account.nonce.max(given.nonce);
                account.balance = given.balance;
                account.code_hash = code.hash();
                changes.codes.insert(account.code_hash, code);
                let change = AccountChange { account: Some(account), storage_cleared: false, storage: given.storage };
                changes.accounts.insert(address, change);
            }
            Ok(changes)
        })
    }
}
