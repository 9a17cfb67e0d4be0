//! What lies on the disk, and how it changes: the log of each block, and checkpoints.
//!
//! Nothing that a root names is ever written: a checkpoint writes changed pages where nothing is,
//! syncs, and then lets a root slot name them. A crash finds the generation before or after.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use metis_disk::{Disk, DiskFile, DiskLock};
use metis_state_transition::ChangeSet;

use super::{
    archive::{Archive, history_name, history_number},
    codes_file::encode_codes,
    encoding::{In, Out, checksum},
    image::{Image, PIECE_PAGE_COUNT, PartImage},
    meta::{ArchiveMeta, FORMAT_VERSION, PAGE_BYTES, Root},
    pages::{FreePages, PageRef, page_count},
    pins::oldest_pinned,
    wal::{Wal, io_error, wal_name},
};
use crate::{CommittedBlock, StoreError};

/// Name of the file of pages.
pub(super) const STATE_FILE: &str = "state";
/// Name of the file of code.
pub(super) const CODES_FILE: &str = "codes";

const KIND_BLOCK: u8 = 1;
const KIND_PATCH: u8 = 2;
const KIND_UNDO: u8 = 3;

/// A record of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry<'a> {
    /// A block, or changes that no block made.
    State { is_patch: bool, block: CommittedBlock, changes: Cow<'a, ChangeSet> },
    /// The newest states are gone.
    Undo { count: u64 },
}

impl Entry<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Out::default();
        match self {
            Self::State { is_patch, block, changes } => {
                out.u8(if *is_patch { KIND_PATCH } else { KIND_BLOCK });
                out.block(block);
                out.changes(changes);
            }
            Self::Undo { count } => {
                out.u8(KIND_UNDO);
                out.u64(*count);
            }
        }
        out.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = In(bytes);
        let entry = match input.u8()? {
            kind @ (KIND_BLOCK | KIND_PATCH) => {
                let block = input.block()?;
                Self::State { is_patch: kind == KIND_PATCH, block, changes: Cow::Owned(input.changes()?) }
            }
            KIND_UNDO => Self::Undo { count: input.u64()? },
            _ => return None,
        };
        input.0.is_empty().then_some(entry)
    }
}

/// The files of a store that is open.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) state: Arc<dyn DiskFile>,
    pub(super) codes: Arc<dyn DiskFile>,
    pub(super) root: Root,
    pub(super) accounts: Vec<PageRef>,
    pub(super) slots: Vec<PageRef>,
    pub(super) tries: Vec<PageRef>,
    pub(super) free: FreePages,
    /// Pages of the last generation of which the next one has nothing.
    pub(super) replaced: Vec<u64>,
    pub(super) wal: Wal,
    /// Numbers of the last generation's history files, and of those that only older generations have, by the last that
    /// does.
    pub(super) history_files: BTreeSet<u64>,
    pub(super) retired_history: BTreeMap<u64, u64>,
    /// Why nothing can be kept any more: the disk may name either of two generations.
    pub(super) failed: Option<StoreError>,
    pub(super) _lock: Box<dyn DiskLock>,
}

impl Durable {
    /// Logs an entry; it is on the disk afterwards if `is_synced`.
    pub(super) fn log(&mut self, entry: &Entry<'_>, is_synced: bool) -> Result<(), StoreError> {
        self.require_working()?;
        self.wal.append(&entry.encode(), is_synced)
    }

    /// The next generation shares no page with the last.
    pub(super) fn replace_pages(&mut self) {
        let pages = [&mut self.accounts, &mut self.slots, &mut self.tries].into_iter().flat_map(std::mem::take);
        self.replaced.extend(pages.map(|page| page.page).filter(|page| *page != 0));
    }

    pub(super) fn require_working(&self) -> Result<(), StoreError> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Makes a generation of a state, with states that leave it in its archive; says how many bytes it wrote. `copy` adds
    /// pages of a part as the state has them.
    pub(super) fn checkpoint(
        &mut self,
        image: &mut Image,
        copy: impl FnMut(usize, &[usize], &mut Vec<u8>),
    ) -> Result<u64, StoreError> {
        self.require_working()?;
        let oldest = oldest_pinned(&*self.disk)?.min(self.root.generation);
        self.free.release_before(oldest);
        self.remove_history_before(oldest);
        if let Some((archive, leaving)) = image.archive.as_mut().zip(image.leaving.as_ref()) {
            *archive = archive.with(&*self.disk, leaving)?;
        }
        let before = self.free.clone();
        let written = self.write_generation(image, copy);
        if written.is_err() {
            self.free = before;
        }
        written
    }

    fn write_generation(
        &mut self,
        image: &mut Image,
        mut copy: impl FnMut(usize, &[usize], &mut Vec<u8>),
    ) -> Result<u64, StoreError> {
        let generation = self.root.generation + 1;
        let mut writing = Writing { retired: self.replaced.clone(), page_count: 0 };
        let mut document = image.document();
        document.archive = image.archive.as_ref().map(Archive::meta);
        let [accounts, slots, tries] = &image.parts;
        let old = self.accounts.clone();
        document.accounts.pages = self.write_pages(accounts, old, &mut writing, |p, out| copy(0, p, out))?;
        let old = self.slots.clone();
        document.slots.pages = self.write_pages(slots, old, &mut writing, |p, out| copy(1, p, out))?;
        let old = self.tries.clone();
        document.tries = self.write_pages(tries, old, &mut writing, |p, out| copy(2, p, out))?;
        let bytes = document.encode();
        let document_page = self.free.take_run(page_count(bytes.len()));
        let write = io_error("write", STATE_FILE);
        self.state.write_at(document_page * PAGE_BYTES as u64, &bytes).map_err(&write)?;
        self.state.sync().map_err(io_error("sync", STATE_FILE))?;
        let codes = encode_codes(&image.codes);
        if !codes.is_empty() {
            self.codes.write_at(self.root.codes_bytes, &codes).map_err(io_error("write", CODES_FILE))?;
            self.codes.sync().map_err(io_error("sync", CODES_FILE))?;
        }
        let Writing { mut retired, page_count: pages } = writing;
        let old_pages = page_count(self.root.document_bytes as usize);
        retired.extend(self.root.document_page..self.root.document_page + old_pages);
        let root = Root {
            version: FORMAT_VERSION,
            generation,
            document_page,
            document_bytes: bytes.len() as u64,
            document_checksum: checksum(self.root.salt, &bytes),
            page_count: self.free.end,
            codes_bytes: self.root.codes_bytes + codes.len() as u64,
            salt: self.root.salt,
        };
        let wal = Wal::create(&*self.disk, generation, root.salt)?;
        self.disk.sync_directory().map_err(io_error("sync", "."))?;
        // Until this is done, nobody knows which generation the next start finds.
        if let Err(error) = write_root(&*self.state, &root) {
            self.failed = Some(error.clone());
            return Err(error);
        }
        self.free.retire(self.root.generation, retired);
        self.replaced.clear();
        self.name_history(document.archive.as_ref());
        let old_wal = wal_name(self.root.generation);
        (self.root, self.wal) = (root, wal);
        (self.accounts, self.slots) = (document.accounts.pages, document.slots.pages);
        self.tries = document.tries;
        // A log that stays is of no generation that is read, and removed with the next start.
        let _ = self.disk.remove(&old_wal);
        Ok(pages * PAGE_BYTES as u64 + bytes.len() as u64 + codes.len() as u64)
    }

    /// The last generation has these history files, and no others any more.
    fn name_history(&mut self, archive: Option<&ArchiveMeta>) {
        let named: BTreeSet<u64> = archive.iter().flat_map(|meta| &meta.segments).map(|file| file.number).collect();
        let last = self.root.generation;
        self.retired_history.extend(self.history_files.difference(&named).map(|number| (*number, last)));
        self.history_files = named;
    }

    /// History files that are in the directory and that the last generation does not name: older ones may.
    pub(super) fn find_retired_history(&mut self, names: &[String]) {
        let numbers = names.iter().filter_map(|name| history_number(name));
        let last = self.root.generation.saturating_sub(1);
        let unnamed = numbers.filter(|number| !self.history_files.contains(number));
        self.retired_history = unnamed.map(|number| (number, last)).collect();
    }

    /// Removes history files that only generations before `oldest` have.
    fn remove_history_before(&mut self, oldest: u64) {
        self.retired_history.retain(|number, last| {
            // What cannot be removed is found again by the next start.
            *last >= oldest || self.disk.remove(&history_name(*number)).is_err()
        });
    }

    /// Writes what differs from the last generation; gives back where each page is then.
    fn write_pages(
        &mut self,
        image: &PartImage,
        mut refs: Vec<PageRef>,
        writing: &mut Writing,
        mut copy: impl FnMut(&[usize], &mut Vec<u8>),
    ) -> Result<Vec<PageRef>, StoreError> {
        refs.resize(image.len_bytes.div_ceil(PAGE_BYTES), PageRef::default());
        let mut batch = Batch::default();
        let mut bytes = Vec::new();
        for piece in image.pages().chunks(PIECE_PAGE_COUNT) {
            bytes.clear();
            copy(piece, &mut bytes);
            for (index, page) in piece.iter().zip(bytes.chunks_exact(PAGE_BYTES)) {
                let old = std::mem::take(&mut refs[*index]);
                if old.page != 0 {
                    writing.retired.push(old.page);
                }
                if page.iter().any(|byte| *byte != 0) {
                    refs[*index] = PageRef { page: self.free.take(), checksum: checksum(self.root.salt, page) };
                    batch.add(&*self.state, refs[*index].page, page)?;
                    writing.page_count += 1;
                }
            }
        }
        batch.write(&*self.state)?;
        Ok(refs)
    }
}

/// A generation under way.
struct Writing {
    /// Pages that the last one has and this one has not.
    retired: Vec<u64>,
    page_count: u64,
}

/// Pages that lie one after the other, written at once.
#[derive(Default)]
struct Batch {
    first: u64,
    bytes: Vec<u8>,
}

/// BOUND: bytes that one write has at most.
const BATCH_BYTES_MAX: usize = 1 << 20;

impl Batch {
    fn add(&mut self, file: &dyn DiskFile, page: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let is_next = page == self.first + page_count(self.bytes.len());
        if !is_next || self.bytes.len() >= BATCH_BYTES_MAX {
            self.write(file)?;
            self.first = page;
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn write(&mut self, file: &dyn DiskFile) -> Result<(), StoreError> {
        if !self.bytes.is_empty() {
            let offset = self.first * PAGE_BYTES as u64;
            file.write_at(offset, &self.bytes).map_err(io_error("write", STATE_FILE))?;
            self.bytes.clear();
        }
        Ok(())
    }
}

/// Writes a generation's root slot, and makes it durable.
pub(super) fn write_root(file: &dyn DiskFile, root: &Root) -> Result<(), StoreError> {
    let slot = root.generation % 2 * PAGE_BYTES as u64;
    file.write_at(slot, &root.encode()).map_err(io_error("write", STATE_FILE))?;
    file.sync().map_err(io_error("sync", STATE_FILE))
}
