//! The block log: an append-only file of checksummed records, cut into segments.
//!
//! In: records, each a kind and some bytes. Out: the same records in the same order, after any
//! crash at least those whose append had been made durable, and never a part of one.
//!
//! Invariants: bytes that are durable are never written again; a record is durable only after all
//! before it; segments before the last are complete; one process holds the directory. What the
//! bytes are is in [`format`], how a torn tail is recognised in [`scan()`].
//!
//! Cost: an append is one write of what it appends and, at [`Durability::EveryAppend`], one
//! fdatasync; opening reads everything once.
//!
//! Nothing here knows what a record means: that is [`crate::record`]. There is no clock either:
//! group commit happens when the caller says what time it is.

mod error;
pub mod format;
mod open;
mod read;
mod scan;
mod write;

pub use error::{ChainIdentity, Corruption, LogError, LogFile, Operation};
pub use open::{Recovery, log_exists};
pub use read::LogReader;
pub use scan::{Frame, Location, ScanReport, TornTail, scan};
pub use write::{Appended, BlockLog, Durability, LogConfig, RawRecord};
