//! Pages of a file in the place of memory: shared by all who map them, until one of them writes.

use std::os::fd::BorrowedFd;

use rustix::mm::{MapFlags, ProtFlags, mmap};

use crate::StoreError;

/// Memory that pages of a file can be copied to, or put in the place of.
pub(crate) trait PageTarget {
    /// Bytes from `offset` on become these.
    fn copy(&mut self, offset: usize, bytes: &[u8]);

    /// Bytes from `offset` on become those of the file from `file_offset` on, without copying them. What is written
    /// to them later stays in this memory. The file must not change there as long as this lives.
    ///
    /// # Errors
    /// [`StoreError::Memory`].
    fn map(
        &mut self,
        offset: usize,
        len_bytes: usize,
        file: BorrowedFd<'_>,
        file_offset: u64,
    ) -> Result<(), StoreError>;
}

/// Puts pages of a file in the place of anonymous memory.
///
/// # Safety
/// `target` begins a page, and `len_bytes` from it on are part of a mapping that belongs to the caller and that nobody
/// reads or writes meanwhile.
pub(crate) unsafe fn map_over(
    target: *mut u8,
    len_bytes: usize,
    file: BorrowedFd<'_>,
    file_offset: u64,
) -> Result<(), StoreError> {
    let flags = MapFlags::PRIVATE | MapFlags::FIXED | MapFlags::NORESERVE;
    // SAFETY: the caller's mapping is replaced in the middle, by one with the same rights.
    unsafe { mmap(target.cast(), len_bytes, ProtFlags::READ | ProtFlags::WRITE, flags, file, file_offset) }
        .map(|_| ())
        .map_err(|error| StoreError::Memory { len_bytes, kind: std::io::Error::from(error).kind() })
}
