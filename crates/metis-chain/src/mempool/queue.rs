//! The transactions of one sender, by nonce.
//!
//! ```text
//! account nonce 5:   5 ─ 6 ─ 7       9 ─ 10
//!                    └ ready ┘       └ queued ┘
//! ```

use std::collections::BTreeMap;

use alloy_primitives::U256;

use super::{Entry, SenderAccount, Worth};

#[derive(Clone, Debug)]
struct Slot {
    entry: Entry,
    /// It was ready before, so it need not be announced again.
    was_ready: bool,
}

/// The transactions of one sender.
#[derive(Clone, Debug, Default)]
pub(super) struct SenderQueue {
    account: SenderAccount,
    slots: BTreeMap<u64, Slot>,
    /// So many, from the account's nonce on, are ready.
    ready_count: u64,
    /// What the ready ones may cost together.
    ready_cost: U256,
}

impl SenderQueue {
    pub(super) const fn account(&self) -> &SenderAccount {
        &self.account
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn ready_count(&self) -> usize {
        self.ready_count as usize
    }

    pub(super) fn get(&self, nonce: u64) -> Option<&Entry> {
        self.slots.get(&nonce).map(|slot| &slot.entry)
    }

    /// The first nonce that is not ready.
    // BOUND: no account nor transaction has the nonce 2⁶⁴ - 1 (EIP-2681), so this does not wrap.
    pub(super) const fn next_nonce(&self) -> u64 {
        self.account.nonce + self.ready_count
    }

    pub(super) const fn ready_cost(&self) -> U256 {
        self.ready_cost
    }

    pub(super) const fn is_ready(&self, nonce: u64) -> bool {
        self.account.nonce <= nonce && nonce < self.next_nonce()
    }

    /// The ready transaction with this nonce.
    pub(super) fn ready(&self, nonce: u64) -> Option<&Entry> {
        if self.is_ready(nonce) { self.get(nonce) } else { None }
    }

    /// The ready ones, by nonce.
    pub(super) fn ready_entries(&self) -> impl Iterator<Item = &Entry> {
        self.slots.range(self.account.nonce..self.next_nonce()).map(|(_, slot)| &slot.entry)
    }

    /// All, by nonce.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.slots.values().map(|slot| &slot.entry)
    }

    /// Puts a transaction at its nonce. Returns the one that it replaces, and those that become
    /// ready for the first time.
    pub(super) fn insert(&mut self, entry: Entry) -> (Option<Entry>, Vec<Entry>) {
        let nonce = entry.nonce;
        let replaced = self.slots.insert(nonce, Slot { entry, was_ready: false });
        if self.is_ready(nonce) {
            // What comes after may not be affordable any more.
            (replaced.map(|slot| slot.entry), self.settle())
        } else {
            (replaced.map(|slot| slot.entry), self.extend_ready())
        }
    }

    /// Takes a transaction out; those behind it wait then.
    pub(super) fn remove(&mut self, nonce: u64) -> Option<Entry> {
        let was_ready = self.is_ready(nonce);
        let slot = self.slots.remove(&nonce)?;
        if was_ready {
            if nonce + 1 == self.next_nonce() {
                self.ready_count -= 1;
                self.ready_cost -= slot.entry.cost.unwrap_or_default();
            } else {
                self.settle();
            }
        }
        Some(slot.entry)
    }

    /// Takes the account as it is now. Returns those whose nonce is used up, and those that become
    /// ready for the first time.
    pub(super) fn set_account(&mut self, account: SenderAccount) -> (Vec<Entry>, Vec<Entry>) {
        self.account = account;
        let mut passed = Vec::new();
        while let Some(first) = self.slots.first_entry()
            && *first.key() < account.nonce
        {
            passed.push(first.remove().entry);
        }
        (passed, self.settle())
    }

    /// Finds from the beginning which are ready.
    fn settle(&mut self) -> Vec<Entry> {
        self.ready_count = 0;
        self.ready_cost = U256::ZERO;
        self.extend_ready()
    }

    /// Finds which more are ready. Returns those that are so for the first time.
    fn extend_ready(&mut self) -> Vec<Entry> {
        let mut first_time = Vec::new();
        for (_, slot) in self.slots.range_mut(self.next_nonce()..) {
            let entry = &slot.entry;
            if entry.nonce != self.account.nonce + self.ready_count {
                break;
            }
            let cost = entry.cost.and_then(|cost| self.ready_cost.checked_add(cost));
            // Unsigned ones are only here where the rules let them have code.
            let may_send = !self.account.has_code || entry.transaction.is_unsigned();
            let Some(cost) = cost.filter(|cost| *cost <= self.account.balance && may_send) else { break };
            self.ready_cost = cost;
            self.ready_count += 1;
            if !slot.was_ready {
                slot.was_ready = true;
                first_time.push(Entry::clone(entry));
            }
        }
        first_time
    }

    /// The last transaction and its worth: the one to lose first, since nothing waits for it.
    ///
    /// A ready one is worth no more than the cheapest that it waits for, or else a dear one behind
    /// a cheap one would keep both.
    pub(super) fn last(&self, base_fee: u64) -> Option<(Worth, &Entry)> {
        let last = &self.slots.last_key_value()?.1.entry;
        let is_ready = self.is_ready(last.nonce);
        let price = if is_ready {
            self.entries().map(|entry| entry.price_at(base_fee)).min().unwrap_or_default()
        } else {
            last.price_at(base_fee)
        };
        Some((Worth { is_ready, price, arrival: std::cmp::Reverse(last.arrival) }, last))
    }
}
