//! The state goes to the disk now and then: a start makes again only what came after.

use crate::{Node, NodeError, StateReport};

/// Less than this is not worth a checkpoint, whatever share of the state it is.
const CHECKPOINT_BYTES_MIN: usize = 256 << 20;
/// The share of the state that has changed when a large one is written. It is copied before, so memory grows by as much
/// for a while; a smaller share would write the same pages again and again while accounts come at random places.
const STATE_PER_CHECKPOINT: usize = 2;

impl Node {
    /// Whether it is time for [`Self::checkpoint`]: a start would make `state_count_max` states again, or much of the
    /// state has changed.
    pub fn is_checkpoint_due(&self, state_count_max: u64) -> bool {
        let unsaved = self.store.unsaved();
        unsaved.state_count >= state_count_max
            || unsaved.bytes >= CHECKPOINT_BYTES_MIN.max(unsaved.all_bytes / STATE_PER_CHECKPOINT)
    }

    /// Writes the state to the disk. Blocks wait only while what changed is copied.
    ///
    /// # Errors
    /// [`NodeError::Store`]: what the last checkpoint wrote is still there, and the log has all blocks since.
    pub fn checkpoint(&self) -> Result<(), NodeError> {
        if let Some(error) = self.failure() {
            return Err(error.clone().into());
        }
        Ok(self.store.checkpoint()?)
    }

    /// What became of the state on the disk when the node was opened.
    pub const fn state_report(&self) -> &StateReport {
        &self.state_report
    }
}
