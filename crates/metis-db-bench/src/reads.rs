//! Reads of one account by its address, or of one slot by its number and its account's address.
//!
//! The keys of a row are made beforehand and lie one after the other: what is measured is the
//! read. A row is measured twice: each read waiting for the value of the one before, which is what
//! one read takes, and independent of each other, where the processor works at several.

use std::{hint::black_box, time::Instant};

use crate::{timing::Spread, workload::Random};

/// Reads that are timed together: the clock costs as much as one read.
const GROUP_READS: usize = 32;
const GROUP_COUNT: usize = 10_000;
/// Keys of a row of random ones: more than what they lead to can stay in any cache.
const RANDOM_COUNT: usize = 1 << 18;
/// Groups that come before those that count.
const WARM_UP_GROUPS: usize = 2_000;

/// What is read: accounts or slots.
#[derive(Debug)]
pub struct Keys<K>(Vec<K>);

impl<K> Keys<K> {
    /// So many out of all, spread over them, in random order, again and again. `key`: each of them by its number.
    pub fn hot(count: u64, all_count: u64, key: impl Fn(u64) -> K) -> Self {
        let mut random = Random(3);
        let mut keys: Vec<K> = (0..count).map(|index| key(index * (all_count / count))).collect();
        for index in (1..keys.len()).rev() {
            keys.swap(index, random.below(index as u64 + 1) as usize);
        }
        Self(keys)
    }

    /// Any of them.
    pub fn random(all_count: u64, key: impl Fn(u64) -> K) -> Self {
        let mut random = Random(7);
        Self((0..RANDOM_COUNT).map(|_| key(random.below(all_count))).collect())
    }
}

/// Nanoseconds per read, by group. What `read` gives depends on all of the value having been read.
pub fn measure<K>(keys: &Keys<K>, is_dependent: bool, read: &impl Fn(&K) -> u64) -> Spread {
    // Zero, which the compiler cannot know.
    let mask = if black_box(true) { 0 } else { u64::MAX };
    let mask = if is_dependent { mask } else { 0 };
    let keys = &keys.0[..keys.0.len() / GROUP_READS * GROUP_READS];
    let (mut groups, mut last) = (keys.chunks_exact(GROUP_READS).cycle(), 0);
    let mut nanoseconds = Vec::with_capacity(GROUP_COUNT);
    for round in 0..WARM_UP_GROUPS + GROUP_COUNT {
        let group = groups.next().expect("an endless cycle of groups");
        let start = Instant::now();
        if is_dependent {
            for index in 0..GROUP_READS {
                // What was read is part of what is read next.
                last = read(&group[(index + (last & mask) as usize) % GROUP_READS]);
            }
        } else {
            for key in group {
                last = last.wrapping_add(read(key));
            }
        }
        let elapsed = start.elapsed();
        if round >= WARM_UP_GROUPS {
            nanoseconds.push(elapsed.as_nanos() as f64 / GROUP_READS as f64);
        }
    }
    black_box(last);
    Spread::new(nanoseconds)
}

/// Nanoseconds per read of batches that are read by one call.
pub fn measure_batches<K>(keys: &Keys<K>, batch: usize, mut read: impl FnMut(&[K])) -> Spread {
    let batches = || keys.0.chunks_exact(batch);
    batches().for_each(&mut read);
    let timed = batches().cycle().take(600).map(|batch| {
        let start = Instant::now();
        read(batch);
        start.elapsed().as_nanos() as f64 / batch.len() as f64
    });
    Spread::new(timed.collect())
}

/// Nanoseconds of each of the first reads after a store was opened, one by one.
pub fn measure_first<K>(keys: &Keys<K>, count: usize, read: &impl Fn(&K) -> u64) -> Spread {
    let timed = keys.0.iter().take(count).map(|key| {
        let start = Instant::now();
        black_box(read(key));
        start.elapsed().as_nanos() as f64
    });
    Spread::new(timed.collect())
}
