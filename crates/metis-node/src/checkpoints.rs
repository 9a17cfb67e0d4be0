//! The state goes to the disk now and then: a start makes again only what came after.

use metis_db::CheckpointReport;

use crate::{Node, NodeError, StateReport};

/// Less than this is not worth a checkpoint, whatever share of the state it is.
const CHECKPOINT_BYTES_MIN: usize = 256 << 20;
/// The share of the state that has changed when a large one is written. A smaller one would write the same pages again
/// and again while accounts come at random places.
const STATE_PER_CHECKPOINT: usize = 2;

/// What the checkpoints since the node was opened did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointTotals {
    /// How many there were.
    pub count: u64,
    /// How many came to nothing.
    pub failed_count: u64,
    /// What they wrote.
    pub bytes: u64,
    /// How long they took altogether, in nanoseconds.
    pub duration_ns: u64,
    /// The longest time for which one of them kept a block from being committed.
    pub hold_ns_max: u64,
    /// The last one.
    pub last: Option<CheckpointReport>,
}

impl Node {
    /// Whether it is time for [`Self::checkpoint`]: a start would make `state_count_max` states again, or much of the
    /// state has changed.
    pub fn is_checkpoint_due(&self, state_count_max: u64) -> bool {
        let unsaved = self.store.unsaved();
        unsaved.state_count >= state_count_max
            || unsaved.bytes >= CHECKPOINT_BYTES_MIN.max(unsaved.all_bytes / STATE_PER_CHECKPOINT)
    }

    /// Writes the state to the disk. Blocks wait only while a piece of what changed is copied. `clock_ns`: nanoseconds of
    /// any clock that only goes forward.
    ///
    /// # Errors
    /// [`NodeError::Store`]: what the last checkpoint wrote is still there, and the log has all blocks since.
    pub fn checkpoint(&self, clock_ns: &dyn Fn() -> u64) -> Result<(), NodeError> {
        if let Some(error) = self.failure() {
            return Err(error.clone().into());
        }
        let outcome = self.store.checkpoint(clock_ns);
        let totals = &mut *self.checkpoints.lock();
        match &outcome {
            Ok(Some(report)) => {
                totals.count += 1;
                totals.bytes += report.bytes;
                totals.duration_ns += report.duration_ns;
                totals.hold_ns_max = totals.hold_ns_max.max(report.hold_ns_max);
                totals.last = Some(*report);
            }
            Ok(None) => {}
            Err(_) => totals.failed_count += 1,
        }
        outcome?;
        Ok(())
    }

    /// What the checkpoints since the node was opened did.
    pub fn checkpoint_totals(&self) -> CheckpointTotals {
        *self.checkpoints.lock()
    }

    /// Bytes of the state in memory, index and tries, and those of them that the next checkpoint writes; zeros where the
    /// state is kept in plain maps.
    pub fn state_bytes(&self) -> (usize, usize) {
        (self.store.state_bytes(), self.store.unsaved().bytes)
    }

    /// What became of the state on the disk when the node was opened.
    pub const fn state_report(&self) -> &StateReport {
        &self.state_report
    }
}
