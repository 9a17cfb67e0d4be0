//! Reads a log from its first byte to its last, and tells a torn tail from damage.
//!
//! A torn tail is what a crash leaves of records whose append had not been made durable: it ends
//! the log and may be dropped. Anything else that does not fit is damage, and nothing is dropped.
//! The two are told apart by what every frame notes: how many bytes of the file were durable when
//! it was written. A frame after the bad place that notes a durable position beyond it proves that
//! the bad place was durable once, so it is damage. Nobody can plant such a frame in a payload,
//! since its checksum is seeded with the log's salt.

use std::{io, sync::Arc};

use metis_disk::{Disk, DiskFile};

use super::{
    ChainIdentity, Corruption, LogError, LogFile, LogReader, Operation,
    format::{
        FORMAT_VERSION, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, HeaderProblem, SEGMENT_HEADER_BYTES,
        SegmentHeader, checksum, segment_of,
    },
};

/// How much is read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// Where a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// Segment number.
    pub segment: u32,
    /// Length of the payload.
    pub payload_length: u32,
    /// First byte of the frame in the segment's file.
    pub offset: u64,
}

/// A record as it is read.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Reads the records before this one.
    pub reader: &'a LogReader,
    /// What the payload is.
    pub kind: u8,
    /// Number in the log, from 1.
    pub sequence: u64,
    /// Where it is.
    pub location: Location,
    /// Its content.
    pub payload: &'a [u8],
}

/// Bytes at the end of the log that a crash left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// In which file.
    pub file: LogFile,
    /// Where they begin.
    pub offset: u64,
    /// How many.
    pub size_bytes: u64,
    /// What is wrong with the first of them.
    pub problem: Corruption,
}

/// What a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanReport {
    /// Whose it is.
    pub identity: ChainIdentity,
    /// Number of segments, without one that a crash left incomplete.
    pub segment_count: u64,
    /// Number of intact records.
    pub record_count: u64,
    /// Bytes of intact records with their frames and the segments' headers.
    pub size_bytes: u64,
    /// What a crash left behind the last intact record.
    pub torn: Option<TornTail>,
}

/// A log that was read to its end.
#[derive(Debug)]
pub(super) struct Scanned {
    pub reader: LogReader,
    pub report: ScanReport,
    /// Length of the last segment, of what counts of it.
    pub end: u64,
    /// So much of the last segment was durable when its last record was written.
    pub durable: u64,
    pub next_sequence: u64,
    pub link: u64,
}

/// Reads every record of a log in order, without changing anything.
///
/// # Errors
/// [`LogError`], or what `visit` returns.
pub fn scan<E: From<LogError>>(
    disk: &dyn Disk,
    visit: impl FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<ScanReport, E> {
    scan_files(disk, visit).map(|scanned| scanned.report)
}

pub(super) fn scan_files<E: From<LogError>>(
    disk: &dyn Disk,
    mut visit: impl FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<Scanned, E> {
    let segment_count = segment_count(disk)?;
    let mut scanned: Option<Scanned> = None;
    for segment in 0..segment_count {
        let file = LogFile::Segment(segment);
        let handle = disk.open(&file.to_string()).map_err(LogError::io(Operation::Open, file))?;
        let mut window = Window::new(&*handle, file)?;
        let is_last = segment + 1 == segment_count;
        let header = match SegmentHeader::decode(window.bytes(0, SEGMENT_HEADER_BYTES)?) {
            Ok(header) => header,
            Err(HeaderProblem::Version(found)) => {
                return Err(LogError::UnsupportedVersion { file, found, supported: FORMAT_VERSION }.into());
            }
            // The header is made durable before any record is written, so nothing is lost with it.
            Err(HeaderProblem::Invalid(problem)) if is_last && window.len <= SEGMENT_HEADER_BYTES as u64 => {
                let Some(scanned) = &mut scanned else {
                    return Err(LogError::NotThere.into());
                };
                scanned.report.torn = Some(TornTail { file, offset: 0, size_bytes: window.len, problem });
                break;
            }
            Err(HeaderProblem::Invalid(problem)) => {
                return Err(LogError::Corrupt { file, offset: 0, problem }.into());
            }
        };
        check_follows(&header, segment, scanned.as_ref())?;
        let state = scanned.get_or_insert_with(|| Scanned::new(&header));
        state.reader.add(Arc::clone(&handle));
        state.report.segment_count += 1;
        (state.end, state.durable) = (SEGMENT_HEADER_BYTES as u64, 0);
        read_frames(&mut window, segment as u32, state, &mut visit)?;
        state.report.size_bytes += state.end;
        // A segment was made durable before its successor was created.
        if !is_last && let Some(TornTail { offset, problem, .. }) = state.report.torn {
            return Err(LogError::Corrupt { file, offset, problem }.into());
        }
    }
    scanned.ok_or(LogError::NotThere.into())
}

impl Scanned {
    fn new(header: &SegmentHeader) -> Self {
        Self {
            reader: LogReader::new(header.salt),
            report: ScanReport {
                identity: header.identity,
                segment_count: 0,
                record_count: 0,
                size_bytes: 0,
                torn: None,
            },
            end: 0,
            durable: 0,
            next_sequence: header.first_sequence,
            link: header.link,
        }
    }
}

/// Segments are numbered from 0 without a gap.
fn segment_count(disk: &dyn Disk) -> Result<u64, LogError> {
    let names = disk.list().map_err(LogError::io(Operation::List, LogFile::Directory))?;
    let mut segments: Vec<u64> = names.iter().filter_map(|name| segment_of(name)).collect();
    segments.sort_unstable();
    for (expected, segment) in segments.iter().enumerate() {
        if *segment != expected as u64 {
            return Err(LogError::MissingSegment { file: LogFile::Segment(expected as u64) });
        }
    }
    Ok(segments.len() as u64)
}

fn check_follows(header: &SegmentHeader, segment: u64, before: Option<&Scanned>) -> Result<(), LogError> {
    let wrong = |problem| Err(LogError::Corrupt { file: LogFile::Segment(segment), offset: 0, problem });
    if header.segment != segment {
        return wrong(Corruption::SegmentNumber);
    }
    let Some(before) = before else {
        return if header.first_sequence == 1 && header.link == 0 { Ok(()) } else { wrong(Corruption::Link) };
    };
    let same_log = header.identity == before.report.identity && header.salt == before.reader.salt();
    if !same_log || header.link != before.link || header.first_sequence != before.next_sequence {
        return wrong(Corruption::Link);
    }
    if header.previous_length != before.end {
        let file = LogFile::Segment(segment - 1);
        return Err(LogError::Corrupt { file, offset: before.end, problem: Corruption::SegmentLength });
    }
    Ok(())
}

fn read_frames<E: From<LogError>>(
    window: &mut Window<'_>,
    segment: u32,
    state: &mut Scanned,
    visit: &mut impl FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let salt = state.reader.salt();
    while state.end < window.len {
        let offset = state.end;
        match window.frame(offset, state.next_sequence, state.link, salt)? {
            Ok((header, sum)) => {
                let location = Location { segment, payload_length: header.payload_length, offset };
                let payload = window.bytes(offset + FRAME_HEADER_BYTES as u64, header.payload_length as usize)?;
                let (kind, sequence) = (header.kind, header.sequence);
                visit(Frame { reader: &state.reader, kind, sequence, location, payload })?;
                state.end += header.frame_bytes();
                state.durable = header.durable;
                state.next_sequence += 1;
                state.link = sum;
                state.report.record_count += 1;
            }
            Err(problem) => {
                let file = LogFile::Segment(u64::from(segment));
                if window.was_durable(offset, salt)? {
                    return Err(LogError::Corrupt { file, offset, problem }.into());
                }
                let size_bytes = window.len - offset;
                state.report.torn = Some(TornTail { file, offset, size_bytes, problem });
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A file, of which a part is in memory.
struct Window<'a> {
    handle: &'a dyn DiskFile,
    file: LogFile,
    len: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    fn new(handle: &'a dyn DiskFile, file: LogFile) -> Result<Self, LogError> {
        let len = handle.size_bytes().map_err(LogError::io(Operation::Read, file))?;
        Ok(Self { handle, file, len, start: 0, buffer: Vec::new() })
    }

    /// `count` bytes from `offset`; fewer only at the end of the file.
    fn bytes(&mut self, offset: u64, count: usize) -> Result<&[u8], LogError> {
        let count = count.min(usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX));
        let is_inside = offset >= self.start && offset + count as u64 <= self.start + self.buffer.len() as u64;
        if !is_inside {
            let wanted = count.max(WINDOW_BYTES).min((self.len - offset) as usize);
            self.buffer.resize(wanted, 0);
            self.start = offset;
            let read = self.handle.read_at(offset, &mut self.buffer);
            let read = read.map_err(LogError::io(Operation::Read, self.file))?;
            if read < count {
                let error = io::Error::from(io::ErrorKind::UnexpectedEof);
                return Err(LogError::Io { operation: Operation::Read, file: self.file, source: error });
            }
            self.buffer.truncate(read);
        }
        let from = (offset - self.start) as usize;
        Ok(&self.buffer[from..from + count])
    }

    /// The frame at `offset` with its checksum, if it is intact and the one that must come next.
    fn frame(
        &mut self,
        offset: u64,
        sequence: u64,
        link: u64,
        salt: u64,
    ) -> Result<Result<(FrameHeader, u64), Corruption>, LogError> {
        let (header, sum) = match FrameHeader::decode(self.bytes(offset, FRAME_HEADER_BYTES)?, salt) {
            Ok(decoded) => decoded,
            Err(problem) => return Ok(Err(problem)),
        };
        if header.sequence != sequence || header.link != link || header.durable > offset {
            return Ok(Err(Corruption::Link));
        }
        if header.frame_bytes() > self.len - offset {
            return Ok(Err(Corruption::Incomplete));
        }
        let payload = self.bytes(offset + FRAME_HEADER_BYTES as u64, header.payload_length as usize)?;
        if checksum(salt, payload) != header.payload_checksum {
            return Ok(Err(Corruption::PayloadChecksum));
        }
        Ok(Ok((header, sum)))
    }

    /// Whether any frame after `bad` proves that the bytes at `bad` were durable.
    // BOUND: one pass over the rest of one segment.
    fn was_durable(&mut self, bad: u64, salt: u64) -> Result<bool, LogError> {
        let mut offset = bad + 1;
        while offset + FRAME_HEADER_BYTES as u64 <= self.len {
            let chunk = self.bytes(offset, WINDOW_BYTES)?;
            for (position, candidate) in chunk.windows(FRAME_HEADER_BYTES).enumerate() {
                if candidate[..3] == FRAME_MAGIC
                    && let Ok((header, _)) = FrameHeader::decode(candidate, salt)
                    && (bad + 1..=offset + position as u64).contains(&header.durable)
                {
                    return Ok(true);
                }
            }
            offset += (chunk.len() - FRAME_HEADER_BYTES + 1) as u64;
        }
        Ok(false)
    }
}
