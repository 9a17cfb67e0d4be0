//! One run of a transaction ahead of its turn: what it read, what came of it, what it writes.

use alloy_consensus::Transaction as _;
use alloy_eips::eip4844::DATA_GAS_PER_BLOB;
use alloy_primitives::{Address, B256, U256, uint};
use metis_state_transition::{
    Account, AccountEffect, Code, Effects, ReceiptDetails, RecoveredTransaction, TransactionError,
};

use super::{
    memory::{AccountCell, AccountVersion, Index, Memory, SlotCell},
    view::{AccountRead, BalanceRead, Reads},
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
    /// The receipt, but for what came before it.
    pub(super) draft: ReceiptDetails,
    pub(super) macs: u64,
    pub(super) codes: Vec<(B256, Code)>,
    pub(super) fees: [Option<(Address, U256)>; 2],
}

/// What a run writes, by cell. Accounts come first: they clear storage.
#[derive(Default)]
pub(super) struct Writes<'m> {
    accounts: Vec<(&'m AccountCell, AccountVersion)>,
    slots: Vec<(&'m SlotCell<'m>, U256)>,
}

impl<'m> Writes<'m> {
    /// Takes over everything as it is after a transaction.
    pub(super) fn fill(&mut self, effects: Vec<AccountEffect>, memory: &'m Memory<'_>) {
        self.accounts.clear();
        self.slots.clear();
        for effect in effects {
            let AccountEffect { address, account, storage_cleared: clears_storage, storage } = effect;
            self.accounts.push((memory.account(address), AccountVersion::Whole { account, clears_storage }));
            self.slots.extend(storage.into_iter().map(|(slot, value)| (memory.slot(address, slot), value)));
        }
    }

    /// Shows the writes to the transactions behind.
    pub(super) fn publish(&self, index: Index) {
        for (cell, version) in &self.accounts {
            cell.publish(index, *version);
        }
        for (cell, value) in &self.slots {
            cell.publish(index, Some(*value));
        }
    }

    /// Lets who reads them wait.
    pub(super) fn cover(&self, index: Index) {
        for (cell, _) in &self.accounts {
            cell.publish(index, AccountVersion::Unknown);
        }
        for (cell, _) in &self.slots {
            cell.publish(index, None);
        }
    }

    pub(super) fn withdraw(&self, index: Index) {
        for (cell, _) in &self.accounts {
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
        self.end = End::Unknown;
    }

    /// A run that ended with a receipt; its reads are there. Where nothing but its own payments was done with a balance,
    /// what was read of it shrinks to what it decided, and what was written to the difference.
    pub(super) fn fill(
        &mut self,
        transaction: &RecoveredTransaction,
        draft: ReceiptDetails,
        macs: u64,
        effects: Effects,
        memory: &'m Memory<'_>,
    ) {
        let Effects { accounts, codes, fees, balances, .. } = effects;
        for (hash, code) in &codes {
            memory.add_code(*hash, code);
        }
        let reads = &mut self.reads.accounts;
        let is_plain = |read: &AccountRead<'_>| read.seen.is_none_or(|account| account.balance < PLAIN_BALANCE_MAX);
        if !balances.is_any_observed && reads.iter().all(is_plain) {
            for read in &mut *reads {
                if !balances.payers.contains(&read.cell.address) {
                    let is_sender = read.cell.address == transaction.sender;
                    let least = if is_sender { cost_max(transaction) } else { U256::ZERO };
                    read.balance = BalanceRead::AtLeast(least);
                }
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
        self.end = End::Ran(Ran { draft, macs, codes, fees });
    }
}

/// A write of a whole account as a difference of balances, where its balance was not looked at.
fn difference(read: &AccountRead<'_>, version: &AccountVersion) -> Option<AccountVersion> {
    let (BalanceRead::AtLeast(_), Some(before)) = (&read.balance, read.seen) else { return None };
    let AccountVersion::Whole { account: Some(after), clears_storage: false } = version else { return None };
    Some(AccountVersion::Moved(Account { balance: after.balance.wrapping_sub(before.balance), ..*after }))
}

/// What the sender must have for the transaction to be valid (Yellow Paper (65), EIP-1559, EIP-4844).
fn cost_max(transaction: &RecoveredTransaction) -> U256 {
    let envelope = &transaction.envelope;
    let gas = U256::from(envelope.gas_limit()) * U256::from(envelope.max_fee_per_gas());
    let blob_gas = U256::from(envelope.blob_count().unwrap_or(0)) * U256::from(DATA_GAS_PER_BLOB);
    let blobs = blob_gas * U256::from(envelope.max_fee_per_blob_gas().unwrap_or(0));
    envelope.value().saturating_add(gas).saturating_add(blobs)
}
