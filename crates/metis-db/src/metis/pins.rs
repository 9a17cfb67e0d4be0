//! Notes that a generation is read: files whose lock lives as long as the reader.

use std::{
    io::ErrorKind,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use metis_disk::{Disk, DiskLock};

use super::wal::io_error;
use crate::StoreError;

const PREFIX: &str = "pin.";

/// The oldest generation that anybody holds; pins of the dead are removed.
pub(super) fn oldest_pinned(disk: &dyn Disk) -> Result<u64, StoreError> {
    let mut oldest = u64::MAX;
    for name in disk.list().map_err(io_error("list", "."))? {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let generation = rest.split('.').next().and_then(|text| u64::from_str_radix(text, 16).ok());
        let Some(generation) = generation else { continue };
        // A pin that cannot be asked counts as held.
        if !disk.remove_dead_pin(&name).unwrap_or(false) {
            oldest = oldest.min(generation);
        }
    }
    Ok(oldest)
}

/// A pin of a generation; `None` on a file system where nobody can write, and nobody else does.
///
/// It holds only if the generation is still one of the newest two when it is there: who pins looks again.
pub(super) fn pin(disk: &dyn Disk, generation: u64) -> Result<Option<Box<dyn DiskLock>>, StoreError> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    // BOUND: names of processes that had the same number, and pins that were taken for dead ones.
    for _ in 0..1_000 {
        // ORDER: only that no two are alike matters.
        let name = format!("{PREFIX}{generation:016x}.{}.{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        match disk.pin(&name) {
            Ok(pin) => return Ok(Some(pin)),
            Err(error) => match error.kind() {
                ErrorKind::ReadOnlyFilesystem => return Ok(None),
                ErrorKind::AlreadyExists | ErrorKind::Interrupted => {}
                _ => return Err(io_error("pin", &name)(error)),
            },
        }
    }
    Err(io_error("pin", PREFIX)(ErrorKind::AlreadyExists.into()))
}
