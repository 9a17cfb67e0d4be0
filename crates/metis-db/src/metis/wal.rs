//! The write-ahead log of one generation: what was committed since its checkpoint.
//!
//! Header, 64 bytes:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | magic `METISWAL` |
//! | 8 | 4 | format version |
//! | 12 | 4 | length of this header, 64 |
//! | 16 | 8 | generation |
//! | 24 | 8 | salt: seed of the checksums of frames |
//! | 32 | 24 | zero |
//! | 56 | 8 | XXH3-64 of bytes 0 to 55, seed 0 |
//!
//! Frame:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 4 | magic `MDBR` |
//! | 4 | 4 | payload length |
//! | 8 | 8 | durable: bytes of this file that were on the disk before this was written |
//! | 16 | 8 | link: header checksum of the frame before, of the file's header for the first |
//! | 24 | 8 | XXH3-64 of the payload, seed = salt |
//! | 32 | 8 | XXH3-64 of bytes 0 to 31, seed = salt |
//! | 40 | … | payload |

use std::sync::Arc;

use metis_disk::{Disk, DiskFile};

use super::encoding::{In, Out, checksum};
use crate::StoreError;

pub(super) const FORMAT_VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"METISWAL";
const HEADER_BYTES: usize = 64;
const FRAME_MAGIC: [u8; 4] = *b"MDBR";
const FRAME_HEADER_BYTES: usize = 40;

pub(super) fn io_error(operation: &'static str, file: &str) -> impl Fn(std::io::Error) -> StoreError {
    let file = file.to_owned();
    move |error| StoreError::Io { operation, file: file.clone(), kind: error.kind() }
}

/// Name of a generation's log.
pub(super) fn wal_name(generation: u64) -> String {
    format!("wal.{generation:016x}")
}

/// The generation that a log belongs to.
pub(super) fn wal_generation(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix("wal.")?, 16).ok()
}

/// A log that is written.
#[derive(Debug)]
pub(super) struct Wal {
    file: Arc<dyn DiskFile>,
    name: String,
    salt: u64,
    /// What is on the disk for sure.
    durable_end: u64,
    /// What was written behind that.
    unsynced: Vec<u8>,
    link: u64,
    /// Something failed: what lies behind `durable_end` is unknown.
    must_rewrite: bool,
}

/// What a log's bytes are.
#[derive(Debug)]
pub(super) struct Scanned<'a> {
    pub(super) payloads: Vec<&'a [u8]>,
    /// Where the last whole frame ends.
    pub(super) end: usize,
    /// Bytes that were on the disk when the last frame was written.
    durable: u64,
    link: u64,
}

impl Wal {
    /// An empty log, durable but for its name.
    pub(super) fn create(disk: &dyn Disk, generation: u64, salt: u64) -> Result<Self, StoreError> {
        let name = wal_name(generation);
        if disk.list().map_err(io_error("list", "."))?.contains(&name) {
            disk.remove(&name).map_err(io_error("remove", &name))?;
        }
        let file = disk.create(&name).map_err(io_error("create", &name))?;
        let mut out = Out(MAGIC.to_vec());
        out.u32(FORMAT_VERSION);
        out.u32(HEADER_BYTES as u32);
        out.u64(generation);
        out.u64(salt);
        out.bytes(&[0; 24]);
        let link = checksum(0, &out.0);
        out.u64(link);
        file.write_at(0, &out.0).map_err(io_error("write", &name))?;
        file.sync().map_err(io_error("sync", &name))?;
        let durable_end = HEADER_BYTES as u64;
        Ok(Self { file, name, salt, durable_end, unsynced: Vec::new(), link, must_rewrite: false })
    }

    /// Goes on with a log after `scanned` of it.
    pub(super) fn resume(
        disk: &dyn Disk,
        generation: u64,
        salt: u64,
        bytes: &[u8],
        scanned: &Scanned<'_>,
    ) -> Result<Self, StoreError> {
        let name = wal_name(generation);
        let file = disk.open(&name).map_err(io_error("open", &name))?;
        // What a process wrote and did not sync may be in the cache only, even marked as written
        // where a sync failed: it is written again before anything rests on it.
        let durable_end = (scanned.durable as usize).clamp(HEADER_BYTES, scanned.end);
        let unsynced = bytes[durable_end..scanned.end].to_vec();
        let durable_end = durable_end as u64;
        let mut wal = Self { file, name, salt, durable_end, unsynced, link: scanned.link, must_rewrite: true };
        if scanned.end < bytes.len() || !wal.unsynced.is_empty() {
            wal.sync()?;
        }
        wal.must_rewrite = false;
        Ok(wal)
    }

    /// Appends a record; it is durable if `is_synced`, else after [`Self::sync`].
    pub(super) fn append(&mut self, payload: &[u8], is_synced: bool) -> Result<(), StoreError> {
        let (old_len, old_link) = (self.unsynced.len(), self.link);
        let mut out = Out(FRAME_MAGIC.to_vec());
        out.len(payload.len());
        out.u64(self.durable_end);
        out.u64(self.link);
        out.u64(checksum(self.salt, payload));
        self.link = checksum(self.salt, &out.0);
        out.u64(self.link);
        out.bytes(payload);
        self.unsynced.extend_from_slice(&out.0);
        let written = if self.must_rewrite { Ok(()) } else { self.write(old_len) };
        let outcome = match written {
            Ok(()) if is_synced || self.must_rewrite => self.sync(),
            other => other,
        };
        if outcome.is_err() {
            self.unsynced.truncate(old_len);
            self.link = old_link;
            self.must_rewrite = true;
        }
        outcome
    }

    fn write(&self, from: usize) -> Result<(), StoreError> {
        let offset = self.durable_end + from as u64;
        self.file.write_at(offset, &self.unsynced[from..]).map_err(io_error("write", &self.name))
    }

    /// Makes all records durable.
    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        if self.must_rewrite {
            self.file.set_len(self.durable_end).map_err(io_error("cut", &self.name))?;
            self.write(0)?;
        } else if self.unsynced.is_empty() {
            return Ok(());
        }
        self.must_rewrite = true;
        self.file.sync().map_err(io_error("sync", &self.name))?;
        self.must_rewrite = false;
        self.durable_end += self.unsynced.len() as u64;
        self.unsynced.clear();
        Ok(())
    }

    /// Bytes of the log.
    pub(super) fn len_bytes(&self) -> u64 {
        self.durable_end + self.unsynced.len() as u64
    }
}

/// Reads a log up to its torn end.
///
/// # Errors
/// [`StoreError::Corrupt`], when bytes are wrong that were durable once.
pub(super) fn scan(bytes: &[u8], generation: u64, salt: u64) -> Result<Scanned<'_>, StoreError> {
    let corrupt = |offset, problem| StoreError::Corrupt { part: "log", offset: offset as u64, problem };
    let mut input = In(bytes.get(..HEADER_BYTES).ok_or(corrupt(0, "the header is cut off"))?);
    let link = checksum(0, &bytes[..HEADER_BYTES - 8]);
    let header = (|| Some((input.bytes(8)?, input.u32()?, input.u32()?, input.u64()?, input.u64()?)))();
    let expected = (&MAGIC[..], FORMAT_VERSION, HEADER_BYTES as u32, generation, salt);
    if In(&bytes[HEADER_BYTES - 8..]).u64() != Some(link) || header != Some(expected) {
        return Err(corrupt(0, "not the header of this log"));
    }
    let mut scanned = Scanned { payloads: Vec::new(), end: HEADER_BYTES, durable: 0, link };
    while let Some(frame) = Frame::read(&bytes[scanned.end..], salt).filter(|frame| frame.link == scanned.link) {
        scanned.end += FRAME_HEADER_BYTES + frame.payload.len();
        (scanned.durable, scanned.link) = (frame.durable, frame.own);
        scanned.payloads.push(frame.payload);
    }
    // What follows is what a crash left, unless something intact there knows better.
    for offset in scanned.end..bytes.len() {
        if bytes[offset..].starts_with(&FRAME_MAGIC)
            && Frame::read(&bytes[offset..], salt).is_some_and(|frame| frame.durable > scanned.end as u64)
        {
            return Err(corrupt(scanned.end, "bytes that were on the disk have changed"));
        }
    }
    Ok(scanned)
}

struct Frame<'a> {
    durable: u64,
    link: u64,
    own: u64,
    payload: &'a [u8],
}

impl<'a> Frame<'a> {
    fn read(bytes: &'a [u8], salt: u64) -> Option<Self> {
        let mut input = In(bytes);
        let magic = input.bytes(4)?;
        let len = input.u32()? as usize;
        let (durable, link, payload_checksum, own) = (input.u64()?, input.u64()?, input.u64()?, input.u64()?);
        let payload = input.bytes(len)?;
        let is_intact = magic == FRAME_MAGIC
            && own == checksum(salt, &bytes[..FRAME_HEADER_BYTES - 8])
            && payload_checksum == checksum(salt, payload);
        is_intact.then_some(Self { durable, link, own, payload })
    }
}
