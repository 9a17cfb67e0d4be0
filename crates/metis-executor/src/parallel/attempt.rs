//! One run of a transaction ahead of its turn: what it read, what came of it, what it writes.

use alloy_primitives::{Address, B256, U256, uint};
use metis_state_transition::{
    AccountEffect, AccountUse, Code, Effects, ReceiptDetails, RecoveredTransaction, Step, TransactionError,
};

use super::{
    memory::{AccountCell, AccountVersion, Index, Memory, Move, SlotCell},
    sums::Sums,
    view::{AccountRead, Reads},
};

/// Where balances are below this, no sum of them overflows: a chain's whole supply fits many times.
pub(super) const PLAIN_BALANCE_MAX: U256 = uint!(0x1000000000000000000000000000000000000000000000000_U256);

/// More are sorted sooner than searched one by one.
const SEARCHED_IN_ORDER_MAX: usize = 16;

/// A run of a transaction.
#[derive(Default)]
pub(super) struct Attempt<'m> {
    pub(super) reads: Reads<'m>,
    pub(super) writes: Writes<'m>,
    /// What it made of slots, where it was followed.
    pub(super) sums: Sums,
    pub(super) end: End,
}

/// How a run ended.
#[derive(Default)]
#[allow(clippy::large_enum_variant)] // it is written where it stays
pub(super) enum End {
    /// There was none, or it says nothing: the transaction is run when its turn comes.
    #[default]
    Unknown,
    /// It may not be in the block.
    Invalid(TransactionError),
    Ran(Ran),
}

/// What a run did besides writing.
pub(super) struct Ran {
    /// What it loaded, and what it needed of that; where a record is kept.
    pub(super) step: Option<Box<Step>>,
    /// The receipt, but for what came before it.
    pub(super) draft: ReceiptDetails,
    pub(super) macs: u64,
    pub(super) codes: Vec<(B256, Code)>,
    pub(super) fees: [Option<(Address, U256)>; 2],
}

impl Ran {
    /// What came of a run, without what it writes.
    pub(super) fn of(
        transaction: &RecoveredTransaction,
        draft: ReceiptDetails,
        macs: u64,
        effects: &mut Effects,
        keeps_record: bool,
    ) -> Self {
        let accesses = std::mem::take(&mut effects.accesses);
        let step = keeps_record.then(|| Box::new(Step::of_transaction(transaction, accesses, &effects.balances)));
        Self { step, draft, macs, codes: std::mem::take(&mut effects.codes), fees: effects.fees }
    }
}

/// What a run writes, by cell. Accounts come first: they clear storage.
#[derive(Default)]
pub(super) struct Writes<'m> {
    pub(super) accounts: Vec<(&'m AccountCell, AccountVersion)>,
    pub(super) slots: Vec<(&'m SlotCell<'m>, U256)>,
}

impl<'m> Writes<'m> {
    /// Takes over everything as it is after a transaction.
    pub(super) fn fill(&mut self, effects: Vec<AccountEffect>, memory: &'m Memory<'_>) {
        self.accounts.clear();
        self.slots.clear();
        for effect in effects {
            let AccountEffect { address, account, is_account_changed, storage_cleared: clears_storage, storage } =
                effect;
            let version = match is_account_changed {
                true => AccountVersion::Whole { account, clears_storage },
                false => AccountVersion::Same,
            };
            self.accounts.push((memory.account(address), version));
            self.slots.extend(storage.into_iter().map(|(slot, value)| (memory.slot(address, slot), value)));
        }
    }

    fn changed_accounts(&self) -> impl Iterator<Item = &(&'m AccountCell, AccountVersion)> {
        self.accounts.iter().filter(|(_, version)| *version != AccountVersion::Same)
    }

    /// Shows the writes to the transactions behind.
    pub(super) fn publish(&self, index: Index) {
        for (cell, version) in self.changed_accounts() {
            cell.publish(index, *version);
        }
        for (cell, value) in &self.slots {
            cell.publish(index, Some(*value));
        }
    }

    /// Lets who reads them wait.
    pub(super) fn cover(&self, index: Index) {
        for (cell, _) in self.changed_accounts() {
            cell.publish(index, AccountVersion::Unknown);
        }
        for (cell, _) in &self.slots {
            cell.publish(index, None);
        }
    }

    pub(super) fn withdraw(&self, index: Index) {
        for (cell, _) in self.changed_accounts() {
            cell.withdraw(index);
        }
        for (cell, _) in &self.slots {
            cell.withdraw(index);
        }
    }

    /// Makes the writes the committed values; collects the cells that the block had not changed before.
    pub(super) fn commit(
        &self,
        index: Index,
        memory: &Memory<'_>,
        accounts: &mut Vec<&'m AccountCell>,
        slots: &mut Vec<&'m SlotCell<'m>>,
    ) {
        for (cell, version) in &self.accounts {
            if memory.commit_account(cell, index, *version) {
                accounts.push(cell);
            }
        }
        for (cell, value) in &self.slots {
            if cell.commit(index, *value) {
                slots.push(cell);
            }
        }
    }
}

impl<'m> Attempt<'m> {
    /// A run that says nothing about what will be.
    pub(super) fn clear(&mut self) {
        self.reads.clear();
        self.writes.accounts.clear();
        self.writes.slots.clear();
        self.sums.clear();
        self.end = End::Unknown;
    }

    /// A run that ended with a receipt; its reads are there. Where nothing but its own payments was done with a balance,
    /// what was read of it shrinks to what it decided, and what was written to the difference.
    pub(super) fn fill(
        &mut self,
        transaction: &RecoveredTransaction,
        ran: Ran,
        effects: Effects,
        memory: &'m Memory<'_>,
    ) {
        let Effects { accounts, balances, has_precompile_read, .. } = effects;
        for (hash, code) in &ran.codes {
            memory.codes.add(*hash, code);
        }
        let reads = &mut self.reads.accounts;
        let is_plain = |read: &AccountRead<'_>| read.seen.is_none_or(|account| account.balance < PLAIN_BALANCE_MAX);
        if !balances.is_any_observed && reads.iter().all(is_plain) {
            for read in &mut *reads {
                read.used = balances.of_account(transaction, &read.cell.address);
            }
        }
        self.writes.fill(accounts, memory);
        let is_long = reads.len() > SEARCHED_IN_ORDER_MAX;
        if is_long {
            reads.sort_unstable_by_key(|read| read.cell.address);
        }
        for (cell, version) in &mut self.writes.accounts {
            let read = if is_long {
                reads.binary_search_by_key(&cell.address, |read| read.cell.address).ok().map(|place| &reads[place])
            } else {
                reads.iter().find(|read| std::ptr::eq(read.cell, *cell))
            };
            if let Some(moved) = read.and_then(|read| difference(read, version)) {
                *version = moved;
            }
        }
        if has_precompile_read {
            self.sums.clear();
        } else {
            self.sums.fill(&self.reads, &self.writes);
        }
        self.end = End::Ran(ran);
    }
}

/// A write of a whole account as a difference of balances, where its balance was not looked at.
fn difference(read: &AccountRead<'_>, version: &AccountVersion) -> Option<AccountVersion> {
    let (AccountUse::Part { is_nonce_used, .. }, Some(before)) = (&read.used, read.seen) else { return None };
    let AccountVersion::Whole { account: Some(after), clears_storage: false } = version else { return None };
    let balance = after.balance.wrapping_sub(before.balance);
    let nonce = is_nonce_used.then_some(after.nonce);
    Some(AccountVersion::Moved(Move { balance, nonce, code_hash: after.code_hash }))
}
