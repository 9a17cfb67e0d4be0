//! What each step of a block accessed and changed, kept for those who ask for it.
//!
//! ```text
//! step 0          steps 1 … n           step n + 1
//! the protocol    the transactions      the protocol: withdrawals, rewards, requests
//! ```
//!
//! In: accesses and changes, step by step. Out: the block's access list ([`BlockRecord::access_list`]) and which
//! transaction depends on which ([`BlockRecord::dependencies`]). Invariant: the steps of a block are the same whoever
//! ran it. Cost: what the block accessed, in memory; nothing where no record is kept.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use alloy_primitives::{Address, B256, U256};

use crate::{
    Accesses, Account, AccountChange, AccountUse, BalanceUse, ChangeSet, Code, RecoveredTransaction, StateView,
};

/// What an account was before something and is after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountTransition {
    /// Before; `None` where it did not exist.
    pub before: Option<Account>,
    /// After.
    pub after: Option<Account>,
    /// Its storage was emptied in between.
    pub is_cleared: bool,
}

/// A transaction, or what the protocol did before or after all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// What was loaded, reverted frames included, and who was paid a fee.
    pub accesses: Accesses,
    /// Accounts that were written. Some may be as they were.
    pub accounts: BTreeMap<Address, AccountTransition>,
    /// Slots that were written, with their values before and after.
    pub slots: BTreeMap<(Address, U256), (U256, U256)>,
    /// Code that did not exist before.
    pub codes: BTreeMap<B256, Code>,
    /// Of a transaction: what it needed to know of the accounts that it loaded.
    pub uses: BTreeMap<Address, AccountUse>,
    /// Gas of a transaction.
    pub gas_used: u64,
}

/// Something of the state that transactions can depend on each other through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// Nonce, balance or code of an account.
    Account(Address),
    /// A storage slot.
    Slot(Address, U256),
}

/// A transaction that was run ahead of its turn, in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerun {
    /// Which step of the block it became.
    pub step: usize,
    /// What it had read that was different when its turn came.
    pub locations: Vec<Location>,
}

/// What the steps of a block did.
#[derive(Clone, Debug, Default)]
pub struct BlockRecord {
    steps: Vec<Step>,
    has_end: bool,
    reruns: Vec<Rerun>,
}

impl Step {
    /// What a transaction loaded, and what it needed of that. Its changes are added by [`Self::add`].
    pub fn of_transaction(transaction: &RecoveredTransaction, accesses: Accesses, balances: &BalanceUse) -> Self {
        let uses = accesses.keys().map(|address| (*address, balances.of_account(transaction, address))).collect();
        Self { accesses, uses, ..Self::default() }
    }

    /// Adds loads of accounts and slots.
    pub fn access(&mut self, accesses: Accesses) {
        for (address, slots) in accesses {
            self.accesses.entry(address).or_default().extend(slots);
        }
    }

    /// Adds changes of the state that `before` shows.
    ///
    /// # Errors
    /// When that cannot be read.
    pub fn add<V: StateView>(&mut self, before: &V, changes: &ChangeSet) -> Result<(), V::Error> {
        for (address, change) in &changes.accounts {
            let AccountChange { account, storage_cleared, storage } = change;
            self.accesses.entry(*address).or_default();
            let first = before.account(address)?;
            let transition =
                self.accounts.entry(*address).or_insert(AccountTransition { before: first, ..Default::default() });
            transition.after = *account;
            transition.is_cleared |= storage_cleared;
            for (slot, value) in storage {
                let first = before.storage(address, slot)?;
                self.slots.entry((*address, *slot)).or_insert((first, U256::ZERO)).1 = *value;
            }
        }
        self.codes.extend(changes.codes.iter().map(|(hash, code)| (*hash, code.clone())));
        Ok(())
    }

    /// Slots that ended with another value than they began with.
    pub fn changed_slots(&self) -> impl Iterator<Item = (Address, U256, U256)> + '_ {
        let changed = self.slots.iter().filter(|(_, (before, after))| before != after);
        changed.map(|((address, slot), (_, after))| (*address, *slot, *after))
    }
}

impl BlockRecord {
    /// A block that has not begun.
    pub(super) fn new() -> Self {
        Self { steps: [Step::default()].into(), ..Self::default() }
    }

    /// All steps: at 0 what the protocol did before the first transaction, then the transactions, and where the block
    /// was finished, what the protocol did after the last.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The transactions, in order; the first one is step 1.
    pub fn transactions(&self) -> &[Step] {
        &self.steps[1..self.steps.len() - usize::from(self.has_end)]
    }

    /// What was run more than once, in order. This depends on luck; what may be run more than once does not: see
    /// [`Self::dependencies`].
    pub fn reruns(&self) -> &[Rerun] {
        &self.reruns
    }

    /// Adds a transaction.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// The transaction that comes next is being run again, because of `locations`.
    pub fn push_rerun(&mut self, locations: Vec<Location>) {
        self.reruns.push(Rerun { step: self.steps.len(), locations });
    }

    /// What follows is done by the protocol after the last transaction.
    pub(super) fn end(&mut self) {
        self.steps.push(Step::default());
        self.has_end = true;
    }

    /// The step that is under way, of the protocol.
    pub(super) fn last_mut(&mut self) -> &mut Step {
        // UNWRAP: `new` begins with one.
        self.steps.last_mut().unwrap()
    }
}

/// One account without slots, as [`Accesses`].
pub(super) fn access_of(address: Address) -> Accesses {
    [(address, BTreeSet::new())].into()
}
