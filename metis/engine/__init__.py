"""
The engine: Ethereum's state transition in Rust, behind a typed Python door.

In: encoded transactions and blocks, genesis documents, :mod:`metis.types` values.
Out: handles (decoded things that stay in Rust), receipts and outcomes (:mod:`metis.types` values).
Invariant: this package converts and hands over, nothing else; every rule is checked once, in Rust.
The only module that imports the extension is this package, and nothing of it leaks but the handles.
Cost: a call that runs transactions or recovers signatures releases the interpreter lock; each
function says so. Others take microseconds and keep it.
Errors: :class:`metis.types.DecodeError`, ``GenesisError``, ``InvalidTransaction``, ``InvalidBlock``,
``StateUnavailable``; a bug in the engine arrives as ``EngineFault`` and leaves stores as they were.
Source: the Rust crates under ``crates/``; Yellow Paper and the EIPs they name.

    hashing.py       Keccak-256
    rules.py         which rules hold at which block
    transactions.py  bytes → transaction handles
    state.py         stores, accounts, proofs
    compiled.py      compiled code, and what compilers must know
    execution.py     running transactions and code without sealing a block
    inference.py     models that run
    blocks.py        building, importing and reading blocks
    records.py       which transactions of a block depend on which, and its access list
    database.py      MetisDB's files: looking at them, and torturing them
    workloads.py     generated blocks, for measuring and fuzzing executors
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metis.lazy_names import lazy_names

if TYPE_CHECKING:
    from metis.engine.blocks import (
        BlockHandle,
        BuiltBlock,
        SkippedTransaction,
        build_block,
        decode_block,
        describe_block,
        genesis_block,
        import_block,
    )
    from metis.engine.compiled import CodeRegistry, compiled_code_abi, machine_target, opcode_table
    from metis.engine.database import (
        StateExport,
        StateImport,
        check_database,
        database_stats,
        inspect_database,
        prune_database,
        torture_database,
        write_database,
    )
    from metis.engine.execution import (
        BatchOutcome,
        bench_transaction,
        compare_tiers,
        execute_transaction,
        execute_transactions,
        run_code,
    )
    from metis.engine.hashing import keccak256
    from metis.engine.inference import (
        ChainPrecompiles,
        InferenceModel,
        ModelSet,
        ProductCheck,
        inference_kernels,
        prove_graph,
        tensor_commitments,
        trace_root,
    )
    from metis.engine.node import (
        Node,
        address_of,
        derive_private_key,
        recover_address,
        sign_hash,
        sign_transaction,
    )
    from metis.engine.records import BlockRecord, Conflict, Dependency, block_record, explain_block
    from metis.engine.rules import ChainSpec, build_info, fork_names
    from metis.engine.state import (
        AccountProof,
        AccountState,
        MemoryStore,
        MetisStore,
        MultiProof,
        StorageProof,
        Store,
        account_state,
        merge_proofs,
        prove,
        verify_multi_proof,
        verify_proof,
    )
    from metis.engine.transactions import (
        TransactionHandle,
        decode_transaction,
        decode_transactions,
        describe_transaction,
        unsigned_transaction,
    )
    from metis.engine.workloads import Workload, compare_executors, fuzz_executor

__all__ = [
    "AccountProof",
    "AccountState",
    "BatchOutcome",
    "BlockHandle",
    "BlockRecord",
    "BuiltBlock",
    "ChainPrecompiles",
    "ChainSpec",
    "CodeRegistry",
    "Conflict",
    "Dependency",
    "InferenceModel",
    "MemoryStore",
    "MetisStore",
    "ModelSet",
    "MultiProof",
    "Node",
    "ProductCheck",
    "SkippedTransaction",
    "StateExport",
    "StateImport",
    "StorageProof",
    "Store",
    "TransactionHandle",
    "Workload",
    "account_state",
    "address_of",
    "bench_transaction",
    "block_record",
    "build_block",
    "build_info",
    "check_database",
    "compare_executors",
    "compare_tiers",
    "compiled_code_abi",
    "database_stats",
    "decode_block",
    "decode_transaction",
    "decode_transactions",
    "derive_private_key",
    "describe_block",
    "describe_transaction",
    "execute_transaction",
    "execute_transactions",
    "explain_block",
    "fork_names",
    "fuzz_executor",
    "genesis_block",
    "import_block",
    "inference_kernels",
    "inspect_database",
    "keccak256",
    "machine_target",
    "merge_proofs",
    "opcode_table",
    "prove",
    "prove_graph",
    "prune_database",
    "recover_address",
    "run_code",
    "sign_hash",
    "sign_transaction",
    "tensor_commitments",
    "torture_database",
    "trace_root",
    "unsigned_transaction",
    "verify_multi_proof",
    "verify_proof",
    "write_database",
]

__getattr__ = lazy_names(
    __name__,
    {
        "blocks": (
            "BlockHandle",
            "BuiltBlock",
            "SkippedTransaction",
            "build_block",
            "decode_block",
            "describe_block",
            "genesis_block",
            "import_block",
        ),
        "compiled": ("CodeRegistry", "compiled_code_abi", "machine_target", "opcode_table"),
        "database": (
            "StateExport",
            "StateImport",
            "check_database",
            "database_stats",
            "inspect_database",
            "prune_database",
            "torture_database",
            "write_database",
        ),
        "execution": (
            "BatchOutcome",
            "bench_transaction",
            "compare_tiers",
            "execute_transaction",
            "execute_transactions",
            "run_code",
        ),
        "hashing": ("keccak256",),
        "inference": (
            "ChainPrecompiles",
            "InferenceModel",
            "ModelSet",
            "ProductCheck",
            "inference_kernels",
            "prove_graph",
            "tensor_commitments",
            "trace_root",
        ),
        "node": (
            "Node",
            "address_of",
            "derive_private_key",
            "recover_address",
            "sign_hash",
            "sign_transaction",
        ),
        "records": ("BlockRecord", "Conflict", "Dependency", "block_record", "explain_block"),
        "rules": ("ChainSpec", "build_info", "fork_names"),
        "state": (
            "AccountProof",
            "AccountState",
            "MemoryStore",
            "MetisStore",
            "MultiProof",
            "StorageProof",
            "Store",
            "account_state",
            "merge_proofs",
            "prove",
            "verify_multi_proof",
            "verify_proof",
        ),
        "transactions": (
            "TransactionHandle",
            "decode_transaction",
            "decode_transactions",
            "describe_transaction",
            "unsigned_transaction",
        ),
        "workloads": ("Workload", "compare_executors", "fuzz_executor"),
    },
)
