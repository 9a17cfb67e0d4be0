//! A hash table that threads fill together and that never loses an entry while it is shared.

use std::hash::{BuildHasher, Hash};

use alloy_primitives::map::DefaultHashBuilder;
use rayon::prelude::*;

use super::sync::OnceLock;

/// BOUND: buckets, 16 bytes each. Chains grow beyond it.
const BUCKET_COUNT_MAX: usize = 1 << 20;
const BUCKET_COUNT_MIN: usize = 1 << 8;

/// Buckets that a thread frees at a time. Fewer are freed sooner than other threads are woken.
const FREED_COUNT: usize = 1 << 13;

type Link<K, V> = OnceLock<Box<Node<K, V>>>;

/// Finding an entry takes no lock and writes nothing, so that what all threads look up stays in all their caches.
/// Entries do not move: references to them are valid as long as the table.
pub(super) struct Table<K: Send, V: Send> {
    buckets: Box<[Link<K, V>]>,
    /// Seeded at random: nobody can choose keys that share a bucket.
    hasher: DefaultHashBuilder,
}

/// An entry of a table.
pub(super) struct Entry<'t, K, V> {
    pub(super) key: &'t K,
    pub(super) value: &'t V,
}

impl<K, V> Clone for Entry<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Entry<'_, K, V> {}

struct Node<K: Send, V: Send> {
    key: K,
    value: V,
    next: Link<K, V>,
}

impl<K: Eq + Hash + Send, V: Send> Table<K, V> {
    /// A table for about this many entries.
    pub(super) fn new(entry_count: usize) -> Self {
        let count = entry_count.next_power_of_two().clamp(BUCKET_COUNT_MIN, BUCKET_COUNT_MAX);
        let buckets = std::iter::repeat_with(OnceLock::new).take(count).collect();
        Self { buckets, hasher: DefaultHashBuilder::default() }
    }

    fn bucket(&self, key: &K) -> &Link<K, V> {
        // The upper half: the lower one may be weaker.
        let hash = (self.hasher.hash_one(key) >> 32) as usize;
        &self.buckets[hash & (self.buckets.len() - 1)]
    }

    /// The entry of a key, made where there is none. `make` is run by one thread at most for each entry, and must not
    /// look into the table.
    pub(super) fn entry(&self, key: K, make: impl FnOnce() -> V) -> Entry<'_, K, V> {
        let mut link = self.bucket(&key);
        let mut missing = Some((key, make));
        loop {
            let node = link.get_or_init(|| {
                // UNWRAP: taken once: the thread that makes a node finds its own key in it, below.
                let (key, make) = missing.take().unwrap();
                Box::new(Node { key, value: make(), next: OnceLock::new() })
            });
            match &missing {
                Some((key, _)) if node.key != *key => link = &node.next,
                _ => return Entry { key: &node.key, value: &node.value },
            }
        }
    }
}

impl<K: Send, V: Send> Drop for Table<K, V> {
    fn drop(&mut self) {
        // One after the other: a long chain would be as many calls deep.
        let free = |bucket: &mut Link<K, V>| {
            let mut link = bucket.take();
            while let Some(mut node) = link {
                link = node.next.take();
            }
        };
        if self.buckets.len() <= FREED_COUNT {
            self.buckets.iter_mut().for_each(free);
        } else {
            self.buckets.par_chunks_mut(FREED_COUNT).for_each(|buckets| buckets.iter_mut().for_each(free));
        }
    }
}
