//! The state that a fork begins with: known in parts, the rest with another node.

use alloy_primitives::{Address, B256, U256, map::HashMap};
use metis_state_transition::{Account, Code};
use parking_lot::RwLock;

use crate::{MissingState, StateKey};

/// What is known of the chain that was forked, as of the fork block.
///
/// Nothing in it ever changes once it is known, so any number of states and of their readers share
/// it: a read that was answered is answered the same for ever. Knowing less is never a wrong
/// answer, only a [`MissingState`].
#[derive(Debug, Default)]
pub struct ForkOrigin {
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    accounts: HashMap<Address, Option<Account>>,
    codes: HashMap<B256, Code>,
    slots: HashMap<Address, HashMap<U256, U256>>,
    block_hashes: HashMap<u64, B256>,
}

/// Parts of the state at the fork block, as they were fetched.
#[derive(Clone, Debug, Default)]
pub struct Supply {
    /// Accounts with their code; an empty account (EIP-161) does not exist.
    pub accounts: Vec<(Address, u64, U256, Code)>,
    /// Slots with their values.
    pub slots: Vec<(Address, U256, U256)>,
    /// Blocks before the fork block with their hashes.
    pub block_hashes: Vec<(u64, B256)>,
}

impl ForkOrigin {
    /// Takes what was fetched. What is known already stays as it is.
    pub fn supply(&self, supply: Supply) {
        let mut known = self.known.write();
        for (address, nonce, balance, code) in supply.accounts {
            let account = Account { nonce, balance, code_hash: code.hash() };
            known.accounts.entry(address).or_insert_with(|| (!account.is_empty()).then_some(account));
            known.codes.entry(account.code_hash).or_insert(code);
        }
        for (address, slot, value) in supply.slots {
            known.slots.entry(address).or_default().entry(slot).or_insert(value);
        }
        for (number, hash) in supply.block_hashes {
            known.block_hashes.entry(number).or_insert(hash);
        }
    }

    pub(super) fn account(&self, address: &Address) -> Result<Option<Account>, MissingState> {
        self.known.read().accounts.get(address).copied().ok_or(MissingState(StateKey::Account(*address)))
    }

    /// Code of an account that is known: an account becomes known together with its code.
    pub(super) fn code(&self, code_hash: &B256) -> Code {
        self.known.read().codes.get(code_hash).cloned().unwrap_or_default()
    }

    pub(super) fn storage(&self, address: &Address, slot: &U256) -> Result<U256, MissingState> {
        let known = self.known.read();
        if let Some(value) = known.slots.get(address).and_then(|slots| slots.get(slot)) {
            return Ok(*value);
        }
        // What does not exist has no storage. An account without code may have some (EIP-7702).
        if known.accounts.get(address) == Some(&None) {
            return Ok(U256::ZERO);
        }
        Err(MissingState(StateKey::Slot(*address, *slot)))
    }

    /// Whether a slot is known to be not zero, those aside that were written since.
    pub(super) fn has_known_storage(&self, address: &Address, is_written: impl Fn(&U256) -> bool) -> bool {
        let known = self.known.read();
        let Some(slots) = known.slots.get(address) else { return false };
        slots.iter().any(|(slot, value)| !value.is_zero() && !is_written(slot))
    }

    /// Hashes that are known of blocks before the fork block.
    pub fn block_hashes(&self) -> Vec<(u64, B256)> {
        self.known.read().block_hashes.iter().map(|(number, hash)| (*number, *hash)).collect()
    }

    /// Accounts, slots and block hashes that are known.
    pub fn known_counts(&self) -> (usize, usize, usize) {
        let known = self.known.read();
        let slots = known.slots.values().map(|slots| slots.len()).sum();
        (known.accounts.len(), slots, known.block_hashes.len())
    }
}
