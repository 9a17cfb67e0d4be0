//! What a transaction changed, in a form that can be put in its place among others afterwards.
//!
//! A transaction that is run before the ones ahead of it are known depends on what it read. Most of them read balances
//! only to add to them or to see that they suffice: the fees' recipient, who is paid, who pays for gas. [`Effects`] say
//! which balances nothing else was done with, so that their changes are sums that commute.

use alloc::vec::Vec;

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, U256, map::B256Map};
use revm::{bytecode::opcode, state::EvmState};

use crate::{Accesses, Account, AccountChange, ChangeSet, Code, RecoveredTransaction};

/// The change of one account by one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountEffect {
    /// Which account.
    pub address: Address,
    /// The account afterwards; `None` where it no longer exists.
    pub account: Option<Account>,
    /// Whether that differs from before. Of a contract that is called mostly its storage changes.
    pub is_account_changed: bool,
    /// Its storage was emptied before [`Self::storage`] was written.
    pub storage_cleared: bool,
    /// Slots written, with their values afterwards, in no order.
    pub storage: Vec<(U256, U256)>,
}

/// What one transaction changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Changed accounts, in no order.
    pub accounts: Vec<AccountEffect>,
    /// Code that did not exist before, by hash.
    pub codes: Vec<(B256, Code)>,
    /// Fees to be added to accounts that the transaction did not look at, in order. Also a fee of nothing touches its
    /// account (EIP-161).
    pub fees: [Option<(Address, U256)>; 2],
    /// What the transaction did with balances.
    pub balances: BalanceUse,
    /// A precompile read slots: what it made of their words is in no [`Formulas`](crate::Formulas).
    pub has_precompile_read: bool,
    /// What it accessed, reverted frames included; kept where it was asked for.
    pub accesses: Accesses,
}

/// What a transaction did with balances besides paying fees and its own value, and receiving.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BalanceUse {
    /// Code ran that can see balances, or that is not known well enough.
    pub is_any_observed: bool,
    /// Accounts that moved value from within code: whether they had enough decided something.
    pub payers: Vec<Address>,
}

impl BalanceUse {
    /// Whether anything about the account's balance mattered, but that it was zero or not.
    pub fn is_observed(&self, address: &Address) -> bool {
        self.is_any_observed || self.payers.contains(address)
    }

    /// What `transaction` needed to know of an account that it accessed.
    pub fn of_account(&self, transaction: &RecoveredTransaction, address: &Address) -> AccountUse {
        if self.is_observed(address) {
            return AccountUse::Exact;
        }
        let is_sender = transaction.sender == *address;
        AccountUse::Part {
            balance_min_wei: if is_sender { transaction.cost_max_wei() } else { U256::ZERO },
            // Who delegates is not looked into.
            is_nonce_used: is_sender || transaction.envelope.authorization_list().is_some(),
        }
    }
}

/// What a transaction needed to know of an account: as long as this stays the same, it does the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountUse {
    /// Perhaps anything.
    Exact,
    /// Its code, whether its balance and its nonce are zero (EIP-161), and this.
    Part {
        /// Whether the balance was at least so much.
        balance_min_wei: U256,
        /// The nonce itself.
        is_nonce_used: bool,
    },
}

impl AccountUse {
    /// What who only adds to a balance needs to know.
    pub const RECEIVER: Self = Self::Part { balance_min_wei: U256::ZERO, is_nonce_used: false };

    /// Whether two states of the account are the same for this use.
    pub fn is_same(&self, one: Option<&Account>, other: Option<&Account>) -> bool {
        match (self, one, other) {
            (&Self::Part { balance_min_wei, is_nonce_used }, Some(one), Some(other)) => {
                one.code_hash == other.code_hash
                    && (one.nonce == other.nonce || !(is_nonce_used || one.nonce == 0 || other.nonce == 0))
                    && one.balance.is_zero() == other.balance.is_zero()
                    && (one.balance >= balance_min_wei) == (other.balance >= balance_min_wei)
            }
            (_, one, other) => one == other,
        }
    }
}

/// An account to which a fee is paid that was owed to it, and whether it is removed; `None` where nothing changes.
pub fn pay_fee(before: Option<Account>, fee_wei: U256) -> Option<(Option<Account>, bool)> {
    let mut account = before.unwrap_or_default();
    // SPEC: revm adds what fits.
    account.balance = account.balance.checked_add(fee_wei).unwrap_or(account.balance);
    if account.is_empty() {
        // EIP-161: touched, and empty still.
        return Some((None, true));
    }
    (before != Some(account)).then_some((Some(account), false))
}

/// Watches what the transaction under way does with balances.
#[derive(Debug, Default)]
pub(crate) struct BalanceWatch {
    pub(crate) is_on: bool,
    pub(crate) seen: BalanceUse,
    pub(crate) fees: [Option<(Address, U256)>; 2],
    /// Codes that were met, and whether they can see balances. BOUND: what one block calls.
    codes: B256Map<bool>,
}

impl BalanceWatch {
    pub(crate) fn begin(&mut self) {
        self.is_on = true;
        self.seen = BalanceUse::default();
        self.fees = [None; 2];
    }

    /// Code is about to run.
    pub(crate) fn code(&mut self, hash: Option<B256>, code: &[u8]) {
        if self.seen.is_any_observed {
            return;
        }
        // Code without a known hash is that of a creation.
        self.seen.is_any_observed =
            hash.is_none_or(|hash| *self.codes.entry(hash).or_insert_with(|| can_see_balances(code)));
    }

    /// A fee is due to an account that the transaction did not load.
    pub(crate) fn owe(&mut self, recipient: Address, fee: U256) {
        let place = usize::from(self.fees[0].is_some());
        self.fees[place] = Some((recipient, fee));
    }
}

/// Whether any instruction of the code gives a balance or moves all of one. Value that a CALL moves is not code's own
/// knowledge: the frame that it starts is seen.
fn can_see_balances(code: &[u8]) -> bool {
    let mut place = 0;
    while let Some(&instruction) = code.get(place) {
        match instruction {
            opcode::BALANCE | opcode::SELFBALANCE | opcode::SELFDESTRUCT => return true,
            opcode::PUSH1..=opcode::PUSH32 => place += usize::from(instruction - opcode::PUSH1) + 1,
            _ => {}
        }
        place += 1;
    }
    false
}

impl Effects {
    /// What the journal of one transaction (or system call) holds. It is empty afterwards.
    pub fn drain_journal(state: &mut EvmState) -> Self {
        let mut effects = Self::default();
        for (address, entry) in state.drain() {
            if !entry.is_touched() {
                continue;
            }
            // EIP-161: an account that was touched and is empty ceases to exist. revm clears the
            // touched flag or marks it created where that rule is not in force yet.
            if entry.is_selfdestructed() || (entry.is_empty() && !entry.is_created()) {
                effects.accounts.push(AccountEffect {
                    address,
                    account: None,
                    is_account_changed: true,
                    storage_cleared: true,
                    storage: Vec::new(),
                });
                continue;
            }
            let storage: Vec<(U256, U256)> =
                entry.changed_storage_slots().map(|(slot, value)| (*slot, value.present_value)).collect();
            let is_account_changed = entry.is_created() || entry.is_changed();
            if !is_account_changed && storage.is_empty() {
                continue;
            }
            let info = &entry.info;
            if let Some(code) = &info.code
                && !code.is_empty()
                && (entry.is_created() || entry.original_info().code_hash != info.code_hash)
            {
                effects.codes.push((info.code_hash, Code(code.clone())));
            }
            effects.accounts.push(AccountEffect {
                address,
                account: Some(Account { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash }),
                is_account_changed,
                storage_cleared: entry.is_created(),
                storage,
            });
        }
        effects
    }
}

impl From<Effects> for ChangeSet {
    /// The changes, where no fees are owed.
    fn from(effects: Effects) -> Self {
        let accounts = effects.accounts.into_iter().map(|effect| {
            let AccountEffect { address, account, storage_cleared, storage, .. } = effect;
            (address, AccountChange { account, storage_cleared, storage: storage.into_iter().collect() })
        });
        Self { accounts: accounts.collect(), codes: effects.codes.into_iter().collect() }
    }
}
