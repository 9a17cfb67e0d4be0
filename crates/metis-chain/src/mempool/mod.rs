//! The mempool: transactions that wait for a block.
//!
//! In: recovered transactions, and after each new block what it contained and changed. Out:
//! candidates for the next block in the order of what they pay or of their arrival; views of what
//! waits; a reason for each transaction that is refused or dropped.
//!
//! Invariants: a sender's *ready* transactions have nonces without a gap from the account's own
//! and the account can pay all of them together; the others are *queued*. A transaction that was
//! accepted is never stuck while those with its sender's earlier nonces are mined and its sender
//! can pay. What the pool does follows from its calls alone: arrival is a counter, there is no
//! clock and no randomness.
//!
//! Cost: adding costs logarithms of the number of senders and of the sender's transactions;
//! a new block costs the senders it concerns; candidates cost one heap of the senders.
//!
//! State is the caller's: [`SenderAccounts`], which every state view is.

mod best;
mod config;
mod pool;
mod queue;
mod rejection;
mod update;
mod views;

use std::{cmp::Reverse, sync::Arc};

use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256};
use metis_state_transition::{RecoveredTransaction, StateView};

pub use best::{Best, Order};
pub use config::{Funds, MempoolConfig, PoolHead};
pub use pool::{Added, Mempool};
pub use rejection::{AddError, Rejection};
pub use update::{DropReason, Dropped, NewHead, PoolUpdate};
pub use views::{PoolStatus, SenderContent};

/// What the pool needs to know of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderAccount {
    /// The nonce of its next transaction.
    pub nonce: u64,
    /// Native token, in wei.
    pub balance: U256,
    /// It has code that is not a delegation, so it may not send (EIP-3607).
    pub has_code: bool,
}

/// The accounts as they are after the newest block. Every [`StateView`] is one.
pub trait SenderAccounts {
    /// Why an account could not be read.
    type Error;

    /// An account; one that does not exist is empty.
    ///
    /// # Errors
    /// When it can not be read.
    fn sender_account(&self, address: &Address) -> Result<SenderAccount, Self::Error>;
}

impl<V: StateView> SenderAccounts for V {
    type Error = V::Error;

    fn sender_account(&self, address: &Address) -> Result<SenderAccount, Self::Error> {
        let Some(account) = self.account(address)? else { return Ok(SenderAccount::default()) };
        // EIP-7702: a delegation is 23 bytes that begin so.
        let has_code = account.code_hash != KECCAK256_EMPTY && {
            let code = self.code(&account.code_hash)?.bytes();
            let is_delegation = code.len() == 23 && code.starts_with(&[0xef, 0x01, 0x00]);
            !code.is_empty() && !is_delegation
        };
        Ok(SenderAccount { nonce: account.nonce, balance: account.balance, has_code })
    }
}

/// A transaction in the pool, and what is asked of it often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolTransaction {
    /// The transaction and its sender.
    pub transaction: RecoveredTransaction,
    /// Its hash.
    pub hash: B256,
    /// Its place in the order of arrival.
    pub arrival: u64,
    /// Its nonce.
    pub nonce: u64,
    /// Most wei it may take from its sender. `None` where that does not fit 256 bits.
    pub cost: Option<U256>,
    /// Size of its encoding and of its sidecar.
    pub size_bytes: usize,
    max_fee: u128,
    max_priority_fee: u128,
    max_blob_fee: Option<u128>,
}

impl PoolTransaction {
    fn new(transaction: RecoveredTransaction, sidecar_bytes: usize, arrival: u64) -> Self {
        let envelope = &transaction.envelope;
        let max_fee = envelope.max_fee_per_gas();
        let max_blob_fee = envelope.max_fee_per_blob_gas();
        let gas_cost = U256::from(max_fee) * U256::from(envelope.gas_limit());
        let blob_gas = envelope.blob_gas_used().unwrap_or(0);
        let blob_cost = U256::from(max_blob_fee.unwrap_or(0)) * U256::from(blob_gas);
        Self {
            hash: *envelope.tx_hash(),
            arrival,
            nonce: envelope.nonce(),
            // Gas and blobs take at most 193 bits, so only the value can overflow.
            cost: (gas_cost + blob_cost).checked_add(envelope.value()),
            size_bytes: envelope.encode_2718_len() + sidecar_bytes,
            max_fee,
            max_priority_fee: envelope.max_priority_fee_per_gas().unwrap_or(max_fee),
            max_blob_fee,
            transaction,
        }
    }

    /// Who sent it.
    pub const fn sender(&self) -> Address {
        self.transaction.sender
    }

    /// Wei per gas that go to the fee recipient at a base fee; `None` where the fee cap is below
    /// the base fee.
    pub fn tip_at(&self, base_fee: u64) -> Option<u128> {
        let above = self.max_fee.checked_sub(u128::from(base_fee))?;
        Some(above.min(self.max_priority_fee))
    }

    /// Wei per gas that it would pay at a base fee, or offers where that is less.
    fn price_at(&self, base_fee: u64) -> u128 {
        self.max_fee.min(u128::from(base_fee).saturating_add(self.max_priority_fee))
    }

    /// Whether its fee caps allow it into a block.
    fn pays(&self, base_fee: u64, blob_base_fee: u128) -> bool {
        self.max_fee >= u128::from(base_fee) && self.max_blob_fee.is_none_or(|max| max >= blob_base_fee)
    }
}

/// What keeps a transaction in a full pool: being ready, then its price, then its age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Worth {
    is_ready: bool,
    price: u128,
    arrival: Reverse<u64>,
}

/// Shared with views and builders; the pool's own copy may go meanwhile.
type Entry = Arc<PoolTransaction>;
