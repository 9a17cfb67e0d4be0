//! The states that a store keeps, and the hashes of the blocks that led to them.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use alloy_primitives::B256;

use super::snapshot::MetisSnapshot;
use crate::{CommittedBlock, StateSnapshot, StoreError};

/// How many ancestors BLOCKHASH reaches (Yellow Paper appendix H.2).
const ANCESTOR_COUNT: usize = 256;

/// Kept states, oldest first, newest last; never empty.
#[derive(Debug)]
pub(super) struct History {
    pub(super) states: VecDeque<Arc<MetisSnapshot>>,
    /// Hashes of the newest blocks, by number.
    pub(super) block_hashes: BTreeMap<u64, B256>,
}

impl History {
    pub(super) fn newest(&self) -> &Arc<MetisSnapshot> {
        // UNWRAP: never empty.
        self.states.back().unwrap()
    }

    pub(super) fn oldest_number(&self) -> u64 {
        // UNWRAP: never empty.
        self.states.front().unwrap().block().number
    }

    pub(super) fn unavailable(&self, block_number: u64) -> StoreError {
        let (oldest, newest) = (self.oldest_number(), self.newest().block().number);
        StoreError::Unavailable { block_number, oldest, newest }
    }

    /// How many states there are but for the newest `undone_count`; at least one.
    pub(super) fn count_before(&self, undone_count: usize) -> Result<usize, StoreError> {
        let newest = self.newest().block().number;
        let kept = self.states.len().checked_sub(undone_count).filter(|kept| *kept > 0);
        kept.ok_or_else(|| self.unavailable(newest.saturating_sub(undone_count as u64)))
    }

    pub(super) fn require_newest(&self, parent: &MetisSnapshot, got: u64) -> Result<(), StoreError> {
        if self.newest().is_same_state(parent) {
            return Ok(());
        }
        Err(StoreError::OutOfOrder { got, newest: self.newest().block().number })
    }

    /// A block must be higher than the newest state's.
    pub(super) fn require_higher(&self, got: u64) -> Result<(), StoreError> {
        let newest = self.newest().block().number;
        if got > newest { Ok(()) } else { Err(StoreError::OutOfOrder { got, newest }) }
    }

    pub(super) fn push(&mut self, snapshot: Arc<MetisSnapshot>, kept_block_count: usize) {
        self.states.push_back(snapshot);
        self.keep_newest(kept_block_count);
    }

    /// Forgets all but the newest state and so many before it.
    pub(super) fn keep_newest(&mut self, kept_block_count: usize) {
        while self.states.len() > kept_block_count.saturating_add(1) {
            self.states.pop_front();
        }
    }

    pub(super) fn push_hashes(&mut self, block: &CommittedBlock) {
        // The parent too: the hash of block 0 is not known before its state root is.
        self.block_hashes.insert(block.number.saturating_sub(1), block.parent_hash);
        self.block_hashes.insert(block.number, block.hash);
        while self.block_hashes.len() > ANCESTOR_COUNT {
            self.block_hashes.pop_first();
        }
    }

    /// Keeps the oldest `count` states, at least one, the newest of them as `newest` gives it.
    pub(super) fn truncate(&mut self, count: usize, newest: MetisSnapshot) {
        self.states.truncate(count);
        let number = newest.block().number;
        self.states.pop_back();
        self.states.push_back(Arc::new(newest));
        self.block_hashes.split_off(&(number + 1));
    }

    pub(super) fn position(&self, block_number: u64, patch_count: usize) -> Result<usize, StoreError> {
        // Heights may be left out, and a block has one more state per patch: its newest counts.
        let after = self.states.partition_point(|snapshot| snapshot.block().number <= block_number);
        let position =
            after.checked_sub(patch_count + 1).filter(|position| self.states[*position].block().number == block_number);
        position.ok_or_else(|| self.unavailable(block_number))
    }
}
