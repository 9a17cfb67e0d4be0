//! Tests of the crate as others use it. One program, since linking it is what takes time.

#![allow(non_snake_case)] // names of tests are subject__condition__outcome

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod artifacts;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod compiled_equals_interpreted;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod registry;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod support;
mod trace_equals_plain;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod write_xor_execute;
