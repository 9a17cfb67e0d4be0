//! Making a generation of the state, while blocks go on.

use std::sync::Arc;

use metis_disk::Disk;
use parking_lot::MutexGuard;

use super::{MetisStore, archive::Archive, config::Durability, store::Writer};
use crate::{CommittedBlock, StoreError};

/// What a checkpoint did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointReport {
    /// The generation that it made.
    pub generation: u64,
    /// Block of the newest state in it.
    pub block: CommittedBlock,
    /// What it wrote.
    pub bytes: u64,
    /// How long it took, in nanoseconds of the caller's clock.
    pub duration_ns: u64,
    /// The longest time for which it kept blocks from being committed.
    pub hold_ns_max: u64,
}

/// The writer's lock while a checkpoint is made.
struct Hold<'a> {
    store: &'a MetisStore,
    /// Held throughout, or taken for one piece after the other.
    kept: Option<MutexGuard<'a, Writer>>,
    clock_ns: &'a dyn Fn() -> u64,
    ns_max: u64,
}

impl Hold<'_> {
    fn with<T>(&mut self, act: impl FnOnce(&mut Writer) -> T) -> T {
        if let Some(writer) = &mut self.kept {
            return act(writer);
        }
        let mut writer = self.store.writer.lock();
        let begun_ns = (self.clock_ns)();
        let result = act(&mut writer);
        self.ns_max = self.ns_max.max((self.clock_ns)().saturating_sub(begun_ns));
        // Whoever waits comes next, not the next piece.
        MutexGuard::unlock_fair(writer);
        result
    }
}

impl MetisStore {
    /// Writes what changed since the last checkpoint as a new generation, and begins a new log. Where nothing is logged
    /// ([`Durability::OnCheckpoint`]), blocks are committed meanwhile: they wait only while a piece of what changed is
    /// copied, one mebibyte at most.
    ///
    /// # Errors
    /// [`StoreError::Io`]: the last generation and its log still hold everything.
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        self.checkpoint_timed(&|| 0).map(|_| ())
    }

    /// The same, and says what it did; nothing where there is no disk. `clock_ns`: nanoseconds of any clock that only
    /// goes forward.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub fn checkpoint_timed(&self, clock_ns: &dyn Fn() -> u64) -> Result<Option<CheckpointReport>, StoreError> {
        self.checkpoint_as(self.kept_now(), |archive, disk| archive.merged(disk), clock_ns)
    }

    /// Makes a generation whose window has so many older states, and whose archive, if it is one, is what `change` makes
    /// of it, with the states that leave the window.
    pub(super) fn checkpoint_as(
        &self,
        kept_block_count: usize,
        change: impl FnOnce(&Archive, &dyn Disk) -> Result<Archive, StoreError>,
        clock_ns: &dyn Fn() -> u64,
    ) -> Result<Option<CheckpointReport>, StoreError> {
        let _one_at_a_time = self.checkpoints.lock();
        let mut writer = self.writer.lock();
        if writer.is_read_only {
            return Err(StoreError::ReadOnly);
        }
        let Some(durable) = &writer.durable else { return Ok(None) };
        durable.require_working()?;
        let mut archive = None;
        if let Some(now) = self.history.read().archive.clone() {
            // Takes time with what is merged, and changes nothing that anybody knows of.
            let disk = Arc::clone(&durable.disk);
            drop(writer);
            archive = Some(change(&now, &*disk)?);
            writer = self.writer.lock();
        }
        let begun_ns = clock_ns();
        let Some(mut durable) = writer.durable.take() else { return Ok(None) };
        let mut image = writer.freeze(&self.history.read(), kept_block_count, &self.config);
        image.archive = archive;
        let ns_max = clock_ns().saturating_sub(begun_ns);
        // What is logged must be in the log of the generation that it comes after.
        let kept = (self.config.durability != Durability::OnCheckpoint).then_some(writer);
        let mut hold = Hold { store: self, kept, clock_ns, ns_max };
        let written = durable.checkpoint(&mut image, |part, pages, bytes| {
            hold.with(|writer| writer.copy_piece(part, pages, bytes));
        });
        let generation = durable.root.generation;
        hold.with(|writer| {
            writer.thaw(&image, written.is_ok());
            writer.durable = Some(durable);
            if let Some(archive) = image.archive.take().filter(|_| written.is_ok()) {
                self.history.write().left(image.leaving.as_ref(), archive);
            }
        });
        let duration_ns = clock_ns().saturating_sub(begun_ns);
        let hold_ns_max = if hold.kept.is_some() { duration_ns } else { hold.ns_max };
        let report = |bytes| CheckpointReport { generation, block: image.block, bytes, duration_ns, hold_ns_max };
        written.map(report).map(Some)
    }
}
