//! What queries for logs ask of the chain.

use std::ops::RangeInclusive;

use alloy_primitives::{Address, B256, Bytes, Log, keccak256};

use super::{
    BlockRef, Chain, ChainError, NodeIndex,
    index::Index,
    read::{of_record, payload},
};
use crate::{
    logs::{LogFilter, MatchedLog},
    record::BlockView,
};

impl Index {
    /// Blocks of the chain that may have a log that matches, ascending.
    fn log_candidates(&self, numbers: RangeInclusive<u64>, filter: &LogFilter) -> Vec<(NodeIndex, BlockRef)> {
        let tree = &self.tree;
        let first_number = tree.first_number();
        let begin = first_number.max(*numbers.start());
        let end = tree.block_of(tree.latest()).number.min(*numbers.end());
        if begin > end {
            return Vec::new();
        }
        let (first, last) = ((begin - first_number) as u32, (end - first_number) as u32);
        let with_ref = |position: u32| {
            let block = tree.by_number(first_number + u64::from(position))?;
            (tree.node(block).log_count > 0).then(|| (block, tree.block_ref(block)))
        };
        match self.postings.candidates(&filter.keys(), first, last) {
            Some(found) => found.into_iter().filter_map(with_ref).collect(),
            None => (first..=last).filter_map(with_ref).collect(),
        }
    }
}

impl Chain {
    /// Blocks of the chain that may have a log that matches, ascending.
    pub(crate) fn log_candidates(
        &self,
        numbers: RangeInclusive<u64>,
        filter: &LogFilter,
    ) -> Vec<(NodeIndex, BlockRef)> {
        self.index.read().log_candidates(numbers, filter)
    }

    pub(crate) fn find_node(&self, hash: &B256) -> Option<(NodeIndex, BlockRef)> {
        let tree = &self.index.read().tree;
        tree.by_hash(hash).map(|block| (block, tree.block_ref(block)))
    }

    /// Logs of a block that match.
    pub(crate) fn matching_logs(
        &self,
        node: NodeIndex,
        block: BlockRef,
        filter: &LogFilter,
    ) -> Result<Vec<MatchedLog>, ChainError> {
        let mut found = Vec::new();
        let mut log_index = 0;
        let mut take = |transaction_index: usize, address: Address, topics: &[B256], data: &[u8]| {
            if filter.matches_parts(&address, topics) {
                found.push(MatchedLog {
                    log: Log::new_unchecked(address, topics.to_vec(), Bytes::copy_from_slice(data)),
                    block,
                    transaction_hash: B256::ZERO,
                    transaction_index: transaction_index as u32,
                    log_index,
                });
            }
            log_index += 1;
        };
        let hot = self.hot.lock().get(node);
        if let Some(stored) = hot {
            for (transaction_index, details) in stored.receipts.iter().enumerate() {
                for log in &details.receipt.logs {
                    take(transaction_index, log.address, log.data.topics(), &log.data.data);
                }
            }
            for log in &mut found {
                log.transaction_hash = stored.transaction_hashes[log.transaction_index as usize];
            }
            return Ok(found);
        }
        let node = self.index.read().tree.node(node).clone();
        let payload = payload(self.reader.as_ref(), &node)?;
        let view = of_record(node.state, || BlockView::new(&payload))?;
        of_record(node.state, || view.visit_logs(take))?;
        // Only the transactions with a match are hashed; the logs come in their order.
        let mut unnamed = found.iter_mut().peekable();
        of_record(node.state, || {
            view.visit_transactions(|position, encoded| {
                let is_of_this = |log: &&mut MatchedLog| log.transaction_index as usize == position;
                let mut hash = None;
                while let Some(log) = unnamed.next_if(is_of_this) {
                    log.transaction_hash = *hash.get_or_insert_with(|| keccak256(encoded));
                }
            })
        })?;
        Ok(found)
    }
}
