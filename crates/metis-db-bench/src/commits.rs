//! Blocks made durable, and what that takes of the disk.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use metis_db::{CommittedBlock, MetisStore, StateSnapshot, StateStore};
use metis_disk::{Disk, ObservedDisk, Operation};
use metis_state_transition::{ChangeSet, StateCommitment};

use crate::{timing::Spread, workload::changes};

/// Changed accounts of a block.
pub const BLOCK_CHANGES: usize = 1_000;
pub const BLOCK_COUNT: u64 = 40;

/// A disk, and how many syncs there were so far.
pub fn counted(disk: impl Disk + 'static) -> (ObservedDisk, Arc<AtomicU64>) {
    let syncs = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&syncs);
    let observer = move |operation| {
        if operation == Operation::Sync {
            counter.fetch_add(1, Relaxed);
        }
    };
    (ObservedDisk::new(Arc::new(disk), observer), syncs)
}

/// Keeps changes as the next block; gives the microseconds of the root and of the commit.
pub fn commit(store: &MetisStore, changes: &ChangeSet) -> [f64; 2] {
    let parent = store.latest();
    let start = Instant::now();
    let state_root = parent.state_root_after(changes).expect("readable");
    let root_us = start.elapsed().as_secs_f64() * 1e6;
    let before = parent.block();
    let block = CommittedBlock { number: before.number + 1, hash: state_root, parent_hash: before.hash, state_root };
    let start = Instant::now();
    store.commit(&parent, block, changes).expect("committed");
    [root_us, start.elapsed().as_secs_f64() * 1e6]
}

/// Microseconds of the roots and of the commits of blocks, and syncs per block.
pub fn measure(store: &MetisStore, syncs: &AtomicU64, account_count: u64) -> ([Spread; 2], f64) {
    let syncs_before = syncs.load(Relaxed);
    let times: Vec<[f64; 2]> = (1..=BLOCK_COUNT)
        .map(|number| commit(store, &changes(1_000_000 + number, BLOCK_CHANGES, account_count)))
        .collect();
    let syncs = (syncs.load(Relaxed) - syncs_before) as f64 / BLOCK_COUNT as f64;
    ([0, 1].map(|index| Spread::new(times.iter().map(|time| time[index]).collect())), syncs)
}
