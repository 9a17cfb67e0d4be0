//! Code that comes, goes and fails while it runs.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::support::{
    Jumps, compile,
    programs::{all, loop_with_storage},
    world::{CALLER, CODE, World},
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use metis_state_transition::{
    Account, BlockEnvironment, ChainPrecompiles, ChainSpec, Code, Evm, Fork, FrameRunner, StateView,
};
use metis_vm::{
    Registry, TieredRunner,
    compiled::{Mode, RegistryLimits},
};

const PAGE_BYTES: usize = 4096;

fn registry(mode: Mode, limits: RegistryLimits) -> Arc<Registry> {
    Arc::new(Registry::new(mode, limits))
}

fn artifact(code: &[u8]) -> Vec<u8> {
    compile(code, Fork::Osaka, Jumps::Deoptimise).encode()
}

/// A loop that differs in a byte nobody reads, so that it is another code.
fn variant(number: u8) -> Vec<u8> {
    [&loop_with_storage()[..], &[0xfe, number]].concat()
}

#[test]
fn code__that_spends_its_gas_in_tier_0__becomes_hot_once() {
    let world = World::new(&loop_with_storage());
    let gas = world.run(200_000, TieredRunner::interpreter()).0.gas_used;
    let registry = registry(Mode::Auto, RegistryLimits { hot_gas: 2 * gas, ..RegistryLimits::default() });
    world.run(200_000, TieredRunner::new(&registry));
    assert_eq!(registry.take_hot(Duration::ZERO, 9), []);
    world.run(200_000, TieredRunner::new(&registry));
    let hot = registry.take_hot(Duration::ZERO, 9);
    assert_eq!(hot.len(), 1);
    assert_eq!((hot[0].code_hash, hot[0].fork), (keccak256(&world.code), Fork::Osaka));
    assert_eq!(hot[0].code, Bytes::from(world.code.clone()));
    world.run(200_000, TieredRunner::new(&registry));
    assert_eq!(registry.take_hot(Duration::ZERO, 9), [], "said twice");
    let report = registry.report().remove(0);
    assert_eq!((report.state, report.gas_interpreted, report.frames_interpreted), ("hot", 3 * gas, 3));
}

#[test]
fn hot_codes__are_taken_hottest_first() {
    let registry = registry(Mode::Auto, RegistryLimits { hot_gas: 1, ..RegistryLimits::default() });
    for (number, runs) in [(1, 1), (2, 3), (3, 2)] {
        for _ in 0..runs {
            World::new(&variant(number)).run(200_000, TieredRunner::new(&registry));
        }
    }
    let taken: Vec<_> = registry.take_hot(Duration::ZERO, 2).into_iter().map(|hot| hot.code_hash).collect();
    assert_eq!(taken, [2, 3].map(|number| keccak256(variant(number))));
    assert_eq!(registry.counters().queued, 1);
}

#[test]
fn take_hot__with_nothing_hot__waits_until_there_is() {
    let registry = registry(Mode::Eager, RegistryLimits::default());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| registry.take_hot(Duration::from_secs(60), 9));
        World::new(&loop_with_storage()).run(200_000, TieredRunner::new(&registry));
        assert_eq!(waiting.join().unwrap().len(), 1);
    });
}

#[test]
fn code__that_is_refused__stays_in_tier_0_and_is_not_hot_again() {
    let world = World::new(&loop_with_storage());
    let registry = registry(Mode::Eager, RegistryLimits::default());
    registry.refuse(keccak256(&world.code), Fork::Osaka, "too much of it".into());
    world.run(200_000, TieredRunner::new(&registry));
    assert_eq!(registry.take_hot(Duration::ZERO, 9), []);
    let report = registry.report().remove(0);
    assert_eq!((report.state, report.refusal.as_deref()), ("refused", Some("too much of it")));
    assert_eq!((report.frames_compiled, report.frames_interpreted), (0, 1));
    // A compiler may do better later.
    registry.install(&artifact(&world.code)).unwrap();
    world.run(200_000, TieredRunner::new(&registry));
    assert_eq!(registry.report()[0].frames_compiled, 1);
}

#[test]
fn registry__that_is_off__interprets_and_counts_nothing() {
    let registry = registry(Mode::Off, RegistryLimits::default());
    World::new(&loop_with_storage()).run(200_000, TieredRunner::new(&registry));
    registry.refuse(B256::ZERO, Fork::Osaka, String::new());
    assert_eq!(registry.report(), []);
}

#[test]
fn machine_code__beyond_its_memory__drops_what_spent_least_gas() {
    let one = compile(&variant(0), Fork::Osaka, Jumps::Deoptimise).encode();
    let probe = registry(Mode::Auto, RegistryLimits::default());
    probe.install(&one).unwrap();
    let bytes = probe.counters().code_bytes as usize;
    assert!(bytes >= PAGE_BYTES);

    let limits = RegistryLimits { code_bytes_max: 3 * bytes, ..RegistryLimits::default() };
    let registry = registry(Mode::Auto, limits);
    for number in 0..3 {
        registry.install(&artifact(&variant(number))).unwrap();
        for _ in 0..=(number + 1) % 3 {
            World::new(&variant(number)).run(200_000, TieredRunner::new(&registry));
        }
    }
    // The third ran least: it makes room.
    registry.install(&artifact(&variant(9))).unwrap();
    let compiled: BTreeSet<_> = registry
        .report()
        .into_iter()
        .filter(|report| report.state == "compiled")
        .map(|report| report.code_hash)
        .collect();
    assert_eq!(compiled, [0, 1, 9].map(|number| keccak256(variant(number))).into());
    let counters = registry.counters();
    assert_eq!((counters.evicted, counters.compiled), (1, 3));
    assert!(counters.code_bytes as usize <= limits.code_bytes_max);

    let none = RegistryLimits { code_bytes_max: 100, ..RegistryLimits::default() };
    assert_eq!(Registry::new(Mode::Auto, none).install(&one).unwrap_err().slug(), "too-large");
}

#[test]
fn many_codes__are_forgotten_from_the_coldest() {
    let registry = registry(Mode::Auto, RegistryLimits::default());
    let world = World::new(&loop_with_storage());
    world.run(200_000, TieredRunner::new(&registry));
    for number in 0..100_000u64 {
        registry.refuse(keccak256(number.to_le_bytes()), Fork::Osaka, String::new());
    }
    assert!(registry.counters().codes <= 1 << 16);
    assert_eq!(registry.report()[0].code_hash, keccak256(&world.code), "the only one that ran is kept");
}

#[test]
fn machine_code__that_is_replaced_and_dropped_while_frames_run__changes_nothing() {
    let worlds: Vec<_> = all().into_iter().map(|(_, world)| world).collect();
    let expected: Vec<_> = worlds.iter().map(|world| world.run(200_000, TieredRunner::interpreter())).collect();
    let limits = RegistryLimits { code_bytes_max: 6 * PAGE_BYTES, ..RegistryLimits::default() };
    let registry = registry(Mode::Auto, limits);
    let artifacts: Vec<_> = worlds.iter().map(|world| artifact(&world.code)).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for (world, artifact) in worlds.iter().zip(&artifacts) {
                    registry.install(artifact).unwrap();
                    if world.code.len() % 5 == 0 {
                        registry.refuse(keccak256(&world.code), Fork::Osaka, "for a moment".into());
                    }
                }
            }
        });
        let runners: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..20 {
                        for (world, expected) in worlds.iter().zip(&expected) {
                            assert_eq!(&world.run(200_000, TieredRunner::new(&registry)), expected);
                        }
                    }
                })
            })
            .collect();
        let results: Vec<_> = runners.into_iter().map(|runner| runner.join()).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
    });
    assert!(registry.counters().evicted > 0);
}

/// A state in which one slot cannot be read without a panic.
struct Broken;

const BROKEN_SLOT: u64 = 0xbad;

impl StateView for Broken {
    type Error = Infallible;

    fn account(&self, address: &Address) -> Result<Option<Account>, Infallible> {
        let code_hash = if *address == CODE { keccak256(reads_broken_slot()) } else { Account::default().code_hash };
        Ok(Some(Account { code_hash, nonce: 1, ..Account::default() }))
    }

    fn code(&self, _: &B256) -> Result<Code, Infallible> {
        Ok(Code::new(reads_broken_slot().into()))
    }

    fn storage(&self, _: &Address, slot: &U256) -> Result<U256, Infallible> {
        assert_ne!(*slot, U256::from(BROKEN_SLOT), "a broken disk");
        Ok(U256::ZERO)
    }

    fn has_storage(&self, _: &Address) -> Result<bool, Infallible> {
        Ok(false)
    }
}

/// SLOAD of the slot that the call data names.
fn reads_broken_slot() -> Vec<u8> {
    vec![0x5f, 0x35, 0x54, 0x60, 1, 0x55]
}

fn read_slot(slot: u64, runner: impl FrameRunner) -> u64 {
    let rules = ChainSpec::at_fork(Fork::Osaka, 1).rules_at(1, 1);
    let mut evm = Evm::new(Broken, &rules, &BlockEnvironment::default(), runner, ChainPrecompiles::default());
    let calldata = U256::from(slot).to_be_bytes::<32>();
    evm.message_call(CALLER, CODE, calldata.into(), U256::ZERO, 100_000).unwrap().0.gas_used
}

#[test]
fn host_function__that_panics__lets_compiled_code_leave_and_the_panic_go_on() {
    let registry = registry(Mode::Auto, RegistryLimits::default());
    registry.install(&artifact(&reads_broken_slot())).unwrap();
    let gas = read_slot(1, TieredRunner::interpreter());
    for _ in 0..2 {
        let panicked = catch_unwind(AssertUnwindSafe(|| read_slot(BROKEN_SLOT, TieredRunner::new(&registry))));
        let payload = panicked.unwrap_err();
        assert!(payload.downcast_ref::<String>().unwrap().contains("a broken disk"));
        // Nothing is left of it for the next frame on this thread.
        assert_eq!(read_slot(1, TieredRunner::new(&registry)), gas);
    }
    assert_eq!(registry.report()[0].frames_compiled, 2);
}
