//! A disk in memory that loses, reorders, tears and refuses writes on demand.
//!
//! It records every write since the last sync. [`SimulatedDisk::crash`] makes the disk that a
//! power cut at this instant could leave: of what was not synced, any sectors may be there, in any
//! combination, and files that were created or removed without a directory sync may be missing or
//! back. Every choice follows from the seed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    os::fd::BorrowedFd,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng, SeedableRng},
};

use super::{Disk, DiskFile, DiskLock, LockError, Mapping};

/// What goes wrong with one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and returns an error of this kind.
    Refuse(io::ErrorKind),
    /// A write stores only so many of its bytes, then returns an error of this kind. For other
    /// operations the same as [`Self::Refuse`].
    Partial(usize, io::ErrorKind),
}

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    is_locked: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, Inode>,
    durable_files: BTreeMap<String, Inode>,
    unsynced_names: Vec<NameChange>,
    operation_count: u64,
    faults: BTreeMap<u64, Fault>,
    pins: BTreeSet<String>,
}

type Inode = Arc<Mutex<Content>>;

#[derive(Clone, Debug)]
enum NameChange {
    Created(String, Inode),
    Removed(String),
}

#[derive(Clone, Debug, Default)]
struct Content {
    /// What readers see.
    current: Vec<u8>,
    /// What is sure to survive.
    durable: Vec<u8>,
    /// What was done since, in order.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
}

fn write_into(image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(bytes);
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => write_into(image, *offset as usize, bytes),
            Self::SetLen(len) => image.resize(*len as usize, 0),
        }
    }
}

impl SimulatedDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many changing operations (write, cut, sync, create, remove, directory sync) were tried.
    pub fn operation_count(&self) -> u64 {
        self.state.lock().operation_count
    }

    /// Lets the operation with this number (counted from 0) fail.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.state.lock().faults.insert(operation, fault);
    }

    /// No further faults.
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Changes bytes behind everyone's back, as failing hardware does; durable at once.
    pub fn tamper(&self, name: &str, change: impl Fn(&mut Vec<u8>)) {
        if let Some(inode) = self.state.lock().files.get(name) {
            let mut content = inode.lock();
            change(&mut content.current);
            change(&mut content.durable);
        }
    }

    /// The bytes of a file as readers see them.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        self.state.lock().files.get(name).map(|inode| inode.lock().current.clone())
    }

    /// The disk as it stands, for a process that was killed: nothing written is lost, nothing
    /// becomes durable by it either.
    pub fn after_kill(&self) -> Self {
        let state = self.state.lock();
        let mut copies: BTreeMap<*const Mutex<Content>, Inode> = BTreeMap::new();
        let mut copy = |inode: &Inode| {
            let fresh = || Arc::new(Mutex::new(inode.lock().clone()));
            Arc::clone(copies.entry(Arc::as_ptr(inode)).or_insert_with(fresh))
        };
        let mut copy_all = |files: &BTreeMap<String, Inode>| -> BTreeMap<String, Inode> {
            files.iter().map(|(name, inode)| (name.clone(), copy(inode))).collect()
        };
        let (files, durable_files) = (copy_all(&state.files), copy_all(&state.durable_files));
        let unsynced_names = state
            .unsynced_names
            .iter()
            .map(|change| match change {
                NameChange::Created(name, inode) => NameChange::Created(name.clone(), copy(inode)),
                NameChange::Removed(name) => NameChange::Removed(name.clone()),
            })
            .collect();
        let copied = State { files, durable_files, unsynced_names, ..State::default() };
        Self { state: Arc::new(Mutex::new(copied)), ..Self::default() }
    }

    /// The disk as a power cut may leave it.
    pub fn crash(&self, seed: u64) -> Self {
        let state = self.state.lock();
        let mut choices = Choices::new(seed);
        let mut files = state.durable_files.clone();
        for change in &state.unsynced_names {
            if choices.survives() {
                match change {
                    NameChange::Created(name, inode) => files.insert(name.clone(), Arc::clone(inode)),
                    NameChange::Removed(name) => files.remove(name),
                };
            }
        }
        let files: BTreeMap<String, Inode> = files
            .into_iter()
            .map(|(name, inode)| {
                let image = choices.image_of(&inode.lock());
                let content = Content { current: image.clone(), durable: image, unsynced: Vec::new() };
                (name, Arc::new(Mutex::new(content)))
            })
            .collect();
        let durable_files = files.clone();
        Self { state: Arc::new(Mutex::new(State { files, durable_files, ..State::default() })), ..Self::default() }
    }
}

/// The choices of one crash.
struct Choices {
    source: SplitMix64,
    /// Out of 256, how likely an unsynced piece is there.
    survival: u64,
    /// The unit in which writes reach the medium.
    sector_bytes: usize,
}

impl Choices {
    fn new(seed: u64) -> Self {
        let mut choices = Self { source: SplitMix64::seed_from_u64(seed), survival: 0, sector_bytes: 1 };
        choices.survival = [0, 24, 128, 232, 256][choices.below(5)];
        choices.sector_bytes = [1, 64, 512, 4096][choices.below(4)];
        choices
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.source.next_u64() % bound as u64) as usize
    }

    fn survives(&mut self) -> bool {
        self.source.next_u64() % 256 < self.survival
    }

    fn image_of(&mut self, content: &Content) -> Vec<u8> {
        let mut image = content.durable.clone();
        for change in &content.unsynced {
            match change {
                Change::SetLen(_) => {
                    if self.survives() {
                        change.apply(&mut image);
                    }
                }
                Change::Write(offset, bytes) => self.write_some_sectors(&mut image, *offset as usize, bytes),
            }
        }
        image
    }

    fn write_some_sectors(&mut self, image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
        let mut position = 0;
        while position < bytes.len() {
            let in_sector = self.sector_bytes - (offset + position) % self.sector_bytes;
            let count = in_sector.min(bytes.len() - position);
            if self.survives() {
                write_into(image, offset + position, &bytes[position..position + count]);
            } else if self.survives() && image.len() < offset + position + count {
                // The file was made longer, the data did not arrive.
                image.resize(offset + position + count, 0);
            }
            position += count;
        }
    }
}

impl State {
    fn begin(&mut self) -> Option<Fault> {
        let number = self.operation_count;
        self.operation_count += 1;
        self.faults.remove(&number)
    }

    fn begin_or_refuse(&mut self) -> io::Result<()> {
        match self.begin() {
            None => Ok(()),
            Some(Fault::Refuse(kind) | Fault::Partial(_, kind)) => Err(kind.into()),
        }
    }
}

impl Disk for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state.lock().files.keys().cloned().collect())
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state.lock();
        state.begin_or_refuse()?;
        if state.files.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = Inode::default();
        state.files.insert(name.to_owned(), Arc::clone(&inode));
        state.unsynced_names.push(NameChange::Created(name.to_owned(), Arc::clone(&inode)));
        Ok(Arc::new(SimulatedFile { state: Arc::clone(&self.state), inode }))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let inode = self.state.lock().files.get(name).cloned().ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimulatedFile { state: Arc::clone(&self.state), inode }))
    }

    fn open_to_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin_or_refuse()?;
        state.files.remove(name).ok_or(io::ErrorKind::NotFound)?;
        state.unsynced_names.push(NameChange::Removed(name.to_owned()));
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        let mut state = self.state.lock();
        state.begin_or_refuse()?;
        state.durable_files = state.files.clone();
        state.unsynced_names.clear();
        Ok(())
    }

    fn lock(&self) -> Result<Box<dyn DiskLock>, LockError> {
        // ORDER: acquires what the previous holder's drop released.
        if self.is_locked.swap(true, Ordering::AcqRel) {
            return Err(LockError::Held { holder: None });
        }
        Ok(Box::new(SimulatedLock(Arc::clone(&self.is_locked))))
    }

    fn pin(&self, name: &str) -> io::Result<Box<dyn DiskLock>> {
        drop(self.create(name)?);
        self.state.lock().pins.insert(name.to_owned());
        Ok(Box::new(SimulatedPin { disk: self.clone(), name: name.to_owned() }))
    }

    fn remove_dead_pin(&self, name: &str) -> io::Result<bool> {
        if self.state.lock().pins.contains(name) {
            return Ok(false);
        }
        self.remove(name).map(|()| true)
    }
}

/// Alive on the disk it was made on; on copies of that disk (a restart) it is dead.
#[derive(Debug)]
struct SimulatedPin {
    disk: SimulatedDisk,
    name: String,
}

impl DiskLock for SimulatedPin {}

impl Drop for SimulatedPin {
    fn drop(&mut self) {
        self.disk.state.lock().pins.remove(&self.name);
        // Refused by an injected fault, it is dead and removed by who finds it.
        let _ = self.disk.remove(&self.name);
    }
}

#[derive(Debug)]
struct SimulatedLock(Arc<AtomicBool>);

impl DiskLock for SimulatedLock {}

impl Drop for SimulatedLock {
    fn drop(&mut self) {
        // ORDER: released to the next holder's swap.
        self.0.store(false, Ordering::Release);
    }
}

#[derive(Debug)]
struct SimulatedFile {
    state: Arc<Mutex<State>>,
    inode: Inode,
}

impl SimulatedFile {
    fn change(&self, change: Change) {
        let mut content = self.inode.lock();
        change.apply(&mut content.current);
        content.unsynced.push(change);
    }
}

impl DiskFile for SimulatedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let content = self.inode.lock();
        let rest = content.current.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        match self.state.lock().begin() {
            None => {
                self.change(Change::Write(offset, bytes.to_vec()));
                Ok(())
            }
            Some(Fault::Refuse(kind)) => Err(kind.into()),
            Some(Fault::Partial(count, kind)) => {
                self.change(Change::Write(offset, bytes[..count.min(bytes.len())].to_vec()));
                Err(kind.into())
            }
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.state.lock().begin_or_refuse()?;
        self.change(Change::SetLen(len));
        Ok(())
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.inode.lock().current.len() as u64)
    }

    fn sync(&self) -> io::Result<()> {
        let outcome = self.state.lock().begin_or_refuse();
        let content = &mut *self.inode.lock();
        let changes = std::mem::take(&mut content.unsynced);
        // As Linux does: a failed sync marks the pages clean. What they held is lost unless it is
        // written again, however often one syncs.
        outcome?;
        for change in &changes {
            change.apply(&mut content.durable);
        }
        Ok(())
    }

    fn map(&self) -> io::Result<Mapping> {
        Ok(Mapping::copied(self.inode.lock().current.clone()))
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
