"""
The Rust engine as Python sees it, built from crates/metis-python.

Private: use :mod:`metis.engine`. Hashes, roots and addresses are big-endian ``bytes`` (32, 32 and
20 long); amounts of wei and storage words are ``int`` in [0, 2**256). Calls marked [GIL free]
release the interpreter lock. Every function may raise ``EngineFault``; other errors are named.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

__all__ = [
    "Block",
    "ChainSpec",
    "MemoryStore",
    "Transaction",
    "build_block",
    "build_info",
    "decode_transaction",
    "decode_transactions",
    "execute_transaction",
    "execute_transactions",
    "fork_names",
    "import_block",
    "inject_panic",
    "keccak256",
    "run_code",
    "transaction_error_slugs",
    "unsigned_transaction",
    "verify_proof",
]

def build_info() -> dict[str, str]:
    """Version, cargo profile, target, CPU features and revm version of this build."""

def keccak256(data: bytes) -> bytes: ...
def inject_panic(message: str, detached: bool = False) -> None:
    """Panic inside Rust (``detached``: with the lock free), so that tests see it arrive as ``EngineFault``."""

def transaction_error_slugs() -> list[str]:
    """Every value ``InvalidTransaction.reason`` may have."""

@final
class ChainSpec:
    """Which rules hold at which block: chain id, fork schedule, blob schedule, gas cap."""

    @staticmethod
    def from_genesis(genesis_json: bytes) -> ChainSpec:
        """
        From a geth-format genesis; raises GenesisError.

        Metis' own rules are read from ``config.metis``: ``transactionGasLimitCap`` (replaces
        EIP-7825's cap; null = no cap), ``baseFeeRecipient`` (gets the base fee instead of burning it).
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

def verify_proof(state_root: bytes, address: bytes, proof: Mapping[str, Any]) -> None:
    """Check an EIP-1186 proof (shape of MemoryStore.proof) against a root; raises DecodeError naming the first proof that fails."""

def execute_transaction(
    store: MemoryStore,
    spec: ChainSpec,
    environment: Any,
    transaction: Transaction,
    trace: Callable[[bytes], None] | None = None,
) -> dict[str, Any]:
    """
    [GIL free without trace] Run one transaction on the newest state without keeping the result.

    ``environment`` is a metis.types.BlockEnvironment. Returns keyword arguments of
    metis.types.TransactionOutcome: status, halt_reason, gas_used, gas_refunded, output,
    contract_address, logs, logs_hash, state_root (of the state after it). ``trace`` gets one
    EIP-3155 JSON line per step. Raises InvalidTransaction.
    """

def execute_transactions(
    store: MemoryStore, spec: ChainSpec, environment: Any, transactions: Sequence[Transaction], commit: bool = False
) -> dict[str, Any]:
    """
    [GIL free] Run transactions in order as one block without sealing it.

    Returns {"receipts": list[dict], "state_root", "receipts_root", "transactions_root",
    "logs_bloom", "gas_used"}. With ``commit`` the state becomes block ``environment.number``.
    Raises InvalidTransaction with index.
    """

def run_code(
    spec: ChainSpec,
    code: bytes,
    calldata: bytes,
    gas_limit: int,
    value_wei: int | None = None,
    trace: Callable[[bytes], None] | None = None,
) -> dict[str, Any]:
    """Run bytecode as one message call in an empty world (no transaction cost). Same result keys as execute_transaction."""

def build_block(
    store: MemoryStore, spec: ChainSpec, parent: Block, attributes: Any, transactions: Sequence[Transaction]
) -> dict[str, Any]:
    """
    [GIL free] Build and commit the next block from candidates, in order.

    ``attributes`` is a metis.types.BlockAttributes. A candidate that cannot be included is
    skipped. Returns {"block": Block, "receipts": list[dict], "skipped": list[(index,
    InvalidTransaction)]}. Raises InvalidBlock when the attributes break a rule.
    """

def import_block(store: MemoryStore, spec: ChainSpec, parent: Block, block: Block) -> list[dict[str, Any]]:
    """
    [GIL free] Execute a block, check every field and root, commit it; returns the receipts.

    Raises InvalidBlock (store unchanged).
    """
