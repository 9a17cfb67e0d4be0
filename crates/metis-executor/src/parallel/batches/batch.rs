//! What came of a batch that was run ahead of its turn.

use alloy_primitives::{Address, U256};
use metis_state_transition::AccountEffect;

use super::{line::Taken, local::Local};
use crate::parallel::attempt::End;

/// A batch that was run ahead of its turn.
pub(super) struct Batch<'m> {
    pub(super) taken: Taken,
    /// What its transactions read and changed together.
    pub(super) local: Local<'m>,
    /// Its transactions, up to the first that could not be run.
    pub(super) runs: Vec<Run>,
}

/// A transaction of a batch.
pub(super) struct Run {
    pub(super) end: End,
    /// What it changed itself, should it be committed without those that follow it in the batch.
    pub(super) effects: Vec<AccountEffect>,
    pub(super) fees: [Option<(Address, U256)>; 2],
}

impl Batch<'_> {
    pub(super) fn new(taken: Taken) -> Self {
        Self { taken, local: Local::default(), runs: Vec::new() }
    }
}
