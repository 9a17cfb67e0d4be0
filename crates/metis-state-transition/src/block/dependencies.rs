//! Which transaction of a block depends on which: what no executor can run at the same time.

use alloc::{collections::BTreeMap, vec::Vec};

use alloy_primitives::{Address, U256};

use super::{
    BlockRecord, Location, Rerun,
    record::{AccountTransition, Step},
};
use crate::AccountUse;

/// A transaction would have done something else without an earlier one, as far as what it read tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dependency {
    /// Position of the transaction in the block, from 0.
    pub transaction: usize,
    /// Position of the last one that gave the location a value that differs for it.
    pub on: usize,
    /// What it read.
    pub location: Location,
}

/// Something that a transaction had read too early, so that it was run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// Position of the transaction in the block, from 0.
    pub transaction: usize,
    /// Position of the last one that changed the location.
    pub on: Option<usize>,
    /// What it had read.
    pub location: Location,
}

/// The transactions that must run one after the other, however many cores there are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Positions in the block, in order.
    pub transactions: Vec<usize>,
    /// Gas of them together.
    pub gas_used: u64,
}

/// Who changed what, up to a transaction.
#[derive(Default)]
struct Past<'a> {
    slots: BTreeMap<(Address, U256), usize>,
    cleared: BTreeMap<Address, usize>,
    accounts: BTreeMap<Address, AccountPast<'a>>,
}

#[derive(Default)]
struct AccountPast<'a> {
    changes: Vec<(usize, &'a AccountTransition)>,
    /// The last change that matters to who only adds to the balance.
    for_receivers: Option<usize>,
}

impl BlockRecord {
    /// All dependencies between transactions, in order. They follow from the block alone, not from how it was run.
    ///
    /// Of a slot every value matters; of an account what the transaction needed of it (see [`AccountUse`]), so that
    /// payments to one account do not depend on each other.
    pub fn dependencies(&self) -> Vec<Dependency> {
        let mut past = Past::default();
        let mut found = Vec::new();
        for (transaction, step) in self.transactions().iter().enumerate() {
            for (address, slots) in &step.accesses {
                let usage = step.uses.get(address);
                if let Some(on) = usage.and_then(|usage| past.account(address, usage)) {
                    found.push(Dependency { transaction, on, location: Location::Account(*address) });
                }
                for slot in slots {
                    if let Some(on) = past.slot(address, slot) {
                        found.push(Dependency { transaction, on, location: Location::Slot(*address, *slot) });
                    }
                }
            }
            past.add(transaction, step);
        }
        found
    }

    /// The chain of dependencies with the most gas.
    pub fn longest_chain(&self, dependencies: &[Dependency]) -> Chain {
        let transactions = self.transactions();
        let mut longest: Vec<(u64, Option<usize>)> = Vec::with_capacity(transactions.len());
        let mut rest = dependencies;
        for (index, step) in transactions.iter().enumerate() {
            let own = rest.iter().position(|one| one.transaction != index).unwrap_or(rest.len());
            let (of_this, of_others) = rest.split_at(own);
            rest = of_others;
            // The earliest of those that are as long.
            let ahead = of_this.iter().map(|one| one.on).max_by_key(|on| (longest[*on].0, core::cmp::Reverse(*on)));
            longest.push((step.gas_used + ahead.map_or(0, |on| longest[on].0), ahead));
        }
        let last = (0..longest.len()).max_by_key(|index| (longest[*index].0, core::cmp::Reverse(*index)));
        let gas_used = last.map_or(0, |index| longest[index].0);
        let mut chain: Vec<usize> = core::iter::successors(last, |index| longest[*index].1).collect();
        chain.reverse();
        Chain { transactions: chain, gas_used }
    }

    /// What was run again, and because of whom.
    pub fn conflicts(&self, dependencies: &[Dependency]) -> Vec<Conflict> {
        let conflict = |transaction: usize, location: Location| {
            let key = |one: &Dependency| (one.transaction, one.location);
            let of_it = dependencies.partition_point(|one| one.transaction < transaction);
            let mut own = dependencies[of_it..].iter().take_while(|one| one.transaction == transaction);
            // Where its last run did not read this any more, whoever changed it last.
            let known = own.find(|one| key(one) == (transaction, location)).map(|one| one.on);
            Conflict { transaction, on: known.or_else(|| self.last_change(location, transaction)), location }
        };
        let of_rerun = |rerun: &Rerun| {
            // Step 0 is the protocol's.
            let transaction = rerun.step - 1;
            rerun.locations.iter().map(move |location| conflict(transaction, *location)).collect::<Vec<_>>()
        };
        self.reruns().iter().flat_map(of_rerun).collect()
    }

    /// The last transaction before another one that changed a location.
    fn last_change(&self, location: Location, before: usize) -> Option<usize> {
        let changes = |step: &Step| match location {
            Location::Account(address) => step.accounts.get(&address).is_some_and(|one| one.before != one.after),
            Location::Slot(address, slot) => {
                step.slots.get(&(address, slot)).is_some_and(|(before, after)| before != after)
                    || step.accounts.get(&address).is_some_and(|one| one.is_cleared)
            }
        };
        self.transactions()[..before].iter().rposition(changes)
    }
}

impl<'a> Past<'a> {
    fn add(&mut self, index: usize, step: &'a Step) {
        for (address, transition) in &step.accounts {
            if transition.is_cleared {
                self.cleared.insert(*address, index);
            }
            if transition.before != transition.after {
                let account = self.accounts.entry(*address).or_default();
                account.changes.push((index, transition));
                if !AccountUse::RECEIVER.is_same(transition.before.as_ref(), transition.after.as_ref()) {
                    account.for_receivers = Some(index);
                }
            }
        }
        for (address, slot, _) in step.changed_slots() {
            self.slots.insert((address, slot), index);
        }
    }

    fn slot(&self, address: &Address, slot: &U256) -> Option<usize> {
        self.slots.get(&(*address, *slot)).copied().max(self.cleared.get(address).copied())
    }

    fn account(&self, address: &Address, usage: &AccountUse) -> Option<usize> {
        let account = self.accounts.get(address)?;
        if *usage == AccountUse::RECEIVER {
            return account.for_receivers;
        }
        let matters = |(_, one): &&(usize, &AccountTransition)| !usage.is_same(one.before.as_ref(), one.after.as_ref());
        // BOUND: who sends changes the nonce, which ends the next search.
        account.changes.iter().rev().find(matters).map(|(index, _)| *index)
    }
}
