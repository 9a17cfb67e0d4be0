//! Tests of the crate as others use it. One program, since linking it is what takes time.

#![allow(non_snake_case)] // names of tests are subject__condition__outcome

mod fork_equals_whole;
mod metis_archive;
mod metis_checkpoints;
mod metis_crashes;
mod metis_damage;
mod metis_equals_memory;
mod metis_formats;
mod metis_processes;
mod metis_readers;
mod metis_transfer;
mod proofs;
mod store;
mod trie_equals_reference;
mod tries_equal_memory;
