//! What the engine does not load, and that it stays whole whatever it is given.

use std::sync::Arc;

use crate::support::{
    Jumps, Parts, REGION, compile,
    elf::{
        Object, R_X86_64_64, R_X86_64_PC32, R_X86_64_PLT32, SHF_ALLOC, SHF_EXECINSTR, SHF_TLS, SHF_WRITE, SHT_NOBITS,
        SHT_PROGBITS, TEXT, UNDEFINED,
    },
    programs::loop_with_storage,
    world::World,
};
use alloy_primitives::B256;
use metis_state_transition::Fork;
use metis_vm::{
    Registry,
    compiled::{Artifact, ArtifactError, Mode, RegistryLimits, abi::ABI_VERSION},
};
use proptest::prelude::*;

fn parts() -> Parts {
    compile(&loop_with_storage(), Fork::Osaka, Jumps::Deoptimise)
}

fn registry() -> Registry {
    Registry::new(Mode::Auto, RegistryLimits::default())
}

fn install(parts: &Parts) -> Result<(), ArtifactError> {
    registry().install(&parts.encode())
}

fn slug(parts: &Parts) -> &'static str {
    install(parts).unwrap_err().slug()
}

/// An artifact around an object with the region's name at its start: `xor eax, eax; ret`.
fn around(object: Object) -> Parts {
    Parts { object: object.function(REGION, 0).encode(), ..parts() }
}

fn plain_object() -> Object {
    Object::new(vec![0x31, 0xc0, 0xc3, 0x90, 0, 0, 0, 0, 0, 0, 0, 0])
}

fn object_problem(object: Object) -> String {
    match install(&around(object)) {
        Err(ArtifactError::Object(problem)) => problem,
        other => panic!("{other:?}"),
    }
}

#[test]
fn artifact__as_the_compiler_makes_it__is_taken() {
    assert_eq!(install(&parts()), Ok(()));
    assert_eq!(install(&around(plain_object())), Ok(()));
}

#[test]
fn artifact__with_a_field_bent__is_refused_with_the_reason() {
    let good = parts();
    let refused = [
        (Parts { magic: *b"MTVX", ..good.clone() }, "magic"),
        (Parts { version: ABI_VERSION + 1, ..good.clone() }, "version"),
        (Parts { flags: 1, ..good.clone() }, "reserved"),
        (Parts { fork: 200, ..good.clone() }, "fork"),
        (Parts { target: B256::ZERO, ..good.clone() }, "target"),
        (Parts { code_length: u32::MAX, ..good.clone() }, "too-large"),
        (Parts { code_length: 1, ..good.clone() }, "entry"),
        (Parts { code_length: 0, ..good.clone() }, "too-large"),
        (Parts { symbols: vec![b"region_1".to_vec()], ..good.clone() }, "region"),
        (Parts { symbols: vec![vec![]], ..good.clone() }, "region"),
        (Parts { symbols: vec![vec![0xff]], ..good.clone() }, "region"),
        (Parts { symbols: vec![vec![b'r'; 256]], ..good.clone() }, "too-large"),
        (Parts { symbols: vec![], ..good.clone() }, "entry"),
        (Parts { entries: vec![(2, 0), (0, 0)], ..good.clone() }, "entry"),
        (Parts { entries: vec![(0, 0), (0, 0)], ..good.clone() }, "entry"),
        (Parts { entries: vec![(0, 1)], ..good.clone() }, "entry"),
        (Parts { entries: vec![(1 << 20, 0)], ..good.clone() }, "entry"),
        (Parts { object: vec![], ..good.clone() }, "object"),
        (Parts { object: b"\x7fELF".to_vec(), ..good }, "object"),
    ];
    for (bent, reason) in refused {
        assert_eq!(slug(&bent), reason, "{bent:?}");
    }
}

#[test]
fn artifact__cut_anywhere_or_continued__is_refused() {
    let bytes = parts().encode();
    let registry = registry();
    for length in 0..bytes.len() {
        registry.install(&bytes[..length]).unwrap_err();
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(registry.install(&longer), Err(ArtifactError::TrailingBytes(1)));
    assert_eq!(registry.counters().rejected, bytes.len() as u64 + 1);
    assert_eq!(registry.counters().code_bytes, 0);
}

#[test]
fn object__of_another_machine_or_kind__is_refused() {
    for bend in [|object: &mut Object| object.machine = 183, |object: &mut Object| object.file_type = 2] {
        let mut object = plain_object();
        bend(&mut object);
        assert!(object_problem(object).contains("not a relocatable object"));
    }
}

#[test]
fn object__with_an_undefined_symbol__is_refused_by_name() {
    let mut object = plain_object();
    let symbol = object.data_symbol("system", UNDEFINED, 0);
    object.relocate(TEXT, 4, R_X86_64_PLT32, symbol, -4);
    assert!(object_problem(object).contains("\"system\""));
    // Also when nothing refers to it.
    let mut object = plain_object();
    object.data_symbol("system", UNDEFINED, 0);
    assert!(object_problem(object).contains("\"system\""));
}

#[test]
fn object__with_sections_that_code_does_not_need__is_refused() {
    let sections = [
        (SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, "writable"),
        (SHT_PROGBITS, SHF_ALLOC | SHF_WRITE | SHF_EXECINSTR, "writable"),
        (SHT_PROGBITS, SHF_ALLOC | SHF_TLS, "thread-local"),
        (SHT_NOBITS, SHF_ALLOC | SHF_WRITE, "zeros"),
    ];
    for (kind, flags, problem) in sections {
        let mut object = plain_object();
        object.add_section(".data", kind, flags, vec![1]);
        assert!(object_problem(object).contains(problem));
    }
    let mut object = plain_object();
    object.set_alignment(TEXT, 3);
    assert!(object_problem(object).contains("alignment"));
}

#[test]
fn object__that_claims_more_than_it_holds__is_refused() {
    let mut object = plain_object();
    object.set_size(TEXT, 1 << 20);
    object_problem(object);
    let mut object = plain_object();
    object.set_size(TEXT, u64::MAX);
    assert_eq!(slug(&around(object)), "too-large");
}

#[test]
fn object__with_a_relocation_that_is_not_whitelisted_or_leaves_it__is_refused() {
    let bent = [
        (9, 4, 0, "kind 9"),   // GOTPCREL
        (11, 4, 0, "kind 11"), // 32S
        (R_X86_64_PC32, 10, -4, "beyond its section"),
        (R_X86_64_64, 6, 0, "beyond its section"),
        (R_X86_64_PC32, u64::MAX, -4, "beyond its section"),
        (R_X86_64_64, 4, 1 << 30, "leaves the object"),
        (R_X86_64_64, 4, i64::MIN, "leaves the object"),
    ];
    for (kind, offset, addend, problem) in bent {
        let mut object = plain_object();
        let symbol = object.data_symbol("here", TEXT, 0);
        object.relocate(TEXT, offset, kind, symbol, addend);
        let found = object_problem(object);
        assert!(found.contains(problem), "{found}");
    }
    let mut object = plain_object();
    let symbol = object.data_symbol("there", TEXT, 4000);
    object.relocate(TEXT, 4, R_X86_64_PC32, symbol, -4);
    assert!(object_problem(object).contains("symbol beyond its section"));
    let mut object = plain_object();
    object.relocate(TEXT, 4, R_X86_64_PC32, 77, -4);
    object_problem(object);
}

#[test]
fn region__that_is_not_in_the_code__is_refused() {
    let mut object = Object::new(vec![0xc3]);
    object.add_section(".rodata", SHT_PROGBITS, SHF_ALLOC, vec![0xc3]);
    assert_eq!(slug(&Parts { object: object.clone().encode(), ..parts() }), "region");
    // Just behind the code.
    assert_eq!(slug(&Parts { object: object.function(REGION, 1).encode(), ..parts() }), "region");
}

#[test]
fn object__with_constants_and_calls__is_relocated() {
    // A status that is read from a constant, by a function that is called.
    let mut text = vec![0xe8, 0, 0, 0, 0, 0xc3]; // region: call helper; ret
    text.extend([0x8b, 0x05, 0, 0, 0, 0]); // helper: mov eax, [rip + constant]
    text.extend([0x48, 0x8b, 0x0d, 0, 0, 0, 0]); // mov rcx, [rip + pointer]
    text.extend([0x03, 0x01, 0xc3]); // add eax, [rcx]; ret
    let mut object = Object::new(text);
    // DEOPTIMISE, in two summands.
    let constants = object.add_section(".rodata", SHT_PROGBITS, SHF_ALLOC, [[0; 8], [1, 0, 0, 0, 0, 0, 0, 0]].concat());
    let helper = object.data_symbol("helper", TEXT, 6);
    let data = object.data_symbol("constants", constants, 8);
    object.relocate(TEXT, 1, R_X86_64_PLT32, helper, -4);
    object.relocate(TEXT, 8, R_X86_64_PC32, data, -4);
    object.relocate(TEXT, 15, R_X86_64_PC32, data, -12);
    object.relocate(constants, 0, R_X86_64_64, data, 4);
    let world = World::new(&loop_with_storage());
    let registry = Arc::new(registry());
    registry.install(&Parts { entries: vec![(0, 0)], ..around(object) }.encode()).unwrap();
    // `pc` in the context is 0 until compiled code writes it: it gives up where it began.
    let runner = metis_vm::TieredRunner::new(&registry);
    assert_eq!(world.run(200_000, runner), world.run(200_000, metis_vm::TieredRunner::interpreter()));
    assert_eq!(registry.report()[0].deoptimisations[0], 1);
}

#[test]
fn registry__that_is_off__takes_nothing() {
    let registry = Registry::new(Mode::Off, RegistryLimits::default());
    assert_eq!(registry.install(&parts().encode()), Err(ArtifactError::Off));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, rng_seed: proptest::test_runner::RngSeed::Fixed(5), ..ProptestConfig::default() })]

    /// Nothing of the envelope or the object makes the engine panic or read out of bounds.
    #[test]
    fn artifact__with_any_bytes_changed__is_taken_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)
    ) {
        let mut bytes = parts().encode();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = registry().install(&bytes);
    }

    #[test]
    fn artifact__of_any_bytes__is_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Artifact::read(&bytes).is_err());
    }
}
