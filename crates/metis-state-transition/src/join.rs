//! Work that may be done at the same time.

use auto_impl::auto_impl;

/// Does two pieces of work that do not need each other's results.
///
/// This crate has no threads; who has some lends them by this trait. The results are the same.
#[auto_impl(&)]
pub trait Join {
    /// Does `aside`, perhaps on another thread, and `here` on this one.
    fn join<A: Send, B>(&self, aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B);
}

/// One after the other, on this thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct InOrder;

impl Join for InOrder {
    fn join<A: Send, B>(&self, aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
        (aside(), here())
    }
}
