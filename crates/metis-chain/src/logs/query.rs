//! Queries for logs.

use std::ops::RangeInclusive;

use alloy_primitives::B256;

use super::{LogFilter, MatchedLog};
use crate::chain::{BlockRef, Chain, ChainError, NodeIndex};

/// Logs of a range of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// Heights, both ends included; what lies outside the chain is empty.
    pub blocks: RangeInclusive<u64>,
    /// Which logs.
    pub filter: LogFilter,
}

/// How much a query may find and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// Most logs in the answer.
    pub logs_max: usize,
    /// Most blocks that are read.
    pub blocks_max: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self { logs_max: 20_000, blocks_max: 10_000 }
    }
}

/// Logs that match a query, block by block. It answers for the chain as it was when the query was
/// made, also when the chain is reorganised meanwhile; a block that is forgotten meanwhile is an
/// error.
#[derive(Debug)]
pub struct LogScan<'a> {
    chain: &'a Chain,
    filter: LogFilter,
    blocks: std::vec::IntoIter<(NodeIndex, BlockRef)>,
}

impl LogScan<'_> {
    /// Number of blocks that are still to be read.
    pub fn remaining_block_count(&self) -> usize {
        self.blocks.len()
    }
}

impl Iterator for LogScan<'_> {
    /// A block and its logs that match, possibly none.
    type Item = Result<(BlockRef, Vec<MatchedLog>), ChainError>;

    fn next(&mut self) -> Option<Self::Item> {
        let (node, block) = self.blocks.next()?;
        Some(self.chain.matching_logs(node, block, &self.filter).map(|logs| (block, logs)))
    }
}

impl Chain {
    /// Begins a query. Costs the index look-ups; blocks are read as the scan goes on.
    pub fn scan_logs(&self, query: LogQuery) -> LogScan<'_> {
        let blocks = self.log_candidates(query.blocks, &query.filter);
        LogScan { chain: self, filter: query.filter, blocks: blocks.into_iter() }
    }

    /// All logs that match.
    ///
    /// # Errors
    /// [`ChainError::TooManyBlocks`] before anything is read, [`ChainError::TooManyLogs`], or a
    /// block can not be read.
    pub fn logs(&self, query: LogQuery, limits: LogLimits) -> Result<Vec<MatchedLog>, ChainError> {
        let scan = self.scan_logs(query);
        if let Some((_, block)) = scan.blocks.as_slice().get(limits.blocks_max) {
            return Err(ChainError::TooManyBlocks { limit: limits.blocks_max, next_block: block.number });
        }
        let mut found = Vec::new();
        for step in scan {
            let (block, logs) = step?;
            found.extend(logs);
            if found.len() > limits.logs_max {
                return Err(ChainError::TooManyLogs { limit: limits.logs_max, next_block: block.number });
            }
        }
        Ok(found)
    }

    /// Logs of one block, on the chain or beside it.
    ///
    /// # Errors
    /// [`ChainError::UnknownBlock`], or the block can not be read.
    pub fn logs_of_block(&self, hash: &B256, filter: &LogFilter) -> Result<Vec<MatchedLog>, ChainError> {
        let (node, block) = self.find_node(hash).ok_or(ChainError::UnknownBlock { hash: *hash })?;
        self.matching_logs(node, block, filter)
    }
}
