//! Reads records by location, while others append.

use std::sync::Arc;

use metis_disk::DiskFile;
use parking_lot::RwLock;

use super::{
    Corruption, Location, LogError, LogFile, Operation,
    format::{FRAME_HEADER_BYTES, FrameHeader, checksum},
};

/// Reads records by location. Clones read the same log; none waits for the writer.
#[derive(Clone, Debug)]
pub struct LogReader {
    /// Of the segments, in order.
    files: Arc<RwLock<Vec<Arc<dyn DiskFile>>>>,
    salt: u64,
}

impl LogReader {
    pub(super) fn new(salt: u64) -> Self {
        Self { files: Arc::default(), salt }
    }

    /// Seed of the log's checksums.
    pub(super) const fn salt(&self) -> u64 {
        self.salt
    }

    /// Adds the next segment.
    pub(super) fn add(&self, file: Arc<dyn DiskFile>) {
        self.files.write().push(file);
    }

    /// The file of a segment.
    pub(super) fn file(&self, segment: u64) -> Result<Arc<dyn DiskFile>, LogError> {
        let handle = self.files.read().get(segment as usize).map(Arc::clone);
        handle.ok_or(LogError::MissingSegment { file: LogFile::Segment(segment) })
    }

    /// The payload of a record, its checksum verified. Costs one pread.
    ///
    /// # Errors
    /// [`LogError::Io`], or [`LogError::Corrupt`] when the bytes have changed since.
    pub fn read(&self, location: Location) -> Result<Vec<u8>, LogError> {
        let file = LogFile::Segment(u64::from(location.segment));
        let handle = self.file(u64::from(location.segment))?;
        let mut bytes = vec![0; FRAME_HEADER_BYTES + location.payload_length as usize];
        let read = handle.read_at(location.offset, &mut bytes).map_err(LogError::io(Operation::Read, file))?;
        let corrupt = |problem| LogError::Corrupt { file, offset: location.offset, problem };
        if read < bytes.len() {
            return Err(corrupt(Corruption::Incomplete));
        }
        let (header, _) = FrameHeader::decode(&bytes, self.salt).map_err(corrupt)?;
        if header.payload_length != location.payload_length {
            return Err(corrupt(Corruption::Length));
        }
        bytes.drain(..FRAME_HEADER_BYTES);
        if checksum(self.salt, &bytes) != header.payload_checksum {
            return Err(corrupt(Corruption::PayloadChecksum));
        }
        Ok(bytes)
    }
}
