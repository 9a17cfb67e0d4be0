//! Memory of runs, kept for later ones.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::model::Workspace;

/// BOUND: workspaces that are kept.
const KEPT_MAX: usize = 4;

/// Workspaces of one plan.
#[derive(Default)]
pub(crate) struct Workspaces(Mutex<Vec<Workspace>>);

impl Workspaces {
    /// Lends one for so many threads, kept from an earlier run or made now. One whose user panics is not kept.
    pub(crate) fn lend<R>(
        &self,
        threads: usize,
        make: impl FnOnce() -> Workspace,
        work: impl FnOnce(&mut Workspace) -> R,
    ) -> R {
        let found = {
            let mut kept = self.kept();
            let place = kept.iter().position(|workspace| workspace.threads() == threads);
            place.map(|place| kept.swap_remove(place))
        };
        let mut workspace = found.unwrap_or_else(make);
        let done = work(&mut workspace);
        let mut kept = self.kept();
        if kept.len() == KEPT_MAX {
            kept.swap_remove(0);
        }
        kept.push(workspace);
        done
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Workspace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
