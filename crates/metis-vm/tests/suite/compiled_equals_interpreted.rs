//! Oracle: tier 0. Whatever compiled code hands over and takes back, the result is the same.

use std::{sync::Arc, time::Duration};

use crate::support::{
    Jumps, compile,
    programs::{all, loop_with_storage},
    world::World,
};
use metis_state_transition::Fork;
use metis_vm::{
    Registry, TieredRunner,
    compiled::{Mode, RegistryLimits},
};
use proptest::prelude::*;

const JUMPS: [Jumps; 2] = [Jumps::Deoptimise, Jumps::Trampoline];

#[test]
fn compiled_code__of_each_program__does_as_tier_0() {
    for (name, world) in all() {
        for jumps in JUMPS {
            let frames = world.expect_same(200_000, jumps);
            assert!(frames > 0, "{name}: nothing ran compiled");
        }
    }
}

#[test]
fn compiled_code__with_every_gas_limit__does_as_tier_0() {
    for (name, world) in all() {
        let enough = world.run(200_000, TieredRunner::interpreter()).0.gas_used;
        // Every limit where the program is short, else each that one opcode's gas may make a difference at.
        let stride = (enough / 1500).max(1);
        for gas_limit in (0..=enough + 1).step_by(stride as usize) {
            world.expect_same(gas_limit, JUMPS[(gas_limit % 2) as usize]);
        }
        assert!(enough > 0 || name == "stack underflow", "{name}");
    }
}

#[test]
fn compiled_code__at_every_fork__does_as_tier_0() {
    for fork in Fork::ALL {
        for (_, world) in all() {
            world.at(fork).expect_same(200_000, Jumps::Deoptimise);
        }
    }
}

#[test]
fn compiled_code__in_one_of_two_contracts__mixes_with_tier_0() {
    for (_, world) in all() {
        let expected = world.run(200_000, TieredRunner::interpreter());
        for compiled in [World { other: Vec::new(), ..world.clone() }, World { code: Vec::new(), ..world.clone() }] {
            let registry = compiled.compiled(Jumps::Deoptimise);
            assert_eq!(world.run(200_000, TieredRunner::new(&registry)), expected);
        }
    }
}

#[test]
fn eager_registry__given_what_it_misses_until_nothing_is__runs_every_frame_compiled() {
    for (name, world) in all() {
        let registry = Arc::new(Registry::new(Mode::Eager, RegistryLimits::default()));
        let expected = world.run(200_000, TieredRunner::interpreter());
        let mut codes = 0;
        loop {
            assert_eq!(world.run(200_000, TieredRunner::new(&registry)), expected, "{name}");
            let missing = registry.take_hot(Duration::ZERO, usize::MAX);
            if missing.is_empty() {
                break;
            }
            codes += missing.len();
            for hot in missing {
                let artifact = compile(&hot.code, hot.fork, Jumps::Deoptimise);
                assert_eq!(artifact.code_hash, hot.code_hash, "{name}");
                registry.install(&artifact.encode()).unwrap();
            }
        }
        let before: u64 = registry.report().iter().map(|report| report.frames_interpreted).sum();
        world.run(200_000, TieredRunner::new(&registry));
        let after: u64 = registry.report().iter().map(|report| report.frames_interpreted).sum();
        assert_eq!(after, before, "{name}: a frame ran in tier 0");
        assert_eq!(codes, if name == "create" { 2 } else { usize::from(!world.other.is_empty()) + 1 }, "{name}");
    }
}

#[test]
fn compiled_loop__that_gives_up_each_round__is_entered_again() {
    let world = World::new(&loop_with_storage());
    let registry = world.compiled(Jumps::Deoptimise);
    world.run(200_000, TieredRunner::new(&registry));
    let report = registry.report().remove(0);
    assert_eq!(report.deoptimisations.iter().sum::<u64>(), 5, "one JUMPI a round");
    assert!(report.gas_compiled > 50 * report.gas_interpreted, "{report:?}");
}

/// Any bytes that jump, call and halt anywhere.
fn code() -> impl Strategy<Value = Vec<u8>> {
    let opcode = prop_oneof![
        4 => any::<u8>(),
        // What moves between tiers, and what feeds it.
        6 => prop::sample::select(&[0x5b, 0x56, 0x57, 0x50, 0x80, 0x90, 0x52, 0x51, 0x55, 0x54, 0xf1, 0xf4, 0xfa, 0xf0, 0x35, 0x30][..]),
        10 => Just(0x60),
        3 => Just(0x5f),
    ];
    prop::collection::vec((opcode, 0u8..40), 1..60).prop_map(|parts| {
        parts
            .into_iter()
            .flat_map(|(opcode, next)| if opcode == 0x60 { vec![opcode, next] } else { vec![opcode] })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(7), ..ProptestConfig::default() })]

    #[test]
    fn compiled_code__of_random_bytes__does_as_tier_0(code in code(), other in code(), gas_limit in 0u64..60_000) {
        let world = World::new(&code).with_other(&other).with_calldata(&other);
        for jumps in JUMPS {
            world.expect_same(gas_limit, jumps);
        }
    }
}
