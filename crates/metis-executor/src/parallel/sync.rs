//! The primitives that workers meet at: those of the standard library and parking_lot. In this crate's own unit tests they
//! are shuttle's, which runs all threads on one and chooses at every one of them who goes on.

#[cfg(not(test))]
pub(super) use std::{
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    thread::scope,
};

#[cfg(not(test))]
pub(super) use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

#[cfg(test)]
pub(super) use {
    modelled::{Mutex, OnceLock, RwLock},
    shuttle::{
        sync::{
            Condvar, MutexGuard,
            atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
        },
        thread::scope,
    },
};

/// Sleeps until the condition is notified.
pub(super) fn wait<'a, T>(condition: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    #[cfg(not(test))]
    {
        let mut guard = guard;
        condition.wait(&mut guard);
        guard
    }
    #[cfg(test)]
    condition.wait(guard).unwrap()
}

/// What shuttle has not, or has with poisoning.
#[cfg(test)]
mod modelled {
    use shuttle::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    #[derive(Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner().unwrap()
        }
    }

    #[derive(Default)]
    pub(crate) struct RwLock<T>(shuttle::sync::RwLock<T>);

    impl<T> RwLock<T> {
        pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap()
        }

        pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap()
        }
    }

    /// Whoever comes while another one fills it waits where shuttle sees it.
    pub(crate) struct OnceLock<T> {
        filling: Mutex<()>,
        value: std::sync::OnceLock<T>,
    }

    impl<T> OnceLock<T> {
        pub(crate) const fn new() -> Self {
            Self { filling: Mutex::new(()), value: std::sync::OnceLock::new() }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            shuttle::thread::yield_now();
            self.value.get()
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            let held = self.filling.lock();
            if self.value.get().is_none() {
                let made = make();
                return self.value.get_or_init(|| made);
            }
            drop(held);
            self.value.get().unwrap()
        }

        pub(crate) fn take(&mut self) -> Option<T> {
            self.value.take()
        }
    }
}
