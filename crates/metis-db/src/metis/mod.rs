//! MetisDB: the store of every network.
//!
//! The newest value of everything lies in a flat index that readers look into without a lock; what
//! was before each version lies beside it, so that older snapshots read on. On a disk, a checkpoint
//! generation and the log of what was committed since are the state.

mod ahead;
mod archive;
mod branch;
mod checkpoint;
mod codes;
mod codes_file;
mod config;
mod cores;
mod dump;
mod durable;
mod encoding;
mod export;
mod generation;
mod genesis;
mod history;
mod image;
mod import;
mod meta;
mod open;
mod pages;
mod pins;
mod prune;
mod reader;
mod snapshot;
mod state;
mod stats;
mod store;
mod trunk;
mod verify;
mod versions;
mod wal;

pub use archive::ArchiveReport;
pub use branch::MetisBranch;
pub use checkpoint::CheckpointReport;
pub use config::{Durability, MetisConfig};
pub use cores::Cores;
pub use export::{StateCounts, StateExport};
pub use genesis::genesis_root;
pub use import::StateImport;
pub use prune::PruneReport;
pub use snapshot::MetisSnapshot;
pub use stats::{SectionBytes, StoreStats, stats};
pub use store::{MetisStore, Unsaved};
pub use verify::{StoreReport, inspect, verify};
