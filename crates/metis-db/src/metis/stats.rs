//! What a store holds, and what it takes.

use metis_disk::Disk;

use super::{
    MetisStore,
    archive::ArchiveReport,
    durable::STATE_FILE,
    export::StateCounts,
    meta::PAGE_BYTES,
    pages::{FIRST_PAGE, page_count},
    reader::PinnedFiles,
    wal::io_error,
};
use crate::{CommittedBlock, StateSnapshot, StateStore, StoreError, TrieCensus, flat::TableLoad};

/// What a store holds, and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreStats {
    /// The newest block, with what was logged.
    pub newest: CommittedBlock,
    /// First kept block.
    pub oldest_block_number: u64,
    /// What the newest state holds; code that no account has any more counts too.
    pub counts: StateCounts,
    /// The index of accounts.
    pub accounts: TableLoad,
    /// The index of slots.
    pub slots: TableLoad,
    /// Nodes of the tries.
    pub tries: TrieCensus,
    /// States that are kept whole, the newest among them.
    pub state_count: u64,
    /// Values that older ones of these have and newer ones do not.
    pub old_value_count: u64,
    /// States before these, where none is forgotten.
    pub archive: Option<ArchiveReport>,
    /// Bytes by what is in them.
    pub bytes: SectionBytes,
}

/// Bytes of a store's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SectionBytes {
    /// Pages of the index of accounts in `state`.
    pub accounts: u64,
    /// Pages of the index of slots in `state`.
    pub slots: u64,
    /// Pages of the tries in `state`.
    pub tries: u64,
    /// The generation's document, with the older states, in `state`.
    pub document: u64,
    /// The rest of `state`: root slots, the generation before, and what is free.
    pub rest: u64,
    /// `codes`.
    pub codes: u64,
    /// The log.
    pub log: u64,
}

/// Counts what a store holds, also while somebody writes it. Reads all of it.
///
/// # Errors
/// [`StoreError`].
pub fn stats(disk: &dyn Disk) -> Result<StoreStats, StoreError> {
    let files = PinnedFiles::open(disk)?;
    let page_bytes = PAGE_BYTES as u64;
    let in_pages = |pages: &[super::pages::PageRef]| {
        pages.iter().filter(|page| page.page >= FIRST_PAGE).count() as u64 * page_bytes
    };
    let document = &files.document;
    let mut bytes = SectionBytes {
        accounts: in_pages(&document.accounts.pages),
        slots: in_pages(&document.slots.pages),
        tries: in_pages(&document.tries),
        document: page_count(files.root.document_bytes as usize) * page_bytes,
        rest: 0,
        codes: files.root.codes_bytes,
        log: files.log.len() as u64,
    };
    let state_bytes = files.state.size_bytes().map_err(io_error("read", STATE_FILE))?;
    bytes.rest = state_bytes.saturating_sub(bytes.accounts + bytes.slots + bytes.tries + bytes.document);
    let store = MetisStore::of_pinned(files)?;
    let writer = store.writer.lock();
    let tries = writer.flat.shared.trunk.read().tries.census()?;
    let history = store.history.read();
    Ok(StoreStats {
        newest: store.latest().block(),
        oldest_block_number: store.oldest_block_number(),
        counts: StateCounts {
            accounts: tries.account_count,
            slots: tries.slot_count,
            codes: writer.flat.shared.codes.count() as u64,
        },
        accounts: writer.flat.accounts.load(),
        slots: writer.flat.slots.load(),
        tries,
        state_count: history.states.len() as u64,
        old_value_count: history.states.iter().skip(1).map(|state| state.version().changed_count() as u64).sum(),
        archive: history.archive.as_ref().map(|archive| archive.report()),
        bytes,
    })
}
