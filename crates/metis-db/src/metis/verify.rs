//! Looking at a store's files without changing them.

use alloy_primitives::{B256, keccak256, map::HashMap};
use alloy_trie::EMPTY_ROOT_HASH;
use metis_disk::Disk;
use metis_state_transition::{ChangeSet, StateCommitment};

use super::{
    MetisStore,
    durable::STATE_FILE,
    generation::{all_pages, load, read_codes, read_page, used_pages},
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
    /// First kept block of the checkpoint.
    pub oldest_block_number: u64,
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
    let damage = files.log_damage.iter().map(ToString::to_string).collect();
    let scanned = scan(&files.log, root.generation, root.salt);
    let log_record_count = scanned.map_or(0, |scanned| scanned.payloads.len() as u64);
    let page_bytes = super::meta::PAGE_BYTES as u64;
    Ok(StoreReport {
        generation: root.generation,
        // UNWRAP: a document that decodes has a state.
        checkpoint: states.last().unwrap().block,
        newest: None,
        oldest_block_number: states[0].block.number,
        state_bytes: files.state.size_bytes().map_err(io_error("read", STATE_FILE))?,
        used_bytes: (used_pages(&files.document, root).len() as u64 + super::pages::FIRST_PAGE) * page_bytes,
        codes_bytes: root.codes_bytes,
        log_bytes: files.log.len() as u64,
        log_record_count,
        damage,
    })
}

/// Checks every byte that counts: checksums of all pages, code and records, that the index is one,
/// and that the state has the root that its newest block claims, before and after each record.
///
/// # Errors
/// [`StoreError`], where not even [`inspect`] would tell anything. Other damage is in the report.
pub fn verify(disk: &dyn Disk) -> Result<StoreReport, StoreError> {
    let files = PinnedFiles::open(disk)?;
    let mut report = report(&files)?;
    for page in all_pages(&files.document).filter(|page| page.page != 0) {
        report.damage.extend(read_page(&files.bytes, page, files.root.salt).err().map(|error| error.to_string()));
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
    if got != expected {
        return Err(StoreError::RootMismatch { expected, got });
    }
    drop(flat);
    let newest = MetisStore::of_pinned(files)?.latest();
    let (expected, got) = (newest.block().state_root, newest.state_root_after(&ChangeSet::default())?);
    if got == expected { Ok(newest.block()) } else { Err(StoreError::RootMismatch { expected, got }) }
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
