//! What a generation is made of: the root slot that names it, and the document it points to.
//!
//! The file `state` is pages of 4,096 bytes. Pages 0 and 1 are the root slots of even and odd
//! generations. A root slot:
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | magic `METISDB1` |
//! | 8 | 4 | format version |
//! | 12 | 4 | bytes of a page, 4,096 |
//! | 16 | 8 | generation |
//! | 24 | 8 | first page of the document |
//! | 32 | 8 | its length in bytes |
//! | 40 | 8 | its XXH3-64, seed = salt |
//! | 48 | 8 | pages of the file |
//! | 56 | 8 | bytes of the file `codes` |
//! | 64 | 8 | salt |
//! | 72 | 48 | zero |
//! | 120 | 8 | XXH3-64 of bytes 0 to 119, seed 0 |

use alloy_primitives::B256;

use super::{
    encoding::{In, Out, checksum},
    pages::PageRef,
    versions::Before,
};
use crate::{
    CommittedBlock, StoreError,
    flat::{SEGMENT_LOG2, SEGMENT_LOG2_MIN, Seed},
};

pub(super) const FORMAT_VERSION: u32 = 4;
/// The oldest version that is read: the next checkpoint writes the newest. Its documents know of no archive.
const OLDEST_VERSION: u32 = 1;
/// The first version whose entries lie, and are looked for, two by two.
pub(super) const PAIRED_VERSION: u32 = 4;
const MAGIC: [u8; 8] = *b"METISDB1";
pub(super) const ROOT_BYTES: usize = 128;
pub(super) const PAGE_BYTES: usize = crate::flat::PAGE_BYTES;

const _: () = assert!(PAGE_BYTES == 4_096 && ROOT_BYTES <= PAGE_BYTES);

/// Names a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    /// Of the document that it names.
    pub(super) version: u32,
    pub(super) generation: u64,
    pub(super) document_page: u64,
    pub(super) document_bytes: u64,
    pub(super) document_checksum: u64,
    pub(super) page_count: u64,
    pub(super) codes_bytes: u64,
    pub(super) salt: u64,
}

impl Root {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Out(MAGIC.to_vec());
        out.u32(self.version);
        out.u32(PAGE_BYTES as u32);
        out.u64(self.generation);
        out.u64(self.document_page);
        out.u64(self.document_bytes);
        out.u64(self.document_checksum);
        out.u64(self.page_count);
        out.u64(self.codes_bytes);
        out.u64(self.salt);
        out.bytes(&[0; 48]);
        out.u64(checksum(0, &out.0));
        out.0
    }

    /// The root in a slot's bytes; `None` where they are not one.
    ///
    /// # Errors
    /// [`StoreError::Version`] for an intact one of another version.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<Self>, StoreError> {
        let Some(bytes) = bytes.get(..ROOT_BYTES) else { return Ok(None) };
        let mut input = In(bytes);
        if input.bytes(8) != Some(&MAGIC[..]) || In(&bytes[120..]).u64() != Some(checksum(0, &bytes[..120])) {
            return Ok(None);
        }
        let version = input.u32().unwrap_or_default();
        if !(OLDEST_VERSION..=FORMAT_VERSION).contains(&version) {
            return Err(StoreError::Version { got: version, known: FORMAT_VERSION });
        }
        input.u32();
        let mut next = || input.u64();
        let mut root = || {
            Some(Self {
                version,
                generation: next()?,
                document_page: next()?,
                document_bytes: next()?,
                document_checksum: next()?,
                page_count: next()?,
                codes_bytes: next()?,
                salt: next()?,
            })
        };
        Ok(root())
    }
}

/// One table: its directory, and where its pages are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TableMeta {
    pub(super) directory: Vec<u32>,
    pub(super) segment_count: u32,
    pub(super) pages: Vec<PageRef>,
}

/// One state of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StateMeta {
    pub(super) identity: u64,
    pub(super) version: u64,
    pub(super) block: CommittedBlock,
    /// What differs in it, as it was in the state before it.
    pub(super) before: Before,
}

/// A history file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentMeta {
    pub(super) number: u64,
    /// How often it was merged.
    pub(super) level: u32,
    pub(super) page_count: u64,
    /// Of its last page.
    pub(super) checksum: u64,
    /// States that count: a rollback leaves the first ones.
    pub(super) state_count: u64,
}

/// The history files of a store that forgets nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ArchiveMeta {
    /// Of the next file.
    pub(super) next_number: u64,
    /// Oldest first.
    pub(super) segments: Vec<SegmentMeta>,
}

/// All of a generation but its pages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) seed: Seed,
    pub(super) segment_log2: u32,
    pub(super) next_storage_id: u32,
    pub(super) accounts: TableMeta,
    pub(super) slots: TableMeta,
    /// Where the pages of the tries are.
    pub(super) tries: Vec<PageRef>,
    /// Storages that no account has, with the version that took each away.
    pub(super) dead_storages: Vec<(u32, u64)>,
    pub(super) block_hashes: Vec<(u64, B256)>,
    /// Oldest first; the newest is what the pages hold.
    pub(super) states: Vec<StateMeta>,
    /// States before these; `None` where they are forgotten.
    pub(super) archive: Option<ArchiveMeta>,
}

impl Document {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        self.seed.0.iter().for_each(|word| out.u64(*word));
        out.u32(self.segment_log2);
        out.u32(self.next_storage_id);
        for table in [&self.accounts, &self.slots] {
            out.len(table.directory.len());
            table.directory.iter().for_each(|segment| out.u32(*segment));
            out.u32(table.segment_count);
            encode_pages(&mut out, &table.pages);
        }
        encode_pages(&mut out, &self.tries);
        out.len(self.dead_storages.len());
        for (storage_id, version) in &self.dead_storages {
            out.u32(*storage_id);
            out.u64(*version);
        }
        out.len(self.block_hashes.len());
        for (number, hash) in &self.block_hashes {
            out.u64(*number);
            out.bytes(&hash[..]);
        }
        out.len(self.states.len());
        for state in &self.states {
            out.u64(state.identity);
            out.u64(state.version);
            out.block(&state.block);
            out.before(&state.before);
        }
        out.u8(u8::from(self.archive.is_some()));
        if let Some(archive) = &self.archive {
            out.u64(archive.next_number);
            out.len(archive.segments.len());
            for segment in &archive.segments {
                out.u64(segment.number);
                out.u32(segment.level);
                [segment.page_count, segment.checksum, segment.state_count].iter().for_each(|number| out.u64(*number));
            }
        }
        out.0
    }

    /// `None` for what no store has written.
    pub(super) fn decode(bytes: &[u8], version: u32) -> Option<Self> {
        let mut input = In(bytes);
        let seed = Seed([input.u64()?, input.u64()?, input.u64()?, input.u64()?]);
        let (segment_log2, next_storage_id) = (input.u32()?, input.u32()?);
        if !(SEGMENT_LOG2_MIN..=SEGMENT_LOG2).contains(&segment_log2) {
            return None;
        }
        let tables = (decode_table(&mut input)?, decode_table(&mut input)?);
        let tries = decode_pages(&mut input)?;
        let mut dead_storages = Vec::new();
        for _ in 0..input.len(12)? {
            dead_storages.push((input.u32()?, input.u64()?));
        }
        let mut block_hashes = Vec::new();
        for _ in 0..input.len(40)? {
            block_hashes.push((input.u64()?, input.b256()?));
        }
        let mut states = Vec::new();
        for _ in 0..input.len(128)? {
            let (identity, version, block) = (input.u64()?, input.u64()?, input.block()?);
            states.push(StateMeta { identity, version, block, before: input.before()? });
        }
        let has_archive = version > OLDEST_VERSION && input.u8()? != 0;
        let archive = if has_archive { Some(decode_archive(&mut input)?) } else { None };
        let is_whole = input.0.is_empty() && !states.is_empty();
        let (accounts, slots) = tables;
        is_whole.then_some(Self {
            seed,
            segment_log2,
            next_storage_id,
            accounts,
            slots,
            tries,
            dead_storages,
            block_hashes,
            states,
            archive,
        })
    }
}

fn decode_archive(input: &mut In<'_>) -> Option<ArchiveMeta> {
    let mut archive = ArchiveMeta { next_number: input.u64()?, segments: Vec::new() };
    for _ in 0..input.len(36)? {
        archive.segments.push(SegmentMeta {
            number: input.u64()?,
            level: input.u32()?,
            page_count: input.u64()?,
            checksum: input.u64()?,
            state_count: input.u64()?,
        });
    }
    Some(archive)
}

fn decode_table(input: &mut In<'_>) -> Option<TableMeta> {
    let mut table = TableMeta::default();
    for _ in 0..input.len(4)? {
        table.directory.push(input.u32()?);
    }
    table.segment_count = input.u32()?;
    table.pages = decode_pages(input)?;
    Some(table)
}

fn encode_pages(out: &mut Out, pages: &[PageRef]) {
    out.len(pages.len());
    for page in pages {
        out.u64(page.page);
        out.u64(page.checksum);
    }
}

fn decode_pages(input: &mut In<'_>) -> Option<Vec<PageRef>> {
    let mut pages = Vec::new();
    for _ in 0..input.len(16)? {
        pages.push(PageRef { page: input.u64()?, checksum: input.u64()? });
    }
    Some(pages)
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)]
    use super::*;

    fn document(archive: Option<ArchiveMeta>) -> Document {
        let block = CommittedBlock { number: 3, hash: B256::ZERO, parent_hash: B256::ZERO, state_root: B256::ZERO };
        Document {
            seed: Seed([1, 2, 3, 4]),
            segment_log2: SEGMENT_LOG2,
            next_storage_id: 9,
            accounts: TableMeta::default(),
            slots: TableMeta::default(),
            tries: Vec::new(),
            dead_storages: vec![(4, 5)],
            block_hashes: vec![(3, B256::ZERO)],
            states: vec![StateMeta { identity: 1, version: 2, block, before: Before::default() }],
            archive,
        }
    }

    #[test]
    fn test_document__of_version_1__is_read_as_one_without_an_archive() {
        let new = document(None);
        let mut old = new.encode();
        assert_eq!(old.pop(), Some(0));
        assert_eq!(Document::decode(&old, 1), Some(new));
        assert_eq!(Document::decode(&old, FORMAT_VERSION), None);
    }

    #[test]
    fn test_document__with_history_files__is_read_as_it_was_written() {
        let segment = SegmentMeta { number: 7, level: 1, page_count: 8, checksum: 9, state_count: 10 };
        let document = document(Some(ArchiveMeta { next_number: 11, segments: vec![segment, segment] }));
        assert_eq!(Document::decode(&document.encode(), FORMAT_VERSION), Some(document));
    }

    #[test]
    fn test_root__of_versions_1_to_4__is_read_and_of_others_refused() {
        let root = |version| Root {
            version,
            generation: 4,
            document_page: 5,
            document_bytes: 6,
            document_checksum: 7,
            page_count: 8,
            codes_bytes: 9,
            salt: 10,
        };
        for version in 1..=FORMAT_VERSION {
            assert_eq!(Root::decode(&root(version).encode()), Ok(Some(root(version))));
        }
        let refused = Err(StoreError::Version { got: 5, known: 4 });
        assert_eq!(Root::decode(&root(5).encode()), refused);
    }
}
