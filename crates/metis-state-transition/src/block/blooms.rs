//! Bloom filters of receipts.

use alloc::{boxed::Box, vec};

use alloy_primitives::{Address, B256, Bloom, Log, keccak256};

/// BOUND: hashes that are kept of each kind.
const KEPT_COUNT: usize = 64;

/// Hashes of what logs name again and again: contracts, and the kinds of their events. Making them is most of what a
/// bloom filter costs. Of each place the newest is kept.
#[derive(Clone, Debug)]
pub struct LogHashes {
    contracts: Box<[(Address, B256)]>,
    events: Box<[(B256, B256)]>,
}

impl Default for LogHashes {
    fn default() -> Self {
        // What stands there at first is true of zeros.
        Self {
            contracts: vec![(Address::ZERO, keccak256(Address::ZERO)); KEPT_COUNT].into(),
            events: vec![(B256::ZERO, keccak256(B256::ZERO)); KEPT_COUNT].into(),
        }
    }
}

impl LogHashes {
    /// The filter over the logs of a transaction (Yellow Paper §4.3.1).
    pub fn bloom(&mut self, logs: &[Log]) -> Bloom {
        let mut bloom = Bloom::ZERO;
        for log in logs {
            bloom.m3_2048_hashed(&hash_of(&mut self.contracts, log.address));
            if let Some((event, arguments)) = log.topics().split_first() {
                bloom.m3_2048_hashed(&hash_of(&mut self.events, *event));
                arguments.iter().for_each(|argument| bloom.m3_2048(argument.as_slice()));
            }
        }
        bloom
    }
}

fn hash_of<K: Copy + PartialEq + AsRef<[u8]>>(kept: &mut [(K, B256)], key: K) -> B256 {
    // Both are hashes, or parts of one: any byte is as good as random.
    let place = usize::from(key.as_ref()[key.as_ref().len() - 1]) % kept.len();
    let (known, hash) = &mut kept[place];
    if *known != key {
        (*known, *hash) = (key, keccak256(key));
    }
    *hash
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)] // subject__condition__outcome

    use alloc::vec::Vec;

    use alloy_primitives::{Bytes, logs_bloom};

    use super::*;

    /// Oracle: alloy, which keeps nothing.
    #[test]
    fn bloom__of_logs_whose_hashes_share_places__is_that_of_hashing_all() {
        let mut hashes = LogHashes::default();
        for round in 0..200_u64 {
            let word = |number: u64| B256::from(alloy_primitives::U256::from(number * round % 131));
            let log = |number: u64| {
                let topics = (0..number % 5).map(word).collect();
                Log::new_unchecked(Address::from_word(word(number)), topics, Bytes::new())
            };
            let logs: Vec<Log> = (0..round % 7).map(log).collect();
            assert_eq!(hashes.bloom(&logs), logs_bloom(&logs));
        }
    }
}
