//! What waits: txpool_status, txpool_content, txpool_inspect, and the next nonce.

use alloy_primitives::Address;

use super::{Entry, Mempool, queue::SenderQueue};

/// How many wait (txpool_status).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// Transactions that can be executed in the next block.
    pub ready_count: usize,
    /// Transactions that wait for an earlier nonce or for funds.
    pub queued_count: usize,
}

/// What waits of one sender, by nonce (txpool_content, txpool_inspect).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderContent {
    /// The sender.
    pub sender: Address,
    /// Transactions that can be executed in the next block.
    pub ready: Vec<Entry>,
    /// Transactions that wait for an earlier nonce or for funds.
    pub queued: Vec<Entry>,
}

impl SenderContent {
    fn of(sender: Address, queue: &SenderQueue) -> Self {
        let (ready, queued) = queue.entries().cloned().partition(|entry| queue.is_ready(entry.nonce));
        Self { sender, ready, queued }
    }
}

impl Mempool {
    /// How many wait.
    pub fn status(&self) -> PoolStatus {
        let ready_count = self.senders.values().map(SenderQueue::ready_count).sum();
        PoolStatus { ready_count, queued_count: self.len() - ready_count }
    }

    /// Gas limits of all ready transactions together; `None` where more than `count_max` are ready.
    pub fn ready_gas(&self, count_max: usize) -> Option<u64> {
        let mut ready = self.senders.values().flat_map(SenderQueue::ready_entries);
        let gas = ready.by_ref().take(count_max).fold(0u64, |gas, entry| {
            gas.saturating_add(alloy_consensus::Transaction::gas_limit(&entry.transaction.envelope))
        });
        ready.next().is_none().then_some(gas)
    }

    /// All that waits, by sender.
    pub fn content(&self) -> Vec<SenderContent> {
        self.senders.iter().map(|(sender, queue)| SenderContent::of(*sender, queue)).collect()
    }

    /// What waits of one sender.
    pub fn content_from(&self, sender: &Address) -> Option<SenderContent> {
        self.senders.get(sender).map(|queue| SenderContent::of(*sender, queue))
    }

    /// The nonce after a sender's ready transactions, which its next transaction should have;
    /// `None` where the pool has nothing of it, so its account says.
    pub fn next_nonce(&self, sender: &Address) -> Option<u64> {
        self.senders.get(sender).map(SenderQueue::next_nonce)
    }

    /// The transaction of a sender with a nonce.
    pub fn by_nonce(&self, sender: &Address, nonce: u64) -> Option<&Entry> {
        self.senders.get(sender)?.get(nonce)
    }
}
