//! What can go wrong with the block log.

use std::{fmt, io};

use alloy_primitives::B256;

use super::format::segment_name;

/// Which chain a log belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainIdentity {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Hash of the first block.
    pub genesis_hash: B256,
}

impl fmt::Display for ChainIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain {} with genesis {}", self.chain_id, self.genesis_hash)
    }
}

/// A file of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFile {
    /// The directory itself.
    Directory,
    /// A segment, by number.
    Segment(u64),
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => f.write_str("directory"),
            Self::Segment(segment) => f.write_str(&segment_name(*segment)),
        }
    }
}

/// What was being done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the documentation
pub enum Operation {
    List,
    Open,
    Create,
    Remove,
    Read,
    Write,
    Truncate,
    Sync,
    Lock,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Open => "open",
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Read => "read",
            Self::Write => "write",
            Self::Truncate => "truncate",
            Self::Sync => "sync",
            Self::Lock => "lock",
        })
    }
}

/// Why bytes are not what the log wrote there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // the message of each variant says what it means
pub enum Corruption {
    #[error("the file ends inside it")]
    Incomplete,
    #[error("no magic bytes")]
    Magic,
    #[error("the header's checksum is wrong")]
    HeaderChecksum,
    #[error("the payload's checksum is wrong")]
    PayloadChecksum,
    #[error("the length is above the limit")]
    Length,
    #[error("it does not follow the record before")]
    Link,
    #[error("the segment's header names another segment")]
    SegmentNumber,
    #[error("the segment's length is not the one that its successor notes")]
    SegmentLength,
}

/// Why the block log could not do what it was asked. After any of these from an append, the log
/// holds exactly what it held before, can be read, and takes further appends.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("{operation} {file}: {source}")]
    Io {
        /// What was being done.
        operation: Operation,
        /// To what.
        file: LogFile,
        /// The refusal.
        source: io::Error,
    },
    /// It was closed.
    #[error("closed")]
    Closed,
    /// Another process uses the directory.
    #[error("the data directory is in use by another process{}", match .holder { Some(pid) => format!(" (pid {pid})"), None => String::new() })]
    Locked {
        /// Process id, where the holder wrote it down.
        holder: Option<u32>,
    },
    /// A part that was durable is damaged. Nothing was changed on the disk.
    #[error("{file} is damaged at byte {offset}: {problem}")]
    Corrupt {
        /// Where.
        file: LogFile,
        /// At which byte the damaged record or header begins.
        offset: u64,
        /// How.
        problem: Corruption,
    },
    /// A segment between others is not there.
    #[error("{file} is missing")]
    MissingSegment {
        /// The one that is missing.
        file: LogFile,
    },
    /// Written by a newer or older release.
    #[error("{file} has format version {found}, this release reads {supported}")]
    UnsupportedVersion {
        /// Where.
        file: LogFile,
        /// The version it has.
        found: u32,
        /// The version that is known here.
        supported: u32,
    },
    /// The directory holds another chain.
    #[error("the log is of {found}, expected {expected}")]
    OtherChain {
        /// The chain that was asked for.
        expected: ChainIdentity,
        /// The chain that is there.
        found: ChainIdentity,
    },
    /// There is no log in the directory.
    #[error("there is no block log in the directory")]
    NotThere,
    /// A record too large to be written.
    #[error("a record of {size_bytes} bytes is above the limit of {max}")]
    RecordTooLarge {
        /// Its size.
        size_bytes: usize,
        /// The limit.
        max: usize,
    },
}

impl LogError {
    pub(super) fn io(operation: Operation, file: LogFile) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { operation, file, source }
    }

    /// Whether the disk is full: freeing space lets the next append succeed.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}
