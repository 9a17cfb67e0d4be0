//! MetisDB: the store of every network.
//!
//! The newest value of everything lies in a flat index that readers look into without a lock; what
//! was before each version lies beside it, so that older snapshots read on. On a disk, a checkpoint
//! generation and the log of what was committed since are the state.

mod branch;
mod codes;
mod codes_file;
mod config;
mod cores;
mod durable;
mod encoding;
mod history;
mod image;
mod meta;
mod open;
mod pages;
mod pins;
mod snapshot;
mod state;
mod store;
mod trunk;
mod verify;
mod versions;
mod wal;

pub use branch::MetisBranch;
pub use config::{Durability, MetisConfig};
pub use snapshot::MetisSnapshot;
pub use store::{MetisStore, Unsaved};
pub use verify::{StoreReport, inspect, verify};
