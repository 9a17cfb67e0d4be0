//! Blocks made durable, and what that takes of the disk.

use std::{
    fmt, io,
    os::fd::BorrowedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use metis_db::{CommittedBlock, MetisStore, StateSnapshot, StateStore};
use metis_disk::{Disk, DiskFile, DiskLock, LockError, Mapping};
use metis_state_transition::{ChangeSet, StateCommitment};

use crate::{timing::Spread, workload::changes};

/// Changed accounts of a block.
pub const BLOCK_CHANGES: usize = 1_000;
pub const BLOCK_COUNT: u64 = 40;

/// Counts syncs.
#[derive(Debug)]
pub struct CountedDisk {
    disk: Arc<dyn Disk>,
    syncs: Arc<AtomicU64>,
}

impl CountedDisk {
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk, syncs: Arc::default() }
    }

    pub fn sync_count(&self) -> u64 {
        self.syncs.load(Relaxed)
    }

    fn counted(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(CountedFile { file, syncs: Arc::clone(&self.syncs) })
    }
}

impl Disk for CountedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(name).map(|file| self.counted(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(name).map(|file| self.counted(file))
    }

    fn open_to_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open_to_read(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Relaxed);
        self.disk.sync_directory()
    }

    fn lock(&self) -> Result<Box<dyn DiskLock>, LockError> {
        self.disk.lock()
    }

    fn pin(&self, name: &str) -> io::Result<Box<dyn DiskLock>> {
        self.disk.pin(name)
    }

    fn remove_dead_pin(&self, name: &str) -> io::Result<bool> {
        self.disk.remove_dead_pin(name)
    }
}

struct CountedFile {
    file: Arc<dyn DiskFile>,
    syncs: Arc<AtomicU64>,
}

impl fmt::Debug for CountedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(formatter)
    }
}

impl DiskFile for CountedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }

    fn sync(&self) -> io::Result<()> {
        self.syncs.fetch_add(1, Relaxed);
        self.file.sync()
    }

    fn map(&self) -> io::Result<Mapping> {
        self.file.map()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
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
pub fn measure(store: &MetisStore, disk: &CountedDisk, account_count: u64) -> ([Spread; 2], f64) {
    let syncs_before = disk.sync_count();
    let times: Vec<[f64; 2]> = (1..=BLOCK_COUNT)
        .map(|number| commit(store, &changes(1_000_000 + number, BLOCK_CHANGES, account_count)))
        .collect();
    let syncs = (disk.sync_count() - syncs_before) as f64 / BLOCK_COUNT as f64;
    ([0, 1].map(|index| Spread::new(times.iter().map(|time| time[index]).collect())), syncs)
}
