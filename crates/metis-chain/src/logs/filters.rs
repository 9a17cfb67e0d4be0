//! Filters that a client installs and polls (eth_newFilter and its fellows).
//!
//! A filter remembers which state was the newest when it was polled last. What happened since
//! follows from the tree of states, so no history is kept for it, and a reorganisation between two
//! polls shows as what it did: logs of blocks that left the chain, then logs of those that came.

use std::{collections::BTreeMap, ops::RangeInclusive};

use alloy_primitives::B256;

use super::{LogFilter, LogQuery, MatchedLog};
use crate::{
    chain::{Chain, ChainError, NodeIndex},
    mempool::Mempool,
};

/// How filters are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FiltersConfig {
    /// Most filters at a time.
    pub count_max: usize,
    /// A filter that is not polled for longer is dropped.
    pub idle_ms_max: u64,
    /// Most blocks or logs that one poll returns (of logs: after the block in which they are
    /// passed). The next poll goes on from there.
    pub poll_items_max: usize,
}

impl Default for FiltersConfig {
    fn default() -> Self {
        Self { count_max: 1000, idle_ms_max: 300_000, poll_items_max: 20_000 }
    }
}

/// Names a filter. Callers choose it, at random: who can guess it can poll another client's filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterId(pub u128);

/// What a filter reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterKind {
    /// Hashes of blocks that became part of the chain.
    Blocks,
    /// Hashes of transactions that became executable.
    PendingTransactions,
    /// Logs.
    Logs {
        /// Of blocks at these heights.
        blocks: RangeInclusive<u64>,
        /// Which logs.
        filter: LogFilter,
    },
}

/// What happened since the last poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterChanges {
    /// Of [`FilterKind::Blocks`], oldest first.
    Blocks(Vec<B256>),
    /// Of [`FilterKind::PendingTransactions`], in the order they became executable.
    PendingTransactions(Vec<B256>),
    /// Of [`FilterKind::Logs`]: of blocks that left the chain, newest first, then of new ones.
    Logs(Vec<MatchedLog>),
}

/// Why a filter could not be made or polled.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It was never there, was removed, or was not polled for too long.
    #[error("filter {:#x} is not known", .id.0)]
    Unknown {
        /// Its id.
        id: FilterId,
    },
    /// There is one with this id.
    #[error("filter {:#x} is there already", .id.0)]
    Taken {
        /// Its id.
        id: FilterId,
    },
    /// There are too many.
    #[error("there are {max} filters already")]
    TooMany {
        /// The limit.
        max: usize,
    },
    /// Only filters of logs can be asked for all logs.
    #[error("filter {:#x} is not a filter of logs", .id.0)]
    NotOfLogs {
        /// Its id.
        id: FilterId,
    },
    /// The chain could not be read; the filter is as before.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

#[derive(Debug)]
struct Filter {
    kind: FilterKind,
    /// The newest state that it knows of.
    seen: NodeIndex,
    /// The pending transactions that it knows of.
    seen_announcements: u64,
    polled_ms: u64,
}

/// The filters that are installed. There is no clock here: callers say what time it is.
#[derive(Debug, Default)]
pub struct Filters {
    config: FiltersConfig,
    filters: BTreeMap<FilterId, Filter>,
}

impl Filters {
    /// No filter yet.
    pub fn new(config: FiltersConfig) -> Self {
        Self { config, ..Self::default() }
    }

    /// Installs a filter, which reports what happens from now on.
    ///
    /// # Errors
    /// [`FilterError::TooMany`] or [`FilterError::Taken`].
    pub fn install(
        &mut self,
        id: FilterId,
        kind: FilterKind,
        chain: &Chain,
        pool: &Mempool,
        now_ms: u64,
    ) -> Result<(), FilterError> {
        self.expire(now_ms);
        if self.filters.len() >= self.config.count_max {
            return Err(FilterError::TooMany { max: self.config.count_max });
        }
        if self.filters.contains_key(&id) {
            return Err(FilterError::Taken { id });
        }
        let (seen, seen_announcements) = (chain.latest_node(), pool.announcement_count());
        self.filters.insert(id, Filter { kind, seen, seen_announcements, polled_ms: now_ms });
        Ok(())
    }

    /// Removes a filter; whether it was there.
    pub fn uninstall(&mut self, id: FilterId) -> bool {
        self.filters.remove(&id).is_some()
    }

    /// Drops the filters that were not polled for too long; how many.
    pub fn expire(&mut self, now_ms: u64) -> usize {
        let before = self.filters.len();
        self.filters.retain(|_, filter| now_ms.saturating_sub(filter.polled_ms) <= self.config.idle_ms_max);
        before - self.filters.len()
    }

    /// Number of filters.
    pub fn len(&self) -> usize {
        self.filters.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty()
    }

    /// What happened since the last poll (eth_getFilterChanges).
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn poll(
        &mut self,
        id: FilterId,
        chain: &Chain,
        pool: &Mempool,
        now_ms: u64,
    ) -> Result<FilterChanges, FilterError> {
        self.expire(now_ms);
        let items_max = self.config.poll_items_max.max(1);
        let filter = self.filters.get_mut(&id).ok_or(FilterError::Unknown { id })?;
        filter.polled_ms = now_ms;
        match &filter.kind {
            FilterKind::Blocks => {
                let difference = chain.difference_since(filter.seen);
                let reported = &difference.added[..difference.added.len().min(items_max)];
                filter.seen = match reported.last() {
                    Some((node, _)) if reported.len() < difference.added.len() => *node,
                    _ => difference.latest,
                };
                Ok(FilterChanges::Blocks(reported.iter().map(|(_, block)| block.hash).collect()))
            }
            FilterKind::PendingTransactions => {
                let hashes = pool.announcements_after(filter.seen_announcements);
                filter.seen_announcements = pool.announcement_count();
                Ok(FilterChanges::PendingTransactions(hashes))
            }
            FilterKind::Logs { blocks, filter: wanted } => {
                let difference = chain.log_difference_since(filter.seen, blocks.clone(), wanted);
                let mut logs = Vec::new();
                for (node, block) in difference.removed {
                    let mut removed = chain.matching_logs(node, block, wanted, true)?;
                    removed.reverse();
                    logs.extend(removed);
                }
                let mut seen = difference.latest;
                for (node, block) in difference.added {
                    logs.extend(chain.matching_logs(node, block, wanted, false)?);
                    if logs.len() >= items_max {
                        seen = node;
                        break;
                    }
                }
                filter.seen = seen;
                Ok(FilterChanges::Logs(logs))
            }
        }
    }

    /// The query for all logs of a filter (eth_getFilterLogs).
    ///
    /// # Errors
    /// [`FilterError::Unknown`] or [`FilterError::NotOfLogs`].
    pub fn log_query(&mut self, id: FilterId, now_ms: u64) -> Result<LogQuery, FilterError> {
        self.expire(now_ms);
        let filter = self.filters.get_mut(&id).ok_or(FilterError::Unknown { id })?;
        filter.polled_ms = now_ms;
        match &filter.kind {
            FilterKind::Logs { blocks, filter } => Ok(LogQuery { blocks: blocks.clone(), filter: filter.clone() }),
            FilterKind::Blocks | FilterKind::PendingTransactions => Err(FilterError::NotOfLogs { id }),
        }
    }
}
