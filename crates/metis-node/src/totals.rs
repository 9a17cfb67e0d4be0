//! What the blocks that joined the chain did, summed up since the node was opened.

use std::sync::atomic::{AtomicU64, Ordering};

use metis_chain::chain::StoredBlock;

use crate::Node;

/// Sums over the blocks that joined the chain. A block that comes back counts again.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    transactions: AtomicU64,
    gas_used: AtomicU64,
    logs: AtomicU64,
}

/// Sums since the node was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the documentation
pub struct ChainTotals {
    pub transaction_count: u64,
    pub gas_used: u64,
    pub log_count: u64,
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
        let Totals { transactions, gas_used, logs } = &self.totals;
        ChainTotals {
            transaction_count: transactions.load(Ordering::Relaxed),
            gas_used: gas_used.load(Ordering::Relaxed),
            log_count: logs.load(Ordering::Relaxed),
        }
    }
}
