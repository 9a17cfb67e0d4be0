//! Bytes in which a structure made of offsets lives.

use core::ops::Range;
use std::os::fd::BorrowedFd;

use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};

use crate::{
    StoreError,
    mapped::{PageTarget, map_over},
};

/// Bytes in which a structure made of offsets lives: anonymous memory, or a private mapping of a file.
///
/// What is read from one may come from a disk, so it is untrusted: who reads checks every id, tag
/// and length, and answers [`StoreError::Corrupt`].
pub trait Region: Send + Sync {
    /// All of it.
    fn bytes(&self) -> &[u8];

    /// A part of it, to be changed: the range counts as changed from now on.
    ///
    /// # Panics
    /// When the range is not inside: that is a mistake of the caller.
    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8];

    /// Makes it at least this long. New bytes are zero; it may become longer than asked for.
    ///
    /// # Errors
    /// [`StoreError::Memory`]; nothing has changed then.
    fn grow(&mut self, len_min: usize) -> Result<(), StoreError>;
}

/// Growth in bytes: a huge page of the processors that this runs on.
const STEP_BYTES: usize = 2 << 20;

/// Anonymous memory. Its address never changes: address space is reserved when it is made, memory
/// is taken when it grows and is first written.
#[derive(Debug)]
pub struct HeapRegion {
    /// At a multiple of the step, so that memory can come in huge pages.
    base: *mut u8,
    len_bytes: usize,
    reserved_bytes: usize,
    /// The whole mapping.
    mapped: (*mut u8, usize),
}

// SAFETY: the mapping belongs to this value alone; `&self` only reads it, `&mut self` writes it.
unsafe impl Send for HeapRegion {}
// SAFETY: as above.
unsafe impl Sync for HeapRegion {}

impl HeapRegion {
    /// An empty region that can grow to `reserved_bytes` (rounded up to 2 MiB).
    ///
    /// # Errors
    /// [`StoreError::Memory`], when so much address space is not to be had.
    pub fn new(reserved_bytes: usize) -> Result<Self, StoreError> {
        let too_long = StoreError::Memory { len_bytes: reserved_bytes, kind: std::io::ErrorKind::OutOfMemory };
        let rounded = reserved_bytes.max(1).checked_next_multiple_of(STEP_BYTES);
        let (reserved_bytes, mapped_bytes) =
            rounded.and_then(|bytes| Some((bytes, bytes.checked_add(STEP_BYTES)?))).ok_or(too_long)?;
        let failed = |error: rustix::io::Errno| StoreError::Memory {
            len_bytes: reserved_bytes,
            kind: std::io::Error::from(error).kind(),
        };
        // SAFETY: the kernel chooses an address range that nothing else uses.
        let base =
            unsafe { mmap_anonymous(core::ptr::null_mut(), mapped_bytes, ProtFlags::empty(), MapFlags::PRIVATE) }
                .map_err(failed)?;
        let mapped: *mut u8 = base.cast();
        let before = mapped.addr().next_multiple_of(STEP_BYTES) - mapped.addr();
        // SAFETY: less than a step, by which the mapping is longer than what is reserved.
        let base = unsafe { mapped.add(before) };
        let region = Self { base, len_bytes: 0, reserved_bytes, mapped: (mapped, mapped_bytes) };
        #[cfg(target_os = "linux")]
        {
            use rustix::mm::{Advice, madvise};
            // Fewer misses of the address cache and fewer faults. Only advice: kernels may refuse it.
            // SAFETY: the range is the mapping's own, and the advice does not change its contents.
            let _ = unsafe { madvise(region.base.cast(), reserved_bytes, Advice::LinuxHugepage) };
        }
        Ok(region)
    }
}

impl Region for HeapRegion {
    fn bytes(&self) -> &[u8] {
        // SAFETY: the first `len_bytes` of the mapping are readable, zero or written before, and
        // nobody writes them while `self` is borrowed. Without any length the base is still aligned
        // and not null.
        unsafe { core::slice::from_raw_parts(self.base, self.len_bytes) }
    }

    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        // SAFETY: as in `bytes`; the first `len_bytes` are writable too, and `self` is borrowed for
        // writing.
        let all = unsafe { core::slice::from_raw_parts_mut(self.base, self.len_bytes) };
        &mut all[range]
    }

    fn grow(&mut self, len_min: usize) -> Result<(), StoreError> {
        if len_min <= self.len_bytes {
            return Ok(());
        }
        let failed = |kind| StoreError::Memory { len_bytes: len_min, kind };
        if len_min > self.reserved_bytes {
            return Err(failed(std::io::ErrorKind::OutOfMemory));
        }
        let len_bytes = len_min.next_multiple_of(STEP_BYTES);
        let flags = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the range is inside the mapping, whose size is a multiple of the step; its first
        // part is readable and writable already.
        unsafe { mprotect(self.base.cast(), len_bytes, flags) }
            .map_err(|error| failed(std::io::Error::from(error).kind()))?;
        self.len_bytes = len_bytes;
        Ok(())
    }
}

impl PageTarget for HeapRegion {
    fn copy(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes_mut(offset..offset + bytes.len()).copy_from_slice(bytes);
    }

    fn map(
        &mut self,
        offset: usize,
        len_bytes: usize,
        file: BorrowedFd<'_>,
        file_offset: u64,
    ) -> Result<(), StoreError> {
        let target = self.bytes_mut(offset..offset + len_bytes).as_mut_ptr();
        // SAFETY: a part of this region's own mapping, and `self` is borrowed for writing.
        unsafe { map_over(target, len_bytes, file, file_offset) }
    }
}

impl Drop for HeapRegion {
    fn drop(&mut self) {
        // SAFETY: the mapping is this region's own, of this size, and every borrow of it has ended.
        let _ = unsafe { munmap(self.mapped.0.cast(), self.mapped.1) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)]
    use super::*;

    #[test]
    fn test_region__grown__keeps_bytes_and_address_and_new_ones_are_zero() {
        let mut region = HeapRegion::new(8 << 20).unwrap();
        assert!(region.bytes().is_empty());
        region.grow(10).unwrap();
        region.bytes_mut(0..10).fill(7);
        let address = region.bytes().as_ptr();
        region.grow(5 << 20).unwrap();
        assert_eq!(region.bytes().as_ptr(), address);
        assert_eq!(&region.bytes()[..10], &[7; 10]);
        assert!(region.bytes()[10..].iter().all(|byte| *byte == 0));
        assert!(region.bytes().len() >= 5 << 20);
    }

    #[test]
    fn test_region__grown_beyond_what_is_reserved__is_a_typed_error() {
        let mut region = HeapRegion::new(1).unwrap();
        region.grow(STEP_BYTES).unwrap();
        let error = region.grow(STEP_BYTES + 1).unwrap_err();
        assert_eq!(error, StoreError::Memory { len_bytes: STEP_BYTES + 1, kind: std::io::ErrorKind::OutOfMemory });
        assert_eq!(region.bytes().len(), STEP_BYTES);
    }

    #[test]
    fn test_region__more_than_the_address_space__is_a_typed_error() {
        assert!(matches!(HeapRegion::new(usize::MAX), Err(StoreError::Memory { .. })));
        assert!(matches!(HeapRegion::new(1 << 60), Err(StoreError::Memory { .. })));
    }
}
