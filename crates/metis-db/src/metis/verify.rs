//! Looking at a store's files without changing them.

use std::sync::Arc;

use alloy_primitives::{B256, keccak256, map::HashMap};
use alloy_trie::EMPTY_ROOT_HASH;
use metis_disk::{Disk, DiskFile, DiskLock, LockError};
use metis_state_transition::{ChangeSet, StateCommitment};

use super::{
    MetisStore,
    codes_file::decode_codes,
    config::MetisConfig,
    durable::{CODES_FILE, STATE_FILE},
    meta::{Document, Root},
    open::{all_pages, load, newest_root, read_document, read_log, read_page, used_pages},
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

struct Files {
    state: Arc<dyn DiskFile>,
    codes: Arc<dyn DiskFile>,
    root: Root,
    document: Document,
    log: Vec<u8>,
    _lock: Box<dyn DiskLock>,
}

fn open(disk: &dyn Disk) -> Result<Files, StoreError> {
    let lock = disk.lock().map_err(|error| match error {
        LockError::Held { holder } => StoreError::Locked { holder },
        LockError::Io(error) => io_error("lock", ".")(error),
    })?;
    let state = disk.open_to_read(STATE_FILE).map_err(io_error("open", STATE_FILE))?;
    let codes = disk.open_to_read(CODES_FILE).map_err(io_error("open", CODES_FILE))?;
    let problem = "no generation was ever finished";
    let none = StoreError::Corrupt { part: "state file", offset: 0, problem };
    let root = newest_root(&*state)?.ok_or(none)?;
    let bytes = state.map().map_err(io_error("map", STATE_FILE))?;
    let document = read_document(&bytes, &root)?;
    let log = read_log(disk, &root)?;
    Ok(Files { state, codes, root, document, log, _lock: lock })
}

/// Tells what lies in a store's directory. Reads no pages of the index.
///
/// # Errors
/// [`StoreError`], where nothing can be told.
pub fn inspect(disk: &dyn Disk) -> Result<StoreReport, StoreError> {
    report(&open(disk)?)
}

fn report(files: &Files) -> Result<StoreReport, StoreError> {
    let (root, states) = (&files.root, &files.document.states);
    let mut damage = Vec::new();
    let log_record_count = match scan(&files.log, root.generation, root.salt) {
        Ok(scanned) => scanned.payloads.len() as u64,
        Err(error) => {
            damage.push(error.to_string());
            0
        }
    };
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
    let files = open(disk)?;
    let mut report = report(&files)?;
    let (root, document) = (&files.root, &files.document);
    let bytes = files.state.map().map_err(io_error("map", STATE_FILE))?;
    for page in all_pages(document).filter(|page| page.page != 0) {
        report.damage.extend(read_page(&bytes, page, root.salt).err().map(|error| error.to_string()));
    }
    let mut codes = vec![0; usize::try_from(root.codes_bytes).unwrap_or(0)];
    let read = files.codes.read_at(0, &mut codes).map_err(io_error("read", CODES_FILE))?;
    report.damage.extend(decode_codes(&codes[..read], root.codes_bytes).err().map(|error| error.to_string()));
    if report.damage.is_empty() {
        match restored(&files) {
            Ok(newest) => report.newest = Some(newest),
            Err(error) => report.damage.push(error.to_string()),
        }
    }
    Ok(report)
}

fn restored(files: &Files) -> Result<CommittedBlock, StoreError> {
    let (document, flat) = load(&*files.state, &*files.codes, &files.root)?;
    flat.shared.trunk.read().tries.check()?;
    // Both halves must say the same: the tries, and the index that readers look into.
    let (expected, got) = (flat.shared.trunk.read().tries.root(), root_of(&flat));
    if got != expected {
        return Err(StoreError::RootMismatch { expected, got });
    }
    let scanned = scan(&files.log, files.root.generation, files.root.salt)?;
    let config = MetisConfig { seed: document.seed, segment_log2: document.segment_log2, ..MetisConfig::new([0; 4]) };
    // How many states a store keeps is its own affair; here none that the log needs may be missing.
    let store = MetisStore::restore(document, flat, &scanned, config.keeping(usize::MAX))?;
    let newest = store.latest();
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
