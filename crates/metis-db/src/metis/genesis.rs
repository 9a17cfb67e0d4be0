//! The state that a chain begins with.

use alloy_primitives::{Address, B256};
use metis_state_transition::{Account, AccountChange, ChangeSet, Code};

use super::cores::Cores;
use crate::{GenesisAccount, HeapRegion, StoreError, Tries};

/// Accounts as changes to nothing.
pub(super) fn changes_of(alloc: impl IntoIterator<Item = (Address, GenesisAccount)>) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for (address, genesis) in alloc {
        let code = Code::new(genesis.code);
        let account = Account { nonce: genesis.nonce, balance: genesis.balance, code_hash: code.hash() };
        if !code.bytes().is_empty() {
            changes.codes.insert(account.code_hash, code);
        }
        let storage = genesis.storage.into_iter().collect();
        changes.accounts.insert(address, AccountChange { account: Some(account), storage_cleared: true, storage });
    }
    changes
}

/// State root of accounts, without keeping them.
///
/// # Errors
/// [`StoreError::Memory`].
pub fn genesis_root(alloc: impl IntoIterator<Item = (Address, GenesisAccount)>) -> Result<B256, StoreError> {
    let (tries, cores) = (Tries::create(HeapRegion::new(1)?)?, Cores::get());
    Ok(tries.after(&changes_of(alloc), &cores, cores.count())?.root())
}
