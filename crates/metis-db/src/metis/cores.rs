//! The processor's cores, for the hashes of large changes.

use std::sync::OnceLock;

use metis_state_transition::Join;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// As many threads as there are cores, the one that asks among them.
///
/// They are not rayon's shared ones: who waits for those does other work meanwhile, such as that of
/// a block that is executed at the same time, and would hold the tries for so long.
#[derive(Clone, Copy, Debug)]
pub struct Cores(Option<&'static ThreadPool>);

impl Cores {
    /// The threads, which are started when they are first asked for.
    pub fn get() -> Self {
        static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
        let pool = POOL.get_or_init(|| {
            let count = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            let builder = ThreadPoolBuilder::new().num_threads(count - 1).thread_name(|_| "metis-roots".into());
            // Without threads everything is done by who asks: slower, and no less right.
            if count > 1 { builder.build().ok() } else { None }
        });
        Self(pool.as_ref())
    }

    /// How many of them there are.
    pub fn count(self) -> usize {
        self.0.map_or(1, |pool| pool.current_num_threads() + 1)
    }
}

impl Join for Cores {
    fn join<A: Send, B>(&self, aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
        let Some(pool) = self.0 else { return (aside(), here()) };
        let mut done = None;
        let here = pool.in_place_scope(|scope| {
            scope.spawn(|_| done = Some(aside()));
            here()
        });
        // UNWRAP: the scope ends when what it spawned has.
        (done.unwrap(), here)
    }
}

#[cfg(test)]
mod tests {
    #![allow(non_snake_case)]
    use super::*;

    #[test]
    fn test_cores__joined_inside_each_other__do_everything_once() {
        fn sum(cores: Cores, range: std::ops::Range<u64>) -> u64 {
            if range.end - range.start <= 1 {
                return range.start;
            }
            let half = range.start.midpoint(range.end);
            let (aside, here) = cores.join(|| sum(cores, half..range.end), || sum(cores, range.start..half));
            aside + here
        }
        let cores = Cores::get();
        assert!(cores.count() >= 1);
        assert_eq!(sum(cores, 0..100), 4_950);
    }
}
