//! What execution may ask of the state: the seam that stores implement.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, keccak256};
use auto_impl::auto_impl;
use revm::bytecode::Bytecode;

/// Nonce, balance and code hash of an account (Yellow Paper §4.1, without the storage root).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// Transactions sent, or contracts created, by this account.
    pub nonce: u64,
    /// Native token, in wei.
    pub balance: U256,
    /// Keccak-256 of the code.
    pub code_hash: B256,
}

impl Default for Account {
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY }
    }
}

impl Account {
    /// Empty in the sense of EIP-161: no nonce, no balance, no code.
    pub fn is_empty(&self) -> bool {
        self.nonce == 0 && self.balance.is_zero() && self.code_hash == KECCAK256_EMPTY
    }
}

/// Code made ready for execution (jump destinations known); cheap to clone.
///
/// Stores keep this rather than bytes, so that analysis happens once per code, not once per call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code(pub(crate) Bytecode);

impl Code {
    /// Analyses runtime bytecode. EIP-7702 designators are recognised.
    pub fn new(bytes: Bytes) -> Self {
        // A designator of the wrong length or version is not one (EIP-7702): it is plain code.
        Self(Bytecode::new_raw_checked(bytes.clone()).unwrap_or_else(|_| Bytecode::new_legacy(bytes)))
    }

    /// The same code, counted apart: threads that each run their own do not meet at its reference count.
    #[must_use]
    pub fn unshared(&self) -> Self {
        let Some(jumps) = self.0.legacy_jump_table() else { return self.clone() };
        // SAFETY: bytes and jump destinations are those of a code that was analysed.
        Self(unsafe { Bytecode::new_analyzed(self.0.bytes(), self.0.len(), jumps.clone()) })
    }

    /// The code as it is hashed and returned by EXTCODECOPY.
    pub fn bytes(&self) -> Bytes {
        self.0.original_bytes()
    }

    /// Keccak-256 of [`Self::bytes`].
    pub fn hash(&self) -> B256 {
        if self.0.is_empty() { KECCAK256_EMPTY } else { keccak256(self.0.original_byte_slice()) }
    }
}

/// The state a block or call starts from. Reads only; implementors decide where it lives.
///
/// One value must answer consistently for as long as it is used: a view is a snapshot.
#[auto_impl(&, Arc)]
pub trait StateView {
    /// Why a read failed: I/O, missing witness, …; never "not found".
    type Error: core::error::Error + Send + Sync + 'static;

    /// The account, or `None` where it does not exist.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn account(&self, address: &Address) -> Result<Option<Account>, Self::Error>;

    /// The code with this hash. Only asked for hashes that [`Self::account`] returned.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn code(&self, code_hash: &B256) -> Result<Code, Self::Error>;

    /// The value of a storage slot; zero where it was never written.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn storage(&self, address: &Address, slot: &U256) -> Result<U256, Self::Error>;

    /// Whether any slot of the account is not zero. Asked before each contract creation (EIP-7610).
    ///
    /// # Errors
    /// When the state cannot be read.
    fn has_storage(&self, address: &Address) -> Result<bool, Self::Error>;

    /// An account, and slots of it, will probably be read soon: who answers may bring them nearer. Changes no answer.
    fn prefetch(&self, address: &Address, slots: &[B256]) {
        let _ = (address, slots);
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)] // subject__condition__outcome

    use super::*;

    #[test]
    fn code__unshared__is_the_same_code() {
        let delegation = [&[0xef, 0x01, 0x00][..], &[7; 20]].concat();
        for bytes in [&[][..], &[0x60], &[0x56, 0x5b, 0x7f, 0x5b], &delegation] {
            let code = Code::new(Bytes::copy_from_slice(bytes));
            let own = code.unshared();
            assert_eq!((own.bytes(), own.hash()), (code.bytes(), code.hash()));
            assert_eq!(own.0.legacy_jump_table(), code.0.legacy_jump_table());
            assert_eq!(own.0.bytecode(), code.0.bytecode());
        }
    }
}
