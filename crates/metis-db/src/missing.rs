//! What a forked store may lack.

use alloy_primitives::{Address, U256};

/// Names a part of the state that lies with another node until somebody fetches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKey {
    /// An account with its code.
    Account(Address),
    /// A slot of an account.
    Slot(Address, U256),
    /// The hash of a block before the fork, by its number.
    BlockHash(u64),
}

/// State of a forked chain that was asked for and is not here yet; nobody knows what it is.
///
/// Only stores that were forked answer so: [`crate::MemoryStore::new`] holds everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state of the forked chain is not here yet: {0:?}")]
pub struct MissingState(pub StateKey);
