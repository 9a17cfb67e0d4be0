//! EIP-1186 proofs and their verification.

mod multi;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles, TrieAccount, proof::verify_proof};
use metis_state_transition::Account;

pub use multi::{MultiProof, MultiProofError, ProvenAccount};

/// Proof of an account (or its absence) and of some of its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountProof {
    /// Whose.
    pub address: Address,
    /// The account and its storage root; `None` where it does not exist.
    pub account: Option<(Account, B256)>,
    /// Node encodings, root first.
    pub proof: Vec<Bytes>,
    /// One proof per slot asked for, in order.
    pub storage: Vec<StorageProof>,
}

/// Proof of a slot's value; zero is proven by absence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageProof {
    /// Slot.
    pub slot: U256,
    /// Value.
    pub value: U256,
    /// Node encodings, storage root first.
    pub proof: Vec<Bytes>,
}

/// Which part of a proof does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The account's.
    #[error("account proof: {0}")]
    Account(String),
    /// A slot's.
    #[error("storage proof {index}: {reason}")]
    Storage {
        /// Its position.
        index: usize,
        /// Why.
        reason: String,
    },
}

impl AccountProof {
    /// Checks everything this proof claims against a state root.
    ///
    /// # Errors
    /// [`ProofError`] naming the first part that does not hold.
    pub fn verify(&self, state_root: B256) -> Result<(), ProofError> {
        let value = self.account.map(|(account, storage_root)| account_leaf(&account, storage_root));
        verify_proof(state_root, Nibbles::unpack(keccak256(self.address)), value, &self.proof)
            .map_err(|error| ProofError::Account(error.to_string()))?;
        let storage_root = self.account.map_or(EMPTY_ROOT_HASH, |(_, root)| root);
        for (index, entry) in self.storage.iter().enumerate() {
            let value = (!entry.value.is_zero()).then(|| alloy_rlp::encode(entry.value));
            let key = keccak256(entry.slot.to_be_bytes::<32>());
            verify_proof(storage_root, Nibbles::unpack(key), value, &entry.proof)
                .map_err(|error| ProofError::Storage { index, reason: error.to_string() })?;
        }
        Ok(())
    }
}

/// The value an account has in the state trie (Yellow Paper §4.1).
pub(crate) fn account_leaf(account: &Account, storage_root: B256) -> Vec<u8> {
    alloy_rlp::encode(TrieAccount {
        nonce: account.nonce,
        balance: account.balance,
        storage_root,
        code_hash: account.code_hash,
    })
}
