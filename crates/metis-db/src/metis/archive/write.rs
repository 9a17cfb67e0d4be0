//! Writing a history file, from entries that come in order.

use std::sync::Arc;

use metis_disk::{Disk, DiskFile};

use super::{
    entry::Entry,
    page::{FileId, KIND_ENTRIES, KIND_FOOTER, KIND_INDEX, KIND_STATES, Page, PageBuilder},
    segment::{Footer, OldState, STATES_PER_PAGE, Segment},
};
use crate::{
    StoreError,
    metis::{
        encoding::Out,
        meta::{PAGE_BYTES, SegmentMeta},
        wal::io_error,
    },
};

/// BOUND: bytes that one write has at most.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// A file being written, page after page.
#[derive(Debug)]
struct SegmentWriter {
    file: Arc<dyn DiskFile>,
    id: FileId,
    page_count: u64,
    batch: Vec<u8>,
    /// The page of entries that is being filled, and the pages of the index above it.
    open: Vec<PageBuilder>,
    entry_count: u64,
}

/// Writes a file, and makes all but its name durable.
///
/// Entries and states come in order; of entries with the same key and version the first counts.
pub(super) fn write_segment(
    disk: &dyn Disk,
    id: FileId,
    level: u32,
    entries: impl Iterator<Item = Result<Entry, StoreError>>,
    states: impl Iterator<Item = Result<OldState, StoreError>>,
) -> Result<Segment, StoreError> {
    let name = id.name();
    // Left by an attempt that failed: no generation ever named it.
    if disk.list().map_err(io_error("list", "."))?.contains(&name) {
        disk.remove(&name).map_err(io_error("remove", &name))?;
    }
    let file = disk.create(&name).map_err(io_error("create", &name))?;
    let mut writer = SegmentWriter {
        file,
        id,
        page_count: 0,
        batch: Vec::new(),
        open: vec![PageBuilder::default()],
        entry_count: 0,
    };
    for entry in entries {
        let entry = entry?;
        if writer.open[0].last == Some((entry.key, entry.until)) {
            continue;
        }
        writer.entry_count += 1;
        writer.push(0, &entry)?;
    }
    let root_page = writer.finish_index()?;
    let (states_page, state_count) = (writer.page_count, writer.write_states(states)?);
    let footer = Footer { number: id.number, entry_count: writer.entry_count, root_page, states_page, state_count };
    let checksum = writer.write_page(KIND_FOOTER, 1, &footer.write().0)?;
    writer.flush()?;
    writer.file.sync().map_err(io_error("sync", &name))?;
    let meta = SegmentMeta { number: id.number, level, page_count: writer.page_count, checksum, state_count };
    Segment::open(disk, meta, id.salt)
}

impl SegmentWriter {
    fn push(&mut self, level: usize, entry: &Entry) -> Result<(), StoreError> {
        if !self.open[level].push(entry) {
            self.close_page(level)?;
            // An entry is far smaller than a page.
            self.open[level].push(entry);
        }
        Ok(())
    }

    /// Writes the page of a level, and names it in the level above.
    fn close_page(&mut self, level: usize) -> Result<u64, StoreError> {
        let page = std::mem::take(&mut self.open[level]);
        let number = self.page_count;
        self.write_page(if level == 0 { KIND_ENTRIES } else { KIND_INDEX }, page.count, &page.content)?;
        if let Some((key, until)) = page.last {
            if self.open.len() == level + 1 {
                self.open.push(PageBuilder::default());
            }
            self.push(level + 1, &Entry { key, until, value: number.to_le_bytes().to_vec() })?;
        }
        Ok(number)
    }

    /// Writes what is left of each level; gives back the page at the top.
    fn finish_index(&mut self) -> Result<u64, StoreError> {
        let mut level = 0;
        loop {
            let is_only = level > 0 && self.open.len() == level + 1 && self.open[level].count == 1;
            if is_only {
                // One page below: it is the top.
                return Ok(self.page_count - 1);
            }
            let number = self.close_page(level)?;
            if self.open.len() == level + 1 {
                return Ok(number);
            }
            level += 1;
        }
    }

    fn write_states(&mut self, states: impl Iterator<Item = Result<OldState, StoreError>>) -> Result<u64, StoreError> {
        let (mut out, mut count, mut total) = (Out::default(), 0, 0);
        for state in states {
            state?.write(&mut out);
            count += 1;
            total += 1;
            if count == STATES_PER_PAGE {
                self.write_page(KIND_STATES, count, &std::mem::take(&mut out).0)?;
                count = 0;
            }
        }
        if count > 0 {
            self.write_page(KIND_STATES, count, &out.0)?;
        }
        Ok(total)
    }

    /// Appends a page; gives back its checksum.
    fn write_page(&mut self, kind: u8, count: usize, content: &[u8]) -> Result<u64, StoreError> {
        let page = Page::seal(self.id, self.page_count, kind, count, content);
        self.batch.extend_from_slice(page.bytes());
        self.page_count += 1;
        if self.batch.len() >= BATCH_BYTES_MAX {
            self.flush()?;
        }
        Ok(page.checksum())
    }

    fn flush(&mut self) -> Result<(), StoreError> {
        let offset = self.page_count * PAGE_BYTES as u64 - self.batch.len() as u64;
        self.file.write_at(offset, &self.batch).map_err(io_error("write", &self.id.name()))?;
        self.batch.clear();
        Ok(())
    }
}
