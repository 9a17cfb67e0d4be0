"""
The Rust engine as Python sees it, built from crates/metis-python.

Private: use :mod:`metis.engine`. Hashes, roots and addresses are big-endian ``bytes`` (32, 32 and
20 long); amounts of wei and storage words are ``int`` in [0, 2**256). Calls marked [GIL free]
release the interpreter lock. Every function may raise ``EngineFault``; other errors are named.
"""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any, Literal, final

__all__ = [
    "Answerer",
    "Block",
    "ChainPrecompiles",
    "ChainSpec",
    "CodeRegistry",
    "InferenceModel",
    "MemoryStore",
    "MetisStore",
    "ModelSet",
    "Node",
    "ProductCheck",
    "StateExport",
    "StateImport",
    "Transaction",
    "Workload",
    "address_of",
    "bench_transaction",
    "build_block",
    "build_info",
    "check_database",
    "compare_executors",
    "compare_tiers",
    "compiled_code_abi",
    "database_stats",
    "decode_transaction",
    "decode_transactions",
    "derive_private_key",
    "execute_transaction",
    "execute_transactions",
    "explain_block",
    "fork_names",
    "fuzz_executor",
    "import_block",
    "inference_kernels",
    "inject_panic",
    "inspect_database",
    "keccak256",
    "machine_target",
    "opcode_table",
    "prove_graph",
    "prune_database",
    "recover_address",
    "run_code",
    "sign_hash",
    "sign_transaction",
    "tensor_commitments",
    "torture_database",
    "trace_root",
    "transaction_error_slugs",
    "unsigned_transaction",
    "verify_multi_proof",
    "verify_proof",
    "write_database",
]

def build_info() -> dict[str, str]:
    """Version, cargo profile, target, CPU features and revm version of this build."""

def machine_target() -> str:
    """
    System and CPU that compiled code may be made for: "x86_64-linux x86-64-v3", the level that this machine reaches.

    The second word is LLVM's name of the CPU. Empty where the engine loads no compiled code.
    """

def compiled_code_abi() -> dict[str, int]:
    """Every constant of docs/metisvm-abi.md by name; offsets in the context as "offset_<field>"."""

def opcode_table(fork: str) -> list[tuple[str, int, int, int, bool]]:
    """
    What each of the 256 opcodes is under a fork's rules; raises GenesisError for an unknown name.

    Name (empty where the byte is no opcode), gas charged before anything else of it happens, words it takes from
    or looks at on the stack, words it leaves in their place, whether the fork has it.
    """

def keccak256(data: bytes) -> bytes: ...
def inject_panic(message: str, detached: bool = False) -> None:
    """Panic inside Rust (``detached``: with the lock free), so that tests see it arrive as ``EngineFault``."""

def transaction_error_slugs() -> list[str]:
    """Every value ``InvalidTransaction.reason`` may have."""

@final
class ChainSpec:
    """Which rules hold at which block: chain id, fork schedule, blob schedule, gas cap."""

    @staticmethod
    def from_genesis(genesis_json: bytes, models: ModelSet | None = None) -> ChainSpec:
        """
        From a geth-format genesis; raises GenesisError.

        Metis' own rules are read from ``config.metis``: ``transactionGasLimitCap`` (replaces
        EIP-7825's cap; null = no cap), ``baseFeeRecipient`` (gets the base fee instead of burning it), ``inference``
        (docs/inference.md). ``models`` are those that calls find; they may come later.
        """

    @staticmethod
    def at_fork(fork: str, chain_id: int = 1) -> ChainSpec:
        """``fork`` (such as "Osaka") and all before it from block 0; raises GenesisError for an unknown name."""
    def without_transaction_gas_limit_cap(self) -> ChainSpec:
        """The same rules without EIP-7825's cap; for benches and replays of older workloads."""

    @property
    def chain_id(self) -> int: ...
    def fork_at(self, block_number: int, timestamp_s: int) -> str: ...
    def next_base_fee_wei(self, parent: Block, timestamp_s: int) -> int | None: ...
    def next_excess_blob_gas(self, parent: Block, timestamp_s: int) -> int | None: ...

def fork_names() -> list[str]:
    """Every fork the engine implements, oldest first, by its canonical name."""

@final
class CodeRegistry:
    """
    What is known of each contract's code: its heat, and its machine code where there is some. Thread-safe.

    Executions that are given a registry feed it and use it; results are the same as without it.
    """

    def __new__(cls, mode: str, hot_gas: int | None = None, code_bytes_max: int | None = None) -> CodeRegistry:
        """
        ``mode``: "off", "auto" (hot after ``hot_gas``, default 1,000,000 gas in tier 0) or "eager" (hot when first
        met, init code included). ``code_bytes_max``: memory for machine code, default 256 MiB; beyond it what
        spent least gas goes. Raises DecodeError for another mode.
        """
    @property
    def mode(self) -> str: ...
    def take_hot(self, timeout_ms: int, count_max: int) -> list[tuple[bytes, str, bytes]]:
        """[GIL free] Hot codes, hottest first, as (code hash, fork, code); waits until there is one or time is over."""
    def install(self, artifact: bytes) -> None:
        """[GIL free] Take compiled code (docs/metisvm-abi.md) that came from a compile worker or the authenticated cache; raises ArtifactRejected."""
    def refuse(self, code_hash: bytes, fork: str, reason: str) -> None:
        """Remember that a code is not compiled; it is interpreted from now on. Raises GenesisError for an unknown fork."""
    def report(self) -> list[dict[str, Any]]:
        """
        What is known of each code, by gas, most first.

        Keys: code_hash, fork, state ("cold", "hot", "compiled", "refused"), refusal (str or None), gas_interpreted,
        gas_compiled, frames_interpreted, frames_compiled, deoptimisations (cause → count: "section-gas", "stack",
        "grow", "jump", "dynamic-gas", "other"), code_bytes.
        """
    def counters(self) -> dict[str, int]:
        """codes, compiled, refused, queued, code_bytes, installed, rejected, evicted."""

@final
class Transaction:
    """A decoded, signed transaction with its sender recovered."""

    @property
    def hash(self) -> bytes: ...
    @property
    def sender(self) -> bytes: ...
    @property
    def raw(self) -> bytes:
        """EIP-2718 encoding (legacy: the bare list)."""
    def fields(self) -> dict[str, Any]:
        """Keyword arguments of metis.types.Transaction."""

def decode_transaction(raw: bytes) -> Transaction:
    """Decode and recover one; raises DecodeError naming the field."""

def decode_transactions(raw: Sequence[bytes], threads: int = 0) -> list[Transaction]:
    """[GIL free] Decode and recover a batch on ``threads`` threads (0 = all cores); DecodeError.index names the first bad one."""

def unsigned_transaction(fields: Any) -> Transaction:
    """A transaction without signature from a metis.types.UnsignedTransaction (has sender); for simulation, impersonation and replays."""

@final
class Block:
    """A sealed block: header, transactions, ommers, withdrawals."""

    @staticmethod
    def decode(rlp: bytes) -> Block:
        """Raises DecodeError naming the field."""
    @staticmethod
    def genesis(genesis_json: bytes, state_root: bytes) -> Block:
        """Block 0 of a geth-format genesis; raises GenesisError."""
    @property
    def hash(self) -> bytes: ...
    @property
    def number(self) -> int: ...
    @property
    def rlp(self) -> bytes: ...
    def header_fields(self) -> dict[str, Any]:
        """Keyword arguments of metis.types.Header (without hash)."""
    def body_fields(self) -> dict[str, Any]:
        """{"transactions": list[Transaction], "ommer_hashes": list[bytes], "withdrawals": list[tuple[int, int, bytes, int]] | None}; recovers senders."""

@final
class MemoryStore:
    """The in-memory state store: current state, kept history, roots and proofs. Thread-safe; one writer."""

    def __new__(cls, alloc: Mapping[Any, Any], kept_block_count: int = 128) -> MemoryStore:
        """``alloc``: address → object with nonce, balance_wei, code, storage (metis.types.Account). State of block 0."""
    @property
    def block_number(self) -> int: ...
    @property
    def oldest_block_number(self) -> int: ...
    def state_root(self, block_number: int | None = None) -> bytes: ...
    def account(self, address: bytes, block_number: int | None = None) -> tuple[int, int, bytes, bytes] | None:
        """(nonce, balance_wei, code_hash, storage_root), or None where the account does not exist."""
    def code(self, address: bytes, block_number: int | None = None) -> bytes: ...
    def storage(self, address: bytes, slot: int, block_number: int | None = None) -> int: ...
    def proof(self, address: bytes, slots: Sequence[int], block_number: int | None = None) -> dict[str, Any]:
        """EIP-1186: {"account": tuple | None, "account_proof": list[bytes], "storage_proofs": list[(slot, value, list[bytes])]}."""
    def accounts(self, block_number: int | None = None) -> list[bytes]:
        """Every address, sorted. For dumps and tests, not for hot paths."""
    def storage_of(self, address: bytes, block_number: int | None = None) -> dict[int, int]: ...
    def revert_to(self, block_number: int) -> None:
        """Make an older kept block the newest; raises StateUnavailable."""
    def fork(self) -> MemoryStore:
        """An independent store that shares all unchanged state; constant time."""

@final
class MetisStore:
    """
    MetisDB: the same as MemoryStore (but for ``fork``), in memory here, in a folder with ``open``.

    Raises StorageError for what the disk or memory refuses, and for files that no store has written.
    """

    def __new__(cls, alloc: Mapping[Any, Any], kept_block_count: int = 128, segment_log2: int = 14) -> MetisStore:
        """In memory. ``segment_log2``: entries of a segment of the index, 6 to 14; smaller ones for small states."""
    @classmethod
    def open(
        cls,
        path: str,
        alloc: Mapping[Any, Any],
        kept_block_count: int = 128,
        durability: str = "every-block",
        history: str = "window",
    ) -> MetisStore:
        """
        [GIL free] The store of a folder; where there is none, one whose block 0 holds ``alloc``.

        ``durability``: every-block, on-flush or on-checkpoint. The folder is taken until the object is gone.
        """
    @classmethod
    def open_to_read(cls, path: str) -> MetisStore:
        """
        [GIL free] The store of a folder as it is now, also while another process writes it; it stays at that block.

        It has what was logged or checkpointed. What would change it raises StorageError("read-only").
        """
    @property
    def block_number(self) -> int: ...
    @property
    def oldest_block_number(self) -> int: ...
    def state_root(self, block_number: int | None = None) -> bytes: ...
    def account(self, address: bytes, block_number: int | None = None) -> tuple[int, int, bytes, bytes] | None: ...
    def code(self, address: bytes, block_number: int | None = None) -> bytes: ...
    def storage(self, address: bytes, slot: int, block_number: int | None = None) -> int: ...
    def proof(self, address: bytes, slots: Sequence[int], block_number: int | None = None) -> dict[str, Any]: ...
    def accounts(self, block_number: int | None = None) -> list[bytes]:
        """Every address, sorted; looks at all of the index. [GIL free]."""
    def storage_of(self, address: bytes, block_number: int | None = None) -> dict[int, int]:
        """Slots that are not zero; looks at the slots of all accounts. [GIL free]."""
    def revert_to(self, block_number: int) -> None: ...
    def flush(self) -> None:
        """[GIL free] Make all that was committed durable."""
    def checkpoint(self) -> None:
        """[GIL free] Write a generation, and begin a new log."""

def verify_multi_proof(state_root: bytes, claims: Sequence[tuple[Any, ...]], nodes: Sequence[bytes]) -> None:
    """Claims: (address, account tuple | None, [(slot, value)]). Raises DecodeError for what does not hold."""

def verify_proof(state_root: bytes, address: bytes, proof: Mapping[str, Any]) -> None:
    """Check an EIP-1186 proof (shape of MemoryStore.proof) against a root; raises DecodeError naming the first proof that fails."""

def execute_transaction(
    store: MemoryStore | MetisStore,
    spec: ChainSpec,
    environment: Any,
    transaction: Transaction,
    trace: Callable[[bytes], None] | None = None,
    registry: CodeRegistry | None = None,
) -> dict[str, Any]:
    """
    [GIL free without trace] Run one transaction on the newest state without keeping the result.

    ``environment`` is a metis.types.BlockEnvironment. Returns keyword arguments of
    metis.types.TransactionOutcome: status, halt_reason, gas_used, gas_refunded, output,
    contract_address, logs, logs_hash, state_root (of the state after it). ``trace`` gets one
    EIP-3155 JSON line per step. Raises InvalidTransaction.
    """

def execute_transactions(
    store: MemoryStore | MetisStore,
    spec: ChainSpec,
    environment: Any,
    transactions: Sequence[Transaction],
    commit: bool = False,
    registry: CodeRegistry | None = None,
    workers: int | None = None,
    keeps_record: bool = False,
) -> dict[str, Any]:
    """
    [GIL free] Run transactions as one block without sealing it: in order, or in parallel, forced (0: on all cores).

    Returns {"receipts": list[dict], "state_root", "receipts_root", "transactions_root", "logs_bloom", "logs_hash",
    "gas_used", "record": keyword arguments of metis.engine.BlockRecord or None}. With ``commit`` the state becomes block ``environment.number``. Raises InvalidTransaction with index.
    """

def run_code(
    spec: ChainSpec,
    code: bytes,
    calldata: bytes,
    gas_limit: int,
    value_wei: int | None = None,
    trace: Callable[[bytes], None] | None = None,
    registry: CodeRegistry | None = None,
) -> dict[str, Any]:
    """Run bytecode as one message call in an empty world (no transaction cost). Same result keys as execute_transaction."""

def bench_transaction(
    store: MemoryStore,
    spec: ChainSpec,
    environment: Any,
    transaction: Transaction,
    contestant: str,
    rounds: int,
    registry: CodeRegistry | None = None,
) -> dict[str, Any]:
    """
    [GIL free] Run one transaction ``rounds`` times from the newest state, each time as if it were the first.

    ``contestant``: "revm" (its own main loop and handler, nothing of ours between), "tier0", or "tier1" (with
    ``registry``); all over the same state in memory. Returns {"times_ns": list[int], "outcome": as
    execute_transaction}, the outcome of one more round. Raises InvalidTransaction.
    """

def compare_tiers(
    spec: ChainSpec,
    code: bytes,
    calldata: bytes,
    gas_limits: Sequence[int],
    registry: CodeRegistry,
    contracts: Sequence[tuple[bytes, bytes]] | None = None,
    value_wei: int | None = None,
) -> dict[str, Any] | None:
    """
    [GIL free] Run code as run_code does, with each gas limit, in tier 0 and with a registry; the first difference.

    Compared are status, output, gas, refund, logs, created address and every change of state. ``contracts`` puts
    more code into the world, by address. None where all is the same, else {"gas_limit", "interpreted", "compiled"},
    both with the keys of run_code (``state_root`` is of the changes alone).
    """

def build_block(
    store: MemoryStore | MetisStore,
    spec: ChainSpec,
    parent: Block,
    attributes: Any,
    transactions: Sequence[Transaction],
    registry: CodeRegistry | None = None,
    workers: int = 1,
) -> dict[str, Any]:
    """
    [GIL free] Build and commit the next block from candidates, in order.

    ``attributes`` is a metis.types.BlockAttributes. A candidate that cannot be included is
    skipped. Returns {"block": Block, "receipts": list[dict], "skipped": list[(index,
    InvalidTransaction)]}. Raises InvalidBlock when the attributes break a rule.
    """

def import_block(
    store: MemoryStore | MetisStore,
    spec: ChainSpec,
    parent: Block,
    block: Block,
    registry: CodeRegistry | None = None,
    workers: int = 1,
) -> list[dict[str, Any]]:
    """
    [GIL free] Execute a block, check every field and root, commit it; returns the receipts.

    Raises InvalidBlock (store unchanged).
    """

def explain_block(
    store: MemoryStore | MetisStore,
    spec: ChainSpec,
    parent: Block,
    block: Block,
    registry: CodeRegistry | None = None,
    workers: int = 0,
) -> dict[str, Any]:
    """
    [GIL free] Execute and check a block on ``workers`` threads (0: all cores), however few; nothing is committed.

    Returns keyword arguments of metis.engine.BlockRecord: access_list, access_list_hash, transaction_count, gas_used,
    dependencies and conflicts (lists of (transaction, on, address, slot); slot is None for the account itself), chain
    (a list), chain_gas, rerun_count. Raises InvalidBlock.
    """

# A block reference is a block number (int) or a block hash (32 bytes). "json" results are encoded
# bytes as Ethereum's JSON-RPC writes them; None where there is no such object.

@final
class Node:
    """Hot state of one node: state store, chain (block log and index) and mempool. Thread-safe; one writer at a time."""

    @staticmethod
    def open(
        genesis_json: bytes,
        alloc: Mapping[Any, Any],
        data_dir: str | PathLike[str] | None = None,
        durability: str = "block",
        kept_block_count: int = 1024,
        pool: Any | None = None,
        development: Any | None = None,
        registry: CodeRegistry | None = None,
        models: ModelSet | None = None,
        workers: int = 0,
        state_store: str = "metisdb",
        history: str = "window",
    ) -> Node:
        """
        [GIL free] Open or begin. ``alloc``: address → metis.types.Account. ``data_dir`` None keeps all in memory.

        ``durability``: "block", "group" (with ``tick``) or "none". ``pool`` has transaction_count_max,
        sender_count_max, transaction_size_bytes_max, price_bump_percent. ``development`` has unsigned_may_have_code
        and code_size_bytes_max; None keeps Ethereum's rules. ``registry`` and ``models``: used for blocks and calls.
        ``workers``: threads for a block; 0: all cores, 1: in order. ``state_store``: "metisdb" or "memory" (plain maps,
        rebuilt from the log at each start). ``history``: "window", or "archive": states before the newest
        ``kept_block_count`` stay readable too. Raises GenesisError, StorageError.
        """
    def checkpoint_if_due(self, state_count_max: int) -> bool:
        """
        [GIL free] Write the state to the disk if a start would make that many states again, or much of it has changed.

        Blocks go on meanwhile. True if it was time. Raises StorageError: the last checkpoint stays.
        """
    def state_report(self) -> tuple[int, str | None]:
        """States made again from the log when the node was opened, and why those on disk were of no use, if so."""
    def close(self) -> None:
        """
        [GIL free] Make everything durable and free the folder at once. Later calls raise StorageError ("closed").

        Calls in progress end first if they write; closing twice does nothing.
        """
    @staticmethod
    def open_fork(
        genesis_json: bytes,
        header_json: bytes,
        accounts: Mapping[Any, Any],
        kept_block_count: int = 1024,
        pool: Any | None = None,
        development: Any | None = None,
        registry: CodeRegistry | None = None,
        models: ModelSet | None = None,
    ) -> Node:
        """
        [GIL free] Begin a chain, in memory, at a block of another chain.

        ``header_json`` is the block's header as eth_getBlockByNumber answers it; raises DecodeError where its hash is
        not that of its fields. Of ``genesis_json`` only the rules count. ``accounts`` are set on top of the other chain's state: nonce,
        balance, code, and the slots given. Everything else is asked for: whatever needs state that is not here
        raises MissingState, without effect, until :meth:`supply` was given it. State roots are over what changed.
        """
    def supply(
        self,
        accounts: Sequence[tuple[bytes, int, int, bytes]],
        slots: Sequence[tuple[bytes, int, int]],
        block_hashes: Sequence[tuple[int, bytes]],
    ) -> None:
        """[GIL free] Take state at the fork block: (address, nonce, balance, code), (address, slot, value), (number, hash)."""
    def known_of_fork(self) -> dict[str, int] | None:
        """accounts, slots, block_hashes: how many are known; None where nothing was forked."""
    def is_changed(self, address: bytes, block: int | bytes) -> bool:
        """[GIL free] Whether an account is other than at the fork block; True where nothing was forked."""
    def sync(self) -> None:
        """[GIL free] Make everything durable now; raises StorageError."""
    def tick(self, now_ms: int) -> bool:
        """[GIL free] Group commit by the caller's clock; whether everything is durable."""
    @property
    def spec(self) -> ChainSpec: ...
    @property
    def genesis_hash(self) -> bytes: ...
    @property
    def head_number(self) -> int: ...
    @property
    def head_hash(self) -> bytes: ...
    @property
    def safe_number(self) -> int: ...
    @property
    def finalized_number(self) -> int: ...
    @property
    def oldest_state_number(self) -> int: ...
    def number_of(self, block: int | bytes) -> int | None:
        """Number of a block of the canonical chain; None where unknown or beside it."""
    def is_known(self, block_hash: bytes) -> bool:
        """Whether a block is on the chain or beside it."""
    def block(self, block: int | bytes) -> Block | None: ...
    def set_safe_finalized(self, safe_hash: bytes | None, finalized_hash: bytes | None) -> None: ...
    def set_head(self, block_hash: bytes) -> None:
        """[GIL free] Reorganise to a known block; raises InvalidBlock, StateUnavailable."""
    def truncate(self, block_hash: bytes) -> None:
        """[GIL free] Make an older block the newest and forget what came after it."""
    def submit(self, raw: bytes) -> bytes:
        """
        [GIL free] Decode, recover, check, take into the pool; the hash.

        A blob transaction comes with its sidecar, whose KZG proofs are checked (EIP-4844, from Osaka on
        EIP-7594). Raises DecodeError, InvalidTransaction, PoolRejection.
        """
    def submit_many(self, raw: Sequence[bytes]) -> list[bytes | Exception]:
        """[GIL free, all cores] One hash or error per item, in order."""
    def submit_unsigned(self, transaction: Transaction) -> bytes:
        """Take a transaction whose sender is given, not signed; raises as submit."""
    def drop(self, transaction_hash: bytes) -> bool: ...
    def drop_all(self) -> int: ...
    def pool_status(self) -> tuple[int, int]:
        """Executable now, and behind a nonce gap."""
    def ready_gas(self, count_max: int) -> int | None: ...  # of all executable, None where they are more
    def pool_content_json(self, sender: bytes | None = None) -> bytes: ...
    def pool_inspect_json(self) -> bytes: ...
    def pending_nonce(self, address: bytes) -> int: ...
    def pending_hashes(self) -> list[bytes]: ...
    def drop_sender(self, sender: bytes) -> int:
        """Take a sender's transactions out of the pool; how many there were."""
    def next_base_fee_wei(self) -> int:
        """Base fee of the next block; 0 before London."""
    def set_next_base_fee(self, base_fee_per_gas_wei: int | None) -> None:
        """Decide the next block's base fee (development)."""
    def set_min_gas_price(self, price_wei: int) -> None:
        """Least fee cap that the pool takes."""
    def set_chain_id(self, chain_id: int) -> None:
        """[GIL free] Decide the chain id that transactions must name, until the end of the process (development)."""
    def add_balance(self, address: bytes, wei: int) -> None:
        """[GIL free] Add to a balance without a block (development)."""
    def accounts_json(self) -> bytes:
        """[GIL free] Every account of the newest state: nonce, balance, code, storage."""
    def merge_accounts(self, accounts: Mapping[Any, Any]) -> None:
        """[GIL free] Put accounts over the state: balance and code replaced, slots added, the higher nonce kept."""
    def take_snapshot(self) -> int:
        """[GIL free] Remember chain, state and pool; costs the size of the pool. The first is 0."""
    def snapshots(self) -> list[tuple[int, int, bytes]]:
        """(snapshot, number of its block, hash of its block)."""
    def revert(self, snapshot: int) -> dict[str, Any] | None:
        """[GIL free] Use up a snapshot: {"removed": [(number, hash)], newest first, "added": [(number, hash)]}, or None."""
    def discard(self, snapshot: int) -> None:
        """Forget one snapshot."""
    def rewind(self, block_count: int) -> dict[str, Any]:
        """[GIL free] Take back the newest blocks with their transactions; answers as revert."""
    def reset(self) -> dict[str, Any]:
        """[GIL free] Make the chain as it was at its start, with an empty pool; answers as revert."""
    def mine_empty(self, attributes: Any, block_count: int, interval_s: int) -> list[bytes]:
        """[GIL free] Build empty blocks so far apart (at least 1 s), the first with these attributes; their hashes."""
    def build(
        self, attributes: Any, transaction_count_max: int | None = None, fifo: bool = False, allow_empty: bool = True
    ) -> dict[str, Any]:
        """
        [GIL free] Build the next block from the pool and make it the head.

        Returns {"block": Block, "transaction_hashes", "requests": list[bytes] (EIP-7685), "dropped": [(hash,
        InvalidTransaction)]}. Without ``allow_empty``, "block" is None where no transaction could be included.
        """
    def build_from(self, attributes: Any, transactions: Sequence[Transaction]) -> dict[str, Any]:
        """[GIL free] The same from given transactions, in order."""
    def propose(self, attributes: Any, transactions: Sequence[Transaction] | None = None) -> dict[str, Any]:
        """
        [GIL free] Build the next block, from the pool or of given transactions, without keeping it.

        Returns {"block": Block, "tips_wei": int, "requests": list[bytes], "blobs": [(blob, commitment, proofs)]}.
        """
    def blobs(self, versioned_hashes: Sequence[bytes]) -> list[tuple[bytes, bytes, list[bytes]] | None]:
        """
        [GIL free] (blob, commitment, proofs) of transactions that wait or were mined lately; None where not here.

        One proof per blob, or 128 cell proofs from Osaka on.
        """
    def import_block(self, block: Block) -> str:
        """[GIL free] Verify and keep a block: "head", "side" or "known"; raises InvalidBlock, UnknownParent."""
    def import_blocks(self, encoded: Sequence[bytes]) -> list[str]:
        """
        [GIL free, all cores] Import encoded blocks in order, as import_block does with each, but overlapped.

        Raises what import_block, or decoding, would for the first that is wrong, with a note of its position; those
        before it are kept.
        """
    def store_block(self, block: Block) -> str:
        """[GIL free] The same without moving the head: "side" or "known"."""
    def set_account(
        self, address: bytes, nonce: int | None = None, balance_wei: int | None = None, code: bytes | None = None
    ) -> None:
        """Change one account without a block (development)."""
    def set_storage(self, address: bytes, slot: int, value: int) -> None: ...
    def balance(self, address: bytes, block: int | bytes) -> int: ...
    def nonce(self, address: bytes, block: int | bytes) -> int: ...
    def code(self, address: bytes, block: int | bytes) -> bytes: ...
    def storage(self, address: bytes, slot: int, block: int | bytes) -> int: ...
    def proof_json(self, address: bytes, slots: Sequence[int], block: int | bytes) -> bytes: ...
    def header_json(self, block: int | bytes) -> bytes | None: ...
    def block_json(self, block: int | bytes, full: bool) -> bytes | None: ...
    def transaction_json(self, transaction_hash: bytes) -> bytes | None:
        """Mined or waiting."""
    def transaction_of_sender_json(self, sender: bytes, nonce: int) -> bytes | None:
        """[GIL free] Mined or waiting; looks through the chain from its end."""
    def transaction_at_json(self, block: int | bytes, index: int) -> bytes | None: ...
    def receipt_json(self, transaction_hash: bytes) -> bytes | None: ...
    def block_receipts_json(self, block: int | bytes) -> bytes | None: ...
    def transaction_count(self, block: int | bytes) -> int | None: ...
    def uncle_count(self, block: int | bytes) -> int | None: ...
    def raw_transaction(self, transaction_hash: bytes) -> bytes | None: ...
    def raw_receipts(self, block: int | bytes) -> list[bytes] | None: ...
    def logs_json(
        self,
        from_block: int,
        to_block: int,
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes] | None],
        count_max: int,
    ) -> bytes:
        """[GIL free] Logs of a range of the chain; raises LimitExceeded."""
    def block_logs_json(
        self, block_hash: bytes, addresses: Sequence[bytes], topics: Sequence[Sequence[bytes] | None], count_max: int
    ) -> bytes | None: ...
    def fee_history(self, newest: int, block_count: int, percentiles: Sequence[float]) -> dict[str, Any]:
        """oldest_block, base_fee_per_gas, gas_used_ratio, base_fee_per_blob_gas, blob_gas_used_ratio, reward (None without percentiles)."""
    def call(
        self, call: Any, block: int | bytes, overrides: Any | None = None, block_overrides: Any | None = None
    ) -> dict[str, Any]:
        """
        [GIL free] Run a metis.types.UnsignedTransaction on the state after a block; nonce is ignored.

        Keys of TransactionOutcome without logs_hash and state_root. ``overrides``: address → object with nonce,
        balance_wei, code, storage, storage_diff, move_precompile_to; ``block_overrides``: object with number, timestamp_s, gas_limit,
        beneficiary, prev_randao, base_fee_per_gas_wei, blob_base_fee_wei; None where nothing is assumed.
        """
    def estimate_gas(
        self, call: Any, block: int | bytes, overrides: Any | None = None, block_overrides: Any | None = None
    ) -> tuple[str, Any]:
        """[GIL free] ("gas", int), ("fails", as call) or ("allowance", gas limit that is not enough)."""
    def create_access_list(
        self, call: Any, block: int | bytes, overrides: Any | None = None
    ) -> tuple[list[tuple[bytes, list[int]]], dict[str, Any]]:
        """[GIL free] The access list as (address, slots), and what the call does with it."""
    def simulate_blocks(
        self,
        blocks: Sequence[Any],
        block: int | bytes,
        gas_max: int,
        *,
        validates: bool = False,
        logs_transfers: bool = False,
        shows_transactions: bool = False,
    ) -> list[dict[str, Any]]:
        """
        [GIL free] Run and seal blocks that nobody sent, on the state after a block; nothing is kept.

        A block has timestamp_s, environment (as ``block_overrides`` of ``call``), parent_beacon_block_root, withdrawals,
        state (as ``overrides``) and calls (message, has_nonce, has_gas_limit). Returns per block {"block_json", "calls":
        [{"status", "halt_reason", "output", "gas_used", "gas_used_max", "logs_json"}]}. Raises InvalidTransaction,
        DecodeError (a precompile that may not be moved), StateUnavailable.
        """
    def block_record(self, block: int | bytes, workers: int) -> dict[str, Any] | None:
        """
        [GIL free] Run a block's transactions once more on ``workers`` threads (0: all cores), however few they are.

        Returns keyword arguments of metis.engine.BlockRecord; None where the block is not known. Raises as
        trace_block_json.
        """
    def trace_block_json(self, block: int | bytes, options_json: bytes, size_bytes_max: int) -> bytes | None:
        """
        [GIL free] [{"txHash", "result"}] as debug_traceBlockByNumber answers, each transaction run once.

        ``options_json``: {"tracer", "tracerConfig", …} of go-ethereum. Raises DecodeError (the options), InvalidBlock
        (genesis), StateUnavailable (the state before is no longer kept), LimitExceeded (``size_bytes_max``).
        """
    def trace_given_block_json(self, block: Block, options_json: bytes, size_bytes_max: int) -> bytes:
        """[GIL free] The same for a block that need not be known; raises UnknownParent."""
    def trace_transaction_json(self, transaction_hash: bytes, options_json: bytes, size_bytes_max: int) -> bytes | None:
        """[GIL free] The trace of a mined transaction."""
    def trace_call_json(
        self,
        call: Any,
        block: int | bytes,
        options_json: bytes,
        size_bytes_max: int,
        overrides: Any | None = None,
        block_overrides: Any | None = None,
        transaction_count: int | None = None,
    ) -> bytes:
        """[GIL free] The trace of what ``call`` does, after so many transactions of the block where a count is given."""
    def call_traces_json(self, block: int | bytes, size_bytes_max: int) -> bytes | None:
        """[GIL free] Call traces of a block in Parity's form; raises as trace_block_json."""
    def transaction_call_traces_json(self, transaction_hash: bytes, size_bytes_max: int) -> bytes | None:
        """[GIL free] Call traces of a mined transaction in Parity's form."""
    def filtered_call_traces_json(
        self,
        from_block: int,
        to_block: int,
        size_bytes_max: int,
        *,
        senders: Sequence[bytes] = ...,
        receivers: Sequence[bytes] = ...,
        union: bool = False,
        skip_count: int = 0,
        count_max: int | None = None,
    ) -> bytes:
        """[GIL free] Call traces of a range of blocks by sender and receiver; ``union``: one of both is enough."""
    def replayed_block_json(self, block: int | bytes, types: Sequence[str], size_bytes_max: int) -> bytes | None:
        """[GIL free] What a block's transactions did: "trace", "vmTrace", "stateDiff" as asked for."""
    def replayed_transaction_json(self, transaction_hash: bytes, types: Sequence[str]) -> bytes | None:
        """[GIL free] The same of a mined transaction."""
    def replayed_call_json(
        self, call: Any, block: int | bytes, types: Sequence[str], overrides: Any = None, block_overrides: Any = None
    ) -> bytes:
        """[GIL free] The same of a call."""
    def call_many(
        self, bundles: Any, block: int | bytes, transaction_count: int | None = None, overrides: Any | None = None
    ) -> list[list[dict[str, Any]]]:
        """[GIL free] Run [(messages, ``block_overrides`` or None)], each message on what the last one left, as ``call``."""
    def replayed_calls_json(self, calls: Any, block: int | bytes, size_bytes_max: int) -> bytes:
        """[GIL free] As ``replayed_call_json`` of each (message, types), on what the last one left."""
    def account_within(
        self, block: int | bytes, transaction_count: int, address: bytes
    ) -> tuple[int, int, bytes] | None:
        """[GIL free] (nonce, balance in wei, code) after so many transactions of a block; None where there is none."""
    def code_of_hash(self, code_hash: bytes) -> bytes | None: ...
    def internal_operations_json(self, transaction_hash: bytes) -> bytes | None:
        """[GIL free] Transfers, creations and self-destructions inside a mined transaction, as Otterscan reads them."""
    def answerer(self, call_gas_max: int, batch_count_max: int, answer_size_bytes_max: int) -> Answerer: ...
    def counters(self) -> dict[str, int]:
        """
        head_number, oldest_state_number, pool_pending, pool_queued, state_bytes (MetisDB's index and tries in memory)
        and state_unsaved_bytes (of them, what the next checkpoint writes).

        Since the node was opened: transaction_count, gas_used and log_count of the blocks that joined the chain;
        account_read_count and slot_read_count, what blocks read from the store; checkpoint_count,
        checkpoint_failed_count, checkpoint_number (the last one's block), checkpoint_bytes, checkpoint_duration_ns
        (sums), checkpoint_hold_ns_max (the longest time for which one kept a block from being committed).
        """

@final
class Answerer:
    """
    Answers whole JSON-RPC messages that are plain and quick; a shortcut, never another opinion.

    Plain: calls of a few read methods in the form clients write them. Quick: reads, and calls of
    contracts that needed little gas before. Whatever fails or finds nothing is left to the methods.
    """

    def __call__(self, message: bytes) -> tuple[bytes, str | list[str]] | None:
        """Return the answer with the name of the method (of a batch: the names), or None."""

def derive_private_key(mnemonic: str, path: str) -> bytes:
    """Private key at a BIP-32 path below a BIP-39 phrase without passphrase; raises DecodeError."""

def address_of(private_key: bytes) -> bytes: ...
def sign_hash(hash32: bytes, private_key: bytes) -> tuple[int, int, int]:
    """(y_parity, r, s) over a 32-byte hash (RFC 6979, low s)."""

def recover_address(hash32: bytes, y_parity: bool, r: bytes, s: bytes) -> bytes:
    """The account whose key signed a hash; raises DecodeError for a high s, and for what no key gives."""

def sign_transaction(fields: Any, private_key: bytes) -> bytes:
    """Sign a metis.types.UnsignedTransaction of any type; its EIP-2718 encoding."""

def inference_kernels() -> list[str]:
    """Names of the kernels that this machine has, the fastest last: "scalar", "avx2", "avx512", "amx"."""

def prove_graph(graph: bytes, limits: tuple[int, int, int] | None = None) -> dict[str, Any]:
    """
    What is proven of a model's graph, from its bytes [GIL free].

    "tensors": (dtype code, shape, lo, hi) of each; "node_macs"; "cost": MACs, bytes moved, bytes of memory, bytes of
    weights. ``limits``: bytes of weights, bytes of memory, MACs. Raises GraphDecodeError, InvalidGraph.
    """

@final
class InferenceModel:
    """
    A model that is proven, its weights checked against their declared ranges. Any number of threads may run it.

    Raises GraphDecodeError, InvalidGraph, InvalidWeights when it is made. [GIL free]
    """

    @staticmethod
    def from_bytes(graph: bytes, weights: bytes, limits: tuple[int, int, int] | None = None) -> InferenceModel:
        """A model with a copy of its weights."""

    @staticmethod
    def open(
        graph: bytes, path: str | PathLike[str], offset: int, length: int, limits: tuple[int, int, int] | None = None
    ) -> InferenceModel:
        """A model whose weights are ``length`` bytes of a file, read into memory. Raises OSError too."""

    @property
    def proven(self) -> dict[str, Any]:
        """What :func:`prove_graph` gives."""

    @property
    def weights_root(self) -> bytes:
        """What commits to the weights that are in memory (docs/ai-graph.md) [GIL free]; hashes them all."""

    @property
    def arena_bytes(self) -> int:
        """Bytes that one run takes for tensors."""

    def run(
        self, tensors: list[bytes | None], threads: int = 1, kernel: str | None = None
    ) -> tuple[list[bytes], list[bytes]]:
        """
        Run once: bytes of outputs, and of states for the next run [GIL free].

        ``tensors``: elements of the inputs, then of the states, little-endian; None for zeros. Threads and kernel (the
        fastest by default) change no bit. Raises InvalidInput; DecodeError for a kernel that is not there, or threads
        that are not 1 to 64.
        """

    @property
    def points(self) -> list[int]:
        """Numbers of the tensors that a trace commits to (docs/receipts.md) [GIL free]."""

    def run_traced(
        self,
        tensors: list[bytes | None],
        threads: int = 1,
        kernel: str | None = None,
        wanted: list[int] = ...,
    ) -> tuple[tuple[list[bytes], list[bytes]], list[bytes], list[bytes]]:
        """
        Run as ``run``; the second is the commitment of each point, the third the bytes of those in ``wanted`` [GIL free].

        Raises DecodeError where one of ``wanted`` is no point.
        """

    def run_observed(
        self, tensors: list[bytes | None], observe: Callable[[int, list[bytes]], object], kernel: str | None = None
    ) -> tuple[list[bytes], list[bytes]]:
        """
        Run operator by operator: ``observe`` is called with each node's number and results [GIL free].

        An exception of ``observe`` is raised when the run ends.
        """

def tensor_commitments(tensors: list[tuple[int, list[int], bytes]]) -> list[bytes]:
    """The commitment of each tensor: type code, dimensions, elements [GIL free]. Raises DecodeError for other lengths."""

def trace_root(commitments: list[bytes]) -> bytes:
    """The root over the commitments of a run's points."""

@final
class ProductCheck:
    """
    Freivalds' check of products, with their second factor b (docs/receipts.md) [GIL free].

    Matrices are (type code, elements); ``sizes`` are (batch, m, k, n); ``random`` has 8 n bytes, drawn uniformly, which who
    makes the products never learns. Raises DecodeError where lengths do not fit, or values may be too great.
    """

    def __new__(
        cls,
        b: tuple[int, bytes],
        sizes: tuple[int, int, int, int],
        is_b_shared: bool,
        transpose_b: bool,
        random: bytes,
    ) -> ProductCheck: ...
    def holds(self, a: tuple[int, bytes], c: tuple[int, bytes]) -> bool:
        """Whether c is the product of a and b."""

@final
class ChainPrecompiles:
    """
    The precompiles that a chain has beside Ethereum's, as of one block, for somebody else's virtual machine.

    Gas is charged, models are run and logs are made as in the chain's blocks.
    """

    def __new__(cls, chain: ChainSpec, block_number: int, timestamp_s: int) -> ChainPrecompiles: ...
    @property
    def addresses(self) -> list[bytes]:
        """Where they are; none where the chain has no precompiles of its own at that block."""
    def begin_transaction(self) -> None:
        """Say that what is run next belongs to another transaction: limits are counted from here."""
    def run(
        self,
        address: bytes,
        data: bytes,
        gas_limit: int,
        caller: bytes,
        value_wei: int,
        load: Callable[[bytes, int], int],
    ) -> tuple[Literal["success", "revert", "halt"], bytes, int, list[tuple[bytes, list[bytes], bytes]]]:
        """
        Run a call to one of the addresses: status, output, gas used, logs as (address, topics, data).

        ``value_wei``: what arrived at the precompile. ``load``: the storage of an account at a slot; what it raises is
        raised. Raises ModelUnavailable, EngineFault.
        """

@final
class ModelSet:
    """The models that contracts can call, by id. Thread-safe."""

    def __new__(cls) -> ModelSet: ...
    def add(self, model_id: bytes, model: InferenceModel) -> None:
        """Add a model whose id the caller has checked; one that is there stays. Raises ValueError for no 32 bytes."""
    def remove(self, model_id: bytes) -> bool:
        """Take a model away; whether it was there."""
    def ids(self) -> list[bytes]:
        """The models that are here, sorted."""

@final
class Workload:
    """
    A generated block and the state before it, the same for the same arguments.

    ``kind``: "transfers", "erc20", "erc20-30-hot", "erc20-90-hot", "swaps", "mixed", "one-sender", "relay",
    "beneficiary-sends", "beneficiary-contract", "beneficiary-destroyed", "recreations" or "delegations". Those with
    tokens and swaps read the contracts of the fixtures from ``contracts_path``. ``state_store`` keeps the state before
    it: "memory" (plain maps) or "metisdb", both in memory.
    """

    def __new__(
        cls,
        kind: str,
        transaction_count: int,
        contracts_path: str | PathLike[str] | None = None,
        state_store: str = "memory",
    ) -> Workload:
        """[GIL free] Make it. Raises DecodeError: no such kind or store, or no such contracts."""
    @staticmethod
    def inferences(
        name: str,
        models: ModelSet,
        model_id: bytes,
        inputs: Sequence[bytes],
        transaction_count: int,
        state_store: str = "memory",
    ) -> Workload:
        """
        [GIL free] Paid calls of one model, each by its own sender, with these inputs in turn.

        Plain revm cannot run them. Raises DecodeError where the model is not in the set, or there are no inputs.
        """
    @property
    def name(self) -> str: ...
    @property
    def transaction_count(self) -> int: ...
    def run(self, contestant: str, workers: int = 0, latency_us: int = 0) -> tuple[int, int]:
        """
        [GIL free] Run the transactions, without the block around them; nanoseconds that it took, and their gas.

        ``contestant``: "revm" (its own loop and cache), "sequential", "parallel" with so many ``workers`` (0: one for
        each core), scheduled whatever the block is, or "node", the same where that helps. With ``latency_us`` each
        first read of an account or a slot takes so long.
        """
    def record(self, workers: int = 0) -> dict[str, Any]:
        """[GIL free] Run the transactions on so many threads and say what they accessed, as explain_block does."""
    def difference(self, workers: int) -> str | None:
        """[GIL free] Build and verify the block with so many workers; where that differs from one after the other."""

def fuzz_executor(
    seed: int, block_count: int, workers: Sequence[int], registry: CodeRegistry | None = None
) -> list[tuple[int, str]]:
    """
    [GIL free] Build random blocks one after the other and with each number of workers, and verify them.

    Blocks are those of ``seed``, ``seed + 1``, …; returns the seeds of blocks that differ, with the first difference.
    With ``registry`` the workers run its compiled code; one after the other is always interpreted.
    """

def compare_executors(
    store: MemoryStore,
    spec: ChainSpec,
    environment: Any,
    transactions: Sequence[Transaction],
    workers: Sequence[int],
    registry: CodeRegistry | None = None,
) -> dict[str, Any]:
    """
    [GIL free] Run transactions as those of one block, one after the other and with each number of workers.

    included (transactions that ran), failed (those of them that reverted or halted), skipped (those that may not be in
    the block), gas_used; difference (the first, as a text, or None; the counts are 0 where there is one). ``registry``
    as for :func:`fuzz_executor`. Nothing is committed.
    """

def inspect_database(path: str, verify: bool) -> dict[str, Any]:
    """
    [GIL free] What lies in the store of a directory; with ``verify`` every byte that counts is checked.

    generation, checkpoint and newest (number, hash, state_root; newest is None unless verified and whole),
    oldest_block_number, archive (None, or state_count, value_count, file_count and bytes of its history files),
    state_bytes, used_bytes, codes_bytes, log_bytes, log_record_count, damage (a list of texts).
    Raises StorageError where nothing can be told.
    """

def database_stats(path: str) -> dict[str, Any]:
    """
    [GIL free] What the store of a directory holds, and what it takes; reads all of it, also while it is written.

    newest (as in inspect_database), oldest_block_number, counts (accounts, slots, codes), index (accounts and slots, each
    segment_count, entry_count, used_count, deleted_count, load), tries (branch_count, extension_count, account_count,
    slot_count, storage_count, account_depths and slot_depths: leaves by the nodes above them), state_count,
    old_value_count, archive (as in inspect_database), bytes (accounts, slots, tries, document, rest, codes, log). Raises StorageError.
    """

def prune_database(path: str, kept_block_count: int, oldest_block_number: int | None = None) -> dict[str, int]:
    """
    [GIL free] Forget all but so many older states, and give room back; nobody else may write the store.

    An archive forgets only states of blocks before ``oldest_block_number``, if one is given.

    state_count_before, state_count, bytes_before, bytes. Raises StorageError.
    """

@final
class StateExport:
    """All of a kept state of a directory's store (None: the newest), as an iterator over bytes. Raises StorageError, StateUnavailable."""

    def __new__(cls, path: str, block_number: int | None = None) -> StateExport: ...
    def __iter__(self) -> StateExport: ...
    def __next__(self) -> bytes: ...
    @property
    def block(self) -> dict[str, Any]:
        """number, hash, state_root."""
    @property
    def account_count(self) -> int:
        """Accounts there are in all."""
    @property
    def counts(self) -> dict[str, int]:
        """accounts, slots and codes in the bytes so far."""

@final
class StateImport:
    """An exported state being read; a directory gets it with ``finish``. Raises StorageError."""

    def __new__(cls) -> StateImport: ...
    def feed(self, data: bytes) -> None:
        """[GIL free] Further bytes, in pieces of any length."""
    @property
    def counts(self) -> dict[str, int]: ...
    def finish(self, path: str) -> dict[str, Any]:
        """[GIL free] Make the store of a directory, if the state is whole and has its block's root; its block."""

def torture_database(seed: int, rounds: int) -> tuple[int, list[str]]:
    """[GIL free] Cut the power at many instants of so many plans, on all cores; disks opened afterwards, and what went wrong."""

def write_database(path: str, seed: int, begun: int, step_count: int, acknowledge: Callable[[int], object]) -> None:
    """[GIL free] Take the steps of a seed's plan from ``begun`` on; ``acknowledge`` is told how many after each."""

def check_database(path: str, seed: int, acknowledged: int) -> int:
    """[GIL free] Check the store that a killed writer left; steps it holds. Raises StorageError("torture")."""
