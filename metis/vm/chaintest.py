"""
One Ethereum blockchain-test file: its JSON as typed tests.

A test is a state, block 0 and blocks in the order in which a client hears of them, some of which it must refuse; the
newest block of the chain afterwards, and the state there. Read are the files of execution-spec-tests and of
ethereum/tests and ethereum/legacytests (Frontier to Osaka).

Source: https://eest.ethereum.org, "Blockchain Test"; https://ethereum-tests.readthedocs.io, "Blockchain Tests".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from metis.types import Account, FixtureError, Hash32
from metis.vm.beginning import BlobSchedule, alloc_of, blob_schedules_of, chain_id_of, tests_of
from metis.vm.fields import MalformedField, bytes_field, hash_field, list_field, object_field

__all__ = ["ChainBlock", "ChainTest", "parse_chain_tests"]

_GENESIS_FIELDS = (
    "nonce",
    "timestamp",
    "extraData",
    "gasLimit",
    "difficulty",
    "mixHash",
    "coinbase",
    "baseFeePerGas",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
)
"""What a genesis document has of its block's header; the rest follows from the state and the rules."""


@dataclass(frozen=True, slots=True)
class ChainBlock:
    """
    A block that a client hears of.

    Attributes
    ----------
    rlp : as it comes; not always a block.
    is_refused : whether it must be refused.
    expected_exception : name of the refusal (alternatives separated by "|"), or None where the file names none.
    has_ommers : whether it names ommers, as far as the file says what is in it.
    """

    rlp: bytes
    is_refused: bool
    expected_exception: str | None
    has_ommers: bool


@dataclass(frozen=True, slots=True)
class ChainTest:
    """
    One named test of a file.

    Attributes
    ----------
    path, name : the file as reports name it, and the key in it.
    network : rules, as the file names them, such as Osaka or BerlinToLondonAt5.
    genesis : fields of a genesis document, without its rules and accounts.
    genesis_hash : of block 0.
    alloc : the state before, by address.
    blocks : in the order in which they come.
    head_hash : of the chain's newest block afterwards.
    alloc_after : the state there, or None where the file has only its root.
    is_from_execution_spec_tests : whether its filler wrote the file (with a ``config``): then a block that must be
        refused breaks one rule, the one that is named. Other fillers leave roots empty in it, for instance.
    """

    path: str
    name: str
    network: str
    chain_id: int
    blob_schedules: Mapping[str, BlobSchedule]
    genesis: Mapping[str, Any]
    genesis_hash: Hash32
    alloc: Mapping[bytes, Account]
    blocks: tuple[ChainBlock, ...]
    head_hash: Hash32
    alloc_after: Mapping[bytes, Account] | None
    is_from_execution_spec_tests: bool

    @property
    def id(self) -> str:
        """``file::test``, unique within a run."""
        return f"{self.path}::{self.name}"


def parse_chain_tests(path: str, content: bytes) -> Iterator[ChainTest | FixtureError]:
    """
    Read one file's tests, in the file's order.

    A test that does not follow the format arrives as a FixtureError that names it, so that the
    file's other tests still run.

    Raises
    ------
    FixtureError : the whole file is not JSON, or not an object of tests.
    """
    return tests_of(path, content, _test)


def _test(path: str, name: str, body: Mapping[str, Any]) -> ChainTest:
    network = body.get("network")
    if not isinstance(network, str):
        raise MalformedField("network", "missing" if network is None else "not a name")
    config = object_field(body, "config") if "config" in body else {}
    header = object_field(body, "genesisBlockHeader")
    blocks = list_field(body, "blocks")
    return ChainTest(
        path=path,
        name=name,
        network=network,
        chain_id=chain_id_of(config),
        blob_schedules=blob_schedules_of(config),
        genesis={field: header[field] for field in _GENESIS_FIELDS if field in header},
        genesis_hash=hash_field(header, "hash", inside="genesisBlockHeader"),
        alloc=alloc_of(object_field(body, "pre")),
        blocks=tuple(_block(f"blocks[{index}]", block) for index, block in enumerate(blocks)),
        head_hash=hash_field(body, "lastblockhash"),
        alloc_after=alloc_of(object_field(body, "postState"), inside="postState") if "postState" in body else None,
        is_from_execution_spec_tests="config" in body,
    )


def _block(where: str, body: Any) -> ChainBlock:
    if not isinstance(body, dict):
        raise MalformedField(where, "not an object")
    # Old files name a refusal for each client or network.
    named = [value for field, value in body.items() if field.startswith("expectException")]
    if not all(isinstance(name, str) and name for name in named):
        raise MalformedField(f"{where}.expectException", "not a name")
    decoded = body.get("rlp_decoded", body)
    return ChainBlock(
        rlp=bytes_field(body, "rlp", inside=where),
        # Before there were names, a block that must be refused was one that nothing else is said of.
        is_refused=bool(named) or "blockHeader" not in body,
        expected_exception="|".join(named) or None,
        has_ommers=isinstance(decoded, dict) and bool(decoded.get("uncleHeaders")),
    )
