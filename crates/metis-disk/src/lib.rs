//! The only way to files: a flat directory behind a small trait.
//!
//! Everything that must survive a crash goes through [`Disk`] and [`DiskFile`], so that tests can
//! record, drop, reorder, tear and fail each write ([`SimulatedDisk`]). The traits promise no more
//! than a file system does: what was written is only sure to be there after [`DiskFile::sync`],
//! and a file that was created or removed only after [`Disk::sync_directory`].

mod file;
mod mapping;
mod observed;
mod simulated;

use std::{fmt::Debug, io, os::fd::BorrowedFd, sync::Arc};

pub use file::FileDisk;
pub use mapping::Mapping;
pub use observed::{ObservedDisk, Operation};
pub use simulated::{Fault, SimulatedDisk};

/// A directory without sub-directories.
pub trait Disk: Debug + Send + Sync {
    /// Names of all files, in no particular order.
    ///
    /// # Errors
    /// As the operating system says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file.
    ///
    /// # Errors
    /// `AlreadyExists`, or as the operating system says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, or as the operating system says.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file for reading only; enough rights to read it are enough.
    ///
    /// # Errors
    /// `NotFound`, or as the operating system says.
    fn open_to_read(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, or as the operating system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes creations and removals durable.
    ///
    /// # Errors
    /// As the operating system says; what is durable is then unknown.
    fn sync_directory(&self) -> io::Result<()>;

    /// Takes the directory for this process, until the lock is dropped.
    ///
    /// # Errors
    /// [`LockError::Held`] when another holds it.
    fn lock(&self) -> Result<Box<dyn DiskLock>, LockError>;

    /// Creates an empty file and holds it, until the lock is dropped or this process ends however
    /// it ends: a note to others that something named by it is in use.
    ///
    /// # Errors
    /// `AlreadyExists`, or as the operating system says.
    fn pin(&self, name: &str) -> io::Result<Box<dyn DiskLock>>;

    /// Removes a file of [`Self::pin`] if nobody holds it. True where it is gone.
    ///
    /// # Errors
    /// As the operating system says.
    fn remove_dead_pin(&self, name: &str) -> io::Result<bool>;
}

/// An open file. Positions are absolute, so that readers share one with the writer.
pub trait DiskFile: Debug + Send + Sync {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    ///
    /// # Errors
    /// As the operating system says.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes all bytes, growing the file as needed.
    ///
    /// # Errors
    /// As the operating system says; any part may then have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Cuts or grows (with zeros) the file.
    ///
    /// # Errors
    /// As the operating system says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Length of the file.
    ///
    /// # Errors
    /// As the operating system says.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Makes everything written so far durable, with the length (fdatasync).
    ///
    /// # Errors
    /// As the operating system says. What was written since the last success is then in an unknown
    /// state, and syncing again does not repair that: it must be written again.
    fn sync(&self) -> io::Result<()>;

    /// The file's bytes as they are, without copying where the operating system maps files. Parts
    /// that are written later may or may not show.
    ///
    /// # Errors
    /// As the operating system says.
    fn map(&self) -> io::Result<Mapping>;

    /// The operating system's file, for who maps parts of it; `None` where there is none.
    fn descriptor(&self) -> Option<BorrowedFd<'_>>;
}

/// Held for as long as it exists.
pub trait DiskLock: Debug + Send + Sync {}

/// Why a directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process (or another part of this one) has it.
    #[error("in use by another process{}", match .holder { Some(pid) => format!(" (pid {pid})"), None => String::new() })]
    Held {
        /// Process id, where the holder wrote it down.
        holder: Option<u32>,
    },
    /// The lock file could not be used.
    #[error(transparent)]
    Io(#[from] io::Error),
}
