//! A page of a history file: 4,096 bytes that are read, checked and searched at once.
//!
//! | offset | bytes | content |
//! |---|---|---|
//! | 0 | 8 | XXH3-64 of the rest, seed = salt + file number × 2³² + page number |
//! | 8 | 1 | kind: 1 entries, 2 index, 3 states, 4 footer |
//! | 9 | 1 | zero |
//! | 10 | 2 | how many entries or states |
//! | 12 | … | these, then zeros |
//!
//! An entry: 1 byte, 0 where the key is that of the entry before, else the key's kind + 1 and the key; version until
//! which it had the value (varint); length of the value (1); value. Sorted by key, then version. In an index page the
//! key and version are the last of a page below, and the value is its number (8).

use std::cmp::Ordering;

use metis_disk::DiskFile;

use super::entry::{Entry, Key, read_varint, write_varint};
use crate::{
    StoreError,
    metis::{
        encoding::{In, checksum},
        meta::PAGE_BYTES,
        wal::io_error,
    },
};

pub(super) const HEAD_BYTES: usize = 12;
pub(super) const KIND_ENTRIES: u8 = 1;
pub(super) const KIND_INDEX: u8 = 2;
pub(super) const KIND_STATES: u8 = 3;
pub(super) const KIND_FOOTER: u8 = 4;

/// Which file it is, and what its checksums begin with.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileId {
    pub(super) number: u64,
    pub(super) salt: u64,
}

impl FileId {
    fn seed(self, page: u64) -> u64 {
        self.salt.wrapping_add(self.number << 32).wrapping_add(page)
    }

    pub(super) fn name(self) -> String {
        history_name(self.number)
    }
}

/// Name of a history file.
pub(in crate::metis) fn history_name(number: u64) -> String {
    format!("history.{number:016x}")
}

/// The number in the name of a history file.
pub(in crate::metis) fn history_number(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix("history.")?, 16).ok()
}

pub(super) const fn corrupt(page: u64, problem: &'static str) -> StoreError {
    StoreError::Corrupt { part: "history", offset: page * PAGE_BYTES as u64, problem }
}

/// The bytes of a page.
#[derive(Clone, Debug)]
pub(super) struct Page {
    pub(super) number: u64,
    bytes: [u8; PAGE_BYTES],
}

/// One entry of a page.
#[derive(Clone, Copy, Debug)]
pub(super) struct PageEntry<'a> {
    pub(super) key: Key,
    pub(super) until: u64,
    pub(super) value: &'a [u8],
}

impl Page {
    /// Reads a page and checks it.
    pub(super) fn read(file: &dyn DiskFile, id: FileId, number: u64) -> Result<Self, StoreError> {
        let mut page = Self { number, bytes: [0; PAGE_BYTES] };
        let offset = number.checked_mul(PAGE_BYTES as u64).ok_or(corrupt(0, "a page of no file"))?;
        let read = file.read_at(offset, &mut page.bytes).map_err(io_error("read", &id.name()))?;
        if read != PAGE_BYTES {
            return Err(corrupt(number, "a page is cut off"));
        }
        if page.checksum() != checksum(id.seed(number), &page.bytes[8..]) {
            return Err(corrupt(number, "a page's checksum is wrong"));
        }
        Ok(page)
    }

    /// A page of so many things.
    pub(super) fn seal(id: FileId, number: u64, kind: u8, count: usize, content: &[u8]) -> Self {
        let mut bytes = [0; PAGE_BYTES];
        bytes[8] = kind;
        bytes[10..HEAD_BYTES].copy_from_slice(&(count as u16).to_le_bytes());
        bytes[HEAD_BYTES..HEAD_BYTES + content.len()].copy_from_slice(content);
        let sum = checksum(id.seed(number), &bytes[8..]);
        bytes[..8].copy_from_slice(&sum.to_le_bytes());
        Self { number, bytes }
    }

    pub(super) const fn bytes(&self) -> &[u8; PAGE_BYTES] {
        &self.bytes
    }

    pub(super) fn checksum(&self) -> u64 {
        In(&self.bytes).u64().unwrap_or_default()
    }

    pub(super) const fn kind(&self) -> u8 {
        self.bytes[8]
    }

    pub(super) const fn count(&self) -> usize {
        u16::from_le_bytes([self.bytes[10], self.bytes[11]]) as usize
    }

    pub(super) fn content(&self) -> In<'_> {
        In(&self.bytes[HEAD_BYTES..])
    }

    /// The entries, in order; an error where they make no sense.
    pub(super) fn entries(&self) -> impl Iterator<Item = Result<PageEntry<'_>, StoreError>> {
        let mut input = self.content();
        let mut last = StoredKey::default();
        (0..self.count()).map(move |_| {
            let nonsense = corrupt(self.number, "an entry makes no sense");
            let (stored, until, value) = read_entry(&mut input, last).ok_or(nonsense.clone())?;
            last = stored;
            Ok(PageEntry { key: stored.key().ok_or(nonsense)?, until, value })
        })
    }

    /// The first entry that is not before a key and version.
    pub(super) fn first_from(&self, key: &Key, until: u64) -> Result<Option<PageEntry<'_>>, StoreError> {
        let nonsense = || corrupt(self.number, "an entry makes no sense");
        let wanted = StoredKey { tag: key.kind() + 1, bytes: key.stored() };
        let mut input = self.content();
        let (mut last, mut order) = (StoredKey::default(), Ordering::Less);
        for _ in 0..self.count() {
            let (stored, until_here, value) = read_entry(&mut input, last).ok_or_else(nonsense)?;
            if !std::ptr::eq(stored.bytes, last.bytes) {
                order = stored.cmp(&wanted);
                last = stored;
            }
            if order.then(until_here.cmp(&until)).is_ge() {
                let key = stored.key().ok_or_else(nonsense)?;
                return Ok(Some(PageEntry { key, until: until_here, value }));
            }
        }
        Ok(None)
    }
}

/// A key as it lies in a page; ordered as keys are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct StoredKey<'a> {
    /// Its kind + 1; 0 where there is no key yet.
    tag: u8,
    bytes: &'a [u8],
}

impl StoredKey<'_> {
    fn key(self) -> Option<Key> {
        Key::read(self.tag.checked_sub(1)?, &mut In(self.bytes))
    }
}

fn read_entry<'a>(input: &mut In<'a>, last: StoredKey<'a>) -> Option<(StoredKey<'a>, u64, &'a [u8])> {
    let key = match input.u8()? {
        0 => last,
        tag => StoredKey { tag, bytes: input.bytes(Key::len_bytes(tag - 1)?)? },
    };
    let until = read_varint(input)?;
    let len = usize::from(input.u8()?);
    Some((key, until, input.bytes(len)?))
}

/// A page of entries being filled.
#[derive(Debug, Default)]
pub(super) struct PageBuilder {
    pub(super) content: Vec<u8>,
    pub(super) count: usize,
    pub(super) last: Option<(Key, u64)>,
}

impl PageBuilder {
    /// Adds an entry; false where there is no room for it.
    pub(super) fn push(&mut self, entry: &Entry) -> bool {
        let before = self.content.len();
        if self.last.is_some_and(|(key, _)| key == entry.key) {
            self.content.push(0);
        } else {
            self.content.push(entry.key.kind() + 1);
            self.content.extend_from_slice(entry.key.stored());
        }
        write_varint(&mut self.content, entry.until);
        self.content.push(entry.value.len() as u8);
        self.content.extend_from_slice(&entry.value);
        if self.content.len() > PAGE_BYTES - HEAD_BYTES {
            self.content.truncate(before);
            return false;
        }
        self.count += 1;
        self.last = Some((entry.key, entry.until));
        true
    }
}
