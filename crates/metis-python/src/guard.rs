//! Panics stop here.

use std::{
    any::Any,
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Once,
};

use pyo3::prelude::*;

use crate::errors::engine_fault;

thread_local! {
    static PANIC_LOCATION: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Notes where a panic happened instead of printing it: the Python error carries it.
fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let location = info.location().map(|place| format!("{}:{}", in_crate(place.file()), place.line()));
            let location = location.unwrap_or_default();
            PANIC_LOCATION.with(|slot| *slot.borrow_mut() = location);
        }));
    });
}

/// A source path without the folders of the machine that compiled it: a dependency's from its
/// crate's name on.
fn in_crate(path: &str) -> &str {
    let Some((_, from_registry)) = path.split_once("/registry/src/") else { return path };
    from_registry.split_once('/').map_or(from_registry, |(_, from_crate)| from_crate)
}

/// Runs `work`; a panic in it becomes `EngineFault`.
///
/// Unwind safety: engine state is only replaced as a whole after work on it has succeeded, so
/// nothing half-done is visible afterwards.
pub fn guard<T>(work: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    install_hook();
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(payload) => Err(fault(&*payload)),
    }
}

/// Like [`guard`], with the interpreter lock free while `work` runs.
pub fn guard_free<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    install_hook();
    py.detach(|| catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(&*payload)))
        .map_err(|message| engine_fault(&message))
}

fn fault(payload: &(dyn Any + Send)) -> PyErr {
    engine_fault(&message(payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a message".into());
    let location = PANIC_LOCATION.with(RefCell::take);
    if location.is_empty() { text } else { format!("{text} (at {location})") }
}
