//! Looking at a store's files without changing them.

use alloy_primitives::{B256, keccak256, map::HashMap};
use alloy_trie::EMPTY_ROOT_HASH;
use metis_disk::Disk;
use metis_state_transition::{ChangeSet, StateCommitment};

use super::{
    MetisStore,
    archive::{Archive, ArchiveReport},
    durable::STATE_FILE,
    generation::{all_pages, load, read_codes, read_page, used_pages},
    history::Place,
    reader::PinnedFiles,
    state::FlatWriter,
    wal::{io_error, scan},
};
use crate::{CommittedBlock, StateSnapshot, StateStore, StoreError, Trie, proof::account_leaf};

/// What lies in a store's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreReport {
    /// Number of the checkpoint.
    pub generation: u64,
    /// The checkpoint's newest block.
    pub checkpoint: CommittedBlock,
    /// The newest block with what was logged since; `None` where damage hides it.
    pub newest: Option<CommittedBlock>,
    /// First kept block.
    pub oldest_block_number: u64,
    /// States before those of the checkpoint, where none is forgotten.
    pub archive: Option<ArchiveReport>,
    /// Bytes of the pages' file, and of those that this generation uses.
    pub state_bytes: u64,
    /// See [`Self::state_bytes`].
    pub used_bytes: u64,
    /// Bytes of code.
    pub codes_bytes: u64,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Records of the log.
    pub log_record_count: u64,
    /// What is wrong, and where.
    pub damage: Vec<String>,
}

/// Tells what lies in a store's directory, also while somebody writes it. Reads no pages of the index.
///
/// # Errors
/// [`StoreError`], where nothing can be told.
pub fn inspect(disk: &dyn Disk) -> Result<StoreReport, StoreError> {
    report(&PinnedFiles::open(disk)?)
}

fn report(files: &PinnedFiles) -> Result<StoreReport, StoreError> {
    let (root, states) = (&files.root, &files.document.states);
    let damage = files.log_damage.iter().chain(files.archive.as_ref().err()).map(ToString::to_string).collect();
    let archive = files.archive.as_ref().ok().and_then(Option::as_ref);
    let scanned = scan(&files.log, root.generation, root.salt);
    let log_record_count = scanned.map_or(0, |scanned| scanned.payloads.len() as u64);
    let page_bytes = super::meta::PAGE_BYTES as u64;
    Ok(StoreReport {
        generation: root.generation,
        // UNWRAP: a document that decodes has a state.
        checkpoint: states.last().unwrap().block,
        newest: None,
        oldest_block_number: archive.and_then(Archive::first_block_number).unwrap_or(states[0].block.number),
        archive: archive.map(Archive::report),
        state_bytes: files.state.size_bytes().map_err(io_error("read", STATE_FILE))?,
        used_bytes: (used_pages(&files.document, root).len() as u64 + super::pages::FIRST_PAGE) * page_bytes,
        codes_bytes: root.codes_bytes,
        log_bytes: files.log.len() as u64,
        log_record_count,
        damage,
    })
}

/// Checks every byte that counts: checksums of all pages, code and records, that the index is one,
/// and that the state has the root that its newest block claims, before and after each record; of an archive that all
/// files are whole, and that the way back to the oldest state, one in the middle and the newest gives the roots of theirs.
///
/// # Errors
/// [`StoreError`], where not even [`inspect`] would tell anything. Other damage is in the report.
pub fn verify(disk: &dyn Disk) -> Result<StoreReport, StoreError> {
    let files = PinnedFiles::open(disk)?;
    let mut report = report(&files)?;
    for page in all_pages(&files.document).filter(|page| page.page != 0) {
        report.damage.extend(read_page(&files.bytes, page, files.root.salt).err().map(|error| error.to_string()));
    }
    if let Ok(Some(archive)) = &files.archive {
        report.damage.extend(archive.check().err().map(|error| error.to_string()));
    }
    report.damage.extend(read_codes(&*files.codes, &files.root).err().map(|error| error.to_string()));
    if report.damage.is_empty() {
        match restored(files) {
            Ok(newest) => report.newest = Some(newest),
            Err(error) => report.damage.push(error.to_string()),
        }
    }
    Ok(report)
}

fn restored(files: PinnedFiles) -> Result<CommittedBlock, StoreError> {
    let flat = load(&files.source(), &files.document, &*files.codes, &files.root)?;
    flat.shared.trunk.read().tries.check()?;
    // Both halves must say the same: the tries, and the index that readers look into.
    let (expected, got) = (flat.shared.trunk.read().tries.root(), root_of(&flat));
    require_root(expected, got)?;
    drop(flat);
    let store = MetisStore::of_pinned(files)?;
    let newest = store.latest();
    require_root(newest.block().state_root, newest.state_root_after(&ChangeSet::default())?)?;
    let archived_count = store.history.read().archive.as_ref().map_or(0, |archive| archive.state_count());
    let mut sampled = [0, archived_count / 2, archived_count.saturating_sub(1)].to_vec();
    sampled.dedup();
    for index in sampled.into_iter().filter(|index| *index < archived_count) {
        let state = store.history.read().state(Place::Archive(index))?;
        require_root(state.block().state_root, state.tries_back()?.root())?;
    }
    Ok(newest.block())
}

fn require_root(expected: B256, got: B256) -> Result<(), StoreError> {
    if got == expected { Ok(()) } else { Err(StoreError::RootMismatch { expected, got }) }
}

/// The root of what the index holds, by tries that are made from nothing.
fn root_of(flat: &FlatWriter) -> B256 {
    let mut storages: HashMap<u32, Trie> = HashMap::default();
    flat.slots.each(|(storage_id, slot), value| {
        let key = keccak256(slot.to_be_bytes::<32>());
        storages.entry(storage_id).or_default().insert(key, alloy_rlp::encode(value));
    });
    let mut accounts = Trie::default();
    flat.accounts.each(|address, record| {
        let storage_root = storages.get(&record.storage_id).map_or(EMPTY_ROOT_HASH, Trie::root_hash);
        accounts.insert(keccak256(address), account_leaf(&record.account, storage_root));
    });
    accounts.root_hash()
}
