//! Memory of words that many threads read while one writes.

use std::{
    os::fd::BorrowedFd,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::{
    StoreError,
    mapped::{PageTarget, map_over},
};

/// What the processors that this runs on call a huge page.
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Words at an address that never changes, zero until they are written. Address space is reserved
/// when it is made; memory is taken where it is first touched.
#[derive(Debug)]
pub(crate) struct Arena {
    mapping: *mut u8,
    mapped_bytes: usize,
    words: *const AtomicU64,
    word_count: usize,
}

// SAFETY: the mapping belongs to this value alone, and its words are only reached as atomics.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// Room for `word_count` words, the first `large_word_count` of them in huge pages.
    ///
    /// # Errors
    /// [`StoreError::Memory`], when so much address space is not to be had.
    pub(crate) fn new(word_count: usize, large_word_count: usize) -> Result<Self, StoreError> {
        let mapped_bytes = word_count * size_of::<u64>() + HUGE_PAGE_BYTES;
        // SAFETY: the kernel chooses an address range that nothing else uses.
        let mapping = unsafe {
            mmap_anonymous(
                core::ptr::null_mut(),
                mapped_bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE | MapFlags::NORESERVE,
            )
        }
        .map_err(|error| StoreError::Memory { len_bytes: mapped_bytes, kind: std::io::Error::from(error).kind() })?
        .cast::<u8>();
        let skipped = mapping.align_offset(HUGE_PAGE_BYTES);
        // SAFETY: the mapping is a huge page longer than the words, so its first boundary of one and
        // all words after it are inside.
        let words = unsafe { mapping.add(skipped) }.cast::<AtomicU64>().cast_const();
        let arena = Self { mapping, mapped_bytes, words, word_count };
        #[cfg(target_os = "linux")]
        if large_word_count != 0 {
            use rustix::mm::{Advice, madvise};
            // One fault and one entry of the address cache per 2 MiB. Only advice: it may be refused.
            // SAFETY: the range is the mapping's own, and the advice does not change its contents.
            let _ = unsafe {
                madvise(arena.words.cast_mut().cast(), large_word_count * size_of::<u64>(), Advice::LinuxHugepage)
            };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = large_word_count;
        Ok(arena)
    }

    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: all of the range is readable and writable, aligned, zero or written before, and
        // lives as long as `self`; words are only changed as atomics.
        unsafe { core::slice::from_raw_parts(self.words, self.word_count) }
    }

    /// Asks for the cache line of a word. Nothing happens where there is no such word.
    #[inline]
    pub(crate) fn prefetch(&self, word: usize) {
        if word < self.word_count {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: a hint about an address inside the mapping; it reads nothing.
            unsafe {
                use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T0>(self.words.add(word).cast());
            }
        }
    }
}

impl PageTarget for Arena {
    fn copy(&mut self, offset: usize, bytes: &[u8]) {
        for (word, bytes) in self.words()[offset / 8..].iter().zip(bytes.chunks_exact(8)) {
            // UNWRAP: chunks of eight bytes.
            word.store(u64::from_le_bytes(bytes.try_into().unwrap()), Relaxed);
        }
    }

    fn map(
        &mut self,
        offset: usize,
        len_bytes: usize,
        file: BorrowedFd<'_>,
        file_offset: u64,
    ) -> Result<(), StoreError> {
        let end = offset.checked_add(len_bytes).filter(|end| *end <= self.word_count * size_of::<u64>());
        assert!(end.is_some(), "inside the arena");
        // SAFETY: the range was just checked to be inside the words, which are part of this arena's own mapping, and
        // `self` is borrowed for writing.
        unsafe { map_over(self.words.cast::<u8>().cast_mut().add(offset), len_bytes, file, file_offset) }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping is this arena's own, of this size, and every borrow of it has ended.
        let _ = unsafe { munmap(self.mapping.cast(), self.mapped_bytes) };
    }
}
