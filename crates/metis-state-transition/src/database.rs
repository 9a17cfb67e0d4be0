//! A state view as the database that revm reads.

use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use revm::{Database, DatabaseRef, bytecode::Bytecode, database_interface::DBErrorMarker, state::AccountInfo};

use crate::{Account, Ancestors, Code, StateView};

/// A state view and the hashes of ancestor blocks, as revm wants them.
#[derive(Debug)]
pub struct ViewDatabase<V> {
    pub(crate) view: V,
    pub(crate) ancestors: Ancestors,
    /// What accounts without code get. revm has one empty code for all threads, whose reference count they would meet
    /// at for each account of each transfer.
    no_code: Bytecode,
}

impl<V> ViewDatabase<V> {
    /// `view`, with the hashes of ancestors that BLOCKHASH may be asked for.
    pub fn new(view: V, ancestors: Ancestors) -> Self {
        Self { view, ancestors, no_code: Code::default().unshared().0 }
    }
}

/// Why the world could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ViewError<E: core::error::Error> {
    /// The state view failed.
    #[error("state: {0}")]
    State(E),
    /// BLOCKHASH asked for an ancestor that the environment does not hold.
    #[error("hash of ancestor block {0} is not known")]
    UnknownAncestor(u64),
    /// A model that is active is not on this machine.
    #[error("model {0} is active, but not on this machine")]
    MissingModel(B256),
}

impl<E: core::error::Error + Send + Sync + 'static> DBErrorMarker for ViewError<E> {}

impl<V: StateView> DatabaseRef for ViewDatabase<V> {
    type Error = ViewError<V::Error>;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        let account = self.view.account(&address).map_err(ViewError::State)?;
        Ok(account.map(|Account { nonce, balance, code_hash }| {
            // Code is loaded on demand by hash: most accounts that are touched are never called.
            let code = (code_hash == KECCAK256_EMPTY).then(|| self.no_code.clone());
            AccountInfo { balance, nonce, code_hash, account_id: None, code }
        }))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        Ok(self.view.code(&code_hash).map_err(ViewError::State)?.0)
    }

    fn storage_ref(&self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        self.view.storage(&address, &slot).map_err(ViewError::State)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        self.ancestors.hash(number).ok_or(ViewError::UnknownAncestor(number))
    }
}

impl<V: StateView> Database for ViewDatabase<V> {
    type Error = ViewError<V::Error>;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        self.basic_ref(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        self.code_by_hash_ref(code_hash)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        self.storage_ref(address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        self.block_hash_ref(number)
    }
}
