//! How a store behaves.

use crate::flat::{SEGMENT_LOG2, SEGMENT_LOG2_MIN, Seed};

/// When a committed block is sure to survive a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the call that commits it returns.
    #[default]
    EveryBlock,
    /// When [`MetisStore::flush`](super::MetisStore::flush) returns: one sync for many blocks.
    OnFlush,
    /// With the next checkpoint; nothing is logged. For who keeps the blocks elsewhere.
    OnCheckpoint,
}

/// How a store behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetisConfig {
    /// Older states that are kept whole; `usize::MAX` keeps all of them.
    pub(crate) kept_block_count: usize,
    /// When a block is durable.
    pub(crate) durability: Durability,
    /// Where keys lie in the index follows from it: nobody who can choose keys may know it.
    pub(crate) seed: Seed,
    pub(crate) segment_log2: u32,
    pub(crate) is_archive: bool,
}

impl MetisConfig {
    /// The usual: 128 older states, every block durable.
    pub const fn new(secret: [u64; 4]) -> Self {
        let seed = Seed::from_secret(secret);
        Self {
            kept_block_count: 128,
            durability: Durability::EveryBlock,
            seed,
            segment_log2: SEGMENT_LOG2,
            is_archive: false,
        }
    }

    /// So many older states stay readable; `usize::MAX` keeps all of them.
    #[must_use]
    pub const fn keeping(mut self, block_count: usize) -> Self {
        self.kept_block_count = block_count;
        self
    }

    /// No state is forgotten: those that leave the window go to history files with each checkpoint, or stay in memory
    /// where there is no disk. A store of a disk that has a history goes on with it, whatever it is opened with.
    #[must_use]
    pub const fn archiving(mut self) -> Self {
        self.is_archive = true;
        self
    }

    /// When a block is durable.
    #[must_use]
    pub const fn durable(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Smaller segments of the index, so that a few keys fill some. For tests of that.
    ///
    /// # Panics
    /// Outside 6 to 14 (8 KiB to 2 MiB).
    #[must_use]
    pub const fn with_segments(mut self, segment_log2: u32) -> Self {
        assert!(SEGMENT_LOG2_MIN <= segment_log2 && segment_log2 <= SEGMENT_LOG2);
        self.segment_log2 = segment_log2;
        self
    }
}
