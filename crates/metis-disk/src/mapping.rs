//! A file's bytes, mapped.

use std::{fs::File, io, ops::Deref};

/// The bytes of a file as they were when it was mapped, or a copy of them.
#[derive(Debug)]
pub struct Mapping(Bytes);

#[derive(Debug)]
enum Bytes {
    Mapped(memmap2::Mmap),
    Copied(Vec<u8>),
}

impl Mapping {
    pub(crate) fn of_file(file: &File) -> io::Result<Self> {
        // SAFETY: files of a `Disk` are changed by who holds its lock only, which never changes nor
        // cuts off bytes that somebody may have mapped: that is the promise of pins. A foreign
        // process that does so anyway may end this one (SIGBUS), as it could by other means.
        let mapped = unsafe { memmap2::Mmap::map(file)? };
        Ok(Self(Bytes::Mapped(mapped)))
    }

    pub(crate) const fn copied(bytes: Vec<u8>) -> Self {
        Self(Bytes::Copied(bytes))
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Mapped(mapped) => mapped,
            Bytes::Copied(bytes) => bytes,
        }
    }
}
