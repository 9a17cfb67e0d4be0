//! Logs (events) of transactions: found by address and topic.
//!
//! In: a range of blocks, addresses and topics. Out: the logs of the chain that match, in order.
//!
//! Cost: the index names the blocks that may hold a match; only those are read, at some tens of
//! microseconds each. A query without address and topic reads every block of the range that has
//! logs. Limits on both are the caller's ([`LogLimits`]).

mod postings;
mod query;

use alloy_primitives::{Address, B256, Log};
pub use query::{LogLimits, LogQuery, LogScan};

pub(crate) use postings::{Postings, address_key, topic_key};

use crate::chain::BlockRef;

/// Which logs are wanted (eth_getLogs).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// From any of these; empty: from anyone.
    pub addresses: Vec<Address>,
    /// At each position any of these; empty: anything. A log must have as many topics as there
    /// are positions here, also where anything is allowed, as in go-ethereum.
    pub topics: Vec<Vec<B256>>,
}

impl LogFilter {
    /// Whether a log is wanted.
    pub fn matches(&self, log: &Log) -> bool {
        self.matches_parts(&log.address, log.data.topics())
    }

    pub(crate) fn matches_parts(&self, address: &Address, topics: &[B256]) -> bool {
        (self.addresses.is_empty() || self.addresses.contains(address))
            && self.topics.len() <= topics.len()
            && self.topics.iter().zip(topics).all(|(any, topic)| any.is_empty() || any.contains(topic))
    }

    /// Keys of what is asked for; each group is one condition.
    pub(crate) fn keys(&self) -> Vec<Vec<u64>> {
        let addresses = self.addresses.iter().map(address_key).collect();
        let topics = self.topics.iter().enumerate();
        let topics = topics.map(|(position, any)| any.iter().map(|topic| topic_key(position, topic)).collect());
        std::iter::once(addresses).chain(topics).filter(|group: &Vec<u64>| !group.is_empty()).collect()
    }
}

/// A log and where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedLog {
    /// The log.
    pub log: Log,
    /// Its block.
    pub block: BlockRef,
    /// Hash of its transaction.
    pub transaction_hash: B256,
    /// Position of its transaction in the block.
    pub transaction_index: u32,
    /// Position among the logs of the block.
    pub log_index: u32,
}
