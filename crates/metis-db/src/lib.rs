//! State stores: where accounts, storage and code live, and what commits to them.
//!
//! In: a [`ChangeSet`](metis_state_transition::ChangeSet) per block. Out: snapshots to read from,
//! state roots, EIP-1186 proofs.
//!
//! Invariants: one writer; readers hold snapshots and are never blocked nor torn; the root of a
//! snapshot is the Merkle Patricia root of exactly the state it answers with; history inside the
//! kept window stays readable, nothing outside it does.
//!
//! [`MetisStore`] keeps the state on a disk and reads it in nanoseconds; [`MemoryStore`] keeps
//! everything in persistent maps, gone with the process, and is the one that forks of other chains
//! and the tests of the other use. The seam that both implement is [`StateStore`] with
//! [`StateSnapshot`].

mod commitment;
mod flat;
mod mapped;
mod memory;
mod metis;
mod missing;
mod proof;
mod region;
mod store;
pub mod torture;
mod trie;

pub use commitment::{TrieCensus, TrieContents, TrieOverlay, TrieWork, Tries};
pub use flat::TableLoad;
pub use memory::{ForkOrigin, GenesisAccount, MemorySnapshot, MemoryStore, Supply, known};
pub use metis::{
    ArchiveReport, CheckpointReport, Cores, Durability, MetisBranch, MetisConfig, MetisSnapshot, MetisStore,
    PruneReport, SectionBytes, StateCounts, StateExport, StateImport, StoreReport, StoreStats, Unsaved, genesis_root,
    inspect, stats, verify,
};
pub use missing::{MissingState, StateKey};
pub use proof::{AccountProof, MultiProof, MultiProofError, ProofError, ProvenAccount, StorageProof};
pub use region::{HeapRegion, Region};
pub use store::{CommittedBlock, StateSnapshot, StateStore, StoreError};
pub use trie::Trie;
