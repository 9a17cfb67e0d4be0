//! Opens a log, repairing what a crash left; or creates it.

use std::{ops::Range, sync::Arc};

use metis_disk::{Disk, DiskFile, DiskLock, LockError};

use super::{
    BlockLog, ChainIdentity, Corruption, Frame, LogConfig, LogError, LogFile, LogReader, Operation, TornTail,
    format::{HeaderProblem, SEGMENT_HEADER_BYTES, SegmentHeader, segment_of},
    scan::scan_files,
    write::{Tail, create_segment},
};

/// How much is copied at once.
const COPY_BYTES: usize = 1 << 20;

/// What opening found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The log did not exist and was created.
    pub is_new: bool,
    /// Number of records in it.
    pub record_count: u64,
    /// Bytes that a crash left behind the last intact record, now cut off. Nobody was told that
    /// they were durable.
    pub dropped: Option<TornTail>,
}

/// Whether the directory holds a log, be it damaged.
///
/// # Errors
/// [`LogError::Io`].
pub fn log_exists(disk: &dyn Disk) -> Result<bool, LogError> {
    let names = disk.list().map_err(LogError::io(Operation::List, LogFile::Directory))?;
    Ok(names.iter().any(|name| segment_of(name).is_some()))
}

fn lock(disk: &dyn Disk) -> Result<Box<dyn DiskLock>, LogError> {
    disk.lock().map_err(|error| match error {
        LockError::Held { holder } => LogError::Locked { holder },
        LockError::Io(source) => LogError::Io { operation: Operation::Lock, file: LogFile::Directory, source },
    })
}

impl BlockLog {
    /// Opens the log in the directory, or creates it where there is none, and shows every record
    /// to `visit`, oldest first.
    ///
    /// With `identity` the log must be of that chain; without, it must exist.
    ///
    /// # Errors
    /// [`LogError`], or what `visit` returns. The files are then unchanged.
    pub fn open<E: From<LogError>>(
        disk: Arc<dyn Disk>,
        identity: Option<ChainIdentity>,
        config: LogConfig,
        visit: impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(Self, Recovery), E> {
        let lock = lock(&*disk)?;
        let scanned = match (scan_files(&*disk, visit), identity) {
            (Ok(scanned), _) => scanned,
            (Err(error), None) => return Err(error),
            (Err(error), Some(identity)) => {
                // Only a directory without any record gets here without an error.
                return match first_segment_is_torn(&*disk)? {
                    true => Ok(Self::create(disk, lock, identity, config)?),
                    false => Err(error),
                };
            }
        };
        let found = scanned.report.identity;
        if let Some(expected) = identity
            && expected != found
        {
            return Err(LogError::OtherChain { expected, found }.into());
        }
        let segment = scanned.report.segment_count - 1;
        let active = scanned.reader.file(segment)?;
        if let Some(torn) = scanned.report.torn {
            cut_off(&*disk, &*active, torn, scanned.end)?;
        }
        make_durable(&*disk, &*active, LogFile::Segment(segment), scanned.durable..scanned.end)?;
        let tail = Tail {
            segment,
            end: scanned.end,
            durable: scanned.end,
            next_sequence: scanned.next_sequence,
            link: scanned.link,
        };
        let recovery =
            Recovery { is_new: false, record_count: scanned.report.record_count, dropped: scanned.report.torn };
        Ok((Self::new(disk, lock, found, config, scanned.reader, active, tail), recovery))
    }

    fn create(
        disk: Arc<dyn Disk>,
        lock: Box<dyn DiskLock>,
        identity: ChainIdentity,
        config: LogConfig,
    ) -> Result<(Self, Recovery), LogError> {
        let salt = config.salt;
        let header = SegmentHeader { segment: 0, first_sequence: 1, identity, salt, link: 0, previous_length: 0 };
        let file = create_segment(&*disk, &header)?;
        let end = SEGMENT_HEADER_BYTES as u64;
        let tail = Tail { segment: 0, end, durable: end, next_sequence: 1, link: 0 };
        let reader = LogReader::new(salt);
        reader.add(Arc::clone(&file));
        let recovery = Recovery { is_new: true, record_count: 0, dropped: None };
        Ok((Self::new(disk, lock, identity, config, reader, file, tail), recovery))
    }
}

/// Whether the directory has no segment, or only the first, which a crash left without a header.
fn first_segment_is_torn(disk: &dyn Disk) -> Result<bool, LogError> {
    let names = disk.list().map_err(LogError::io(Operation::List, LogFile::Directory))?;
    let segments: Vec<u64> = names.iter().filter_map(|name| segment_of(name)).collect();
    match segments[..] {
        [] => Ok(true),
        [0] => {
            let file = LogFile::Segment(0);
            let handle = disk.open(&file.to_string()).map_err(LogError::io(Operation::Open, file))?;
            let mut header = [0; SEGMENT_HEADER_BYTES];
            let read = handle.read_at(0, &mut header).map_err(LogError::io(Operation::Read, file))?;
            let len = handle.size_bytes().map_err(LogError::io(Operation::Read, file))?;
            let is_invalid = matches!(SegmentHeader::decode(&header[..read]), Err(HeaderProblem::Invalid(_)));
            Ok(is_invalid && len <= SEGMENT_HEADER_BYTES as u64)
        }
        _ => Ok(false),
    }
}

/// Writes bytes that the writer before may not have made durable once more, and syncs.
///
/// Syncing alone would not do: if the writer's own sync failed, the system may hold the bytes for
/// clean and never write them.
fn make_durable(disk: &dyn Disk, handle: &dyn DiskFile, file: LogFile, range: Range<u64>) -> Result<(), LogError> {
    let mut buffer = vec![0; COPY_BYTES.min((range.end - range.start) as usize)];
    let mut offset = range.start;
    while offset < range.end {
        let count = buffer.len().min((range.end - offset) as usize);
        let part = &mut buffer[..count];
        let read = handle.read_at(offset, part).map_err(LogError::io(Operation::Read, file))?;
        if read < count {
            return Err(LogError::Corrupt { file, offset, problem: Corruption::Incomplete });
        }
        handle.write_at(offset, part).map_err(LogError::io(Operation::Write, file))?;
        offset += count as u64;
    }
    handle.sync().map_err(LogError::io(Operation::Sync, file))?;
    disk.sync_directory().map_err(LogError::io(Operation::Sync, LogFile::Directory))
}

/// Removes what a crash left, durably: were it to come back after the next append, it could be
/// taken for records that follow.
fn cut_off(disk: &dyn Disk, last: &dyn DiskFile, torn: TornTail, end: u64) -> Result<(), LogError> {
    if torn.offset == 0 {
        disk.remove(&torn.file.to_string()).map_err(LogError::io(Operation::Remove, torn.file))?;
        disk.sync_directory().map_err(LogError::io(Operation::Sync, LogFile::Directory))
    } else {
        last.set_len(end).map_err(LogError::io(Operation::Truncate, torn.file))?;
        last.sync().map_err(LogError::io(Operation::Sync, torn.file))
    }
}
