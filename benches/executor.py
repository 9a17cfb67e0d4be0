"""Executing one heavy call per workload: EVM bytecode through the engine, interpreter, one core."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from benches.harness import CHECKOUT, Measurement, measure
from metis.types import FixtureError
from metis.vm import CaseRunner, fixture_files, parse_state_tests, read_fixture

# What each stands for. Compute: the interpreter's loop. Storage: reads and writes through the journal.
WORKLOADS: dict[str, str] = {
    "snailtracer": "compute",
    "hash_10k": "hashing",
    "erc20_transfer": "storage",
    "factorial": "compute",
    "fibonacci-calldata": "compute",
    "weth": "call",
}


def workload_folder() -> Path:
    """Where the workloads are: docs/testing.md."""
    fixtures = Path(os.environ.get("METIS_FIXTURES", CHECKOUT.parent / "shared" / "fixtures"))
    return fixtures / "evm-workloads"


def run(budget_s: float) -> list[Measurement]:
    """Measure every workload that is there for ``budget_s`` each."""
    measurements = []
    for name, kind in WORKLOADS.items():
        path = workload_folder() / f"{name}.json"
        if not path.is_file():
            print(f"skipped {name}: not at {path} (set METIS_FIXTURES)")
            continue
        (file,) = fixture_files([path])
        (test,) = parse_state_tests(file.path, read_fixture(file))
        if isinstance(test, FixtureError):
            raise test
        # The workloads are older than EIP-7825's cap on a transaction's gas.
        execute = partial(CaseRunner(test).execute, test.cases[0], transaction_gas_cap=False)
        outcome = execute()
        label = f"executor::transaction/workload={name},kind={kind}"
        measurements += measure(label, {"metis": execute}, outcome.gas_used, "gas", budget_s)
    return measurements
