//! MetisDB beside LMDB (heed), redb and the in-memory store: reads, roots and durable commits in one run.
//!
//! Usage: `metis-db-bench [--accounts N] [--slots N] [--rounds N] [--only roots|store]`; prints one JSON
//! document, and says on standard error what it is doing. A read is one account by its address, out of a
//! snapshot or read transaction that is open. Times are of the wall clock; those of roots also of the
//! processor.

mod blocks;
mod commits;
mod floors;
mod reads;
mod rivals;
mod roots;
mod store;
mod timing;
mod workload;

use mimalloc::MiMalloc;
use serde_json::{Value, json};
use workload::State;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// What is being done, for who waits.
fn progress(what: &str) {
    eprintln!("{what}");
}

/// What was asked for.
struct Arguments {
    state: State,
    rounds: u64,
    only: Option<String>,
}

impl Arguments {
    fn parse() -> Result<Self, String> {
        let mut arguments =
            Self { state: State { account_count: 1_000_000, slot_count: 1_000_000 }, rounds: 30, only: None };
        let mut words = std::env::args().skip(1);
        while let Some(name) = words.next() {
            let value = words.next().ok_or(format!("{name} needs a value"))?;
            let number = || value.parse::<u64>().map_err(|error| format!("{name} {value}: {error}"));
            match name.as_str() {
                "--accounts" => arguments.state.account_count = number()?.max(reads_min()),
                "--slots" => arguments.state.slot_count = number()?,
                "--rounds" => arguments.rounds = number()?.max(1),
                "--only" if ["roots", "store"].contains(&value.as_str()) => arguments.only = Some(value),
                _ => return Err(format!("{name} {value} is not known")),
            }
        }
        Ok(arguments)
    }

    fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == part)
    }
}

const fn reads_min() -> u64 {
    store::HOT_COUNT
}

fn main() -> Result<(), String> {
    let arguments = Arguments::parse()?;
    let mut rows: Vec<Value> = Vec::new();
    let mut document = json!({
        "accounts": arguments.state.account_count,
        "slots": arguments.state.slot_count,
        "cores": metis_db::Cores::get().count(),
        "method": "reads: nanoseconds per read over groups of 32; roots and commits: medians of rounds; \
                   cold: files dropped from the page cache, then opened",
    });
    if arguments.wants("roots") {
        rows.extend(roots::rows(arguments.state, arguments.rounds));
    }
    if arguments.wants("store") {
        rows.extend(store::rows(arguments.state));
    }
    document["rows"] = rows.into();
    println!("{document}");
    Ok(())
}
