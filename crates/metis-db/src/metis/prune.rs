//! Giving room back: less history, and files without gaps.

use super::{
    MetisStore,
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
    /// States that were kept, the newest among them.
    pub state_count_before: u64,
    /// States that still are.
    pub state_count: u64,
    /// Bytes of the log and the pages' file.
    pub bytes_before: u64,
    /// The same afterwards.
    pub bytes: u64,
}

impl MetisStore {
    /// Forgets all but the newest `kept_block_count` older states, makes checkpoints that move pages from the end of the
    /// file into its gaps, and cuts the file off. What readers of other processes hold stays where it is, and snapshots
    /// of this process stay readable.
    ///
    /// # Errors
    /// [`StoreError`]: the store is as it was, or forgot some of what it should.
    pub fn prune(&self, kept_block_count: usize) -> Result<PruneReport, StoreError> {
        let mut report = PruneReport { bytes_before: self.disk_bytes()?, ..PruneReport::default() };
        {
            let _writer = self.writer.lock();
            let mut history = self.history.write();
            report.state_count_before = history.states.len() as u64;
            history.keep_newest(kept_block_count);
            report.state_count = history.states.len() as u64;
        }
        self.checkpoint()?;
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
        let state_bytes = durable.state.size_bytes().map_err(io_error("read", STATE_FILE))?;
        Ok(state_bytes + durable.wal.len_bytes())
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
