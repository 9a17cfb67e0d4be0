//! Crash tests that anybody can run again with a seed.
//!
//! A plan of steps follows from the seed. A store that was cut off anywhere must open again with
//! exactly the state after one step: the last one that was acknowledged, or the one under way. The
//! in-memory store, given the same plan, says what that state is.

mod images;
mod plan;
mod process;

pub use images::torture_images;
pub use process::{check_after_kill, write_until_killed};

/// What a run of crash tests found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TortureReport {
    /// Plans that were run.
    pub rounds: u64,
    /// Disks that were opened after a crash.
    pub images: u64,
    /// What went wrong, with what it takes to see it again.
    pub failures: Vec<String>,
}
