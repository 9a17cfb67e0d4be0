//! Checkpoints while blocks are committed: what is on the disk is the state of the moment at which one began.

use std::{collections::BTreeMap, fmt, io, io::ErrorKind, os::fd::BorrowedFd, sync::Arc};

use alloy_primitives::{Address, B256, U256};
use metis_db::{
    CommittedBlock, Durability, GenesisAccount, MetisConfig, MetisSnapshot, MetisStore, StateSnapshot, StateStore,
    StoreError, verify,
};
use metis_disk::{Disk, DiskFile, DiskLock, Fault, LockError, Mapping, SimulatedDisk};
use metis_state_transition::{Account, AccountChange, ChangeSet, Code, StateCommitment, StateView};
use parking_lot::Mutex;

/// More than a checkpoint copies at once: two mebibytes of index alone.
const ACCOUNT_COUNT: u64 = 9_000;

type Hook = Box<dyn FnMut() + Send>;

/// A disk that has something done before each write.
#[derive(Clone)]
struct WatchedDisk {
    disk: SimulatedDisk,
    hook: Arc<Mutex<Option<Hook>>>,
}

struct WatchedFile {
    file: Arc<dyn DiskFile>,
    hook: Arc<Mutex<Option<Hook>>>,
}

impl fmt::Debug for WatchedDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(formatter)
    }
}

impl fmt::Debug for WatchedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(formatter)
    }
}

impl WatchedDisk {
    fn watched(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(WatchedFile { file, hook: Arc::clone(&self.hook) })
    }
}

impl Disk for WatchedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(name).map(|file| self.watched(file))
    }
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(name).map(|file| self.watched(file))
    }
    fn open_to_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open_to_read(name)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }
    fn sync_directory(&self) -> io::Result<()> {
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

impl DiskFile for WatchedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let hook = self.hook.lock().take();
        if let Some(mut hook) = hook {
            hook();
            *self.hook.lock() = Some(hook);
        }
        self.file.write_at(offset, bytes)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
    fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }
    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
    fn map(&self) -> io::Result<Mapping> {
        self.file.map()
    }
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
}

/// A multiplicative generator: the same numbers for the same seed.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(0x9e37_79b9_7f4a_7c15);
        (self.0 >> 33) % bound
    }
}

fn address(index: u64) -> Address {
    Address::left_padding_from(&(index + 1).to_be_bytes())
}

fn config() -> MetisConfig {
    MetisConfig::new([4; 4]).keeping(6).with_segments(6).durable(Durability::OnCheckpoint)
}

fn open(disk: &WatchedDisk) -> MetisStore {
    let account = |index| GenesisAccount { balance: U256::from(index), ..GenesisAccount::default() };
    let alloc = (0..ACCOUNT_COUNT / 2).map(|index| (address(index), account(index)));
    MetisStore::open(Arc::new(disk.clone()), alloc, config()).unwrap()
}

fn changes(numbers: &mut Numbers) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for _ in 0..numbers.below(900) {
        let code = Code::new(vec![0x5f; numbers.below(9) as usize].into());
        let account = Account { nonce: numbers.below(99), code_hash: code.hash(), ..Account::default() };
        let change = AccountChange {
            account: (numbers.below(9) != 0).then_some(account),
            storage_cleared: numbers.below(7) == 0,
            storage: (0..numbers.below(4))
                .map(|_| (U256::from(numbers.below(20)), U256::from(numbers.below(3))))
                .collect(),
        };
        changes.codes.insert(code.hash(), code);
        changes.accounts.insert(address(numbers.below(ACCOUNT_COUNT)), change);
    }
    changes
}

fn commit(store: &MetisStore, numbers: &mut Numbers) {
    let (parent, changes) = (store.latest(), changes(numbers));
    let state_root = parent.state_root_after(&changes).unwrap();
    let number = parent.block().number + 1;
    let block = CommittedBlock { number, hash: B256::ZERO, parent_hash: B256::ZERO, state_root };
    store.commit(&parent, block, &changes).unwrap();
}

fn take_step(store: &MetisStore, numbers: &mut Numbers) {
    match numbers.below(4) {
        0 if store.states().len() > 2 => store.undo(1).unwrap(),
        1 => {
            store.patch(&store.latest(), &changes(numbers)).unwrap();
        }
        _ => commit(store, numbers),
    }
}

type Seen = (BTreeMap<Address, BTreeMap<U256, U256>>, Vec<(Account, Code)>);

/// All that a state answers.
fn seen(snapshot: &MetisSnapshot) -> Seen {
    let accounts = (0..ACCOUNT_COUNT).filter_map(|index| snapshot.account(&address(index)).unwrap());
    (
        snapshot.storages().unwrap(),
        accounts.map(|account| (account, snapshot.code(&account.code_hash).unwrap())).collect(),
    )
}

/// Makes a checkpoint that fails with its operation `failing`, where there is one, and takes steps before its writes.
/// Gives the kept states as they were when it began.
fn checkpoint_among_blocks(
    disk: &WatchedDisk,
    store: &Arc<MetisStore>,
    seed: u64,
    failing: Option<u64>,
) -> (Result<(), StoreError>, Vec<CommittedBlock>, Vec<Seen>) {
    let blocks = store.states();
    let kept: Vec<Seen> = blocks.iter().map(|block| seen(&store.at(block.number).unwrap())).collect();
    let (writer, mut numbers) = (Arc::clone(store), Numbers(seed));
    // The first write is certain to have blocks before it: by then the index is frozen and not copied.
    let mut write_count = 0;
    *disk.hook.lock() = Some(Box::new(move || {
        if write_count == 0 || numbers.below(12) == 0 {
            take_step(&writer, &mut numbers);
        }
        write_count += 1;
    }));
    if let Some(failing) = failing {
        disk.disk.fail_at(disk.disk.operation_count() + failing, Fault::Partial(700, ErrorKind::StorageFull));
    }
    let outcome = store.checkpoint();
    *disk.hook.lock() = None;
    disk.disk.clear_faults();
    (outcome, blocks, kept)
}

#[test]
fn checkpoint__among_blocks__has_the_state_at_which_it_began() {
    for seed in 0..4 {
        let disk = WatchedDisk { disk: SimulatedDisk::new(), hook: Arc::default() };
        let store = Arc::new(open(&disk));
        let mut numbers = Numbers(seed);
        // Blocks only, so that each state has a number of its own.
        (0..8).for_each(|_| commit(&store, &mut numbers));
        let failing = (seed % 2 == 1).then(|| 1 + numbers.below(12));
        let (outcome, mut blocks, mut kept) = checkpoint_among_blocks(&disk, &store, seed, failing);
        assert_eq!(outcome.is_err(), failing.is_some(), "{outcome:?}");
        assert_ne!(store.states(), blocks, "blocks are committed meanwhile");
        if outcome.is_err() {
            // What it wrote in vain is written by the next one.
            (0..8).for_each(|_| commit(&store, &mut numbers));
            let (outcome, later_blocks, later_kept) = checkpoint_among_blocks(&disk, &store, seed, None);
            outcome.unwrap();
            (blocks, kept) = (later_blocks, later_kept);
        }
        let report = verify(&disk.disk.after_kill()).unwrap();
        assert_eq!((report.checkpoint, report.damage), (blocks[blocks.len() - 1], Vec::new()));
        let left = WatchedDisk { disk: disk.disk.crash(seed), hook: Arc::default() };
        let opened = open(&left);
        assert_eq!(opened.states(), blocks);
        for (block, kept) in blocks.iter().zip(kept) {
            assert_eq!(seen(&opened.at(block.number).unwrap()), kept, "seed {seed}, block {}", block.number);
        }
        // And the next one has all that came meanwhile.
        store.checkpoint().unwrap();
        let opened = open(&WatchedDisk { disk: disk.disk.crash(seed), hook: Arc::default() });
        assert_eq!(opened.states(), store.states());
        assert_eq!(seen(&opened.latest()), seen(&store.latest()));
    }
}

#[test]
fn checkpoint__told_a_clock__says_what_it_did_and_how_long_blocks_waited() {
    let disk = WatchedDisk { disk: SimulatedDisk::new(), hook: Arc::default() };
    let store = open(&disk);
    commit(&store, &mut Numbers(1));
    let ticks = std::sync::atomic::AtomicU64::new(0);
    let clock = || ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let report = store.checkpoint_timed(&clock).unwrap().unwrap();
    assert_eq!(report.block, store.latest().block());
    assert!(report.bytes > 3 * 4_096, "{}", report.bytes);
    // Each piece is one tick of this clock.
    assert!(report.hold_ns_max == 1 && report.duration_ns > 5, "{report:?}");
    let in_memory = MetisStore::in_memory([], config()).unwrap();
    assert_eq!(in_memory.checkpoint_timed(&clock), Ok(None));
}
