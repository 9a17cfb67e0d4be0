//! What came of a batch that was run ahead of its turn.

use alloy_primitives::{Address, U256};
use metis_state_transition::AccountEffect;

use super::{line::Taken, local::Local};
use crate::parallel::attempt::End;

/// A batch that was run ahead of its turn.
pub(in crate::parallel) struct Batch<'m> {
    pub(in crate::parallel) taken: Taken,
    /// What its transactions read and changed together.
    pub(in crate::parallel) local: Local<'m>,
    /// Its transactions, up to the first that could not be run.
    pub(in crate::parallel) runs: Vec<Run>,
}

/// A transaction of a batch.
pub(in crate::parallel) struct Run {
    pub(in crate::parallel) end: End,
    /// What it changed itself, should it be committed without those that follow it in the batch.
    pub(in crate::parallel) effects: Vec<AccountEffect>,
    pub(in crate::parallel) fees: [Option<(Address, U256)>; 2],
}

impl Batch<'_> {
    pub(in crate::parallel) fn new(taken: Taken) -> Self {
        Self { taken, local: Local::default(), runs: Vec::new() }
    }
}
