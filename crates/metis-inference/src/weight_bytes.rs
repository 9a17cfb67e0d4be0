//! Weights in memory of this process.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

use crate::memory::Aligned;

/// The bytes of weights: a copy that nobody else can change or cut.
///
/// A file's bytes mapped into memory would be shared and loaded lazily, but whoever writes to the file changes what was
/// checked, and whoever cuts it ends this process.
pub struct WeightBytes {
    bytes: Aligned,
    length: usize,
}

impl WeightBytes {
    /// A copy of bytes.
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self { bytes: Aligned::copy_of(bytes), length: bytes.len() }
    }

    /// `length` bytes of a file.
    ///
    /// # Errors
    /// The file cannot be read, or is shorter (`UnexpectedEof`); then no memory was taken.
    pub fn read(path: &Path, offset: u64, length: usize) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let size_bytes = file.metadata()?.len();
        if offset.checked_add(length as u64).is_none_or(|end| end > size_bytes) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = Aligned::zeroed(length);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes.bytes_mut()[..length])?;
        Ok(Self { bytes, length })
    }
}

impl AsRef<[u8]> for WeightBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes.bytes()[..self.length]
    }
}
