//! Appends records, and reads them back by location.

use std::{
    hash::{BuildHasher, RandomState},
    io,
    sync::Arc,
};

use metis_disk::{Disk, DiskFile, DiskLock};

use super::{
    ChainIdentity, Location, LogError, LogFile, LogReader, Operation,
    format::{FRAME_HEADER_BYTES, FrameHeader, PAYLOAD_BYTES_MAX, SEGMENT_HEADER_BYTES, SegmentHeader, checksum},
};

/// When an append is sure to survive a power cut. A killed process loses nothing at any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When it returns.
    EveryAppend,
    /// When [`BlockLog::tick`] has been called `interval_ms` after the last time it synced.
    Group {
        /// Least time between two syncs.
        interval_ms: u64,
    },
    /// When the log syncs for reasons of its own: [`LogConfig::unsynced_bytes_max`] are waiting,
    /// a segment is full, or the log is closed.
    None,
}

/// How a log is written. May differ each time it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// When appends are durable.
    pub durability: Durability,
    /// A segment that has reached this length is followed by a new one. Records are not split, so
    /// the last one in a segment may end beyond.
    pub segment_bytes: u64,
    /// So much may wait to be synced; it is kept in memory, to be written again if a sync fails.
    pub unsynced_bytes_max: usize,
    /// Seeds the checksums of a new log. Must not be known to those who send transactions:
    /// [`Self::with_secret_salt`]. Fixed values are for tests.
    pub salt: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { durability: Durability::EveryAppend, segment_bytes: 64 << 20, unsynced_bytes_max: 8 << 20, salt: 0 }
    }
}

impl LogConfig {
    /// The same with a salt that nobody knows, from the operating system's randomness.
    pub fn with_secret_salt(self) -> Self {
        Self { salt: RandomState::new().hash_one(0u8), ..self }
    }
}

/// A record to be written.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// What the payload is.
    pub kind: u8,
    /// Its content.
    pub payload: &'a [u8],
}

/// Where a record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its number in the log.
    pub sequence: u64,
    /// Its place.
    pub location: Location,
}

/// The end of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tail {
    pub segment: u64,
    /// Length of the segment, of what counts of it.
    pub end: u64,
    /// So much of it is durable.
    pub durable: u64,
    pub next_sequence: u64,
    pub link: u64,
}

/// The one writer of a log.
#[derive(Debug)]
pub struct BlockLog {
    disk: Arc<dyn Disk>,
    reader: LogReader,
    active: Arc<dyn DiskFile>,
    identity: ChainIdentity,
    config: LogConfig,
    tail: Tail,
    /// There may be bytes behind the end, from a write that failed.
    is_tail_dirty: bool,
    /// The bytes from `tail.durable` to `tail.end`.
    unsynced: Vec<u8>,
    /// A sync failed: what is unsynced must be written again before it is synced.
    must_rewrite: bool,
    last_sync_ms: u64,
    // Fields are dropped in order: the lock goes last.
    _lock: Box<dyn DiskLock>,
}

impl BlockLog {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        lock: Box<dyn DiskLock>,
        identity: ChainIdentity,
        config: LogConfig,
        reader: LogReader,
        active: Arc<dyn DiskFile>,
        tail: Tail,
    ) -> Self {
        Self {
            disk,
            reader,
            active,
            identity,
            config,
            tail,
            is_tail_dirty: false,
            unsynced: Vec::new(),
            must_rewrite: false,
            last_sync_ms: 0,
            _lock: lock,
        }
    }

    /// Whose blocks these are.
    pub const fn identity(&self) -> ChainIdentity {
        self.identity
    }

    /// The number that the next record gets.
    pub const fn next_sequence(&self) -> u64 {
        self.tail.next_sequence
    }

    /// Reads records while this writes.
    pub fn reader(&self) -> LogReader {
        self.reader.clone()
    }

    /// Appends records: all of them or, on an error, none.
    ///
    /// # Errors
    /// [`LogError`]; the log is then as before, and a later append may succeed.
    pub fn append(&mut self, records: &[RawRecord<'_>]) -> Result<Vec<Appended>, LogError> {
        let mut size_bytes = 0;
        for record in records {
            if record.payload.len() > PAYLOAD_BYTES_MAX {
                return Err(LogError::RecordTooLarge { size_bytes: record.payload.len(), max: PAYLOAD_BYTES_MAX });
            }
            size_bytes += FRAME_HEADER_BYTES + record.payload.len();
        }
        if self.tail.end >= self.config.segment_bytes.max(SEGMENT_HEADER_BYTES as u64 + 1) {
            self.begin_segment()?;
        }
        let is_synced_now = self.config.durability == Durability::EveryAppend;
        // BOUND: what waits in memory. A batch that is larger alone goes through.
        if !is_synced_now && self.unsynced.len() + size_bytes > self.config.unsynced_bytes_max {
            self.sync()?;
        }
        self.clean_tail()?;
        let (frames, appended, tail) = self.frame(records, size_bytes);
        self.is_tail_dirty = true;
        let file = LogFile::Segment(self.tail.segment);
        let mut written = self.active.write_at(self.tail.end, &frames).map_err(LogError::io(Operation::Write, file));
        if written.is_ok() && is_synced_now {
            written = self.active.sync().map_err(LogError::io(Operation::Sync, file));
        }
        if let Err(error) = written {
            // If this fails too, the next append tries again before it writes.
            let _ = self.clean_tail();
            return Err(error);
        }
        self.is_tail_dirty = false;
        self.tail = tail;
        if is_synced_now {
            self.tail.durable = self.tail.end;
        } else {
            self.unsynced.extend_from_slice(&frames);
        }
        Ok(appended)
    }

    /// The bytes of the records' frames, where they go, and the tail after them.
    fn frame(&self, records: &[RawRecord<'_>], size_bytes: usize) -> (Vec<u8>, Vec<Appended>, Tail) {
        let salt = self.reader.salt();
        let mut tail = self.tail;
        let mut frames = Vec::with_capacity(size_bytes);
        let mut appended = Vec::with_capacity(records.len());
        for record in records {
            let header = FrameHeader {
                kind: record.kind,
                payload_length: record.payload.len() as u32,
                sequence: tail.next_sequence,
                durable: self.tail.durable,
                link: tail.link,
                payload_checksum: checksum(salt, record.payload),
            };
            let bytes = header.encode(salt);
            frames.extend_from_slice(&bytes);
            frames.extend_from_slice(record.payload);
            appended.push(Appended {
                sequence: tail.next_sequence,
                location: Location {
                    segment: tail.segment as u32,
                    payload_length: header.payload_length,
                    offset: tail.end,
                },
            });
            tail.end += header.frame_bytes();
            tail.next_sequence += 1;
            // UNWRAP: the last 8 of 48 bytes.
            tail.link = u64::from_le_bytes(bytes[40..].try_into().unwrap());
        }
        (frames, appended, tail)
    }

    /// Makes everything appended so far durable.
    ///
    /// # Errors
    /// [`LogError::Io`]; nothing is lost, and a later call may succeed.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.clean_tail()?;
        if self.unsynced.is_empty() {
            return Ok(());
        }
        let file = LogFile::Segment(self.tail.segment);
        if self.must_rewrite {
            self.active.write_at(self.tail.durable, &self.unsynced).map_err(LogError::io(Operation::Write, file))?;
        }
        self.must_rewrite = true;
        self.active.sync().map_err(LogError::io(Operation::Sync, file))?;
        self.must_rewrite = false;
        self.tail.durable = self.tail.end;
        self.unsynced.clear();
        Ok(())
    }

    /// Group commit: syncs when it is time. `now_ms` is any clock that does not go back. Returns
    /// whether everything appended so far is durable.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub fn tick(&mut self, now_ms: u64) -> Result<bool, LogError> {
        if let Durability::Group { interval_ms } = self.config.durability
            && !self.unsynced.is_empty()
            && now_ms.saturating_sub(self.last_sync_ms) >= interval_ms
        {
            self.sync()?;
            self.last_sync_ms = now_ms;
        }
        Ok(self.unsynced.is_empty())
    }

    /// Makes everything durable and gives the directory free.
    ///
    /// # Errors
    /// As [`Self::sync`]; the directory is free then, too.
    pub fn close(mut self) -> Result<(), LogError> {
        self.sync()
    }

    fn clean_tail(&mut self) -> Result<(), LogError> {
        if self.is_tail_dirty {
            let file = LogFile::Segment(self.tail.segment);
            self.active.set_len(self.tail.end).map_err(LogError::io(Operation::Truncate, file))?;
            self.is_tail_dirty = false;
        }
        Ok(())
    }

    fn begin_segment(&mut self) -> Result<(), LogError> {
        self.sync()?;
        let header = SegmentHeader {
            segment: self.tail.segment + 1,
            first_sequence: self.tail.next_sequence,
            identity: self.identity,
            salt: self.reader.salt(),
            link: self.tail.link,
            previous_length: self.tail.end,
        };
        let file = create_segment(&*self.disk, &header)?;
        self.reader.add(Arc::clone(&file));
        self.active = file;
        let end = SEGMENT_HEADER_BYTES as u64;
        self.tail = Tail { segment: header.segment, end, durable: end, ..self.tail };
        Ok(())
    }
}

impl Drop for BlockLog {
    fn drop(&mut self) {
        // Whoever needs to know whether it worked calls `close`.
        let _ = self.sync();
    }
}

/// Creates a segment with its header, durably. What an earlier, failed attempt left is replaced.
pub(super) fn create_segment(disk: &dyn Disk, header: &SegmentHeader) -> Result<Arc<dyn DiskFile>, LogError> {
    let file = LogFile::Segment(header.segment);
    let name = file.to_string();
    let handle = match disk.create(&name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let handle = disk.open(&name).map_err(LogError::io(Operation::Open, file))?;
            handle.set_len(0).map_err(LogError::io(Operation::Truncate, file))?;
            handle
        }
        created => created.map_err(LogError::io(Operation::Create, file))?,
    };
    handle.write_at(0, &header.encode()).map_err(LogError::io(Operation::Write, file))?;
    handle.sync().map_err(LogError::io(Operation::Sync, file))?;
    disk.sync_directory().map_err(LogError::io(Operation::Sync, LogFile::Directory))?;
    Ok(handle)
}
