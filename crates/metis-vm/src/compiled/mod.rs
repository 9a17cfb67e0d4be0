//! Tier 1: machine code that a compiler outside this process made from a contract's bytecode.
//!
//! In: artifacts (docs/metisvm-abi.md). Out: frames that end exactly as tier 0 ends them, sooner.
//! The [`Registry`] says what is hot and holds what is compiled; the runner enters compiled code at
//! the frame's program counter and goes on in tier 0 wherever compiled code gives up.

pub mod abi;
mod arithmetic;
mod artifact;
mod code;
mod entry;
mod guard;
mod host;
mod loader;
mod registry;
mod runner;
mod seen;

pub use artifact::{Artifact, ArtifactError, Entry};
pub use registry::{CodeReport, Counters, HotCode, Mode, Registry, RegistryLimits};
pub use runner::TieredRunner;
