//! A run that only finds out what it will ask for.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use crate::{MissingState, StateKey};

/// BOUND: keys that one run may find; with more the run ends, and the next one finds the rest.
const KEY_COUNT_MAX: usize = 1_024;

/// Keeps the keys that a run missed, and lets it go on.
#[derive(Debug, Default)]
pub(super) struct Probe {
    keys: Mutex<BTreeSet<StateKey>>,
}

impl Probe {
    /// Answers a read that failed with a placeholder, after noting what is missing.
    pub(super) fn answer<T>(&self, missing: MissingState, placeholder: T) -> Result<T, MissingState> {
        let mut keys = self.keys.lock();
        keys.insert(missing.0);
        if keys.len() >= KEY_COUNT_MAX { Err(missing) } else { Ok(placeholder) }
    }

    /// The keys, sorted.
    pub(super) fn keys(&self) -> Vec<StateKey> {
        self.keys.lock().iter().copied().collect()
    }
}
