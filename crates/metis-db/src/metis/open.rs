//! Opening a store: the newest generation, then what was logged since.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::ErrorKind,
    sync::Arc,
};

use alloy_primitives::Address;
use metis_disk::{Disk, DiskFile, DiskLock, LockError};

use super::{
    MetisStore,
    archive::Archive,
    config::MetisConfig,
    durable::{CODES_FILE, Durable, Entry, STATE_FILE},
    generation::{PageSource, load, newest_root, read_document, read_log, restore_history, used_pages},
    history::History,
    meta::{Document, FORMAT_VERSION, Root},
    pages::{FIRST_PAGE, FreePages},
    state::FlatWriter,
    wal::{Scanned, Wal, io_error, scan, wal_generation},
};
use crate::{GenesisAccount, StoreError};

impl MetisStore {
    /// Opens the store of a directory; an empty one becomes a store whose block 0 holds `alloc`.
    ///
    /// # Errors
    /// [`StoreError`]: what is there is not changed then.
    pub fn open(
        disk: Arc<dyn Disk>,
        alloc: impl IntoIterator<Item = (Address, GenesisAccount)>,
        config: MetisConfig,
    ) -> Result<Self, StoreError> {
        let lock = take_lock(&*disk)?;
        match existing(&*disk)? {
            Some((state, root)) => Self::open_generation(disk, lock, state, root, config),
            None => Self::in_memory(alloc, config)?.create(disk, lock),
        }
    }

    /// Puts a store that is in memory into a directory without one.
    ///
    /// # Errors
    /// [`StoreError`]; of kind `AlreadyExists` where there is a store.
    pub(super) fn settle(self, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let lock = take_lock(&*disk)?;
        match existing(&*disk)? {
            Some(_) => Err(io_error("create", STATE_FILE)(ErrorKind::AlreadyExists.into())),
            None => self.create(disk, lock),
        }
    }

    fn create(self, disk: Arc<dyn Disk>, lock: Box<dyn DiskLock>) -> Result<Self, StoreError> {
        let names = disk.list().map_err(io_error("list", "."))?;
        let salt = self.config.seed.0.iter().fold(0, |salt: u64, word| salt.rotate_left(7) ^ word);
        let new_file = |name: &'static str| {
            if names.iter().any(|other| other == name) {
                disk.remove(name).map_err(io_error("remove", name))?;
            }
            disk.create(name).map_err(io_error("create", name))
        };
        let (state, codes) = (new_file(STATE_FILE)?, new_file(CODES_FILE)?);
        codes.sync().map_err(io_error("sync", CODES_FILE))?;
        let wal = Wal::create(&*disk, 0, salt)?;
        let root = Root {
            version: FORMAT_VERSION,
            generation: 0,
            document_page: FIRST_PAGE,
            document_bytes: 0,
            document_checksum: 0,
            page_count: FIRST_PAGE,
            codes_bytes: 0,
            salt,
        };
        let durable = Durable {
            disk,
            state,
            codes,
            root,
            accounts: Vec::new(),
            slots: Vec::new(),
            tries: Vec::new(),
            free: FreePages::all_but(&BTreeSet::new(), FIRST_PAGE),
            replaced: Vec::new(),
            wal,
            history_files: BTreeSet::new(),
            retired_history: BTreeMap::new(),
            failed: None,
            _lock: lock,
        };
        self.history.write().archive = self.config.is_archive.then(|| Arc::new(Archive::new(salt)));
        self.writer.lock().durable = Some(durable);
        self.checkpoint()?;
        // The second one fills the other root slot: from here on an unreadable slot is damage.
        self.checkpoint()?;
        Ok(self)
    }

    fn open_generation(
        disk: Arc<dyn Disk>,
        lock: Box<dyn DiskLock>,
        state: Arc<dyn DiskFile>,
        root: Root,
        mut config: MetisConfig,
    ) -> Result<Self, StoreError> {
        let codes = disk.open(CODES_FILE).map_err(io_error("open", CODES_FILE))?;
        let log = read_log(&*disk, &root)?;
        let bytes = state.map().map_err(io_error("map", STATE_FILE))?;
        let document = read_document(&bytes, &root)?;
        let source = PageSource { bytes: &bytes, salt: root.salt, mappable: None };
        let flat = load(&source, &document, &*codes, &root)?;
        (config.seed, config.segment_log2) = (document.seed, document.segment_log2);
        let mut free = FreePages::all_but(&used_pages(&document, &root), root.page_count);
        // Somebody may still read an older generation: the next checkpoint looks.
        free.retire_all(root.generation.saturating_sub(1));
        let (accounts, slots) = (document.accounts.pages.clone(), document.slots.pages.clone());
        let tries = document.tries.clone();
        let scanned = scan(&log, root.generation, root.salt)?;
        let archive = document.archive.as_ref().map(|meta| Archive::open(&*disk, meta, root.salt)).transpose()?;
        let history_files = document.archive.iter().flat_map(|meta| &meta.segments).map(|file| file.number).collect();
        let archive = archive.or_else(|| config.is_archive.then(|| Archive::new(root.salt)));
        config.is_archive = archive.is_some();
        let store = Self::restore(document, flat, archive, &scanned, config)?;
        let wal = Wal::resume(&*disk, root.generation, root.salt, &log, &scanned)?;
        let names = disk.list().map_err(io_error("list", "."))?;
        for name in &names {
            if wal_generation(name).is_some_and(|generation| generation != root.generation) {
                disk.remove(name).map_err(io_error("remove", name))?;
            }
        }
        let mut durable = Durable {
            disk,
            state,
            codes,
            root,
            accounts,
            slots,
            tries,
            free,
            replaced: Vec::new(),
            wal,
            history_files,
            retired_history: BTreeMap::new(),
            failed: None,
            _lock: lock,
        };
        durable.find_retired_history(&names);
        store.writer.lock().durable = Some(durable);
        Ok(store)
    }

    /// The state of a generation with what was logged since, on no disk.
    pub(super) fn restore(
        document: Document,
        mut flat: FlatWriter,
        archive: Option<Archive>,
        scanned: &Scanned<'_>,
        config: MetisConfig,
    ) -> Result<Self, StoreError> {
        let history = History { archive: archive.map(Arc::new), ..restore_history(&mut flat, document)? };
        let store = Self::from_parts(history, flat, None, config);
        for payload in &scanned.payloads {
            let problem = "a record makes no sense";
            let entry = Entry::decode(payload).ok_or(StoreError::Corrupt { part: "log", offset: 0, problem })?;
            store.replay(&entry)?;
        }
        Ok(store)
    }

    /// Makes everything committed so far durable.
    ///
    /// # Errors
    /// [`StoreError::Io`]; it is tried again with the next call.
    pub fn flush(&self) -> Result<(), StoreError> {
        match &mut self.writer.lock().durable {
            Some(durable) => {
                durable.require_working()?;
                durable.wal.sync()
            }
            None => Ok(()),
        }
    }

    /// Gives the directory free. What comes after is in memory only.
    pub fn close(&self) {
        let _one_at_a_time = self.checkpoints.lock();
        self.writer.lock().durable = None;
    }

    /// Bytes of the log since the last checkpoint.
    pub fn log_bytes(&self) -> u64 {
        self.writer.lock().durable.as_ref().map_or(0, |durable| durable.wal.len_bytes())
    }
}

fn take_lock(disk: &dyn Disk) -> Result<Box<dyn DiskLock>, StoreError> {
    disk.lock().map_err(|error| match error {
        LockError::Held { holder } => StoreError::Locked { holder },
        LockError::Io(error) => io_error("lock", ".")(error),
    })
}

/// The file of pages, and the newest root in it.
type Finished = (Arc<dyn DiskFile>, Root);

/// The store of a directory, if one was ever finished.
fn existing(disk: &dyn Disk) -> Result<Option<Finished>, StoreError> {
    if !disk.list().map_err(io_error("list", "."))?.iter().any(|name| name == STATE_FILE) {
        return Ok(None);
    }
    let state = disk.open(STATE_FILE).map_err(io_error("open", STATE_FILE))?;
    Ok(newest_root(&*state)?.map(|root| (state, root)))
}
