//! What the machine itself takes, so that figures beside it can be judged: a permutation of Keccak,
//! and a line of memory.

use std::{collections::HashSet, hint::black_box, time::Instant};

use metis_db::{HeapRegion, Region};
use metis_keccak::{BLOCK_BYTES, Lanes};

use crate::{timing::Spread, workload::Random};

/// Messages as long as a branch with sixteen children is encoded.
const BLOCK_COUNT: usize = 4;
/// Calls that are timed together.
const GROUP_CALLS: usize = 100;
const GROUP_COUNT: usize = 300;
/// As far as the index of a million accounts reaches, in huge pages as it is.
const MEMORY_BYTES: usize = 256 << 20;
/// As an entry of the index.
const PLACE_BYTES: usize = 128;
const GROUP_LINES: usize = 32;

/// Nanoseconds for one permutation in every lane.
pub fn permutation(lanes: Lanes) -> Spread {
    let message = [[7; BLOCK_BYTES]; BLOCK_COUNT];
    let messages = vec![&message[..]; lanes.width()];
    let mut hashes = vec![[0; 32]; lanes.width()];
    let timed = (0..GROUP_COUNT).map(|_| {
        let start = Instant::now();
        for _ in 0..GROUP_CALLS {
            lanes.hash_padded(black_box(&messages), &mut hashes);
        }
        start.elapsed().as_nanos() as f64 / (GROUP_CALLS * BLOCK_COUNT) as f64
    });
    let spread = Spread::new(timed.collect());
    black_box(hashes);
    spread
}

/// Nanoseconds for a line of memory out of so many, each telling where the next one is.
pub fn line(line_count: usize) -> Spread {
    let mut region = HeapRegion::new(MEMORY_BYTES).expect("address space");
    region.grow(MEMORY_BYTES).expect("memory");
    let bytes = region.bytes_mut(0..MEMORY_BYTES);
    bytes.fill(0);
    let (mut random, mut seen, mut places) = (Random(11), HashSet::new(), Vec::with_capacity(line_count));
    while places.len() < line_count {
        let place = random.below((MEMORY_BYTES / PLACE_BYTES) as u64) as usize * PLACE_BYTES;
        if seen.insert(place) {
            places.push(place);
        }
    }
    for (index, place) in places.iter().enumerate() {
        let next = places[(index + 1) % line_count] as u64;
        bytes[*place..*place + 8].copy_from_slice(&next.to_le_bytes());
    }
    let bytes = region.bytes();
    let (words, _) = bytes.as_chunks::<8>();
    let mut at = places[0];
    let mut group = || {
        let start = Instant::now();
        for _ in 0..GROUP_LINES {
            at = u64::from_le_bytes(words[at / 8]) as usize;
        }
        start.elapsed().as_nanos() as f64 / GROUP_LINES as f64
    };
    // Twice over all of them before it counts.
    let warm_up_groups = 2 * line_count / GROUP_LINES;
    let timed: Vec<f64> = (0..warm_up_groups * 3).map(|_| group()).skip(warm_up_groups).collect();
    black_box(at);
    Spread::new(timed)
}
