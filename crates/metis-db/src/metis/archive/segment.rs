//! One history file: what was before a run of versions, sorted, never changed once it is there.

use std::{io::ErrorKind, sync::Arc};

use metis_disk::{Disk, DiskFile};

use super::{
    entry::{Entry, Key},
    page::{FileId, HEAD_BYTES, KIND_ENTRIES, KIND_FOOTER, KIND_INDEX, KIND_STATES, Page, corrupt},
};
use crate::{
    CommittedBlock, StoreError,
    metis::{
        encoding::{In, Out},
        meta::{PAGE_BYTES, SegmentMeta},
        wal::io_error,
    },
};

/// What the footer's content begins with.
pub(super) const MAGIC: [u8; 8] = *b"METISHIS";
pub(super) const FORMAT_VERSION: u32 = 1;
/// Bytes of a state in a page.
const STATE_BYTES: usize = 120;
/// States of a page.
pub(super) const STATES_PER_PAGE: usize = (PAGE_BYTES - HEAD_BYTES) / STATE_BYTES;
/// BOUND: levels of the index; each has some forty times as many pages as the one above.
const DEPTH_MAX: usize = 16;

/// A state that left the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::metis) struct OldState {
    pub(in crate::metis) version: u64,
    pub(in crate::metis) identity: u64,
    pub(in crate::metis) block: CommittedBlock,
}

impl OldState {
    pub(super) fn write(&self, out: &mut Out) {
        out.u64(self.version);
        out.u64(self.identity);
        out.block(&self.block);
    }

    fn read(input: &mut In<'_>) -> Option<Self> {
        Some(Self { version: input.u64()?, identity: input.u64()?, block: input.block()? })
    }
}

/// What the last page says of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) number: u64,
    pub(super) entry_count: u64,
    /// Top of the index.
    pub(super) root_page: u64,
    /// First page of states.
    pub(super) states_page: u64,
    pub(super) state_count: u64,
}

impl Footer {
    pub(super) fn write(&self) -> Out {
        let mut out = Out(MAGIC.to_vec());
        out.u32(FORMAT_VERSION);
        [self.number, self.entry_count, self.root_page, self.states_page, self.state_count]
            .iter()
            .for_each(|number| out.u64(*number));
        out
    }

    fn read(page: &Page) -> Result<Self, StoreError> {
        let mut input = page.content();
        if page.kind() != KIND_FOOTER || input.bytes(8) != Some(&MAGIC[..]) {
            return Err(corrupt(page.number, "not the end of a history file"));
        }
        let got = input.u32().unwrap_or_default();
        if got != FORMAT_VERSION {
            return Err(StoreError::Version { got, known: FORMAT_VERSION });
        }
        let mut next = || input.u64();
        let mut footer = || {
            Some(Self {
                number: next()?,
                entry_count: next()?,
                root_page: next()?,
                states_page: next()?,
                state_count: next()?,
            })
        };
        footer().ok_or(corrupt(page.number, "the footer makes no sense"))
    }
}

/// An open history file.
#[derive(Debug)]
pub(in crate::metis) struct Segment {
    file: Arc<dyn DiskFile>,
    id: FileId,
    pub(super) meta: SegmentMeta,
    pub(super) footer: Footer,
    /// Top of the index; nothing else of the file is kept in memory.
    root: Page,
    pub(super) first: OldState,
    pub(super) last: OldState,
}

impl Segment {
    /// Opens a file and looks whether it is the one that is meant.
    pub(super) fn open(disk: &dyn Disk, meta: SegmentMeta, salt: u64) -> Result<Self, StoreError> {
        let id = FileId { number: meta.number, salt };
        let file = disk.open_to_read(&id.name()).map_err(|error| match error.kind() {
            ErrorKind::NotFound => corrupt(0, "a file is missing"),
            _ => io_error("open", &id.name())(error),
        })?;
        let last_page = meta.page_count.checked_sub(1).ok_or(corrupt(0, "a file without pages"))?;
        let page = Page::read(&*file, id, last_page)?;
        let footer = Footer::read(&page)?;
        let is_meant = page.checksum() == meta.checksum && footer.number == meta.number;
        if !is_meant || meta.state_count == 0 || meta.state_count > footer.state_count {
            return Err(corrupt(last_page, "another file than the one that is meant"));
        }
        let root = Page::read(&*file, id, footer.root_page)?;
        let state = |index| read_state(&*file, id, &footer, index);
        let (first, last) = (state(0)?, state(meta.state_count - 1)?);
        Ok(Self { file, id, meta, footer, root, first, last })
    }

    /// The same file, of which only so many states count, and what they have.
    pub(super) fn cut_to(&self, state_count: u64) -> Result<Self, StoreError> {
        Ok(Self {
            file: Arc::clone(&self.file),
            id: self.id,
            meta: SegmentMeta { state_count, ..self.meta },
            footer: self.footer,
            root: self.root.clone(),
            first: self.first,
            last: self.state(state_count - 1)?,
        })
    }

    fn page(&self, number: u64) -> Result<Page, StoreError> {
        Page::read(&*self.file, self.id, number)
    }

    /// The first value of a key that it had until a version, or a later one.
    pub(super) fn find<T>(
        &self,
        key: &Key,
        version: u64,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let mut below: Option<Page> = None;
        // BOUND: a path through the index has no more pages than that.
        for _ in 0..DEPTH_MAX {
            let page = below.as_ref().unwrap_or(&self.root);
            let Some(entry) = page.first_from(key, version)? else { return Ok(None) };
            match page.kind() {
                KIND_INDEX => {
                    let child = In(entry.value).u64().ok_or(corrupt(page.number, "an entry names no page"))?;
                    below = Some(self.page(child)?);
                }
                KIND_ENTRIES if entry.key == *key && entry.until <= self.last.version => {
                    let value = read(entry.value).ok_or(corrupt(page.number, "a value makes no sense"))?;
                    return Ok(Some(value));
                }
                KIND_ENTRIES => return Ok(None),
                _ => return Err(corrupt(page.number, "a page of another kind in the index")),
            }
        }
        Err(corrupt(self.root.number, "the index is too deep"))
    }

    /// A state, counted from the first.
    pub(super) fn state(&self, index: u64) -> Result<OldState, StoreError> {
        read_state(&*self.file, self.id, &self.footer, index)
    }

    /// How many of its states have a block up to this one.
    pub(super) fn count_up_to(&self, block_number: u64) -> Result<u64, StoreError> {
        let (mut low, mut high) = (0, self.meta.state_count);
        while low < high {
            let middle = low.midpoint(high);
            if self.state(middle)?.block.number <= block_number { low = middle + 1 } else { high = middle }
        }
        Ok(low)
    }

    /// All entries that count, in order, page by page.
    pub(super) fn entries(&self) -> impl Iterator<Item = Result<Entry, StoreError>> {
        (0..self.footer.states_page).flat_map(|number| {
            let page = self.page(number);
            let entries: Vec<_> = match page {
                Err(error) => vec![Err(error)],
                Ok(page) if page.kind() != KIND_ENTRIES => Vec::new(),
                Ok(page) => {
                    let owned = |entry: super::page::PageEntry<'_>| Entry {
                        key: entry.key,
                        until: entry.until,
                        value: entry.value.to_vec(),
                    };
                    page.entries().map(|entry| entry.map(owned)).collect()
                }
            };
            entries.into_iter().filter(|entry| entry.as_ref().map_or(true, |entry| entry.until <= self.last.version))
        })
    }

    /// Checks every page: its checksum, and that entries are in order.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let mut count = 0;
        let mut last: Option<(Key, u64)> = None;
        for number in 0..self.meta.page_count {
            let page = self.page(number)?;
            if page.kind() != KIND_ENTRIES {
                continue;
            }
            for entry in page.entries() {
                let entry = entry?;
                if last.is_some_and(|last| last >= (entry.key, entry.until)) {
                    return Err(corrupt(number, "entries are not in order"));
                }
                last = Some((entry.key, entry.until));
                count += 1;
            }
        }
        if count == self.footer.entry_count { Ok(()) } else { Err(corrupt(0, "a number of entries that is wrong")) }
    }

    pub(super) const fn len_bytes(&self) -> u64 {
        self.meta.page_count * PAGE_BYTES as u64
    }
}

fn read_state(file: &dyn DiskFile, id: FileId, footer: &Footer, index: u64) -> Result<OldState, StoreError> {
    let number = footer.states_page.saturating_add(index / STATES_PER_PAGE as u64);
    let page = Page::read(file, id, number)?;
    let mut input = page.content();
    input.bytes(index as usize % STATES_PER_PAGE * STATE_BYTES);
    let state = OldState::read(&mut input).filter(|_| page.kind() == KIND_STATES);
    state.ok_or(corrupt(number, "not a page of states"))
}
