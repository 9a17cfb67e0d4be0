"""Generated blocks: every kind runs, all contestants agree, what is not there is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from metis.engine import Workload, fuzz_executor
from metis.types import DecodeError

PLAIN = (
    "transfers",
    "one-sender",
    "relay",
    "beneficiary-sends",
    "beneficiary-contract",
    "beneficiary-destroyed",
    "recreations",
    "delegations",
)
WITH_CONTRACTS = ("erc20", "erc20-30-hot", "erc20-90-hot", "swaps", "mixed")


@pytest.mark.parametrize("kind", PLAIN)
def test_workload__plain_kind__is_the_same_in_parallel(kind: str) -> None:
    workload = Workload(kind, 48)
    assert workload.transaction_count == 48
    assert [workload.difference(workers) for workers in (1, 2, 4, 8, 16)] == [None] * 5


@pytest.mark.parametrize("kind", WITH_CONTRACTS)
def test_workload__kind_with_contracts__is_the_same_in_parallel(kind: str, fixtures: Path) -> None:
    folder = fixtures / "contracts"
    if not folder.is_dir():
        pytest.skip(f"no contracts at {folder}")
    workload = Workload(kind, 40, folder)
    assert [workload.difference(workers) for workers in (1, 2, 4, 8, 16)] == [None] * 5


def test_workload__all_contestants__use_the_same_gas() -> None:
    workload = Workload("transfers", 20)
    gas = {workload.run(contestant, 2)[1] for contestant in ("revm", "sequential", "parallel", "node")}
    assert gas == {20 * 21_000}


def test_workload__on_metisdb__is_the_same_in_parallel() -> None:
    workload = Workload("transfers", 48, state_store="metisdb")
    assert workload.run("revm")[1] == workload.run("parallel", 2)[1] == 48 * 21_000
    assert workload.difference(2) is None


def test_workload__latency__is_waited_for() -> None:
    workload = Workload("transfers", 4)
    # Sender and receiver of each, one after the other: a sleep is never shorter than asked.
    assert workload.run("sequential", 0, 500)[0] >= 8 * 500_000


@pytest.mark.parametrize(
    ("kind", "contracts", "field"),
    [("nonsense", None, "kind"), ("erc20", None, "contracts_path"), ("swaps", "nowhere", "contracts_path")],
)
def test_workload__what_is_not_there__is_refused(kind: str, contracts: str | None, field: str, tmp_path: Path) -> None:
    with pytest.raises(DecodeError) as refused:
        Workload(kind, 1, contracts and tmp_path / contracts)
    assert refused.value.field == field


def test_fuzz_executor__thirty_blocks__finds_nothing() -> None:
    assert fuzz_executor(1_000_000, 30, (1, 2, 3)) == []
