//! What is known of every contract's code: how hot it is, and its machine code where there is some.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    sync::Arc,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use alloy_primitives::{
    B256, Bytes,
    map::{Entry as MapEntry, HashMap},
};
use metis_state_transition::Fork;
use parking_lot::{Condvar, Mutex, RwLock};
use revm::{bytecode::Bytecode, primitives::hardfork::SpecId};

use super::{
    abi::Cause,
    artifact::{Artifact, ArtifactError},
    code::Code,
    entry::{Entry, State, Tally},
};

pub use super::entry::CodeReport;

/// Codes that are remembered, at most; of more, the coldest are forgotten.
const ENTRY_COUNT_MAX: usize = 1 << 16;
const SHARD_COUNT: usize = 16;

/// Codes that wait for a compiler, at most; what is hot later than that is hot again after its next gas.
const QUEUE_LENGTH_MAX: usize = 1 << 13;

/// When code is compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Never: tier 0 for every frame.
    Off,
    /// When it has spent enough gas in tier 0.
    Auto,
    /// When it is met for the first time, init code included. For tests.
    Eager,
}

/// Limits of a registry.
#[derive(Clone, Copy, Debug)]
pub struct RegistryLimits {
    /// Gas that code spends in tier 0 before it is worth compiling.
    pub hot_gas: u64,
    /// Memory for machine code, in bytes.
    pub code_bytes_max: usize,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        Self { hot_gas: 1_000_000, code_bytes_max: 256 << 20 }
    }
}

/// Code that is worth compiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotCode {
    /// Its hash.
    pub code_hash: B256,
    /// The fork it ran under.
    pub fork: Fork,
    /// The code.
    pub code: Bytes,
}

/// Sums over a registry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Codes that are remembered.
    pub codes: u64,
    /// Of them, compiled.
    pub compiled: u64,
    /// Of them, refused.
    pub refused: u64,
    /// Waiting for a compiler.
    pub queued: u64,
    /// Memory of machine code in bytes.
    pub code_bytes: u64,
    /// Artifacts taken.
    pub installed: u64,
    /// Artifacts not taken.
    pub rejected: u64,
    /// Machine code dropped to make room.
    pub evicted: u64,
}

/// Shared by everything that executes on a chain. Thread-safe.
#[derive(Debug)]
pub struct Registry {
    mode: Mode,
    limits: RegistryLimits,
    shards: [RwLock<HashMap<Key, Arc<Entry>>>; SHARD_COUNT],
    /// Seeded anew in each process: who deploys code cannot aim at one shard.
    shard_hash: RandomState,
    /// Grows whenever some code's machine code changes.
    generation: AtomicU64,
    queue: Mutex<VecDeque<(Arc<Entry>, Bytecode)>>,
    queue_grew: Condvar,
    installed: Mutex<Installed>,
    rejected_count: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    code_hash: B256,
    spec: SpecId,
}

#[derive(Debug, Default)]
struct Installed {
    /// Each with the memory that its code takes.
    entries: Vec<(Arc<Entry>, usize)>,
    bytes: usize,
    installed_count: u64,
    evicted_count: u64,
}

impl Registry {
    /// An empty registry.
    pub fn new(mode: Mode, limits: RegistryLimits) -> Self {
        Self {
            mode,
            limits,
            shards: Default::default(),
            shard_hash: RandomState::new(),
            generation: AtomicU64::new(0),
            queue: Mutex::default(),
            queue_grew: Condvar::new(),
            installed: Mutex::default(),
            rejected_count: AtomicU64::new(0),
        }
    }

    /// When code is compiled.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    #[inline]
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    /// What is known of a code. In eager mode it is hot from now on.
    #[cold]
    pub(super) fn meet(&self, code_hash: B256, spec: SpecId, bytecode: &Bytecode) -> Arc<Entry> {
        let entry = self.entry(Key { code_hash, spec });
        if self.mode == Mode::Eager {
            self.heat_up(&entry, bytecode);
        }
        entry
    }

    /// Adds what a runner counted, and says that the code is hot where it became so.
    #[cold]
    pub(super) fn record(&self, entry: &Arc<Entry>, tally: &mut Tally, bytecode: &Bytecode) {
        let heat = entry.record(tally);
        if self.mode == Mode::Auto && heat >= self.limits.hot_gas && !entry.is_hot() {
            self.heat_up(entry, bytecode);
        }
    }

    fn heat_up(&self, entry: &Arc<Entry>, bytecode: &Bytecode) {
        // A delegation (EIP-7702) of a delegation runs as code, and ends at its first byte.
        if bytecode.is_empty() || !bytecode.is_legacy() {
            return;
        }
        let mut queue = self.queue.lock();
        let mut state = entry.state();
        if !matches!(*state, State::Cold) || queue.len() >= QUEUE_LENGTH_MAX {
            return;
        }
        entry.set(&mut state, State::Hot);
        drop(state);
        queue.push_back((Arc::clone(entry), bytecode.clone()));
        self.queue_grew.notify_one();
    }

    /// Takes hot codes, hottest first, waiting until there is one or the time is over.
    pub fn take_hot(&self, timeout: Duration, count_max: usize) -> Vec<HotCode> {
        let mut queue = self.queue.lock();
        if queue.is_empty() && !timeout.is_zero() {
            self.queue_grew.wait_while_for(&mut queue, |queue| queue.is_empty(), timeout);
        }
        queue.make_contiguous().sort_by_key(|(entry, _)| core::cmp::Reverse(entry.heat()));
        let count = count_max.min(queue.len());
        let taken: Vec<_> = queue.drain(..count).collect();
        drop(queue);
        let hot = |(entry, bytecode): (Arc<Entry>, Bytecode)| HotCode {
            code_hash: entry.code_hash,
            fork: fork_of(entry.spec),
            code: bytecode.original_bytes(),
        };
        taken.into_iter().map(hot).collect()
    }

    /// Takes compiled code. Frames that start or resume from now on use it.
    ///
    /// # Errors
    /// [`ArtifactError`]; the code is interpreted as before.
    pub fn install(&self, artifact: &[u8]) -> Result<(), ArtifactError> {
        self.try_install(artifact).inspect_err(|_| {
            self.rejected_count.fetch_add(1, Relaxed);
        })
    }

    fn try_install(&self, artifact: &[u8]) -> Result<(), ArtifactError> {
        if self.mode == Mode::Off {
            return Err(ArtifactError::Off);
        }
        let artifact = Artifact::read(artifact)?;
        let code = Arc::new(Code::load(&artifact)?);
        let (bytes, max) = (code.bytes(), self.limits.code_bytes_max);
        if bytes > max {
            return Err(ArtifactError::TooLarge { what: "bytes of memory", found: bytes, max });
        }
        let entry = self.entry(Key { code_hash: artifact.code_hash, spec: artifact.fork.spec_id() });
        let mut installed = self.installed.lock();
        installed.forget(&entry);
        // BOUND: each round drops one; when none is left there is room.
        while installed.bytes + bytes > max {
            installed.evict_coldest();
        }
        installed.bytes += bytes;
        installed.installed_count += 1;
        installed.entries.push((Arc::clone(&entry), bytes));
        entry.set(&mut entry.state(), State::Ready(code));
        self.generation.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Remembers that a code is not compiled, and why. It is interpreted from now on.
    pub fn refuse(&self, code_hash: B256, fork: Fork, reason: String) {
        if self.mode == Mode::Off {
            return;
        }
        let entry = self.entry(Key { code_hash, spec: fork.spec_id() });
        let mut installed = self.installed.lock();
        installed.forget(&entry);
        entry.set(&mut entry.state(), State::Refused(reason.into()));
        self.generation.fetch_add(1, Relaxed);
    }

    /// What is known of each code that ran or is compiled, hottest first.
    pub fn report(&self) -> Vec<CodeReport> {
        let mut reports: Vec<_> = self
            .shards
            .iter()
            .flat_map(|shard| shard.read().values().map(|entry| entry.report()).collect::<Vec<_>>())
            .collect();
        reports
            .sort_by_key(|report| (core::cmp::Reverse(report.gas_interpreted + report.gas_compiled), report.code_hash));
        reports
    }

    /// Sums.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters { rejected: self.rejected_count.load(Relaxed), ..Counters::default() };
        for shard in &self.shards {
            for entry in shard.read().values() {
                counters.codes += 1;
                match *entry.state() {
                    State::Ready(_) => counters.compiled += 1,
                    State::Refused(_) => counters.refused += 1,
                    State::Cold | State::Hot => {}
                }
            }
        }
        counters.queued = self.queue.lock().len() as u64;
        let installed = self.installed.lock();
        counters.code_bytes = installed.bytes as u64;
        counters.installed = installed.installed_count;
        counters.evicted = installed.evicted_count;
        counters
    }

    fn entry(&self, key: Key) -> Arc<Entry> {
        let shard = &self.shards[self.shard_hash.hash_one(key) as usize % SHARD_COUNT];
        if let Some(entry) = shard.read().get(&key) {
            return Arc::clone(entry);
        }
        let mut shard = shard.write();
        if shard.len() >= ENTRY_COUNT_MAX / SHARD_COUNT {
            forget_coldest(&mut shard);
        }
        match shard.entry(key) {
            MapEntry::Occupied(found) => Arc::clone(found.get()),
            MapEntry::Vacant(free) => Arc::clone(free.insert(Arc::new(Entry::new(key.code_hash, key.spec)))),
        }
    }
}

impl Installed {
    fn forget(&mut self, entry: &Arc<Entry>) {
        if let Some(index) = self.entries.iter().position(|(known, _)| Arc::ptr_eq(known, entry)) {
            self.remove(index);
        }
    }

    fn remove(&mut self, index: usize) -> Arc<Entry> {
        let (entry, bytes) = self.entries.swap_remove(index);
        self.bytes -= bytes;
        entry
    }

    fn evict_coldest(&mut self) {
        let coldest = self.entries.iter().enumerate().min_by_key(|(_, (entry, _))| entry.heat());
        // UNWRAP: the sum of no entries is no bytes, and nobody asks for more room then.
        let (index, _) = coldest.unwrap();
        self.remove(index).cool_down();
        self.evicted_count += 1;
    }
}

/// Forgets the colder half of what is neither compiled nor waiting. Linear, and not again before as
/// many new codes were met.
fn forget_coldest(shard: &mut HashMap<Key, Arc<Entry>>) {
    let mut heats: Vec<u64> =
        shard.values().filter(|entry| entry.may_be_forgotten()).map(|entry| entry.heat()).collect();
    if heats.is_empty() {
        return;
    }
    let middle = heats.len() / 2;
    let median = *heats.select_nth_unstable(middle).1;
    shard.retain(|_, entry| !entry.may_be_forgotten() || entry.heat() > median);
}

/// The fork that stands for a rule set: the newest that has it.
pub(super) fn fork_of(spec: SpecId) -> Fork {
    // UNWRAP: entries are made from the rule sets of forks.
    Fork::ALL.into_iter().rev().find(|fork| fork.spec_id() == spec).unwrap()
}

impl CodeReport {
    /// Deoptimisations by cause.
    pub fn deoptimisations_by_cause(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Cause::ALL.into_iter().map(|cause| (cause.name(), self.deoptimisations[cause as usize]))
    }
}
