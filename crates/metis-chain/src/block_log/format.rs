//! The bytes of a segment file: its header, and the frame around each record.
//!
//! All integers are little-endian. docs/block-log.md prints the same tables; a test compares them
//! with these constants.
//!
//! Segment header:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | magic `METISLOG` |
//! | 8 | 4 | format version |
//! | 12 | 4 | length of this header, 128 |
//! | 16 | 8 | segment number, from 0 |
//! | 24 | 8 | sequence number of the first record |
//! | 32 | 8 | chain id |
//! | 40 | 32 | genesis hash |
//! | 72 | 8 | salt of the log |
//! | 80 | 8 | link: header checksum of the record before, 0 for the first |
//! | 88 | 8 | length of the segment before, 0 for the first |
//! | 96 | 24 | zero |
//! | 120 | 8 | XXH3-64 of bytes 0 to 119, seed 0 |
//!
//! Frame:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 3 | magic `MTR` |
//! | 3 | 1 | kind |
//! | 4 | 4 | payload length |
//! | 8 | 8 | sequence number |
//! | 16 | 8 | durable: bytes of this file that were on the disk before this was written |
//! | 24 | 8 | link: header checksum of the record before |
//! | 32 | 8 | XXH3-64 of the payload, seed = salt |
//! | 40 | 8 | XXH3-64 of bytes 0 to 39, seed = salt |
//! | 48 | … | payload |

use alloy_primitives::B256;
use twox_hash::XxHash3_64;

use super::{ChainIdentity, Corruption};

/// First bytes of every segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"METISLOG";
/// The version this crate writes, and the only one it reads.
pub const FORMAT_VERSION: u32 = 1;
/// Length of a segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 128;
/// First bytes of every frame.
pub const FRAME_MAGIC: [u8; 3] = *b"MTR";
/// Length of a frame's header.
pub const FRAME_HEADER_BYTES: usize = 48;
/// Largest payload. A block of the largest gas limit with its receipts is some tens of MB.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 30;

/// XXH3-64 with a seed.
pub fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(seed, bytes)
}

fn number_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[offset..offset + N]);
    field
}

/// The header of a segment file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Position among the segments, from 0.
    pub segment: u64,
    /// Sequence number of its first record.
    pub first_sequence: u64,
    /// Whose blocks these are.
    pub identity: ChainIdentity,
    /// Seed of all checksums in the log.
    pub salt: u64,
    /// Header checksum of the last record of the segment before.
    pub link: u64,
    /// Length of the segment before.
    pub previous_length: u64,
}

/// Why the first bytes of a file are not a segment header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderProblem {
    /// Too short, wrong magic, or wrong checksum.
    Invalid(Corruption),
    /// Intact, but of a version that is not known here.
    Version(u32),
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = [0; SEGMENT_HEADER_BYTES];
        out[0..8].copy_from_slice(&SEGMENT_MAGIC);
        out[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&(SEGMENT_HEADER_BYTES as u32).to_le_bytes());
        out[16..24].copy_from_slice(&self.segment.to_le_bytes());
        out[24..32].copy_from_slice(&self.first_sequence.to_le_bytes());
        out[32..40].copy_from_slice(&self.identity.chain_id.to_le_bytes());
        out[40..72].copy_from_slice(self.identity.genesis_hash.as_slice());
        out[72..80].copy_from_slice(&self.salt.to_le_bytes());
        out[80..88].copy_from_slice(&self.link.to_le_bytes());
        out[88..96].copy_from_slice(&self.previous_length.to_le_bytes());
        let sum = checksum(0, &out[..120]);
        out[120..128].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`HeaderProblem`].
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderProblem> {
        if bytes.len() < SEGMENT_HEADER_BYTES {
            return Err(HeaderProblem::Invalid(Corruption::Incomplete));
        }
        if bytes[0..8] != SEGMENT_MAGIC {
            return Err(HeaderProblem::Invalid(Corruption::Magic));
        }
        if u64::from_le_bytes(number_at(bytes, 120)) != checksum(0, &bytes[..120]) {
            return Err(HeaderProblem::Invalid(Corruption::HeaderChecksum));
        }
        let version = u32::from_le_bytes(number_at(bytes, 8));
        if version != FORMAT_VERSION {
            return Err(HeaderProblem::Version(version));
        }
        Ok(Self {
            segment: u64::from_le_bytes(number_at(bytes, 16)),
            first_sequence: u64::from_le_bytes(number_at(bytes, 24)),
            identity: ChainIdentity {
                chain_id: u64::from_le_bytes(number_at(bytes, 32)),
                genesis_hash: B256::from(number_at::<32>(bytes, 40)),
            },
            salt: u64::from_le_bytes(number_at(bytes, 72)),
            link: u64::from_le_bytes(number_at(bytes, 80)),
            previous_length: u64::from_le_bytes(number_at(bytes, 88)),
        })
    }
}

/// The header of a record's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the payload is.
    pub kind: u8,
    /// Its length.
    pub payload_length: u32,
    /// Number of the record in the log, from 1.
    pub sequence: u64,
    /// So many bytes of the file were durable before this record was written.
    pub durable: u64,
    /// Header checksum of the record before.
    pub link: u64,
    /// Checksum of the payload.
    pub payload_checksum: u64,
}

impl FrameHeader {
    /// The header's bytes; the last 8 are its checksum.
    pub fn encode(&self, salt: u64) -> [u8; FRAME_HEADER_BYTES] {
        let mut out = [0; FRAME_HEADER_BYTES];
        out[0..3].copy_from_slice(&FRAME_MAGIC);
        out[3] = self.kind;
        out[4..8].copy_from_slice(&self.payload_length.to_le_bytes());
        out[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        out[16..24].copy_from_slice(&self.durable.to_le_bytes());
        out[24..32].copy_from_slice(&self.link.to_le_bytes());
        out[32..40].copy_from_slice(&self.payload_checksum.to_le_bytes());
        let sum = checksum(salt, &out[..40]);
        out[40..48].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads a header, and its checksum, which is the next record's link.
    ///
    /// # Errors
    /// [`Corruption`], when these are not the bytes of a header of this log.
    pub fn decode(bytes: &[u8], salt: u64) -> Result<(Self, u64), Corruption> {
        if bytes.len() < FRAME_HEADER_BYTES {
            return Err(Corruption::Incomplete);
        }
        if bytes[0..3] != FRAME_MAGIC {
            return Err(Corruption::Magic);
        }
        let sum = u64::from_le_bytes(number_at(bytes, 40));
        if sum != checksum(salt, &bytes[..40]) {
            return Err(Corruption::HeaderChecksum);
        }
        let header = Self {
            kind: bytes[3],
            payload_length: u32::from_le_bytes(number_at(bytes, 4)),
            sequence: u64::from_le_bytes(number_at(bytes, 8)),
            durable: u64::from_le_bytes(number_at(bytes, 16)),
            link: u64::from_le_bytes(number_at(bytes, 24)),
            payload_checksum: u64::from_le_bytes(number_at(bytes, 32)),
        };
        if header.payload_length as usize > PAYLOAD_BYTES_MAX {
            return Err(Corruption::Length);
        }
        Ok((header, sum))
    }

    /// Length of the frame in the file.
    pub const fn frame_bytes(&self) -> u64 {
        FRAME_HEADER_BYTES as u64 + self.payload_length as u64
    }
}

/// Name of a segment's file.
pub fn segment_name(segment: u64) -> String {
    format!("segment-{segment:010}.log")
}

/// The segment that a file of this name holds.
pub fn segment_of(name: &str) -> Option<u64> {
    let segment = name.strip_prefix("segment-")?.strip_suffix(".log")?.parse().ok()?;
    (segment_name(segment) == name).then_some(segment)
}
