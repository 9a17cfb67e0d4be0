"""Blockchain tests: what passes, what each kind of difference is called, and that nothing is dropped in silence."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from metis.types import CompositionError
from metis.vm import CaseFailure, FixtureFile, Skipped, run_chain_test, run_chain_tests
from tests.unit.vm.small_chains import STATE_ROOT_FIELD, chain_test, changed, only_chain_test
from tests.unit.vm.small_tests import RECEIVER, ZERO_HASH

Test = dict[str, Any]


@pytest.fixture(scope="module")
def good() -> Test:
    return chain_test()


def _run(test: Test) -> CaseFailure | Skipped | None:
    return run_chain_test(only_chain_test({"test": test}))


def _kind(test: Test) -> str:
    outcome = _run(test)
    assert isinstance(outcome, CaseFailure), outcome
    return outcome.kind


def _with_bad_root(test: Test, **expected: Any) -> Test:
    """The same, with a first block whose root is wrong before the right ones."""

    def wrong(body: list[Any]) -> None:
        body[0][STATE_ROOT_FIELD] = bytes(32)

    test = copy.deepcopy(test)
    test["blocks"].insert(0, changed(test["blocks"][0], wrong, **expected))
    return test


@pytest.mark.parametrize("store", ["memory", "metisdb"])
def test_run__blocks_and_state_as_the_file_says__nothing_differs(good: Test, store: str) -> None:
    assert run_chain_test(only_chain_test({"test": good}), store) is None


@pytest.mark.parametrize("network", ["Frontier", "London", "ShanghaiToCancunAtTime15"])
def test_run__other_rules__nothing_differs(network: str) -> None:
    test = chain_test(network)
    assert _run(test) is None
    # Block 0 has other fields under other rules: so it was these that were taken.
    assert _kind(test | {"network": "Osaka"}) == "genesis"


def test_run__refused_block_for_the_reason_named__passes(good: Test) -> None:
    assert _run(_with_bad_root(good, expectException="BlockException.INVALID_STATE_ROOT")) is None
    assert (
        _run(_with_bad_root(good, expectException="TransactionException.X|BlockException.INVALID_STATE_ROOT")) is None
    )
    # Old files say nothing at all of such a block.
    assert _run(_with_bad_root(good)) is None


@pytest.mark.parametrize("name", ["BlockException.INVALID_GASLIMIT", "TransactionException.NONCE_MISMATCH_TOO_LOW"])
def test_run__refused_block_for_another_reason__wrong_refusal(good: Test, name: str) -> None:
    assert _kind(_with_bad_root(good, expectException=name)) == "wrong-refusal"


def test_run__block_whose_parent_comes_later__refused_for_it_and_taken_then(good: Test) -> None:
    early = {**good["blocks"][1], "expectException": "BlockException.UNKNOWN_PARENT"}
    assert _run(good | {"blocks": [early, *good["blocks"]]}) is None


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda test: test["blocks"][0].update(expectException="BlockException.INVALID_STATE_ROOT"), "not-refused"),
        (lambda test: test["blocks"].pop(0), "refused"),
        (lambda test: test.update(lastblockhash=ZERO_HASH), "head"),
        (lambda test: test["blocks"].pop(), "head"),
        (lambda test: test["genesisBlockHeader"].update(gasLimit="0x05f5e101"), "genesis"),
        (lambda test: test["pre"][RECEIVER]["storage"].update({"0x01": "0x03"}), "genesis"),
        (lambda test: test["postState"][RECEIVER]["storage"].pop("0x" + "00" * 31 + "01"), "post-state"),
        (lambda test: test["postState"].pop(RECEIVER), "post-state"),
        (lambda test: test["genesisBlockHeader"].update(gasLimit="many"), "fixture"),
    ],
)
def test_run__something_else__the_difference_by_its_name(
    good: Test, change: Callable[[Test], object], kind: str
) -> None:
    test = copy.deepcopy(good)
    change(test)
    assert _kind(test) == kind


def test_run__head_is_an_older_block__made_the_head(good: Test) -> None:
    shorter = chain_test(block_count=1)
    chosen = {"lastblockhash": shorter["lastblockhash"], "postState": shorter["postState"]}
    assert chosen["lastblockhash"] != good["lastblockhash"]
    assert _run(good | chosen) is None


@pytest.mark.parametrize("network", ["Amsterdam", "ArrowGlacierToParisAtDiffC0000", "HomesteadToDaoAt5"])
def test_run__network_without_rules__skipped(good: Test, network: str) -> None:
    assert _run(good | {"network": network}) is Skipped.NETWORK


def test_run__what_only_proof_of_work_refuses__skipped() -> None:
    test = chain_test("London")
    test["blocks"][1]["expectException"] = "InvalidDifficulty"
    assert _run(test) is Skipped.WORK
    # Not so where nothing rests on work.
    test["blocks"][1]["expectException"] = "InvalidGasUsed"
    assert _kind(test) == "not-refused"


def _file(name: str, document: dict[str, Any]) -> FixtureFile:
    return FixtureFile(name, content=orjson.dumps(document))


def test_run_files__each_test_counted_once_under_its_network(good: Test) -> None:
    files = [
        _file("a.json", {"good": good, "wrong": good | {"lastblockhash": ZERO_HASH}}),
        _file("b.json", {"later": good | {"network": "Amsterdam"}, "broken": {"network": "Cancun"}}),
        FixtureFile("c.json", content=b"["),
    ]
    for workers in (1, 3):
        report = run_chain_tests(files, workers=workers)
        assert (report.total, report.passed, report.failed, report.skipped) == (5, 1, 3, 1)
        assert list(report.by_fork) == ["Cancun", "Amsterdam", "unreadable"]
        assert [failure.id for failure in report.failures] == ["a.json::wrong", "b.json::broken", "c.json"]


def test_run_files__one_network_chosen__others_not_counted(good: Test) -> None:
    files = [_file("a.json", {"cancun": good, "paris": chain_test("Merge")})]
    assert run_chain_tests(files, network="Paris").passed == 1
    assert run_chain_tests(files, network="Cancun").total == 1
    assert run_chain_tests(files, network="Sometime").total == 0


def test_run_files__unknown_store__refused_with_the_names_there_are() -> None:
    with pytest.raises(CompositionError, match="metisdb"):
        run_chain_tests([], store="paper")
