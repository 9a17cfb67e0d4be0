//! Tests of the crate as others use it. One program, since linking it is what takes time.

#![allow(non_snake_case)] // names of tests are subject__condition__outcome

mod chain_crashes;
mod chain_model;
mod codec;
mod concurrency;
mod document;
mod log_crashes;
mod log_damage;
mod log_files;
mod logs;
mod mempool_model;
mod mempool_rules;
mod mempool_stories;
mod restart;
mod support;
