"""
Blockchain tests against a node of the engine: blocks imported as they come, many files on threads, one report.

The node keeps its chain in memory. Which of several branches is the chain is not for the engine to say: since the merge
the consensus layer does, and before it was the most work, which the engine does not count. So the test's newest block
is made the head, as a consensus layer would; it must have been accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from functools import partial
from typing import Any

import orjson

from metis import engine
from metis.engine import Node
from metis.types import (
    Account,
    CompositionError,
    DecodeError,
    EngineFault,
    FixtureError,
    GenesisError,
    InvalidBlock,
    MetisError,
    UnknownParent,
)
from metis.vm.block_refusals import block_refusal_name, is_block_refusal_expected, rests_on_work
from metis.vm.case import CaseFailure
from metis.vm.chaintest import ChainBlock, ChainTest, parse_chain_tests
from metis.vm.conformance import STORES
from metis.vm.fixtures import FixtureFile, read_fixture
from metis.vm.forks import canonical_fork, fork_reached, network_config
from metis.vm.report import Report, run_files

__all__ = ["Skipped", "run_chain_test", "run_chain_tests"]


class Skipped(Enum):
    """Why a test was not run to its end."""

    NETWORK = "a fork that the engine does not implement"
    WORK = "a rule of proof of work, or of ommers' headers, which the engine does not check"


def run_chain_tests(
    files: Iterable[FixtureFile],
    network: str | None = None,
    workers: int = 1,
    on_progress: Callable[[Report], None] | None = None,
    store: str = "metisdb",
) -> Report:
    """
    Run every test of every file.

    Parameters
    ----------
    files : such as metis.vm.fixture_files gives.
    network : run only tests of this network, by the files' name or another one of its fork; None runs all.
    workers : threads; 1 runs everything on the caller's.
    on_progress : called with the report so far after each file, on the caller's thread.
    store : "memory" or "metisdb".

    Returns
    -------
    Report ; the same for the same files, whatever the number of workers. A test counts as one case of its network.

    Raises
    ------
    CompositionError : the store is unknown.
    FixtureError : a path does not exist (from ``files``).
    """
    if store not in STORES:
        raise CompositionError("StateStore", store, f"no such store; choose one of {', '.join(STORES)}")
    return run_files(files, partial(_file_report, network=network, store=store), workers, on_progress)


def _file_report(file: FixtureFile, network: str | None, store: str) -> Report:
    report = Report()
    try:
        for test in parse_chain_tests(file.path, read_fixture(file)):
            if isinstance(test, FixtureError):
                report.unreadable(test)
            elif network is None or _is_network(test.network, network):
                _count(report, test, run_chain_test(test, store))
    except FixtureError as error:
        report.unreadable(error)
    return report


def _is_network(name: str, wanted: str) -> bool:
    return name == wanted or (canonical_fork(name) is not None and canonical_fork(name) == canonical_fork(wanted))


def _count(report: Report, test: ChainTest, outcome: CaseFailure | Skipped | None) -> None:
    if isinstance(outcome, Skipped):
        report.skipped_case(test.network)
    elif outcome is None:
        report.passed_case(test.network)
    else:
        report.failed_case(test.network, outcome)


def run_chain_test(test: ChainTest, store: str = "metisdb") -> CaseFailure | Skipped | None:
    """
    Run one test on a node of its own.

    Returns
    -------
    None where everything is as the test says.
    """
    config = network_config(test.network, test.chain_id, test.blob_schedules)
    if config is None:
        return Skipped.NETWORK
    genesis = orjson.dumps({**test.genesis, "config": config, "alloc": {}})
    try:
        node = Node.open(genesis, test.alloc, workers=1, state_store=store)
    except GenesisError as error:
        return _failure(test, "fixture", str(error))
    try:
        return _run(test, node)
    except EngineFault as error:
        return _failure(test, "engine-fault", str(error))
    finally:
        node.close()


def _run(test: ChainTest, node: Node) -> CaseFailure | Skipped | None:
    if node.genesis_hash != test.genesis_hash:
        return _failure(test, "genesis", "block 0 is another one", test.genesis_hash, node.genesis_hash)
    for index, block in enumerate(test.blocks):
        outcome = _import(test, node, index, block)
        if outcome is not None:
            return outcome
    try:
        if node.head_hash != test.head_hash:
            node.set_head(test.head_hash)
    except MetisError as error:
        return _failure(test, "head", f"the newest block was not kept: {error}", test.head_hash, node.head_hash)
    if test.alloc_after is not None:
        return _compare(test, orjson.loads(node.accounts_json()), test.alloc_after)
    return None


def _import(test: ChainTest, node: Node, index: int, block: ChainBlock) -> CaseFailure | Skipped | None:
    refusal: InvalidBlock | DecodeError | UnknownParent | None = None
    try:
        node.import_block(engine.decode_block(block.rlp))
    except (InvalidBlock, DecodeError, UnknownParent) as error:
        refusal = error
    where, expected = f"blocks[{index}]", block.expected_exception
    if refusal is None:
        if not block.is_refused:
            return None
        fork = canonical_fork(test.network)
        is_before_merge = fork is not None and not fork_reached(fork, "Paris")
        if is_before_merge and (rests_on_work(expected) or block.has_ommers):
            return Skipped.WORK
        return _failure(test, "not-refused", f"{where} was accepted", expected or "a refusal", None)
    name = block_refusal_name(refusal)
    if not block.is_refused:
        return _failure(test, "refused", f"{where} was refused: {refusal}", None, name)
    is_one_rule = expected is not None and test.is_from_execution_spec_tests
    if is_one_rule and not is_block_refusal_expected(expected or "", name):
        return _failure(test, "wrong-refusal", f"{where} was refused for another reason: {refusal}", expected, name)
    return None


def _compare(test: ChainTest, dump: Mapping[str, Any], expected: Mapping[bytes, Account]) -> CaseFailure | None:
    """The node's dump of all accounts beside the test's: the roots agree already, so this is for the dump."""
    actual = {bytes.fromhex(address.removeprefix("0x")): account for address, account in dump.items()}
    for address in sorted(actual.keys() | expected.keys()):
        one, other = expected.get(address), actual.get(address)
        if one is None or other is None or _values(one) != _dumped(other):
            text = [None if one is None else str(_values(one)), None if other is None else str(_dumped(other))]
            return _failure(test, "post-state", f"account 0x{address.hex()} differs", *text)
    return None


_Values = tuple[int, int, bytes, dict[int, int]]


def _values(account: Account) -> _Values:
    return account.nonce, account.balance_wei, account.code, {k: v for k, v in account.storage.items() if v}


def _dumped(account: Mapping[str, Any]) -> _Values:
    number = partial(int, base=16)
    storage = {number(slot): number(value) for slot, value in account["storage"].items()}
    code = bytes.fromhex(account["code"].removeprefix("0x"))
    return account["nonce"], number(account["balance"]), code, storage


def _failure(
    test: ChainTest, kind: str, detail: str, expected: bytes | str | None = None, actual: bytes | str | None = None
) -> CaseFailure:
    def text(value: bytes | str | None) -> str | None:
        return f"0x{value.hex()}" if isinstance(value, bytes) else value

    return CaseFailure(test.id, kind, detail, {"value": text(expected)}, {"value": text(actual)})
