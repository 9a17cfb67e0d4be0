//! How long the tries take for state roots: `roots [accounts] [rounds]`.
//!
//! Random accounts are updated, 1,000 and 10,000 at a time; warm, in one process. Printed are the
//! time of the root (keys, walk, encodings, hashes), that of taking the version over, the
//! permutations of Keccak, and how long these alone would take.

use std::{collections::BTreeMap, hint::black_box, time::Instant};

use alloy_primitives::{Address, U256};
use metis_db::{HeapRegion, TrieOverlay, Tries};
use metis_keccak::{Lanes, pad};
use metis_state_transition::{Account, AccountChange, ChangeSet, InOrder, Join};

/// rayon's threads.
struct Threads;

impl Join for Threads {
    fn join<A: Send, B>(&self, aside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
        let (mut aside_result, mut here_result) = (None, None);
        rayon::in_place_scope(|scope| {
            scope.spawn(|_| aside_result = Some(aside()));
            here_result = Some(here());
        });
        (aside_result.unwrap(), here_result.unwrap())
    }
}

/// Not random in any sense that matters, but the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}

fn address(number: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&Numbers(number).next().to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Address::from(bytes)
}

fn changes(numbers: impl Iterator<Item = u64>, nonce: u64) -> ChangeSet {
    let account = |number: u64| Account { nonce, balance: U256::from(number) << 60, ..Account::default() };
    let change = |number| AccountChange { account: Some(account(number)), ..AccountChange::default() };
    let accounts: BTreeMap<_, _> = numbers.map(|number| (address(number), change(number))).collect();
    ChangeSet { accounts, ..ChangeSet::default() }
}

/// Milliseconds that this thread ran: other programs on the machine do not count.
fn cpu_ms() -> f64 {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = statistics.split(' ').next().and_then(|word| word.parse::<f64>().ok());
    nanoseconds.unwrap_or_default() / 1e6
}

/// Nanoseconds that one permutation takes, at its best, in full lanes.
fn permutation_ns(lanes: Lanes) -> f64 {
    let mut blocks = vec![[0; 136]; 4];
    pad(&mut blocks, 532);
    let messages = vec![&blocks[..]; lanes.width()];
    let mut hashes = vec![[0; 32]; lanes.width()];
    let mut best = f64::MAX;
    for _ in 0..200 {
        let start = Instant::now();
        lanes.hash_padded(black_box(&messages), &mut hashes);
        best = best.min(start.elapsed().as_nanos() as f64);
    }
    best / (4 * lanes.width()) as f64
}

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().unwrap());
    let account_count = arguments.next().unwrap_or(1_000_000);
    let rounds = arguments.next().unwrap_or(20);
    let mut tries = Tries::create(HeapRegion::new(64 << 30).unwrap()).unwrap();
    let start = Instant::now();
    for first in (0..account_count).step_by(100_000) {
        let changes = changes(first..(first + 100_000).min(account_count), 1);
        let overlay = tries.after(&changes, &InOrder, 1).unwrap();
        tries.absorb(&overlay).unwrap();
    }
    println!(
        "{account_count} accounts in {:.1} s, {} bytes each",
        start.elapsed().as_secs_f64(),
        tries.used_bytes() as u64 / account_count
    );
    let mut numbers = Numbers(7);
    for lanes in Lanes::all().into_iter().rev() {
        for (update_count, threads) in [(1_000, 1), (1_000, 2), (10_000, 1), (10_000, 2)] {
            tries.set_lanes(lanes);
            let permutation_ns = permutation_ns(lanes);
            let (mut root_ms, mut root_cpu_ms, mut absorb_ms) = (Vec::new(), Vec::new(), Vec::new());
            let mut work = Default::default();
            for round in 0..rounds {
                let changes = changes((0..update_count).map(|_| numbers.next() % account_count), round + 2);
                let (start, start_cpu) = (Instant::now(), cpu_ms());
                let overlay: TrieOverlay = match threads {
                    1 => tries.after(&changes, &InOrder, 1).unwrap(),
                    _ => tries.after(&changes, &Threads, threads).unwrap(),
                };
                root_ms.push(start.elapsed().as_secs_f64() * 1e3);
                root_cpu_ms.push(cpu_ms() - start_cpu);
                let start = Instant::now();
                tries.absorb(&overlay).unwrap();
                absorb_ms.push(start.elapsed().as_secs_f64() * 1e3);
                work = overlay.work();
            }
            root_ms.sort_by(f64::total_cmp);
            root_cpu_ms.sort_by(f64::total_cmp);
            absorb_ms.sort_by(f64::total_cmp);
            let half = root_ms.len() / 2;
            println!(
                "{:6} {update_count:6} updates, {threads} threads: root {:6.3} ms min {:6.3} median, this thread {:6.3} min {:6.3} median, take over {:6.3} ms, \
                 {} nodes, {} permutations at {permutation_ns:.0} ns = {:6.3} ms",
                lanes.name(),
                root_ms[0],
                root_ms[half],
                root_cpu_ms[0],
                root_cpu_ms[half],
                absorb_ms[half],
                work.node_count,
                work.permutation_count,
                work.permutation_count as f64 * permutation_ns / 1e6,
            );
        }
    }
}
