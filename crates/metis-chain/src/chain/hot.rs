//! Blocks as they are used, and the ones used last.

use std::{collections::HashMap, sync::Arc};

use alloy_consensus::Transaction as _;
use alloy_primitives::{Address, B256, map::DefaultHashBuilder};
use metis_state_transition::{Block, ReceiptDetails};

use super::NodeIndex;
use crate::record::{BlockView, RecordError};

/// A block with senders, hashes and receipts of its transactions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// Hash of the header.
    pub hash: B256,
    /// The block.
    pub block: Arc<Block>,
    /// Senders of its transactions, in order.
    pub senders: Vec<Address>,
    /// Hashes of its transactions, in order.
    pub transaction_hashes: Vec<B256>,
    /// What its transactions did, in order.
    pub receipts: Vec<ReceiptDetails>,
}

impl StoredBlock {
    pub(super) fn new(hash: B256, block: Arc<Block>, senders: Vec<Address>, receipts: Vec<ReceiptDetails>) -> Self {
        let transaction_hashes = block.body.transactions.iter().map(|envelope| *envelope.tx_hash()).collect();
        Self { hash, block, senders, transaction_hashes, receipts }
    }

    pub(super) fn of_record(view: &BlockView<'_>) -> Result<Self, RecordError> {
        let (block, senders, receipts) = view.block_and_receipts()?;
        Ok(Self::new(view.hash, Arc::new(block), senders, receipts))
    }

    /// Position of a transaction's first log among the block's logs.
    pub fn first_log_index(&self, transaction_index: usize) -> usize {
        self.receipts.iter().take(transaction_index).map(|details| details.receipt.logs.len()).sum()
    }

    /// About how much memory it takes.
    fn weight_bytes(&self) -> usize {
        let transactions = self.block.body.transactions.iter().map(|envelope| 512 + envelope.input().len());
        let receipts = self.receipts.iter().map(|details| {
            let logs = details.receipt.logs.iter().map(|log| 192 + log.data.data.len());
            512 + details.output.len() + logs.sum::<usize>()
        });
        1024 + transactions.sum::<usize>() + receipts.sum::<usize>()
    }
}

/// The blocks used last: two generations, of which the older is dropped when the younger is full.
#[derive(Debug)]
pub(super) struct HotBlocks {
    bytes_max: usize,
    young: HashMap<NodeIndex, Arc<StoredBlock>, DefaultHashBuilder>,
    old: HashMap<NodeIndex, Arc<StoredBlock>, DefaultHashBuilder>,
    young_bytes: usize,
}

impl HotBlocks {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, young: HashMap::default(), old: HashMap::default(), young_bytes: 0 }
    }

    pub(super) fn get(&mut self, block: NodeIndex) -> Option<Arc<StoredBlock>> {
        if let Some(found) = self.young.get(&block) {
            return Some(Arc::clone(found));
        }
        let found = self.old.remove(&block)?;
        self.put(block, Arc::clone(&found));
        Some(found)
    }

    pub(super) fn put(&mut self, block: NodeIndex, stored: Arc<StoredBlock>) {
        self.young_bytes += stored.weight_bytes();
        self.young.insert(block, stored);
        // BOUND: two generations of half the limit, and one block that may be larger.
        if self.young_bytes > self.bytes_max / 2 {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
    }

    pub(super) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
        self.young_bytes = 0;
    }
}
