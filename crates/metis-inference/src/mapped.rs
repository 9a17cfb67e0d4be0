//! Weights where they are kept: memory of this process, or a file's bytes mapped into it.

use std::{fs::File, io, path::Path};

use memmap2::{Mmap, MmapOptions};

use crate::memory::Aligned;

/// The bytes of weights.
pub enum WeightBytes {
    /// In memory of their own.
    Owned(Aligned, usize),
    /// In a file, shared with whoever maps it too.
    Mapped(Mmap),
}

impl WeightBytes {
    /// A copy of bytes.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self::Owned(Aligned::copy_of(bytes), bytes.len())
    }

    /// `length` bytes of a file, mapped.
    ///
    /// The file must not be changed while it is mapped: kernels then compute with other weights than were checked, and
    /// one that is cut short ends the process. Files of models are replaced, not written over.
    ///
    /// # Errors
    /// The file cannot be opened or mapped, or is shorter (`UnexpectedEof`).
    pub fn map(path: &Path, offset: u64, length: usize) -> io::Result<Self> {
        let file = File::open(path)?;
        let is_there =
            offset.checked_add(length as u64).is_some_and(|end| end <= file.metadata().map_or(0, |it| it.len()));
        if !is_there {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if length == 0 {
            return Ok(Self::copy_of(&[]));
        }
        // SAFETY: the mapping is read only and private. That nobody changes the file is asked of the caller.
        let mapped = unsafe { MmapOptions::new().offset(offset).len(length).map(&file) }?;
        Ok(Self::Mapped(mapped))
    }
}

impl AsRef<[u8]> for WeightBytes {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes, length) => &bytes.bytes()[..*length],
            Self::Mapped(bytes) => bytes,
        }
    }
}
