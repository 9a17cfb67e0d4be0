//! Reading a store that somebody else may be writing.

use std::sync::Arc;

use metis_disk::{Disk, DiskFile, DiskLock, Mapping};

use super::{
    MetisStore,
    archive::Archive,
    config::MetisConfig,
    durable::{CODES_FILE, STATE_FILE},
    generation::{PageSource, corrupt_state, load, newest_root, read_document, read_log},
    meta::{Document, Root},
    pins::pin,
    wal::{io_error, scan},
};
use crate::StoreError;

/// BOUND: generations that a writer finishes while one is being pinned, and times that a log is read which grows.
const ATTEMPT_COUNT_MAX: usize = 64;

/// The newest generation of a directory and the log of what came after it, as they are at one instant.
///
/// Nobody writes the generation's pages as long as this lives, in whatever process.
#[derive(Debug)]
pub(super) struct PinnedFiles {
    pub(super) state: Arc<dyn DiskFile>,
    pub(super) codes: Arc<dyn DiskFile>,
    pub(super) root: Root,
    pub(super) document: Document,
    /// The file's bytes.
    pub(super) bytes: Mapping,
    /// The log's bytes, which may end in the middle of a record, and whether they are intact up to there.
    pub(super) log: Vec<u8>,
    pub(super) log_damage: Option<StoreError>,
    /// States before those of the document, or why they cannot be read.
    pub(super) archive: Result<Option<Archive>, StoreError>,
    pin: Option<Box<dyn DiskLock>>,
}

impl PinnedFiles {
    /// Takes hold of the newest generation.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(super) fn open(disk: &dyn Disk) -> Result<Self, StoreError> {
        let state = disk.open_to_read(STATE_FILE).map_err(io_error("open", STATE_FILE))?;
        let codes = disk.open_to_read(CODES_FILE).map_err(io_error("open", CODES_FILE))?;
        let mut root = require_root(&*state)?;
        for _ in 0..ATTEMPT_COUNT_MAX {
            let pin = pin(disk, root.generation)?;
            // Before the root names the next generation nobody begins the one after it, whose writer may use pages
            // of this one and looks for pins first. So what is still the newest now is safe.
            let newest = require_root(&*state)?;
            if newest.generation == root.generation {
                let read = read_whole_log(disk, &root);
                let after = require_root(&*state)?;
                // The log goes when the next generation is there.
                if read.is_ok() || after.generation == root.generation {
                    let (log, log_damage) = read?;
                    let bytes = state.map().map_err(io_error("map", STATE_FILE))?;
                    let document = read_document(&bytes, &root)?;
                    let meta = document.archive.as_ref();
                    let archive = meta.map(|meta| Archive::open(disk, meta, root.salt)).transpose();
                    return Ok(Self { state, codes, root, document, bytes, log, log_damage, archive, pin });
                }
                root = after;
            } else {
                root = newest;
            }
        }
        Err(io_error("pin", STATE_FILE)(std::io::ErrorKind::WouldBlock.into()))
    }

    /// Where the pages come from.
    pub(super) fn source(&self) -> PageSource<'_> {
        // Only what is pinned stays as it is.
        let mappable = self.pin.as_ref().and_then(|_| self.state.descriptor());
        PageSource { bytes: &self.bytes, salt: self.root.salt, mappable }
    }
}

fn require_root(state: &dyn DiskFile) -> Result<Root, StoreError> {
    newest_root(state)?.ok_or(corrupt_state(0, "no generation was ever finished"))
}

/// The log up to some instant. One that grows meanwhile may look damaged: what was written last can be read before what
/// was written first.
fn read_whole_log(disk: &dyn Disk, root: &Root) -> Result<(Vec<u8>, Option<StoreError>), StoreError> {
    let mut log = read_log(disk, root)?;
    for _ in 0..ATTEMPT_COUNT_MAX {
        let Err(error) = scan(&log, root.generation, root.salt) else { break };
        let again = read_log(disk, root)?;
        if again == log {
            return Ok((log, Some(error)));
        }
        log = again;
    }
    Ok((log, None))
}

impl MetisStore {
    /// Opens the store of a directory to read it, whether or not somebody writes it: all kept states of its newest
    /// generation, and what was logged since. It stays at that block; pages of the disk are shared with all who read
    /// them, and kept until the last snapshot is gone.
    ///
    /// With [`Durability::OnCheckpoint`](super::Durability) nothing is logged: it is then the last checkpoint.
    ///
    /// # Errors
    /// [`StoreError`]. What would change the store answers [`StoreError::ReadOnly`].
    pub fn open_to_read(disk: &dyn Disk) -> Result<Self, StoreError> {
        Self::of_pinned(PinnedFiles::open(disk)?)
    }

    pub(super) fn of_pinned(mut files: PinnedFiles) -> Result<Self, StoreError> {
        if let Some(damage) = files.log_damage.take() {
            return Err(damage);
        }
        let flat = load(&files.source(), &files.document, &*files.codes, &files.root)?;
        let PinnedFiles { document, root, log, archive, pin, .. } = files;
        let archive = archive?;
        if let Some(pin) = pin {
            // UNWRAP: the state is new, so it has none yet.
            flat.shared.pin.set(pin).unwrap();
        }
        let config =
            MetisConfig { seed: document.seed, segment_log2: document.segment_log2, ..MetisConfig::new([0; 4]) };
        // How many states a store keeps is its writer's affair; here none that the log needs may be missing.
        let store = Self::restore(
            document,
            flat,
            archive,
            &scan(&log, root.generation, root.salt)?,
            config.keeping(usize::MAX),
        )?;
        store.writer.lock().is_read_only = true;
        Ok(store)
    }
}
