//! The access list of a block: every account and slot that it touched, and what they were after which step.
//!
//! SPEC: EIP-7928, <https://eips.ethereum.org/EIPS/eip-7928>. Everything is in ascending order and mentioned once.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use alloy_eips::eip7928::{
    AccountChanges, BalanceChange, BlockAccessIndex, BlockAccessList, CodeChange, NonceChange, SlotChanges,
    StorageChange,
};
use alloy_primitives::{Address, B256, Bytes, U256};

use super::{BlockRecord, record::AccountTransition};

/// What is known of an account while the list is being made.
#[derive(Default)]
struct Entry {
    accessed: BTreeSet<U256>,
    written: BTreeMap<U256, Vec<StorageChange>>,
    balances: Vec<BalanceChange>,
    nonces: Vec<NonceChange>,
    codes: Vec<CodeChange>,
}

impl BlockRecord {
    /// The block's access list as EIP-7928 defines it.
    ///
    /// A write that leaves a slot as it was is a read. An account that a transaction created and destroyed is
    /// mentioned with what it read. Of storage that a destruction emptied (before EIP-6780) only slots are mentioned
    /// that were accessed, as reads: the forks that the EIP is for empty none.
    pub fn access_list(&self) -> BlockAccessList {
        let mut entries: BTreeMap<Address, Entry> = BTreeMap::new();
        let mut codes: BTreeMap<B256, Bytes> = BTreeMap::new();
        for (index, step) in self.steps().iter().enumerate() {
            let index = BlockAccessIndex::new(index as u64);
            codes.extend(step.codes.iter().map(|(hash, code)| (*hash, code.bytes())));
            for (address, slots) in &step.accesses {
                entries.entry(*address).or_default().accessed.extend(slots);
            }
            for (address, slot, value) in step.changed_slots() {
                let written = &mut entries.entry(address).or_default().written;
                written.entry(slot).or_default().push(StorageChange::new(index, value));
            }
            for (address, transition) in &step.accounts {
                entries.entry(*address).or_default().add(index, transition, &codes);
            }
        }
        entries.into_iter().map(|(address, entry)| entry.changes_of(address)).collect()
    }
}

impl Entry {
    fn add(&mut self, index: BlockAccessIndex, transition: &AccountTransition, codes: &BTreeMap<B256, Bytes>) {
        let (before, after) = (transition.before.unwrap_or_default(), transition.after.unwrap_or_default());
        if before.balance != after.balance {
            self.balances.push(BalanceChange::new(index, after.balance));
        }
        if before.nonce != after.nonce {
            self.nonces.push(NonceChange::new(index, after.nonce));
        }
        if before.code_hash != after.code_hash {
            let code = codes.get(&after.code_hash).cloned().unwrap_or_default();
            self.codes.push(CodeChange::new(index, code));
        }
    }

    fn changes_of(self, address: Address) -> AccountChanges {
        let Self { mut accessed, written, balances, nonces, codes } = self;
        accessed.retain(|slot| !written.contains_key(slot));
        AccountChanges {
            address,
            storage_changes: written.into_iter().map(|(slot, changes)| SlotChanges::new(slot, changes)).collect(),
            storage_reads: accessed.into_iter().collect(),
            balance_changes: balances,
            nonce_changes: nonces,
            code_changes: codes,
        }
    }
}
