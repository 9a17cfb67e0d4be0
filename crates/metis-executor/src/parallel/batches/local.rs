//! The state within a batch: what its transactions changed, one after the other, over what is committed; and what that
//! rests on.
//!
//! A batch stands if all that it read from below is as it was when its turn comes. Slots must hold the same words. Of an
//! account it is kept what its transactions needed ([`Need`]): where it was only paid to, say, it may hold another
//! balance by then, and what the batch adds is added to that.

use alloy_primitives::{
    Address, U256,
    map::{AddressMap, HashMap},
};
use metis_state_transition::{Account, AccountEffect, AccountUse, BalanceUse, RecoveredTransaction, pay_fee};
use smallvec::SmallVec;

use super::committed::{AccountEntry, SlotEntry, Stamp};
use crate::parallel::attempt::PLAIN_BALANCE_MAX;

/// Place of a transaction in its batch.
pub(in crate::parallel) type Place = u32;

/// What a batch needed of an account as it found it.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::parallel) struct Need {
    /// Perhaps anything. Else its code, whether its nonce is zero, and this.
    is_exact: bool,
    /// The nonce itself.
    is_nonce_used: bool,
    /// The least balance with which none of its transactions would do otherwise.
    balance_min_wei: U256,
}

/// An account in a batch.
pub(in crate::parallel) struct LocalAccount<'m> {
    pub(in crate::parallel) node: AccountEntry<'m>,
    /// The commit that it was found after.
    stamp: Stamp,
    /// The first transaction that it was read by.
    first: Place,
    found: Option<Account>,
    pub(in crate::parallel) now: Option<Account>,
    need: Need,
    /// What is committed by now, where that is something else that will do as well.
    moved_to: Option<Account>,
    /// It or a slot of it was written.
    pub(in crate::parallel) is_listed: bool,
    /// It was itself.
    pub(in crate::parallel) is_changed: bool,
    pub(in crate::parallel) is_cleared: bool,
}

/// A slot in a batch.
pub(in crate::parallel) struct LocalSlot<'m> {
    pub(in crate::parallel) node: SlotEntry<'m>,
    stamp: Stamp,
    first: Place,
    /// None where it was written without being read.
    found: Option<U256>,
    pub(in crate::parallel) now: U256,
    pub(in crate::parallel) is_changed: bool,
}

/// The layer of a batch.
#[derive(Default)]
pub(in crate::parallel) struct Local<'m> {
    /// The transaction that is being run.
    pub(in crate::parallel) place: Place,
    /// Nothing that is read can change: needs are not kept.
    pub(in crate::parallel) is_final: bool,
    pub(in crate::parallel) accounts: Vec<LocalAccount<'m>>,
    pub(in crate::parallel) slots: Vec<LocalSlot<'m>>,
    places: AddressMap<u32>,
    slot_places: HashMap<(Address, U256), u32>,
    /// Accounts that the transaction under way has read.
    touched: Vec<u32>,
    /// Fees for accounts that no transaction of the batch has read so far, in order, and whose they are.
    pub(in crate::parallel) fees: Vec<(Address, U256)>,
    recipients: SmallVec<[Address; 2]>,
    /// Whether accounts had storage was read after these commits cleared it.
    storages: Vec<(AccountEntry<'m>, Stamp, Place)>,
}

impl Need {
    fn add(&mut self, used: AccountUse, found: Option<&Account>, now: Option<&Account>) {
        let (AccountUse::Part { balance_min_wei, is_nonce_used }, Some(found), Some(now)) = (used, found, now) else {
            self.is_exact = true;
            return;
        };
        // Whoever sends has enough. What is zero stays so only where nothing is added.
        let needed = balance_min_wei.max(U256::ONE);
        self.is_exact |= now.balance < needed;
        self.is_nonce_used |= is_nonce_used;
        self.balance_min_wei =
            self.balance_min_wei.max(needed.saturating_add(found.balance).saturating_sub(now.balance));
    }

    /// Whether a batch that found one account does the same with another one.
    fn is_met(&self, found: Option<&Account>, by: Option<&Account>) -> bool {
        match (found, by) {
            (Some(found), Some(by)) if !self.is_exact => {
                by.balance >= self.balance_min_wei
                    && by.balance < PLAIN_BALANCE_MAX
                    && by.code_hash == found.code_hash
                    && (by.nonce == found.nonce || !(self.is_nonce_used || by.nonce == 0 || found.nonce == 0))
            }
            (found, by) => found == by,
        }
    }
}

impl LocalAccount<'_> {
    /// Whether what was read of it still holds; it is known then what the batch's changes go on from. `base` reads the
    /// state before the block.
    fn holds(&mut self, base: impl FnOnce(&Address) -> Option<Option<Account>>) -> bool {
        if self.node.value.stamp() == self.stamp {
            return true;
        }
        let now = match self.node.value.read() {
            Some((account, _)) => account,
            None => match base(self.node.key) {
                Some(account) => account,
                None => return false,
            },
        };
        let is_met = self.need.is_met(self.found.as_ref(), now.as_ref());
        if !self.need.is_exact {
            self.moved_to = now;
        }
        is_met
    }

    /// A value that the batch gave the account, as it is after what was committed meanwhile.
    pub(in crate::parallel) fn settled(&self, account: Option<Account>) -> Option<Account> {
        let (Some(mut account), Some(by), Some(found)) = (account, self.moved_to, self.found) else { return account };
        account.balance = account.balance.wrapping_add(by.balance).wrapping_sub(found.balance);
        if !self.need.is_nonce_used {
            account.nonce = by.nonce;
        }
        Some(account)
    }

    fn pay(&mut self, fee: U256) {
        self.need.add(AccountUse::RECEIVER, self.found.as_ref(), self.now.as_ref());
        if let Some((account, is_cleared)) = pay_fee(self.now, fee) {
            self.now = account;
            self.is_listed = true;
            self.is_changed = true;
            self.is_cleared |= is_cleared;
        }
    }
}

impl<'m> Local<'m> {
    /// Forgets everything: another batch begins.
    pub(in crate::parallel) fn clear(&mut self) {
        self.place = 0;
        self.is_final = false;
        self.accounts.clear();
        self.slots.clear();
        self.places.clear();
        self.slot_places.clear();
        self.touched.clear();
        self.fees.clear();
        self.recipients.clear();
        self.storages.clear();
    }

    pub(in crate::parallel) fn account(&self, address: &Address) -> Option<&LocalAccount<'m>> {
        self.places.get(address).map(|place| &self.accounts[*place as usize])
    }

    /// The account as it is now, where the batch knows it.
    pub(in crate::parallel) fn read_account(&mut self, address: &Address) -> Option<Option<Account>> {
        let place = *self.places.get(address)?;
        self.touched.push(place);
        Some(self.accounts[place as usize].now)
    }

    /// Notes an account that was found below.
    pub(in crate::parallel) fn found_account(
        &mut self,
        node: AccountEntry<'m>,
        found: Option<Account>,
        stamp: Stamp,
    ) -> Option<Account> {
        let place = self.accounts.len() as u32;
        let mut account = LocalAccount {
            node,
            stamp,
            first: self.place,
            found,
            now: found,
            need: Need::default(),
            moved_to: None,
            is_listed: false,
            is_changed: false,
            is_cleared: false,
        };
        if self.recipients.contains(node.key) {
            self.fees.retain(|(recipient, fee)| {
                let is_own = recipient == node.key;
                if is_own {
                    account.pay(*fee);
                }
                !is_own
            });
        }
        let now = account.now;
        self.accounts.push(account);
        self.places.insert(*node.key, place);
        self.touched.push(place);
        now
    }

    /// The slot as it is now, where the batch knows it.
    pub(in crate::parallel) fn read_slot(&self, address: &Address, slot: &U256) -> Option<U256> {
        if let Some(place) = self.slot_places.get(&(*address, *slot)) {
            return Some(self.slots[*place as usize].now);
        }
        self.account(address).is_some_and(|account| account.is_cleared).then_some(U256::ZERO)
    }

    /// Notes a slot that was found below.
    pub(in crate::parallel) fn found_slot(&mut self, node: SlotEntry<'m>, found: U256, stamp: Stamp) {
        self.slot_places.insert(*node.key, self.slots.len() as u32);
        let first = self.place;
        self.slots.push(LocalSlot { node, stamp, first, found: Some(found), now: found, is_changed: false });
    }

    /// Notes that it was read below whether an account has storage.
    pub(in crate::parallel) fn found_storage(&mut self, node: AccountEntry<'m>, cleared: Stamp) {
        self.storages.push((node, cleared, self.place));
    }

    /// The transaction under way may not be in the block, or could not be run: it needed all that it read.
    pub(in crate::parallel) fn refuse(&mut self) {
        for place in self.touched.drain(..) {
            self.accounts[place as usize].need.is_exact = true;
        }
        self.place += 1;
    }

    /// Adds what the transaction under way did. `new_slot` finds the cell of a slot that is written without being read.
    pub(in crate::parallel) fn enter(
        &mut self,
        transaction: &RecoveredTransaction,
        balances: &BalanceUse,
        effects: &[AccountEffect],
        fees: &[Option<(Address, U256)>; 2],
        new_slot: impl Fn(Address, U256) -> SlotEntry<'m>,
    ) {
        if !self.is_final {
            self.add_needs(transaction, balances);
        }
        self.touched.clear();
        for effect in effects {
            self.write(effect, &new_slot);
        }
        for (recipient, fee) in fees.iter().flatten() {
            if let Some(place) = self.places.get(recipient) {
                self.accounts[*place as usize].pay(*fee);
                continue;
            }
            if !self.recipients.contains(recipient) {
                self.recipients.push(*recipient);
            }
            self.fees.push((*recipient, *fee));
        }
        self.place += 1;
    }

    fn add_needs(&mut self, transaction: &RecoveredTransaction, balances: &BalanceUse) {
        let Self { touched, accounts, .. } = self;
        let is_plain = |place: &u32| {
            let account = &accounts[*place as usize];
            let plain = |account: Option<Account>| account.is_none_or(|account| account.balance < PLAIN_BALANCE_MAX);
            plain(account.now) && plain(account.found)
        };
        let is_part = !balances.is_any_observed && touched.iter().all(is_plain);
        for place in touched.drain(..) {
            let LocalAccount { node, need, found, now, .. } = &mut accounts[place as usize];
            let used = if is_part { balances.of_account(transaction, node.key) } else { AccountUse::Exact };
            need.add(used, found.as_ref(), now.as_ref());
        }
    }

    fn write(&mut self, effect: &AccountEffect, new_slot: &impl Fn(Address, U256) -> SlotEntry<'m>) {
        // Whatever is written was read before.
        let Some(place) = self.places.get(&effect.address) else { return };
        let account = &mut self.accounts[*place as usize];
        account.now = effect.account;
        account.is_listed = true;
        account.is_changed |= effect.is_account_changed;
        if effect.storage_cleared {
            account.is_cleared = true;
            for slot in self.slots.iter_mut().filter(|slot| slot.node.key.0 == effect.address) {
                slot.now = U256::ZERO;
                slot.is_changed = false;
            }
        }
        for (key, value) in &effect.storage {
            let place = *self.slot_places.entry((effect.address, *key)).or_insert_with(|| {
                let node = new_slot(effect.address, *key);
                let place = self.slots.len() as u32;
                let (now, first) = (U256::ZERO, self.place);
                self.slots.push(LocalSlot { node, stamp: 0, first, found: None, now, is_changed: false });
                place
            });
            let slot = &mut self.slots[place as usize];
            slot.now = *value;
            slot.is_changed = true;
        }
    }

    /// How many of the batch's transactions, from the first on, would do the same now that all ahead are committed.
    /// What cannot be read does not hold.
    pub(in crate::parallel) fn holding(
        &mut self,
        base_account: impl Fn(&Address) -> Option<Option<Account>>,
        base_slot: impl Fn(&Address, &U256) -> Option<U256>,
    ) -> Place {
        let mut count = Place::MAX;
        for account in &mut self.accounts {
            if !account.holds(&base_account) {
                count = count.min(account.first);
            }
        }
        for slot in &self.slots {
            let cell = &slot.node.value;
            let Some(found) = slot.found else { continue };
            if cell.stamp() == slot.stamp {
                continue;
            }
            let (address, key) = slot.node.key;
            let now = cell.read().map(|(value, _)| value).or_else(|| base_slot(address, key));
            if now != Some(found) {
                count = count.min(slot.first);
            }
        }
        for (node, cleared, first) in &self.storages {
            if node.value.cleared() != *cleared {
                count = count.min(*first);
            }
        }
        count
    }
}
