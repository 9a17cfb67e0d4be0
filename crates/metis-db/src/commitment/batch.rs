//! What is to be written: hashed, and in the order of the hashes.

use alloy_primitives::{B256, U256};
use metis_keccak::Lanes;
use metis_state_transition::{Account, ChangeSet};

/// What is to be written, sorted by hashed key.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Of the accounts first, then of the slots, account by account.
    pub(super) keys: Vec<B256>,
    pub(super) accounts: Vec<AccountWrite>,
    /// Of the slots.
    pub(super) values: Vec<U256>,
    /// Writes before each account and behind the last one, its slots counted with it.
    pub(super) weights: Vec<u32>,
}

/// The write of one account.
#[derive(Clone, Debug)]
pub(super) struct AccountWrite {
    /// `None` deletes.
    pub(super) account: Option<Account>,
    pub(super) storage_cleared: bool,
    /// Its slots among the keys.
    pub(super) slots: core::ops::Range<u32>,
}

/// The order of hashes, as the place of each: twelve bytes of a hash, and its place.
fn sort_by_hash(hashes: &[[u8; 32]], order: &mut Vec<u128>) {
    order.clear();
    order.extend(hashes.iter().enumerate().map(|(place, hash)| {
        // UNWRAP: sixteen bytes.
        let front = u128::from_be_bytes(hash[..16].try_into().unwrap());
        front >> 32 << 32 | place as u128
    }));
    order.sort_unstable();
    // Hashes that were ground to begin alike.
    for alike in order.chunk_by_mut(|left, right| left >> 32 == right >> 32).filter(|alike| alike.len() > 1) {
        alike.sort_unstable_by_key(|item| hashes[place_of(*item)]);
    }
}

/// The place of a hash in an order of them.
const fn place_of(item: u128) -> usize {
    item as u32 as usize
}

impl Batch {
    pub(super) fn new(changes: &ChangeSet, lanes: Lanes) -> Self {
        // The map is walked once: its nodes are large and far from each other.
        let entries: Vec<_> = changes.accounts.iter().collect();
        let slot_count = entries.iter().map(|(_, change)| change.storage.len()).sum::<usize>();
        let mut slots = Vec::with_capacity(slot_count);
        for (_, change) in entries.iter().filter(|(_, change)| !change.storage.is_empty()) {
            slots.extend(change.storage.keys().map(|slot| slot.to_be_bytes::<32>()));
        }
        let messages = entries.iter().map(|(address, _)| address.as_slice());
        let messages: Vec<&[u8]> = messages.chain(slots.iter().map(<[u8; 32]>::as_slice)).collect();
        let mut hashes = vec![[0; 32]; messages.len()];
        lanes.hash_each(&messages, &mut hashes);

        let (address_hashes, slot_hashes) = hashes.split_at(entries.len());
        // The first slot of each entry.
        let mut slot_at = 0;
        let first_slots = entries.iter().map(|(_, change)| {
            slot_at += change.storage.len();
            slot_at - change.storage.len()
        });
        let first_slots: Vec<usize> = first_slots.collect();
        let (mut order, mut slot_order) = (Vec::new(), Vec::new());
        let mut values: Vec<&U256> = Vec::new();
        sort_by_hash(address_hashes, &mut order);

        let mut batch = Self::default();
        batch.keys.reserve(hashes.len());
        batch.keys.extend(order.iter().map(|item| B256::from(address_hashes[place_of(*item)])));
        batch.accounts.reserve(entries.len());
        batch.weights.reserve(entries.len() + 1);
        let mut weight = 0;
        for item in &order {
            let entry = place_of(*item);
            let change = entries[entry].1;
            let first = batch.keys.len() as u32;
            // What does not exist has no storage, whatever was written to it before it ceased to.
            if change.account.is_some() && !change.storage.is_empty() {
                let hashes = &slot_hashes[first_slots[entry]..first_slots[entry] + change.storage.len()];
                sort_by_hash(hashes, &mut slot_order);
                values.clear();
                values.extend(change.storage.values());
                batch.keys.extend(slot_order.iter().map(|item| B256::from(hashes[place_of(*item)])));
                batch.values.extend(slot_order.iter().map(|item| *values[place_of(*item)]));
            }
            let slots = first..batch.keys.len() as u32;
            batch.weights.push(weight);
            weight += 1 + slots.len() as u32;
            let (account, storage_cleared) = (change.account, change.storage_cleared);
            batch.accounts.push(AccountWrite { account, storage_cleared, slots });
        }
        batch.weights.push(weight);
        batch
    }

    /// Whether a write is of an account, and not of a slot.
    #[inline]
    pub(super) const fn is_account(&self, index: u32) -> bool {
        (index as usize) < self.accounts.len()
    }

    /// Whether a write leaves something.
    #[inline]
    pub(super) fn is_kept(&self, index: u32) -> bool {
        if self.is_account(index) {
            self.accounts[index as usize].account.is_some()
        } else {
            !self.value(index).is_zero()
        }
    }

    #[inline]
    pub(super) fn value(&self, index: u32) -> U256 {
        self.values[index as usize - self.accounts.len()]
    }

    pub(super) fn total_weight(&self) -> u32 {
        self.weight(0..self.accounts.len() as u32)
    }

    /// Writes in a range of keys, those to the storage of its accounts with them.
    pub(super) fn weight(&self, range: core::ops::Range<u32>) -> u32 {
        if !range.is_empty() && self.is_account(range.start) {
            self.weights[range.end as usize] - self.weights[range.start as usize]
        } else {
            range.len() as u32
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)]
    use super::*;

    #[test]
    fn test_order__hashes_that_begin_alike__is_that_of_whole_hashes() {
        // The twelfth byte is the last that is compared first.
        let hashes = [(11, 2), (31, 1), (12, 3), (31, 0), (11, 1), (0, 9), (31, 1)].map(|(at, byte)| {
            let mut hash = [7; 32];
            hash[at] = byte;
            hash
        });
        let mut order = vec![0];
        sort_by_hash(&hashes, &mut order);
        let ordered: Vec<_> = order.iter().map(|item| hashes[place_of(*item)]).collect();
        let mut expected = hashes.to_vec();
        expected.sort_unstable();
        assert_eq!(ordered, expected);
    }
}
