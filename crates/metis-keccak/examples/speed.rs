//! Nanoseconds per permutation of every set of instructions that this processor has.

use std::{hint::black_box, time::Instant};

use metis_keccak::{Lanes, pad};

fn main() {
    for lanes in Lanes::all() {
        for (len, name) in [(100, "leaf"), (532, "full branch")] {
            let mut blocks = vec![[0; 136]; len / 136 + 1];
            pad(&mut blocks, len);
            let messages = vec![&blocks[..]; lanes.width()];
            let mut hashes = vec![[0; 32]; lanes.width()];
            let mut nanoseconds = f64::MAX;
            for _ in 0..50 {
                let start = Instant::now();
                for _ in 0..200 {
                    lanes.hash_padded(black_box(&messages), &mut hashes);
                }
                let permutations = 200 * lanes.width() * blocks.len();
                nanoseconds = nanoseconds.min(start.elapsed().as_nanos() as f64 / permutations as f64);
            }
            println!("{:7} {name:12} {nanoseconds:6.1} ns per permutation", lanes.name());
        }
    }
}
