//! Which blocks have a log of an address, or with a topic at a position.

use alloy_primitives::{Address, B256, map::DefaultHashBuilder};
use smallvec::SmallVec;
use twox_hash::XxHash3_64;

/// Most addresses and topics occur in few blocks.
type Blocks = SmallVec<[u32; 4]>;

/// Key of an address.
///
/// Keys are hashes of 64 bits. Two things may share one: a query then looks into some blocks for
/// nothing, since it compares every log it returns.
pub(crate) fn address_key(address: &Address) -> u64 {
    XxHash3_64::oneshot_with_seed(0, address.as_slice())
}

/// Key of a topic at a position, from 0.
pub(crate) fn topic_key(position: usize, topic: &B256) -> u64 {
    XxHash3_64::oneshot_with_seed(position as u64 + 1, topic.as_slice())
}

/// For each key, the blocks of the chain in ascending order.
#[derive(Debug, Default)]
pub(crate) struct Postings {
    lists: std::collections::HashMap<u64, Blocks, DefaultHashBuilder>,
}

impl Postings {
    /// Adds a block that is newer than all before.
    pub(crate) fn add(&mut self, key: u64, block: u32) {
        self.lists.entry(key).or_default().push(block);
    }

    /// Takes the newest block out again.
    pub(crate) fn remove_last(&mut self, key: u64, block: u32) {
        if let Some(blocks) = self.lists.get_mut(&key) {
            if blocks.last() == Some(&block) {
                blocks.pop();
            }
            if blocks.is_empty() {
                self.lists.remove(&key);
            }
        }
    }

    /// Blocks from `first` to `last` that have any of the keys, ascending.
    fn any_of(&self, keys: &[u64], first: u32, last: u32) -> Vec<u32> {
        let mut found = Vec::new();
        for key in keys {
            let blocks = self.lists.get(key).map_or(&[][..], |blocks| blocks);
            let from = blocks.partition_point(|block| *block < first);
            let to = blocks.partition_point(|block| *block <= last);
            found.extend_from_slice(&blocks[from..to.max(from)]);
        }
        if keys.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
        found
    }

    /// Blocks from `first` to `last` that have, of each group, any of the keys; ascending.
    /// `None` when there is no group to choose by.
    pub(crate) fn candidates(&self, groups: &[Vec<u64>], first: u32, last: u32) -> Option<Vec<u32>> {
        let mut lists: Vec<Vec<u32>> = groups.iter().map(|keys| self.any_of(keys, first, last)).collect();
        lists.sort_by_key(Vec::len);
        let mut lists = lists.into_iter();
        let mut found = lists.next()?;
        for other in lists {
            found.retain(|block| other.binary_search(block).is_ok());
        }
        Some(found)
    }

    /// Number of keys.
    #[cfg(test)]
    pub(crate) fn key_count(&self) -> usize {
        self.lists.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)]

    use super::*;

    #[test]
    fn postings__blocks_left__leave_no_trace() {
        let mut postings = Postings::default();
        for block in 0..10 {
            postings.add(1, block);
            postings.add(u64::from(block) + 100, block);
        }
        for block in (3..10).rev() {
            postings.remove_last(1, block);
            postings.remove_last(u64::from(block) + 100, block);
        }
        assert_eq!(postings.candidates(&[vec![1]], 0, 99), Some(vec![0, 1, 2]));
        assert_eq!(postings.key_count(), 4);
    }

    #[test]
    fn candidates__groups_of_alternatives__are_intersected() {
        let mut postings = Postings::default();
        for block in 0..20 {
            postings.add(u64::from(block % 2), block);
            postings.add(10 + u64::from(block % 3), block);
        }
        assert_eq!(postings.candidates(&[vec![0], vec![10, 11]], 3, 12), Some(vec![4, 6, 10, 12]));
        assert_eq!(postings.candidates(&[vec![0], vec![99]], 0, 19), Some(vec![]));
        assert_eq!(postings.candidates(&[], 0, 19), None);
        assert_eq!(postings.candidates(&[vec![0]], 9, 3), Some(vec![]));
    }
}
