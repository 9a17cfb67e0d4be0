//! The store: one writer, any number of readers.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use alloy_primitives::{Address, B256};
use metis_state_transition::{Ancestors, ChangeSet};
use parking_lot::{Mutex, RwLock};

use super::{
    ahead::Ahead,
    config::{Durability, MetisConfig},
    durable::{Durable, Entry},
    genesis::changes_of,
    history::{History, Place},
    snapshot::MetisSnapshot,
    state::{FlatWriter, Writes},
    versions::Version,
};
use crate::{CommittedBlock, GenesisAccount, StateSnapshot, StateStore, StoreError, TrieOverlay, flat::PAGE_BYTES};

/// Accounts, storage and code of a chain: read in nanoseconds, kept on a disk if one is given.
#[derive(Debug)]
pub struct MetisStore {
    pub(super) history: RwLock<History>,
    pub(super) writer: Mutex<Writer>,
    pub(super) config: MetisConfig,
    is_held: AtomicBool,
    /// Held by who makes a checkpoint, or must not meet one; taken before the writer's lock.
    pub(super) checkpoints: Mutex<()>,
    pub(super) ahead: Mutex<Ahead>,
}

/// What has changed since the last checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// States that were made or taken back: what a start makes again, where the blocks are kept elsewhere.
    pub state_count: u64,
    /// What a checkpoint writes, its table of contents and code aside.
    pub bytes: usize,
    /// Index and tries altogether.
    pub all_bytes: usize,
}

/// Who changes the state. There is one, behind its lock.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) flat: FlatWriter,
    pub(super) next_identity: u64,
    /// Versions that no checkpoint has.
    pub(super) unsaved_count: u64,
    pub(super) durable: Option<Durable>,
    pub(super) is_read_only: bool,
    /// Oldest states of the window that a checkpoint is moving to the archive.
    pub(super) leaving_count: usize,
}

impl MetisStore {
    /// A store without a disk whose block 0 holds `alloc`; gone with the process.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub fn in_memory(
        alloc: impl IntoIterator<Item = (Address, GenesisAccount)>,
        config: MetisConfig,
    ) -> Result<Self, StoreError> {
        let flat = FlatWriter::new(config.seed, config.segment_log2)?;
        let state_root = flat.shared.trunk.read().tries.root();
        let block = CommittedBlock { number: 0, hash: B256::ZERO, parent_hash: B256::ZERO, state_root };
        let first = MetisSnapshot::new(block, &flat.shared, Arc::clone(&flat.newest), 0);
        let history = History { states: [Arc::new(first)].into(), block_hashes: BTreeMap::new(), archive: None };
        let store = Self::from_parts(history, flat, None, config);
        store.begin_with(alloc)?;
        Ok(store)
    }

    pub(super) fn from_parts(
        history: History,
        flat: FlatWriter,
        durable: Option<Durable>,
        config: MetisConfig,
    ) -> Self {
        let next_identity = history.newest().identity() + 1;
        let writer = Mutex::new(Writer {
            flat,
            next_identity,
            unsaved_count: 0,
            durable,
            is_read_only: false,
            leaving_count: 0,
        });
        Self {
            history: RwLock::new(history),
            writer,
            config,
            is_held: AtomicBool::new(false),
            checkpoints: Mutex::new(()),
            ahead: Mutex::default(),
        }
    }

    /// How many older states stay when a further one comes. In an archive they leave with checkpoints.
    fn window(&self) -> usize {
        if self.config.is_archive { usize::MAX } else { self.kept_now() }
    }

    /// How many older states are kept whole, now that nothing, or something, holds the window.
    pub(super) fn kept_now(&self) -> usize {
        // ORDER: read again with the next state; a late look keeps, or forgets, one state longer.
        if self.is_held.load(Relaxed) { usize::MAX } else { self.config.kept_block_count }
    }

    /// An empty store beside this one, whose block 0 holds `alloc`: what [`Self::replace_with`] takes.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    pub fn begin_again(&self, alloc: impl IntoIterator<Item = (Address, GenesisAccount)>) -> Result<Self, StoreError> {
        Self::in_memory(alloc, self.config.clone())
    }

    /// Takes over the states of a store that [`Self::begin_again`] made, all at once. They are on the disk with the
    /// next checkpoint; until then the last one is.
    pub fn replace_with(&self, other: Self) {
        let _no_checkpoint = self.checkpoints.lock();
        let writer = &mut *self.writer.lock();
        let other_writer = other.writer.into_inner();
        if let Some(durable) = &mut writer.durable {
            durable.replace_pages();
        }
        writer.unsaved_count += 1;
        let mut history = self.history.write();
        let archive = history.archive.as_ref().map(|archive| Arc::new(archive.emptied()));
        (writer.flat, writer.next_identity) = (other_writer.flat, other_writer.next_identity);
        *history = History { archive, ..other.history.into_inner() };
    }

    /// Turns the empty first state into the one that `alloc` describes.
    pub(super) fn begin_with(
        &self,
        alloc: impl IntoIterator<Item = (Address, GenesisAccount)>,
    ) -> Result<(), StoreError> {
        let changes = changes_of(alloc);
        let first = self.latest();
        let after = first.tries_after(B256::ZERO, &changes)?;
        let block = CommittedBlock { state_root: after.root(), ..first.block() };
        let writer = &mut *self.writer.lock();
        let writes = writer.flat.plan(&changes)?;
        let snapshot = writer.advance(block, &changes, writes, &after)?;
        let mut history = self.history.write();
        history.states.clear();
        history.states.push_back(snapshot);
        Ok(())
    }

    /// What has changed since the last checkpoint; nothing where there is no disk.
    pub fn unsaved(&self) -> Unsaved {
        let writer = self.writer.lock();
        if writer.durable.is_none() {
            return Unsaved::default();
        }
        let trunk = writer.flat.shared.trunk.read();
        let parts = writer.flat.parts(&trunk);
        Unsaved {
            state_count: writer.unsaved_count,
            bytes: parts.iter().map(|part| part.changes().count() * PAGE_BYTES).sum(),
            all_bytes: parts.iter().map(|part| part.len_bytes()).sum(),
        }
    }

    /// Bytes of index and tries, which are in memory.
    pub fn state_bytes(&self) -> usize {
        let writer = self.writer.lock();
        let trunk = writer.flat.shared.trunk.read();
        writer.flat.parts(&trunk).iter().map(|part| part.len_bytes()).sum()
    }

    /// Blocks of the states that are kept whole with their roots, oldest first; a patch is a further state of its block.
    pub fn states(&self) -> Vec<CommittedBlock> {
        self.history.read().states.iter().map(|snapshot| snapshot.block()).collect()
    }

    /// Whether states before those that are kept whole stay readable, in files.
    pub const fn is_archive(&self) -> bool {
        self.config.is_archive
    }

    /// How many older states are kept whole.
    pub const fn kept_block_count(&self) -> usize {
        self.config.kept_block_count
    }

    /// Accounts and slots that were read or written last, and code.
    pub fn code_count(&self) -> usize {
        self.writer.lock().flat.shared.codes.count()
    }

    /// Keeps the state after changes as a further one.
    fn push(
        &self,
        writer: &mut Writer,
        block: CommittedBlock,
        changes: &ChangeSet,
        after: &TrieOverlay,
        is_patch: bool,
    ) -> Result<(), StoreError> {
        let writes = writer.flat.plan(changes)?;
        writer.log(&Entry::State { is_patch, block, changes: Cow::Borrowed(changes) }, &self.config)?;
        let snapshot = writer.advance(block, changes, writes, after)?;
        let mut history = self.history.write();
        history.push(snapshot, self.window());
        if !is_patch {
            history.push_hashes(&block);
        }
        Ok(())
    }

    /// Makes an older state the newest: the one that `find` gives the place of. Waits for a checkpoint that is moving it.
    fn go_back(&self, find: impl Fn(&History) -> Result<Place, StoreError>) -> Result<(), StoreError> {
        let mut writer = self.writer.lock();
        let place = find(&self.history.read())?;
        if matches!(place, Place::Window(position) if position >= writer.leaving_count) {
            return self.truncate(&mut writer, place);
        }
        drop(writer);
        let _no_checkpoint = self.checkpoints.lock();
        let mut writer = self.writer.lock();
        let place = find(&self.history.read())?;
        self.truncate(&mut writer, place)
    }

    /// Keeps the states up to a place.
    fn truncate(&self, writer: &mut Writer, place: Place) -> Result<(), StoreError> {
        let (kept, undone, mut archive) = {
            let history = self.history.read();
            (history.state(place)?, history.count_after(place), history.archive.clone())
        };
        if undone == 0 {
            return Ok(());
        }
        if let (Place::Archive(index), Some(whole)) = (place, &archive) {
            archive = Some(Arc::new(whole.cut_to(index)?));
        }
        let back = self.take_ahead(kept.block().state_root).map_or_else(|| kept.tries_back(), Ok)?;
        let writes = writer.flat.plan_return(kept.version())?;
        writer.log(&Entry::Undo { count: undone }, &self.config)?;
        let version = writer.turn(writes, &back)?;
        self.history.write().truncate(place, kept.moved_to(version), archive);
        Ok(())
    }

    /// What a record of the log did, done again.
    pub(super) fn replay(&self, entry: &Entry<'_>) -> Result<(), StoreError> {
        let writer = &mut *self.writer.lock();
        match entry {
            Entry::State { is_patch, block, changes } => {
                let parent = self.latest();
                let after = parent.tries_after(block.state_root, changes)?;
                if after.root() != block.state_root {
                    return Err(StoreError::RootMismatch { expected: block.state_root, got: after.root() });
                }
                self.push(writer, *block, changes, &after, *is_patch)
            }
            Entry::Undo { count } => {
                let place = self.history.read().place_before(*count as usize);
                let corrupt = StoreError::Corrupt { part: "log", offset: 0, problem: "more is undone than was done" };
                self.truncate(writer, place.map_err(|_| corrupt)?)
            }
        }
    }
}

impl Writer {
    fn log(&mut self, entry: &Entry<'_>, config: &MetisConfig) -> Result<(), StoreError> {
        if self.is_read_only {
            return Err(StoreError::ReadOnly);
        }
        match (&mut self.durable, config.durability) {
            // Whoever keeps the blocks elsewhere loses nothing, whatever became of the disk.
            (None, _) | (_, Durability::OnCheckpoint) => Ok(()),
            (Some(durable), durability) => durable.log(entry, durability == Durability::EveryBlock),
        }
    }

    fn advance(
        &mut self,
        block: CommittedBlock,
        changes: &ChangeSet,
        writes: Writes,
        after: &TrieOverlay,
    ) -> Result<Arc<MetisSnapshot>, StoreError> {
        self.flat.shared.codes.add(&changes.codes);
        let version = self.turn(writes, after)?;
        let identity = self.next_identity;
        self.next_identity += 1;
        Ok(Arc::new(MetisSnapshot::new(block, &self.flat.shared, version, identity)))
    }

    /// Makes writes the newest version, and `after` its tries.
    fn turn(&mut self, writes: Writes, after: &TrieOverlay) -> Result<Arc<Version>, StoreError> {
        let shared = Arc::clone(&self.flat.shared);
        let mut trunk = shared.trunk.write();
        if let Err(error) = trunk.tries.absorb(after) {
            // The log may have it already: only a new start knows the state again.
            if let Some(durable) = &mut self.durable {
                durable.failed = Some(error.clone());
            }
            return Err(error);
        }
        let version = self.flat.apply(writes);
        trunk.version = Arc::clone(&version);
        self.unsaved_count += 1;
        Ok(version)
    }
}

impl StateStore for MetisStore {
    type Snapshot = MetisSnapshot;

    fn latest(&self) -> Arc<MetisSnapshot> {
        Arc::clone(self.history.read().newest())
    }

    fn at_before(&self, block_number: u64, patch_count: usize) -> Result<Arc<MetisSnapshot>, StoreError> {
        let history = self.history.read();
        history.state(history.place(block_number, patch_count)?)
    }

    fn hold(&self, is_held: bool) {
        self.is_held.store(is_held, Relaxed);
    }

    fn oldest_block_number(&self) -> u64 {
        self.history.read().oldest_number()
    }

    fn ancestors(&self) -> Ancestors {
        self.history.read().block_hashes.iter().map(|(number, hash)| (*number, *hash)).collect()
    }

    fn commit(&self, parent: &MetisSnapshot, block: CommittedBlock, changes: &ChangeSet) -> Result<(), StoreError> {
        let writer = &mut *self.writer.lock();
        let ahead = self.take_ahead(block.state_root);
        let after = ahead.map_or_else(|| parent.tries_after(block.state_root, changes), Ok)?;
        let got = after.root();
        if got != block.state_root {
            return Err(StoreError::RootMismatch { expected: block.state_root, got });
        }
        {
            let history = self.history.read();
            history.require_newest(parent, block.number)?;
            history.require_higher(block.number)?;
        }
        self.push(writer, block, changes, &after, false)
    }

    fn patch(&self, parent: &MetisSnapshot, changes: &ChangeSet) -> Result<B256, StoreError> {
        let writer = &mut *self.writer.lock();
        let after = parent.tries_after(B256::ZERO, changes)?;
        let state_root = after.root();
        let block = CommittedBlock { state_root, ..parent.block() };
        self.history.read().require_newest(parent, block.number)?;
        self.push(writer, block, changes, &after, true)?;
        Ok(state_root)
    }

    fn undo(&self, count: usize) -> Result<(), StoreError> {
        self.go_back(|history| history.place_before(count))
    }

    fn revert_to(&self, block_number: u64) -> Result<(), StoreError> {
        self.go_back(|history| history.place(block_number, 0))
    }
}
