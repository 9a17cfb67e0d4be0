//! The processor's cores, lent to the state transition.

use metis_state_transition::Join;

/// The shared threads, one for each core.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cores;

impl Join for Cores {
    fn join<A: Send, B>(&self, aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
        let mut done = None;
        let here = rayon::in_place_scope(|scope| {
            scope.spawn(|_| done = Some(aside()));
            here()
        });
        // UNWRAP: the scope ends when what it spawned has.
        (done.unwrap(), here)
    }
}
