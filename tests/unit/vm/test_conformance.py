"""Many files: counts, order, workers, and that nothing is dropped in silence."""

from __future__ import annotations

from typing import Any

import pytest

from metis.types import CompositionError, FixtureError, GenesisError
from metis.vm import FixtureFile, Report, run_state_tests
from tests.unit.vm.small_tests import ZERO_HASH, encoded, filled, transfer_test


def _file(name: str, document: dict[str, Any]) -> FixtureFile:
    return FixtureFile(name, content=encoded(document))


def _wrong(test: dict[str, Any]) -> dict[str, Any]:
    for cases in test["post"].values():
        for case in cases:
            case["hash"] = ZERO_HASH
    return test


def _counts(report: Report) -> tuple[int, int, int, int]:
    return report.total, report.passed, report.failed, report.skipped


def test_run__mixed_files__each_case_counted_once_under_its_fork() -> None:
    good = filled(transfer_test())
    report = run_state_tests(
        [
            _file("a.json", {"good": good, "wrong": _wrong(filled(transfer_test(fork="Shanghai")))}),
            _file("b.json", {"good": good}),
        ]
    )
    assert _counts(report) == (3, 2, 1, 0)
    assert (report.by_fork["Cancun"].passed, report.by_fork["Shanghai"].failed) == (2, 1)
    assert [failure.id for failure in report.failures] == ["a.json::wrong::Shanghai::0_0_0"]


def test_run__fork_without_rules__skipped_and_counted() -> None:
    test = transfer_test(fork="ShanghaiToCancunAtTime15k")
    report = run_state_tests([_file("a.json", {"transition": test})])
    assert _counts(report) == (1, 0, 0, 1)
    assert report.by_fork["ShanghaiToCancunAtTime15k"].skipped == 1


def test_run__broken_file_and_test__one_failure_each_and_others_go_on() -> None:
    good = filled(transfer_test())
    unreadable = FixtureFile("c.json", error=FixtureError("c.json", "", "too large"))
    report = run_state_tests(
        [FixtureFile("a.json", content=b"{"), _file("b.json", {"broken": {}, "good": good}), unreadable]
    )
    assert _counts(report) == (4, 1, 3, 0)
    assert [failure.id for failure in report.failures] == ["a.json", "b.json::broken", "c.json"]
    assert {failure.kind for failure in report.failures} == {"fixture"}
    assert report.by_fork["unreadable"].failed == 3


def test_run__field_broken_in_one_case__only_that_case_fails() -> None:
    test = filled(transfer_test())
    test["transaction"]["nonce"] = "0xzz"
    report = run_state_tests([_file("a.json", {"broken": test, "good": filled(transfer_test())})])
    assert _counts(report) == (2, 1, 1, 0)
    assert report.failures[0].kind == "fixture"
    assert "transaction.nonce" in report.failures[0].detail


@pytest.mark.parametrize("fork", ["Paris", "Merge"])
def test_run__one_fork_chosen_by_any_name__others_not_counted(fork: str) -> None:
    test = filled(transfer_test(fork="Merge"))
    test["post"]["Cancun"] = test["post"]["Merge"]
    report = run_state_tests([_file("a.json", {"two forks": test})], fork=fork)
    assert _counts(report) == (1, 1, 0, 0)


def test_run__unknown_fork_chosen__refused_with_the_names_there_are() -> None:
    with pytest.raises(GenesisError, match="Osaka"):
        run_state_tests([], fork="Sometime")


def test_run__any_number_of_workers__same_report() -> None:
    good, wrong = filled(transfer_test()), _wrong(filled(transfer_test()))
    files = [_file(f"{number}.json", {"t": wrong if number % 3 == 0 else good}) for number in range(40)]
    reports = [run_state_tests(files, workers=workers) for workers in (1, 2, 7)]
    assert reports[0] == reports[1] == reports[2]
    assert [failure.id.split(".")[0] for failure in reports[0].failures] == [str(number) for number in range(0, 40, 3)]


def test_run__progress__called_after_each_file() -> None:
    totals: list[int] = []
    good = filled(transfer_test())
    files = [_file(f"{number}.json", {"t": good}) for number in range(3)]
    run_state_tests(files, on_progress=lambda report: totals.append(report.total))
    assert totals == [1, 2, 3]


def test_run__parallel__finds_what_the_interpreter_finds() -> None:
    files = [
        _file("a.json", {"good": filled(transfer_test()), "wrong": _wrong(filled(transfer_test(fork="Shanghai")))})
    ]
    assert run_state_tests(files, mode="parallel") == run_state_tests(files)


def test_run__unknown_mode__refused() -> None:
    with pytest.raises(CompositionError, match="no such mode"):
        run_state_tests([], mode="quantum")
