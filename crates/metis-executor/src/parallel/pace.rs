//! Where a worker may be held up: nowhere, but in tests that choose the schedule.

/// Told wherever the order of what workers do can matter.
pub(crate) trait Pace: Sync {
    /// Whether [`Self::pause`] stands in for sleep too.
    const CHOOSES: bool = false;

    /// A worker is about to read, publish or commit, or has nothing to do.
    fn pause(&self) {}

    /// A worker begins; `number` counts from 0.
    fn begin(&self, _number: usize) {}

    /// The worker of this thread ends.
    fn end(&self) {}
}

/// As fast as the processor goes.
pub(crate) struct Freely;

impl Pace for Freely {}
