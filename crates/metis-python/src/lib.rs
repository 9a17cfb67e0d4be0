//! The engine's only door to Python: conversion, errors, and when the interpreter lock is free.
//!
//! Every function that does more than read a field goes through [`guard`]: a panic in the engine
//! becomes `EngineFault`, never a crash and never a `BaseException`. Calls that may take longer
//! than about 20 µs release the interpreter lock while they run. What Python sees is described in
//! `metis/engine/_native.pyi`.

mod alloc;
mod bench;
mod block;
mod build;
mod code_registry;
mod convert;
mod database;
mod errors;
mod execution;
mod genesis;
mod guard;
mod inference;
mod models;
mod node;
mod precompiles;
mod proof;
mod record;
mod rules;
mod store;
mod trace;
mod traced;
mod transaction;
mod transfer;
mod workload;

use mimalloc::MiMalloc;
use pyo3::prelude::*;

/// The system's allocator gives pages back and takes them again with every call of a contract.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[pymodule]
mod _native {
    #[pymodule_export]
    use super::{
        bench::{bench_transaction, compare_tiers},
        block::Block,
        build::{build_info, inject_panic, keccak256, transaction_error_slugs},
        code_registry::{CodeRegistry, compiled_code_abi, machine_target, opcode_table},
        database::{check_database, inspect_database, torture_database, write_database},
        execution::{build_block, execute_transaction, execute_transactions, import_block, run_code},
        inference::{InferenceModel, inference_kernels, prove_graph},
        models::ModelSet,
        node::{Answerer, Node, address_of, derive_private_key, recover_address, sign_hash, sign_transaction},
        precompiles::ChainPrecompiles,
        proof::{verify_multi_proof, verify_proof},
        record::explain_block,
        rules::{ChainSpec, fork_names},
        store::{MemoryStore, MetisStore},
        traced::{ProductCheck, tensor_commitments, trace_root},
        transaction::{Transaction, decode_transaction, decode_transactions, unsigned_transaction},
        transfer::{StateExport, StateImport, database_stats, prune_database},
        workload::{Workload, compare_executors, fuzz_executor},
    };
}
