//! What the blocks that joined the chain did, summed up since the node was opened.

use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, U256};
use metis_chain::chain::StoredBlock;

use crate::Node;

/// Sums over the blocks that joined the chain. A block that comes back counts again.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    transactions: AtomicU64,
    gas_used: AtomicU64,
    logs: AtomicU64,
    pub(crate) reads: ReadCounts,
}

/// Keys that blocks read from the store, counted in several places: the threads of a block would wait for each other at
/// a single one.
#[derive(Debug, Default)]
pub(crate) struct ReadCounts([Reads; READ_PLACE_COUNT]);

const READ_PLACE_COUNT: usize = 16;

/// Two cache lines, which processors fetch together.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Reads {
    accounts: AtomicU64,
    slots: AtomicU64,
}

impl ReadCounts {
    #[inline]
    pub(crate) fn add_account(&self, address: &Address) {
        self.0[usize::from(address[19]) % READ_PLACE_COUNT].accounts.fetch_add(1, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn add_slot(&self, slot: &U256) {
        self.0[slot.as_limbs()[0] as usize % READ_PLACE_COUNT].slots.fetch_add(1, Ordering::Relaxed);
    }

    fn sum(&self, count: impl Fn(&Reads) -> &AtomicU64) -> u64 {
        self.0.iter().map(|reads| count(reads).load(Ordering::Relaxed)).sum()
    }
}

/// Sums since the node was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the documentation
pub struct ChainTotals {
    pub transaction_count: u64,
    pub gas_used: u64,
    pub log_count: u64,
    /// Of blocks that were executed, whether they joined the chain or not; the same in `slot_read_count`.
    pub account_read_count: u64,
    pub slot_read_count: u64,
}

impl Totals {
    pub(crate) fn add(&self, stored: &StoredBlock) {
        let logs: usize = stored.receipts.iter().map(|details| details.receipt.logs.len()).sum();
        self.transactions.fetch_add(stored.receipts.len() as u64, Ordering::Relaxed);
        self.gas_used.fetch_add(stored.block.header.gas_used, Ordering::Relaxed);
        self.logs.fetch_add(logs as u64, Ordering::Relaxed);
    }
}

impl Node {
    /// What the blocks that joined the chain since the node was opened did.
    pub fn totals(&self) -> ChainTotals {
        let Totals { transactions, gas_used, logs, reads } = &self.totals;
        ChainTotals {
            transaction_count: transactions.load(Ordering::Relaxed),
            gas_used: gas_used.load(Ordering::Relaxed),
            log_count: logs.load(Ordering::Relaxed),
            account_read_count: reads.sum(|reads| &reads.accounts),
            slot_read_count: reads.sum(|reads| &reads.slots),
        }
    }
}
