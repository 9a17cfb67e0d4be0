//! Notes that a generation is read: files whose lock lives as long as the reader.

use metis_disk::Disk;

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
