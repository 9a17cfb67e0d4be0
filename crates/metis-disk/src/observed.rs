//! A disk that tells somebody before it writes.

use std::{fmt, io, os::fd::BorrowedFd, sync::Arc};

use crate::{Disk, DiskFile, DiskLock, LockError, Mapping};

/// What is about to happen to a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`DiskFile::write_at`].
    Write,
    /// [`DiskFile::sync`] or [`Disk::sync_directory`].
    Sync,
}

type Observer = Arc<dyn Fn(Operation) + Send + Sync>;

/// Another disk, of which an observer hears of each write and each sync before it is done.
#[derive(Clone)]
pub struct ObservedDisk {
    disk: Arc<dyn Disk>,
    observer: Observer,
}

struct ObservedFile {
    file: Arc<dyn DiskFile>,
    observer: Observer,
}

impl ObservedDisk {
    /// `disk`, observed.
    pub fn new(disk: Arc<dyn Disk>, observer: impl Fn(Operation) + Send + Sync + 'static) -> Self {
        Self { disk, observer: Arc::new(observer) }
    }

    fn observed(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(ObservedFile { file, observer: Arc::clone(&self.observer) })
    }
}

impl fmt::Debug for ObservedDisk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.disk.fmt(formatter)
    }
}

impl fmt::Debug for ObservedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(formatter)
    }
}

impl Disk for ObservedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.create(name).map(|file| self.observed(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open(name).map(|file| self.observed(file))
    }

    fn open_to_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.disk.open_to_read(name)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_directory(&self) -> io::Result<()> {
        (self.observer)(Operation::Sync);
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

impl DiskFile for ObservedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (self.observer)(Operation::Write);
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.file.size_bytes()
    }

    fn sync(&self) -> io::Result<()> {
        (self.observer)(Operation::Sync);
        self.file.sync()
    }

    fn map(&self) -> io::Result<Mapping> {
        self.file.map()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.file.descriptor()
    }
}
