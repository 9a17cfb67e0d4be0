"""Hot code becomes machine code beside the chain; workers may die, and nothing else notices."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metis import engine
from metis.types import CompositionError, Gas
from metis.vm.tiering.policy import Policy
from metis.vm.tiering.service import CompileService, registry_of
from metis.vm.tiering.workers import Worker

FORK = "Osaka"
CODE = bytes.fromhex("5f355b600190038060025700")
SPEC = engine.ChainSpec.at_fork(FORK)
PATIENCE_S = 60


def run(registry: engine.CodeRegistry | None, rounds: int = 5) -> object:
    return engine.run_code(SPEC, CODE, rounds.to_bytes(32, "big"), gas_limit=Gas(1_000_000), registry=registry)


def wait_for(registry: engine.CodeRegistry, key: str) -> dict[str, int]:
    """Wait until a counter is no longer 0: a guard against hanging, not a measure of speed."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not registry.counters()[key]:
        assert time.monotonic() < deadline_s, registry.counters()
        time.sleep(0.01)
    return registry.counters()


def test_service__code_that_is_met__is_compiled_and_runs_compiled(tmp_path: Path) -> None:
    policy = Policy(mode="eager", workers=1, level=0, cache_folder=tmp_path)
    registry = registry_of(policy)
    expected = run(None)
    with CompileService(registry, policy):
        assert run(registry) == expected
        wait_for(registry, "compiled")
        assert run(registry) == expected
    (row,) = registry.report()
    assert row["frames_compiled"] == 1


def test_service__second_start__takes_the_artifact_from_the_cache(tmp_path: Path) -> None:
    policy = Policy(mode="eager", workers=1, level=0, cache_folder=tmp_path)
    first, second = registry_of(policy), registry_of(policy)
    with CompileService(first, policy):
        run(first)
        wait_for(first, "compiled")
        while not list(tmp_path.glob("*.mtvm")):
            time.sleep(0.01)
    with CompileService(second, policy) as service:
        run(second)
        wait_for(second, "compiled")
        assert service.worker_pids == []


def test_service__damaged_cache__compiles_again_and_goes_on(tmp_path: Path) -> None:
    policy = Policy(mode="eager", workers=1, level=0, cache_folder=tmp_path)
    first, second = registry_of(policy), registry_of(policy)
    with CompileService(first, policy):
        run(first)
        wait_for(first, "compiled")
        while not list(tmp_path.glob("*.mtvm")):
            time.sleep(0.01)
    for path in tmp_path.glob("*.mtvm"):
        path.write_bytes(path.read_bytes()[:50])
    with CompileService(second, policy):
        run(second)
        wait_for(second, "compiled")
        assert run(second) == run(None)


def test_service__mode_off__starts_nothing() -> None:
    policy = Policy(mode="off")
    registry = registry_of(policy)
    with CompileService(registry, policy) as service:
        assert run(registry) == run(None)
        assert service.worker_pids == []


def test_policy__unknown_mode__is_refused() -> None:
    with pytest.raises(CompositionError):
        Policy(mode="sometimes")


def test_worker__killed__answers_without_artifact_and_is_replaced() -> None:
    with Worker(level=0) as worker:
        assert worker.compile(CODE, FORK).artifact is not None
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        os.kill(first, signal.SIGKILL)
        answers = [worker.compile(CODE, FORK) for _ in range(2)]
        assert answers[-1].artifact is not None
        assert worker.pid not in (first, None)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a class for what runs on idle processors")
def test_worker__at_work__yields_the_processor_to_everything_else() -> None:
    with Worker(level=0) as worker:
        worker.compile(CODE, FORK)
        assert worker.pid is not None
        assert os.sched_getscheduler(worker.pid) == os.SCHED_IDLE


def test_worker__that_hangs__is_killed_and_the_code_stays_interpreted() -> None:
    with Worker(level=0, wall_limit_s=0.5) as worker:
        # Starting Python and LLVM takes part of the time; a stopped process never answers.
        worker.compile(CODE, FORK)
        pid = worker.pid
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
            answer = worker.compile(CODE, FORK)
            assert answer.artifact is None
            assert "killed" in answer.reason


def test_node__with_everything_that_compiles__never_imports_llvm() -> None:
    program = "import sys, metis.node, metis.vm, metis.vm.tiering.service; sys.exit('llvmlite' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
