//! A process that writes until it is killed, and the check of what it left.

use std::sync::Arc;

use metis_disk::FileDisk;

use super::plan::{Models, open, step, take_step};
use crate::{StateSnapshot, StateStore};

fn disk(path: &str) -> Result<Arc<FileDisk>, String> {
    FileDisk::new(path).map(Arc::new).map_err(|error| error.to_string())
}

/// Takes steps of the plan in a directory, from the `begun`th on, until the process is killed or
/// `step_count` are taken; tells `acknowledge` after each how many were.
///
/// # Errors
/// What went wrong.
pub fn write_until_killed(
    path: &str,
    seed: u64,
    begun: u64,
    step_count: u64,
    mut acknowledge: impl FnMut(u64),
) -> Result<(), String> {
    let store = open(disk(path)?, seed).map_err(|error| error.to_string())?;
    acknowledge(begun);
    for number in begun..step_count {
        take_step(&store, number, &step(seed, number))?;
        acknowledge(number + 1);
    }
    Ok(())
}

/// Checks the store of a directory whose writer was killed after it had acknowledged so many steps.
/// Gives back how many it has.
///
/// # Errors
/// What is wrong with it.
pub fn check_after_kill(path: &str, seed: u64, acknowledged: u64) -> Result<u64, String> {
    let store = open(disk(path)?, seed).map_err(|error| error.to_string())?;
    let count = Models::new(seed).check(&store, acknowledged, acknowledged + 1)?;
    debug_assert!(store.latest().block().number <= count, "a block per step at most");
    Ok(count)
}
