//! State roots after random account updates: keys hashed, tries walked, nodes encoded and hashed.

use std::{hint::black_box, time::Instant};

use metis_db::{Cores, HeapRegion, TrieWork, Tries};
use metis_keccak::Lanes;
use metis_state_transition::InOrder;
use serde_json::Value;

use crate::{
    floors, progress,
    timing::{Spread, count, row, thread_cpu_s},
    workload::{State, changes},
};

/// Accounts that are loaded at a time.
const LOAD_COUNT: u64 = 50_000;
/// BOUND: address space of the tries.
const RESERVED_BYTES: usize = 64 << 30;

/// One way to make a root.
#[derive(Clone, Copy)]
struct Way {
    update_count: usize,
    threads: usize,
    lanes: Lanes,
}

struct Measured {
    root_ms: Spread,
    /// Of the thread that asked, which is all there is where there is one.
    cpu_ms: Spread,
    absorb_ms: Spread,
    work: TrieWork,
}

fn measure(tries: &mut Tries<HeapRegion>, state: State, way: Way, rounds: u64, number: &mut u64) -> Measured {
    tries.set_lanes(way.lanes);
    let (mut root_ms, mut cpu_ms, mut absorb_ms) = (Vec::new(), Vec::new(), Vec::new());
    let mut work = TrieWork::default();
    // The first rounds bring memory and caches into the state that they then stay in.
    for round in 0..rounds + 2 {
        *number += 1;
        let changes = changes(*number, way.update_count, state.account_count);
        let (start, start_cpu_s) = (Instant::now(), thread_cpu_s());
        let overlay = match way.threads {
            1 => tries.after(&changes, &InOrder, 1),
            threads => tries.after(&changes, &Cores::get(), threads),
        };
        let overlay = black_box(overlay.expect("readable"));
        let (elapsed, cpu_s) = (start.elapsed(), thread_cpu_s() - start_cpu_s);
        let start = Instant::now();
        tries.absorb(&overlay).expect("room");
        if round >= 2 {
            root_ms.push(elapsed.as_secs_f64() * 1e3);
            cpu_ms.push(cpu_s * 1e3);
            absorb_ms.push(start.elapsed().as_secs_f64() * 1e3);
        }
        work = overlay.work();
    }
    let [root_ms, cpu_ms, absorb_ms] = [root_ms, cpu_ms, absorb_ms].map(Spread::new);
    Measured { root_ms, cpu_ms, absorb_ms, work }
}

/// Rows of all ways, and what a root's update costs.
pub fn rows(state: State, rounds: u64) -> Vec<Value> {
    let region = HeapRegion::new(RESERVED_BYTES).expect("address space");
    let mut tries = Tries::create(region).expect("room");
    for first in (0..state.account_count).step_by(LOAD_COUNT as usize) {
        progress(&format!("tries: {first} of {} accounts", state.account_count));
        let changes = state.part(first..(first + LOAD_COUNT).min(state.account_count));
        let overlay = tries.after(&changes, &InOrder, 1).expect("readable");
        tries.absorb(&overlay).expect("room");
    }
    let cores = Cores::get().count();
    let mut rows = Vec::new();
    let mut number = 1;
    for lanes in Lanes::all().into_iter().rev() {
        let name = format!("permutation of Keccak, {}, {} at once", lanes.name(), lanes.width());
        rows.push(row(&name, "ns", &floors::permutation(lanes), &[]));
        for update_count in [1_000, 10_000] {
            for threads in if cores > 1 { vec![1, cores] } else { vec![1] } {
                let way = Way { update_count, threads, lanes };
                progress(&format!("roots: {update_count} updates, {}, {threads} threads", lanes.name()));
                let measured = measure(&mut tries, state, way, rounds, &mut number);
                rows.extend(rows_of(way, &measured));
            }
        }
    }
    rows
}

fn rows_of(way: Way, measured: &Measured) -> Vec<Value> {
    let Way { update_count, threads, lanes } = way;
    let name = format!("root of {update_count} updates, {}, {threads} {}", lanes.name(), threads_word(threads));
    let mut rows = vec![row(&name, "ms", &measured.root_ms, &[])];
    if threads == 1 {
        rows.push(row(&format!("{name}, processor time"), "ms", &measured.cpu_ms, &[]));
    }
    if threads == 1 && lanes == Lanes::best() {
        let per_update = |count: usize| count as f64 / update_count as f64;
        let TrieWork { node_count, permutation_count } = measured.work;
        let of = format!("of {update_count} updates");
        rows.push(row(&format!("take over {of}"), "ms", &measured.absorb_ms, &[]));
        rows.push(count(&format!("nodes {of}"), "per update", per_update(node_count)));
        rows.push(count(&format!("permutations {of}"), "per update", per_update(permutation_count)));
    }
    rows
}

const fn threads_word(count: usize) -> &'static str {
    if count == 1 { "thread" } else { "threads" }
}
