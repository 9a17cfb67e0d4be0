//! Giving room back: less history, and files without gaps.

use metis_disk::Disk;

use super::{
    MetisStore,
    archive::Archive,
    durable::{Durable, STATE_FILE},
    meta::PAGE_BYTES,
    pages::{PageRef, page_count},
    pins::oldest_pinned,
    wal::io_error,
};
use crate::{StoreError, flat::PagedBytes};

/// Generations that are written at most: pages of one are free two generations later.
const GENERATION_COUNT_MAX: usize = 4;

/// What was given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// States that were kept, the newest and those of the archive among them.
    pub state_count_before: u64,
    /// States that still are.
    pub state_count: u64,
    /// Bytes of the log, the pages' file and the history files.
    pub bytes_before: u64,
    /// The same afterwards.
    pub bytes: u64,
}

impl MetisStore {
    /// Forgets all but the newest `kept_block_count` older states, makes checkpoints that move pages from the end of the
    /// file into its gaps, and cuts the file off. What readers of other processes hold stays where it is, and snapshots
    /// of this process stay readable.
    ///
    /// An archive forgets nothing of that, but the states of blocks before `oldest_block_number`, if there is one.
    ///
    /// # Errors
    /// [`StoreError`]: the store is as it was, or forgot some of what it should.
    pub fn prune(&self, kept_block_count: usize, oldest_block_number: Option<u64>) -> Result<PruneReport, StoreError> {
        let mut report = PruneReport { bytes_before: self.disk_bytes()?, ..PruneReport::default() };
        {
            let _writer = self.writer.lock();
            let mut history = self.history.write();
            report.state_count_before = history.state_count();
            if !self.config.is_archive {
                history.keep_newest(kept_block_count);
            }
        }
        let cut = |archive: &Archive, disk: &dyn Disk| match oldest_block_number {
            None => archive.merged(disk),
            Some(number) => archive.cut_before(disk, number),
        };
        // An archive's states are cut off when they have left the window.
        let kept_block_count = self.kept_now().min(kept_block_count);
        self.checkpoint_as(kept_block_count, |archive, disk| archive.merged(disk), &|| 0)?;
        self.checkpoint_as(kept_block_count, cut, &|| 0)?;
        report.state_count = self.history.read().state_count();
        for _ in 1..GENERATION_COUNT_MAX {
            {
                let writer = &mut *self.writer.lock();
                let Some(durable) = &mut writer.durable else { break };
                let trunk = writer.flat.shared.trunk.read();
                durable.mark_last_pages(writer.flat.parts(&trunk));
            }
            self.checkpoint()?;
        }
        if let Some(durable) = &mut self.writer.lock().durable {
            durable.cut_off()?;
        }
        report.bytes = self.disk_bytes()?;
        Ok(report)
    }

    fn disk_bytes(&self) -> Result<u64, StoreError> {
        let writer = self.writer.lock();
        let Some(durable) = &writer.durable else { return Ok(0) };
        let history_bytes = self.history.read().archive.as_ref().map_or(0, |archive| archive.len_bytes());
        let state_bytes = durable.state.size_bytes().map_err(io_error("read", STATE_FILE))?;
        Ok(state_bytes + durable.wal.len_bytes() + history_bytes)
    }
}

impl Durable {
    /// Lets the next checkpoint write those pages again that would lie behind the end of a file without gaps.
    fn mark_last_pages(&self, sections: [&dyn PagedBytes; 3]) {
        let refs = [&self.accounts, &self.slots, &self.tries];
        let used = refs.into_iter().flatten().filter(|page| page.page != 0).count() as u64;
        let end = super::pages::FIRST_PAGE + used + page_count(self.root.document_bytes as usize);
        let is_last = |page: &PageRef| page.page >= end;
        for (section, pages) in sections.into_iter().zip(refs) {
            let last = pages.iter().enumerate().filter(|(_, page)| is_last(page));
            section.changes().mark(last.map(|(index, _)| index));
        }
    }

    /// Gives free pages at the end of the file back.
    fn cut_off(&mut self) -> Result<(), StoreError> {
        self.require_working()?;
        self.free.release_before(oldest_pinned(&*self.disk)?.min(self.root.generation));
        let len = self.free.trim() * PAGE_BYTES as u64;
        self.state.set_len(len).map_err(io_error("cut", STATE_FILE))?;
        self.state.sync().map_err(io_error("sync", STATE_FILE))
    }
}
