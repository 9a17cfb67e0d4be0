//! Threads that run the same steps, each its share, and wait for each other between them.

use crate::memory::Aligned;

/// Runs `work` once for each scratch, at the same time where there are threads: with the scratch, its number, and a
/// function that returns when all have called it as often.
#[cfg(feature = "std")]
pub(crate) fn run(scratch: &mut [Aligned], work: impl Fn(&mut Aligned, usize, &dyn Fn()) + Sync) {
    let barrier = Barrier::new(scratch.len());
    let part_of = |(part, scratch): (usize, &mut Aligned)| {
        let guard = Guard(&barrier);
        work(scratch, part, &|| barrier.wait());
        core::mem::forget(guard);
    };
    std::thread::scope(|threads| {
        let mut parts = scratch.iter_mut().enumerate();
        let first = parts.next();
        // A thread that cannot be made is a panic here, while others may already wait.
        let guard = Guard(&barrier);
        for one in parts {
            threads.spawn(move || part_of(one));
        }
        core::mem::forget(guard);
        if let Some(one) = first {
            part_of(one);
        }
    });
}

/// Without std there is one thread.
#[cfg(not(feature = "std"))]
pub(crate) fn run(scratch: &mut [Aligned], work: impl Fn(&mut Aligned, usize, &dyn Fn()) + Sync) {
    if let Some(first) = scratch.first_mut() {
        work(first, 0, &|| ());
    }
}

#[cfg(feature = "std")]
use barrier::{Barrier, Guard};

#[cfg(feature = "std")]
mod barrier {
    use core::{
        hint::spin_loop,
        sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    };

    /// How often a waiting thread looks before it lets others have its processor. Steps take microseconds.
    const LOOKS: usize = 1 << 10;

    /// A barrier that a panic breaks, so that nobody waits for a thread that is gone.
    pub(super) struct Barrier {
        parts: usize,
        arrived: AtomicUsize,
        round: AtomicUsize,
        is_broken: AtomicBool,
    }

    /// Breaks the barrier when it is dropped: when its thread panics.
    pub(super) struct Guard<'a>(pub(super) &'a Barrier);

    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            self.0.is_broken.store(true, Ordering::Release);
        }
    }

    impl Barrier {
        pub(super) const fn new(parts: usize) -> Self {
            Self { parts, arrived: AtomicUsize::new(0), round: AtomicUsize::new(0), is_broken: AtomicBool::new(false) }
        }

        pub(super) fn wait(&self) {
            let round = self.round.load(Ordering::Acquire);
            if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == self.parts {
                self.arrived.store(0, Ordering::Release);
                self.round.store(round.wrapping_add(1), Ordering::Release);
                return;
            }
            let mut looks = 0;
            while self.round.load(Ordering::Acquire) == round {
                assert!(!self.is_broken.load(Ordering::Acquire), "another thread of the run panicked");
                looks += 1;
                if looks < LOOKS { spin_loop() } else { std::thread::yield_now() }
            }
        }
    }
}
