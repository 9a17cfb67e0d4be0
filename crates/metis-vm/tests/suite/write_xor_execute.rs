//! What the kernel says of a process's memory. In a process of its own: it looks at all of it.

use std::{
    env, fs,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::support::{
    Jumps, Parts, REGION, compile,
    elf::{Object, SHF_ALLOC, SHT_PROGBITS},
    programs::loop_with_storage,
};
use metis_state_transition::Fork;
use metis_vm::{
    Registry,
    compiled::{Mode, RegistryLimits},
};

/// Permissions of every mapping, and whether it has no file or name.
fn mappings() -> Vec<(String, bool)> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let entry = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        (fields[1].to_owned(), fields.len() < 6)
    };
    maps.lines().map(entry).collect()
}

fn executable_without_a_file() -> usize {
    mappings().into_iter().filter(|(permissions, is_anonymous)| *is_anonymous && permissions.contains('x')).count()
}

/// Set in the process that holds one test alone.
const ALONE: &str = "METIS_TEST_ALONE";

/// Runs this program again with one test of this file.
fn expect_alone(test: &str) {
    let test = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    let run = Command::new(env::current_exe().unwrap()).args(["--exact", &test]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
fn pages__while_code_comes_and_goes__are_never_writable_and_executable() {
    if env::var_os(ALONE).is_none() {
        return expect_alone("pages__while_code_comes_and_goes__are_never_writable_and_executable");
    }
    let before = executable_without_a_file();
    let registry = Arc::new(Registry::new(Mode::Auto, RegistryLimits::default()));
    let mut object = Object::new(vec![0x31, 0xc0, 0xc3]);
    object.add_section(".rodata", SHT_PROGBITS, SHF_ALLOC, vec![7; 5000]);
    let artifact = Parts {
        object: object.function(REGION, 0).encode(),
        ..compile(&loop_with_storage(), Fork::Osaka, Jumps::Deoptimise)
    };
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    registry.install(&artifact.encode()).unwrap();
                }
            });
        }
        for _ in 0..200 {
            for (permissions, _) in mappings() {
                assert!(!(permissions.contains('w') && permissions.contains('x')), "{permissions}");
            }
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(executable_without_a_file() > before, "nothing was executable at all");
    // With the last owner the memory goes.
    drop(registry);
    assert_eq!(executable_without_a_file(), before);
}
