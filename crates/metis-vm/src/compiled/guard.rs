//! Keeps panics of host functions out of compiled code.
//!
//! Unwinding into machine code without unwinding tables is undefined. A panic is kept for this
//! thread, compiled code is told to leave where it can be told, and whoever called it goes on with
//! the panic ([`resume_kept_panic`]).

use core::{
    any::Any,
    cell::Cell,
    sync::atomic::{AtomicBool, Ordering},
};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

type Payload = Box<dyn Any + Send>;

/// Set once a panic was kept anywhere; until then no frame looks further.
static ANY_PANIC: AtomicBool = AtomicBool::new(false);

thread_local! {
    static KEPT_PANIC: Cell<Option<Payload>> = const { Cell::new(None) };
}

#[cold]
#[inline(never)]
fn keep_panic(payload: Payload) {
    ANY_PANIC.store(true, Ordering::Relaxed);
    KEPT_PANIC.with(|kept| {
        // The first panic is the cause of those after it.
        let first = kept.take().unwrap_or(payload);
        kept.set(Some(first));
    });
}

/// Goes on with a panic that a host function caught on this thread.
#[inline]
pub fn resume_kept_panic() {
    if ANY_PANIC.load(Ordering::Relaxed)
        && let Some(payload) = KEPT_PANIC.with(Cell::take)
    {
        resume_unwind(payload);
    }
}

/// Runs a host function's work; `otherwise` where it panics.
#[inline(always)]
pub fn guarded<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => value,
        Err(payload) => {
            keep_panic(payload);
            otherwise
        }
    }
}
