//! Reading a generation and its log.

use std::{
    collections::{BTreeSet, VecDeque},
    io::ErrorKind,
    os::fd::BorrowedFd,
    sync::Arc,
};

use metis_disk::{Disk, DiskFile};
use metis_state_transition::{Code, Join};

use super::{
    codes_file::decode_codes,
    cores::Cores,
    durable::{CODES_FILE, STATE_FILE},
    encoding::checksum,
    history::History,
    meta::{Document, PAGE_BYTES, PAIRED_VERSION, ROOT_BYTES, Root, TableMeta},
    pages::{FIRST_PAGE, PageRef, page_count},
    snapshot::MetisSnapshot,
    state::FlatWriter,
    trunk::Trunk,
    versions::Version,
    wal::{io_error, wal_name},
};
use crate::{
    StoreError,
    flat::{Layout, Seed, Shape, TableWriter},
    mapped::PageTarget,
};

pub(super) fn corrupt_state(page: u64, problem: &'static str) -> StoreError {
    StoreError::Corrupt { part: "state file", offset: page * PAGE_BYTES as u64, problem }
}

/// The newest root of the file, if it was ever whole.
pub(super) fn newest_root(file: &dyn DiskFile) -> Result<Option<Root>, StoreError> {
    let mut slots = [[0; ROOT_BYTES]; 2];
    let mut roots = Vec::new();
    for (index, slot) in slots.iter_mut().enumerate() {
        file.read_at(index as u64 * PAGE_BYTES as u64, slot).map_err(io_error("read", STATE_FILE))?;
        roots.extend(Root::decode(slot)?.filter(|root| root.generation % 2 == index as u64));
    }
    let newest = roots.into_iter().max_by_key(|root| root.generation);
    // Generation 1 is acknowledged when slot 0 has been written too. With slot 0 empty and no root
    // in slot 1, the very first start was cut off.
    if newest.is_none() && slots[0].iter().any(|byte| *byte != 0) {
        return Err(corrupt_state(0, "neither root slot is intact"));
    }
    Ok(newest)
}

/// The bytes of a generation's log.
pub(super) fn read_log(disk: &dyn Disk, root: &Root) -> Result<Vec<u8>, StoreError> {
    let name = wal_name(root.generation);
    let file = disk.open_to_read(&name).map_err(|error| match error.kind() {
        // It is there before a root names its generation, and until the next one does.
        ErrorKind::NotFound => corrupt_state(0, "a root slot is damaged: the log of what the other names is gone"),
        _ => io_error("open", &name)(error),
    })?;
    let size_bytes = file.size_bytes().map_err(io_error("read", &name))?;
    let mut log = vec![0; usize::try_from(size_bytes).unwrap_or(0)];
    let read = file.read_at(0, &mut log).map_err(io_error("read", &name))?;
    log.truncate(read);
    Ok(log)
}

/// The document of a generation.
pub(super) fn read_document(bytes: &[u8], root: &Root) -> Result<Document, StoreError> {
    let start = root.document_page.checked_mul(PAGE_BYTES as u64).map(|start| start as usize);
    let document = start.and_then(|start| bytes.get(start..)?.get(..root.document_bytes as usize));
    let document = document.ok_or(corrupt_state(root.document_page, "the document is cut off"))?;
    if checksum(root.salt, document) != root.document_checksum {
        return Err(corrupt_state(root.document_page, "the document's checksum is wrong"));
    }
    Document::decode(document, root.version).ok_or(corrupt_state(root.document_page, "the document makes no sense"))
}

/// The bytes of a page of a table.
pub(super) fn read_page<'a>(bytes: &'a [u8], page: &PageRef, salt: u64) -> Result<&'a [u8], StoreError> {
    let start = page.page.checked_mul(PAGE_BYTES as u64).filter(|_| page.page >= FIRST_PAGE);
    let found = start.and_then(|start| bytes.get(start as usize..)?.get(..PAGE_BYTES));
    let found = found.ok_or(corrupt_state(page.page, "a page is cut off"))?;
    if checksum(salt, found) != page.checksum {
        return Err(corrupt_state(page.page, "a page's checksum is wrong"));
    }
    Ok(found)
}

/// Pages in a row that are mapped rather than copied: mapping costs about as much as copying so many, and a process may
/// have a limited number of mappings.
const MAPPED_PAGES_MIN: usize = 32;
/// BOUND: mappings of one table; what is more scattered is copied.
const MAPPED_RUN_COUNT_MAX: usize = 8_192;

/// Where the pages of a generation come from.
#[derive(Clone, Copy)]
pub(super) struct PageSource<'a> {
    /// The file's bytes.
    pub(super) bytes: &'a [u8],
    pub(super) salt: u64,
    /// The file, if it may be mapped: then nobody writes these pages as long as the memory lives.
    pub(super) mappable: Option<BorrowedFd<'a>>,
}

impl PageSource<'_> {
    /// Fills memory with pages, all of which are checked. Pages of zeros are zero already.
    fn fill(&self, target: &mut dyn PageTarget, pages: &[PageRef]) -> Result<(), StoreError> {
        let mut mapped_count = 0;
        let mut index = 0;
        while index < pages.len() {
            let first = pages[index].page;
            if first == 0 {
                index += 1;
                continue;
            }
            let is_next = |(offset, page): &(usize, &PageRef)| page.page == first.saturating_add(*offset as u64);
            let run = pages[index..].iter().enumerate().take_while(is_next).count();
            for page in &pages[index..index + run] {
                read_page(self.bytes, page, self.salt)?;
            }
            let offset = index * PAGE_BYTES;
            match self.mappable {
                Some(file) if run >= MAPPED_PAGES_MIN && mapped_count < MAPPED_RUN_COUNT_MAX => {
                    mapped_count += 1;
                    target.map(offset, run * PAGE_BYTES, file, first * PAGE_BYTES as u64)?;
                }
                _ => {
                    let start = first as usize * PAGE_BYTES;
                    target.copy(offset, &self.bytes[start..start + run * PAGE_BYTES]);
                }
            }
            index += run;
        }
        Ok(())
    }
}

fn read_table<L: Layout>(
    source: &PageSource<'_>,
    meta: &TableMeta,
    document: &Document,
    seed: Seed,
    is_old: bool,
) -> Result<TableWriter<L>, StoreError> {
    let shape = Shape {
        seed,
        segment_log2: document.segment_log2,
        directory: &meta.directory,
        segment_count: meta.segment_count as usize,
        is_old,
    };
    TableWriter::restore(&shape, |entries, len_bytes| {
        if meta.pages.len() > len_bytes.div_ceil(PAGE_BYTES) {
            return Err(corrupt_state(0, "a page behind the end of the index"));
        }
        source.fill(entries, &meta.pages)
    })
}

/// Where all pages of a generation are.
pub(super) fn all_pages(document: &Document) -> impl Iterator<Item = &PageRef> {
    document.accounts.pages.iter().chain(&document.slots.pages).chain(&document.tries)
}

pub(super) fn used_pages(document: &Document, root: &Root) -> BTreeSet<u64> {
    let mut used: BTreeSet<u64> = all_pages(document).map(|page| page.page).filter(|page| *page != 0).collect();
    used.extend(root.document_page..root.document_page + page_count(root.document_bytes as usize));
    used
}

/// The flat state of a generation.
pub(super) fn load(
    source: &PageSource<'_>,
    document: &Document,
    codes: &dyn DiskFile,
    root: &Root,
) -> Result<FlatWriter, StoreError> {
    let slot_seed = document.seed.of_slots();
    let is_old = root.version < PAIRED_VERSION;
    // Each core reads, sums and copies about half.
    let read_tables = || {
        let accounts = read_table(source, &document.accounts, document, document.seed, is_old)?;
        Ok((accounts, read_table(source, &document.slots, document, slot_seed, is_old)?))
    };
    let read_tries =
        || Trunk::restore_tries(document.tries.len() * PAGE_BYTES, |region| source.fill(region, &document.tries));
    let (tables, tries) = Cores::get().join(read_tables, read_tries);
    let ((accounts, slots), tries) = (tables?, tries?);
    // UNWRAP: a document that decodes has a state.
    let newest = document.states.last().unwrap();
    let trunk = |version: &_| Ok(Trunk { tries, version: Arc::clone(version) });
    let mut flat = FlatWriter::from_tables(accounts, slots, newest.version, trunk)?;
    flat.next_storage_id = document.next_storage_id;
    flat.dead_storages = document.dead_storages.iter().copied().collect();
    read_codes(codes, root)?.into_iter().for_each(|code| flat.shared.codes.restore(code));
    Ok(flat)
}

/// The code of a generation.
pub(super) fn read_codes(codes: &dyn DiskFile, root: &Root) -> Result<Vec<Code>, StoreError> {
    let mut bytes = vec![0; usize::try_from(root.codes_bytes).unwrap_or(0)];
    let read = codes.read_at(0, &mut bytes).map_err(io_error("read", CODES_FILE))?;
    decode_codes(&bytes[..read], root.codes_bytes)
}

/// The kept states, linked to each other.
pub(super) fn restore_history(flat: &mut FlatWriter, document: Document) -> Result<History, StoreError> {
    let got = flat.shared.trunk.read().tries.root();
    let count = document.states.len();
    let mut versions: Vec<Arc<Version>> = Vec::with_capacity(count);
    let mut numbered = Vec::with_capacity(count);
    for state in document.states {
        let version = Version::new(state.version, state.before, &flat.alive);
        if let Some(last) = versions.last() {
            if last.number() >= version.number() {
                return Err(corrupt_state(0, "versions are not in order"));
            }
            last.follow(&version);
        }
        versions.push(version);
        numbered.push((state.identity, state.block));
    }
    // The writer goes on from the newest of them.
    flat.newest.clone_from(versions.last().unwrap_or(&flat.newest.clone()));
    flat.shared.trunk.write().version.clone_from(&flat.newest);
    let mut states = VecDeque::with_capacity(count);
    for ((identity, block), version) in numbered.into_iter().zip(versions).rev() {
        if states.is_empty() && got != block.state_root {
            return Err(StoreError::RootMismatch { expected: block.state_root, got });
        }
        let snapshot = MetisSnapshot::new(block, &flat.shared, version, identity);
        states.push_front(Arc::new(snapshot));
    }
    Ok(History { states, block_hashes: document.block_hashes.into_iter().collect(), archive: None })
}
