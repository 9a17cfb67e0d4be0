"""
What a node is told: a TOML file, or values in Python. Every field has a default and is documented here.

Errors name the field by its dotted path, unknown fields included. docs/node.md shows the whole file;
a test holds the two equal.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from os import PathLike
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from metis.node.errors import ConfigError
from metis.vm.tiering.policy import Policy

__all__ = [
    "AccountsConfig",
    "ControlConfig",
    "EngineApiConfig",
    "ExecutionConfig",
    "ForkSection",
    "LogConfig",
    "MiningConfig",
    "ModelsConfig",
    "NodeConfig",
    "PoolLimits",
    "RpcSection",
    "StorageConfig",
    "VmConfig",
    "check_config",
    "config_from_toml",
    "read_config",
]

TEST_MNEMONIC = "test test test test test test test test test test test junk"

T = TypeVar("T")


def _one_of(*choices: str) -> dict[str, Any]:
    return {"choices": choices}


def _between(least: float, most: float) -> dict[str, Any]:
    return {"range": (least, most)}


_COUNT = _between(1, 2**31)


@dataclass(frozen=True, slots=True)
class RpcSection:
    """
    Where JSON-RPC is served.

    Attributes
    ----------
    host, port : of HTTP and WebSocket; port 0 lets the system choose.
    hosts, origins : DNS names to answer to, and pages that may call; see docs/rpc.md.
    ipc_path : of the Unix socket, "" for none.
    body_size_bytes_max, batch_count_max, request_timeout_ms, connections_max : see docs/rpc.md.
    log_block_count_max, log_count_max : blocks that one eth_getLogs may span, logs it may answer.
    call_gas_max : most gas that eth_call and eth_estimateGas may use.
    """

    host: str = "127.0.0.1"
    port: int = field(default=8545, metadata=_between(0, 65_535))
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ("*",)
    ipc_path: str = ""
    body_size_bytes_max: int = field(default=15 * 1024 * 1024, metadata=_COUNT)
    batch_count_max: int = field(default=1_000, metadata=_COUNT)
    request_timeout_ms: int = field(default=30_000, metadata=_COUNT)
    connections_max: int = field(default=512, metadata=_COUNT)
    log_block_count_max: int = field(default=100_000, metadata=_COUNT)
    log_count_max: int = field(default=20_000, metadata=_COUNT)
    call_gas_max: int = field(default=100_000_000, metadata=_between(21_000, 2**53))


@dataclass(frozen=True, slots=True)
class EngineApiConfig:
    """The Engine API's listener: ``port`` with a JWT from ``secret_path``; off unless ``enabled``."""

    enabled: bool = False
    host: str = "127.0.0.1"
    port: int = field(default=8551, metadata=_between(0, 65_535))
    secret_path: str = "jwt.hex"  # noqa: S105 - a file's name


@dataclass(frozen=True, slots=True)
class MiningConfig:
    """
    When blocks are built.

    Attributes
    ----------
    mode : "instant" (when transactions arrive; the receipt is there when the hash comes back),
        "interval" (every ``block_time_s``), "mixed" (both), "manual" (only when asked).
    block_time_s : of interval and mixed.
    order : "fees" (best tip first) or "fifo" (as they arrived).
    coinbase : who gets tips.
    gas_limit : of blocks; 0 keeps the parent's.
    extra_data : in headers, as 0x-hex, up to 32 bytes.
    """

    mode: str = field(default="instant", metadata=_one_of("instant", "interval", "mixed", "manual"))
    block_time_s: float = field(default=2.0, metadata=_between(0.01, 86_400))
    order: str = field(default="fees", metadata=_one_of("fees", "fifo"))
    coinbase: str = "0x0000000000000000000000000000000000000000"
    gas_limit: int = field(default=0, metadata=_between(0, 2**53))
    extra_data: str = "0x"


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """
    Where the chain is kept.

    Attributes
    ----------
    path : a folder, or "" for memory only.
    durability : "block" (every block is on disk before anyone hears of it), "group" (before whoever
        sent a transaction hears of it, and every ``sync_interval_ms``), "none" (when the system likes).
    kept_block_count : states that are kept whole, in memory.
    history : "window": older ones are forgotten. "archive": none is; what was before each goes to files in the folder.
    state_store : "metisdb", in the folder beside the blocks, or "memory": plain maps, made again from the blocks at
        each start.
    checkpoint_block_count : the state is written to the folder at least once in so many blocks; a start makes again
        what came since.
    """

    path: str = ""
    durability: str = field(default="group", metadata=_one_of("block", "group", "none"))
    sync_interval_ms: int = field(default=50, metadata=_between(1, 60_000))
    kept_block_count: int = field(default=1_024, metadata=_between(1, 2**31))
    history: str = field(default="window", metadata=_one_of("window", "archive"))
    state_store: str = field(default="metisdb", metadata=_one_of("metisdb", "memory"))
    checkpoint_block_count: int = field(default=1_000, metadata=_between(1, 2**31))


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """
    Limits of the mempool.

    Attributes
    ----------
    transaction_count_max : in the whole pool. sender_count_max : of one sender.
    transaction_size_bytes_max : of one transaction without blobs.
    price_bump_percent : by how much a replacement must pay more.
    """

    transaction_count_max: int = field(default=100_000, metadata=_COUNT)
    sender_count_max: int = field(default=10_000, metadata=_COUNT)
    transaction_size_bytes_max: int = field(default=131_072, metadata=_COUNT)
    price_bump_percent: int = field(default=10, metadata=_between(0, 1_000))


@dataclass(frozen=True, slots=True)
class AccountsConfig:
    """
    Development accounts: ``count`` keys of ``mnemonic``, each with ``balance`` coins at genesis.

    ``derivation_path`` is the path (BIP-32) that an account's number is added to.

    Everyone has these keys: never use them elsewhere.
    """

    count: int = field(default=10, metadata=_between(0, 10_000))
    mnemonic: str = TEST_MNEMONIC
    derivation_path: str = "m/44'/60'/0'/0/"
    balance: int = field(default=10_000, metadata=_between(0, 10**50))


@dataclass(frozen=True, slots=True)
class DevelopmentRules:
    """What the engine leaves out of Ethereum's rules; see :class:`ControlConfig`."""

    unsigned_may_have_code: bool
    code_size_bytes_max: int | None


@dataclass(frozen=True, slots=True)
class ControlConfig:
    """
    What tests may do with the node. Turn it off where anybody else can reach it.

    Attributes
    ----------
    enabled : serve the anvil_, hardhat_, evm_ and tenderly_ methods.
    auto_impersonate : any account may send without its key.
    code_size_bytes_max : of contracts; 0 keeps Ethereum's 24,576 (EIP-170).
    load_state : a state file in anvil's format that is loaded at the start, "" for none.
    dump_state : where one is written when the node stops, "" for nowhere.
    dump_interval_s : it is written so often as well; 0 only at the end.
    """

    enabled: bool = True
    auto_impersonate: bool = False
    code_size_bytes_max: int = field(default=0, metadata=_between(0, 2**31))
    load_state: str = ""
    dump_state: str = ""
    dump_interval_s: float = field(default=0.0, metadata=_between(0, 86_400))

    def rules(self) -> DevelopmentRules:
        """For the engine."""
        return DevelopmentRules(self.enabled, self.code_size_bytes_max or None)


@dataclass(frozen=True, slots=True)
class VmConfig:
    """
    Machine code for contracts that are hot.

    Attributes
    ----------
    mode : "auto" compiles what is hot, "eager" whatever runs (for tests), "off" nothing.
    hot_gas : gas that a contract spends interpreted before it is hot; 0 takes the engine's default.
    workers : processes that compile; 0 takes one for two cores.
    cache_size_bytes_max : of compiled code on disk, in the data folder; nothing is kept without one.
    """

    mode: str = field(default="auto", metadata=_one_of("off", "auto", "eager"))
    hot_gas: int = field(default=0, metadata=_between(0, 2**53))
    workers: int = field(default=0, metadata=_between(0, 64))
    cache_size_bytes_max: int = field(default=1 << 30, metadata=_between(0, 2**53))

    def policy(self, data_path: str) -> Policy:
        """How the node compiles, with the chain's data in ``data_path`` ("": in memory)."""
        return Policy(
            mode=self.mode,
            hot_gas=self.hot_gas or None,
            workers=self.workers,
            cache_folder=Path(data_path) / "compiled" if data_path else None,
            cache_size_bytes_max=self.cache_size_bytes_max,
        )


@dataclass(frozen=True, slots=True)
class ExecutionConfig:
    """
    How the transactions of a block are run, in building and in verifying; the block is the same (docs/mpef.md).

    Attributes
    ----------
    executor : "auto" runs them on several threads where that is faster, "sequential" one after the other. A chain that
        goes on from another node's runs them one after the other.
    workers : threads for a block; 0 takes one for each core.
    """

    executor: str = field(default="auto", metadata=_one_of("auto", "sequential"))
    workers: int = field(default=0, metadata=_between(0, 256))

    @property
    def worker_count(self) -> int:
        """As the engine takes it: 0 for one thread on each core, 1 for one after the other."""
        return self.workers if self.executor == "auto" else 1


@dataclass(frozen=True, slots=True)
class ModelsConfig:
    """
    Where the models are that contracts call (docs/inference.md).

    Attributes
    ----------
    stores : folders or fsspec URLs, asked in order; none for the user's own, ``METIS_MODELS`` or
        ``~/.local/share/metis/models``.
    path : the folder of models that this node has put together; "" for ``~/.cache/metis/models``.
    uri_schemes : of the addresses in the registry, which anybody may have written, those that are followed when no
        store has a model. What is fetched must hash to the model's id, and ``https`` only leads to the public Internet.
    model_bytes_max : most bytes of weights that are fetched from there.
    """

    stores: tuple[str, ...] = ()
    path: str = ""
    uri_schemes: tuple[str, ...] = ("https", "ipfs")
    model_bytes_max: int = field(default=1 << 32, metadata=_between(0, 2**36))


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Log lines: ``format`` "text" or "json", and the least ``level`` that is written."""

    format: str = field(default="text", metadata=_one_of("text", "json"))
    level: str = field(default="info", metadata=_one_of("debug", "info", "warning", "error"))


@dataclass(frozen=True, slots=True)
class ForkSection:
    """
    The chain that this one goes on from; none without ``url``.

    Attributes
    ----------
    url : of a node's JSON-RPC over HTTP. headers : "Name: value" sent with each request.
    block_number : to begin at; -1 is the newest. transaction_hash : begin after this transaction instead.
    rules : preset whose rules hold; "" is the one with the chain's id, else ethereum.
    timeout_ms, retry_count, retry_pause_ms : of one request; pauses double.
    batch_count_max : calls in one request. requests_per_second_max : 0 is no limit.
    cache, cache_path, cache_size_bytes_max : what was fetched is kept in a folder; "" is the user's cache folder.
    """

    url: str = ""
    headers: tuple[str, ...] = ()
    block_number: int = field(default=-1, metadata=_between(-1, 2**53))
    transaction_hash: str = ""
    rules: str = ""
    timeout_ms: int = field(default=10_000, metadata=_between(1, 600_000))
    retry_count: int = field(default=5, metadata=_between(0, 100))
    retry_pause_ms: int = field(default=250, metadata=_between(0, 60_000))
    batch_count_max: int = field(default=100, metadata=_between(1, 10_000))
    requests_per_second_max: float = field(default=0.0, metadata=_between(0, 1_000_000))
    cache: bool = True
    cache_path: str = ""
    cache_size_bytes_max: int = field(default=1024**3, metadata=_between(0, 2**53))


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """
    Everything about one node but its chain.

    Attributes
    ----------
    preset : the chain, by the name of a preset. chain_id : replaces the preset's; 0 keeps it.
    genesis_path : a genesis file in go-ethereum's format, which the chain begins with instead; "" for none.
    hardfork : whose rules hold from the first block on, such as "prague"; "" keeps the preset's.
    """

    preset: str = "hyperion"
    genesis_path: str = ""
    hardfork: str = ""
    chain_id: int = field(default=0, metadata=_between(0, 2**53))
    rpc: RpcSection = field(default_factory=RpcSection)
    engine_api: EngineApiConfig = field(default_factory=EngineApiConfig)
    mining: MiningConfig = field(default_factory=MiningConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    execution: ExecutionConfig = field(default_factory=ExecutionConfig)
    pool: PoolLimits = field(default_factory=PoolLimits)
    accounts: AccountsConfig = field(default_factory=AccountsConfig)
    control: ControlConfig = field(default_factory=ControlConfig)
    fork: ForkSection = field(default_factory=ForkSection)
    vm: VmConfig = field(default_factory=VmConfig)
    models: ModelsConfig = field(default_factory=ModelsConfig)
    log: LogConfig = field(default_factory=LogConfig)


def read_config(path: str | PathLike[str]) -> NodeConfig:
    """
    Read a configuration file.

    Raises
    ------
    ConfigError : it is not TOML, or a field is bad or unknown. OSError : it cannot be read.
    """
    return config_from_toml(Path(path).read_text(encoding="utf-8"))


def config_from_toml(text: str) -> NodeConfig:
    """Read the text of a configuration file; raises ConfigError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigError("document", f"is not TOML: {problem}") from problem
    return _section(NodeConfig, document, "")


def check_config(config: NodeConfig) -> None:
    """Check settings that were made in Python as those of a file are; raises ConfigError."""
    _section(NodeConfig, _table(config), "")


def _table(section: Any) -> dict[str, Any]:
    """Write a section as the table it could have been read from."""
    table: dict[str, Any] = {}
    for entry in fields(section):
        value = getattr(section, entry.name)
        if is_dataclass(value):
            value = _table(value)
        table[entry.name] = list(value) if isinstance(value, tuple) else value
    return table


def _section(kind: type[T], table: Mapping[str, Any], path: str) -> T:
    """Make a section from a table; what is missing has its default."""
    assert is_dataclass(kind)  # noqa: S101 - of this module
    known = {entry.name: entry for entry in fields(kind)}
    hints = get_type_hints(kind)
    for key in table:
        if key not in known:
            near = ", ".join(sorted(known))
            raise ConfigError(_join(path, key), f"is not a setting; settings here: {near}")
    values = {key: _value(hints[key], value, _join(path, key), known[key].metadata) for key, value in table.items()}
    missing = [
        name
        for name, entry in known.items()
        if name not in values and entry.default is MISSING and entry.default_factory is MISSING
    ]
    if missing:
        raise ConfigError(_join(path, missing[0]), "is missing")
    made: T = kind(**values)
    return made


def _value(hint: Any, value: Any, path: str, metadata: Mapping[str, Any]) -> Any:
    if is_dataclass(hint):
        if not isinstance(value, dict):
            raise ConfigError(path, f"must be a table, not {_kind(value)}")
        return _section(hint, value, path)  # type: ignore[arg-type]  # a class, says is_dataclass
    if get_origin(hint) is tuple:
        element = get_args(hint)[0]
        if not isinstance(value, list):
            raise ConfigError(path, f"must be a list, not {_kind(value)}")
        return tuple(_value(element, entry, f"{path}[{index}]", {}) for index, entry in enumerate(value))
    assert not isinstance(hint, UnionType)  # noqa: S101 - of this module
    if hint is float and type(value) is int:
        value = float(value)
    if type(value) is not hint:
        raise ConfigError(path, f"must be {_NAMES[hint]}, not {_kind(value)}")
    if "choices" in metadata and value not in metadata["choices"]:
        raise ConfigError(path, f"must be one of {', '.join(metadata['choices'])}, not {value!r}")
    if "range" in metadata:
        least, most = metadata["range"]
        if not least <= value <= most:
            raise ConfigError(path, f"must be between {least:,} and {most:,}, not {value}")
    return value


_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return _NAMES.get(type(value), "a table" if isinstance(value, dict) else type(value).__name__)


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
