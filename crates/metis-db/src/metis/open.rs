//! Opening a store: the newest generation, then what was logged since.

use std::{
    collections::{BTreeSet, VecDeque},
    io::ErrorKind,
    sync::Arc,
};

use alloy_primitives::Address;
use metis_disk::{Disk, DiskFile, LockError};
use metis_state_transition::Code;
use parking_lot::RwLock;

use super::{
    MetisStore,
    codes_file::{decode_codes, encode_codes},
    config::{Durability, MetisConfig},
    durable::{CODES_FILE, Durable, Entry, STATE_FILE},
    encoding::checksum,
    history::History,
    image::{Image, PartImage},
    meta::{Document, PAGE_BYTES, ROOT_BYTES, Root, StateMeta, TableMeta},
    pages::{FIRST_PAGE, FreePages, PageRef, page_count},
    snapshot::MetisSnapshot,
    state::FlatWriter,
    store::Writer,
    trunk::Trunk,
    versions::{Before, Version},
    wal::{Scanned, Wal, io_error, scan, wal_generation, wal_name},
};
use crate::{
    GenesisAccount, StateSnapshot, StoreError,
    flat::{Layout, Seed, TableWriter},
};

fn corrupt_state(page: u64, problem: &'static str) -> StoreError {
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

/// The document of a generation.
pub(super) fn read_document(bytes: &[u8], root: &Root) -> Result<Document, StoreError> {
    let start = root.document_page.checked_mul(PAGE_BYTES as u64).map(|start| start as usize);
    let document = start.and_then(|start| bytes.get(start..)?.get(..root.document_bytes as usize));
    let document = document.ok_or(corrupt_state(root.document_page, "the document is cut off"))?;
    if checksum(root.salt, document) != root.document_checksum {
        return Err(corrupt_state(root.document_page, "the document's checksum is wrong"));
    }
    Document::decode(document).ok_or(corrupt_state(root.document_page, "the document makes no sense"))
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

/// Pages that are not zeros, with where in their bytes they belong.
fn present_pages<'a>(
    bytes: &'a [u8],
    pages: &[PageRef],
    salt: u64,
) -> impl Iterator<Item = Result<(usize, &'a [u8]), StoreError>> {
    let present = pages.iter().enumerate().filter(|(_, page)| page.page != 0);
    present.map(move |(index, page)| Ok((index * PAGE_BYTES, read_page(bytes, page, salt)?)))
}

fn read_table<L: Layout>(
    bytes: &[u8],
    meta: &TableMeta,
    document: &Document,
    seed: Seed,
    salt: u64,
) -> Result<TableWriter<L>, StoreError> {
    let pages = present_pages(bytes, &meta.pages, salt);
    TableWriter::restore(seed, document.segment_log2, &meta.directory, meta.segment_count as usize, pages)
}

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
        let lock = disk.lock().map_err(|error| match error {
            LockError::Held { holder } => StoreError::Locked { holder },
            LockError::Io(error) => io_error("lock", ".")(error),
        })?;
        let names = disk.list().map_err(io_error("list", "."))?;
        if names.iter().any(|name| name == STATE_FILE) {
            let state = disk.open(STATE_FILE).map_err(io_error("open", STATE_FILE))?;
            if let Some(root) = newest_root(&*state)? {
                return Self::open_generation(disk, lock, state, root, config);
            }
        }
        Self::create(disk, lock, &names, alloc, config)
    }

    fn create(
        disk: Arc<dyn Disk>,
        lock: Box<dyn metis_disk::DiskLock>,
        names: &[String],
        alloc: impl IntoIterator<Item = (Address, GenesisAccount)>,
        config: MetisConfig,
    ) -> Result<Self, StoreError> {
        let salt = config.seed.0.iter().fold(0, |salt: u64, word| salt.rotate_left(7) ^ word);
        let new_file = |name: &'static str| {
            if names.iter().any(|other| other == name) {
                disk.remove(name).map_err(io_error("remove", name))?;
            }
            disk.create(name).map_err(io_error("create", name))
        };
        let (state, codes) = (new_file(STATE_FILE)?, new_file(CODES_FILE)?);
        codes.sync().map_err(io_error("sync", CODES_FILE))?;
        let wal = Wal::create(&*disk, 0, salt)?;
        let store = Self::in_memory(alloc, config)?;
        let root = Root {
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
            failed: None,
            _lock: lock,
        };
        store.writer.lock().durable = Some(durable);
        store.checkpoint()?;
        // The second one fills the other root slot: from here on an unreadable slot is damage.
        store.checkpoint()?;
        Ok(store)
    }

    fn open_generation(
        disk: Arc<dyn Disk>,
        lock: Box<dyn metis_disk::DiskLock>,
        state: Arc<dyn DiskFile>,
        root: Root,
        mut config: MetisConfig,
    ) -> Result<Self, StoreError> {
        let codes = disk.open(CODES_FILE).map_err(io_error("open", CODES_FILE))?;
        let log = read_log(&*disk, &root)?;
        let (document, flat) = load(&*state, &*codes, &root)?;
        (config.seed, config.segment_log2) = (document.seed, document.segment_log2);
        let free = FreePages::all_but(&used_pages(&document, &root), root.page_count);
        let (accounts, slots) = (document.accounts.pages.clone(), document.slots.pages.clone());
        let tries = document.tries.clone();
        let scanned = scan(&log, root.generation, root.salt)?;
        let store = Self::restore(document, flat, &scanned, config)?;
        let wal = Wal::resume(&*disk, root.generation, root.salt, &log, &scanned)?;
        for name in disk.list().map_err(io_error("list", "."))? {
            if wal_generation(&name).is_some_and(|generation| generation != root.generation) {
                disk.remove(&name).map_err(io_error("remove", &name))?;
            }
        }
        let durable = Durable {
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
            failed: None,
            _lock: lock,
        };
        store.writer.lock().durable = Some(durable);
        Ok(store)
    }

    /// The state of a generation with what was logged since, on no disk.
    pub(super) fn restore(
        document: Document,
        mut flat: FlatWriter,
        scanned: &Scanned<'_>,
        config: MetisConfig,
    ) -> Result<Self, StoreError> {
        let history = restore_history(&mut flat, document)?;
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

    /// Writes what changed since the last checkpoint as a new generation, and begins a new log. Where nothing is logged
    /// ([`Durability::OnCheckpoint`]), blocks are committed meanwhile: they wait only while what changed is copied.
    ///
    /// # Errors
    /// [`StoreError::Io`]: the last generation and its log still hold everything.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let _one_at_a_time = self.checkpoints.lock();
        let mut writer = self.writer.lock();
        let Some(mut durable) = writer.durable.take() else { return Ok(()) };
        let mut image = writer.image(&self.history, &self.config);
        // What is logged must be in the log of the generation that it comes after.
        let kept = (self.config.durability != Durability::OnCheckpoint).then_some(writer);
        let written = durable.checkpoint(&mut image);
        let mut writer = kept.unwrap_or_else(|| self.writer.lock());
        match &written {
            Ok(()) => {
                writer.flat.shared.codes.kept(image.code_count);
                writer.unsaved_count -= image.state_count;
            }
            Err(_) => writer.take_back(&image),
        }
        writer.durable = Some(durable);
        written
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

impl Writer {
    fn image(&mut self, history: &RwLock<History>, config: &MetisConfig) -> Image {
        let document = document_of(&history.read(), &self.flat, config);
        let fresh = self.flat.shared.codes.fresh();
        let shared = Arc::clone(&self.flat.shared);
        // Who hashes waits as long as what changed is copied.
        let mut trunk = shared.trunk.write();
        let accounts = PartImage::take(&mut self.flat.accounts);
        let slots = PartImage::take(&mut self.flat.slots);
        let tries = PartImage::take(trunk.tries.region_mut());
        Image {
            document,
            parts: [accounts, slots, tries],
            codes: encode_codes(&fresh),
            code_count: fresh.len(),
            state_count: self.unsaved_count,
        }
    }

    /// An image became no generation.
    fn take_back(&mut self, image: &Image) {
        let shared = Arc::clone(&self.flat.shared);
        let mut trunk = shared.trunk.write();
        let [accounts, slots, tries] = &image.parts;
        accounts.give_back(&mut self.flat.accounts);
        slots.give_back(&mut self.flat.slots);
        tries.give_back(trunk.tries.region_mut());
    }
}

fn document_of(history: &History, flat: &FlatWriter, config: &MetisConfig) -> Document {
    let mut states: Vec<StateMeta> = Vec::with_capacity(history.states.len());
    let mut last: Option<&Arc<MetisSnapshot>> = None;
    for snapshot in &history.states {
        let number = snapshot.version().number();
        let before = last.map_or_else(Before::default, |last| last.version().before(number));
        states.push(StateMeta { identity: snapshot.identity(), version: number, block: snapshot.block(), before });
        last = Some(snapshot);
    }
    let table = |(directory, segment_count): (Vec<u32>, usize)| TableMeta {
        directory,
        segment_count: segment_count as u32,
        pages: Vec::new(),
    };
    let mut dead_storages: Vec<(u32, u64)> = flat.dead_storages.iter().map(|(id, gone)| (*id, *gone)).collect();
    dead_storages.sort_unstable();
    Document {
        seed: config.seed,
        segment_log2: config.segment_log2,
        next_storage_id: flat.next_storage_id,
        accounts: table(flat.accounts.shape()),
        slots: table(flat.slots.shape()),
        tries: Vec::new(),
        dead_storages,
        block_hashes: history.block_hashes.iter().map(|(number, hash)| (*number, *hash)).collect(),
        states,
    }
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
    state: &dyn DiskFile,
    codes: &dyn DiskFile,
    root: &Root,
) -> Result<(Document, FlatWriter), StoreError> {
    let bytes = state.map().map_err(io_error("map", STATE_FILE))?;
    let document = read_document(&bytes, root)?;
    let slot_seed = document.seed.of_slots();
    let accounts = read_table(&bytes, &document.accounts, &document, document.seed, root.salt)?;
    let slots = read_table(&bytes, &document.slots, &document, slot_seed, root.salt)?;
    // UNWRAP: a document that decodes has a state.
    let newest = document.states.last().unwrap();
    let mut flat = FlatWriter::from_tables(accounts, slots, newest.version, |version| {
        Trunk::restore(version, document.tries.len() * PAGE_BYTES, present_pages(&bytes, &document.tries, root.salt))
    })?;
    flat.next_storage_id = document.next_storage_id;
    flat.dead_storages = document.dead_storages.iter().copied().collect();
    let mut code_bytes = vec![0; usize::try_from(root.codes_bytes).unwrap_or(0)];
    let read = codes.read_at(0, &mut code_bytes).map_err(io_error("read", CODES_FILE))?;
    decode_codes(&code_bytes[..read], root.codes_bytes)?
        .into_iter()
        .for_each(|code: Code| flat.shared.codes.restore(code));
    Ok((document, flat))
}

/// The kept states, linked to each other.
fn restore_history(flat: &mut FlatWriter, document: Document) -> Result<History, StoreError> {
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
    Ok(History { states, block_hashes: document.block_hashes.into_iter().collect() })
}
