"""What is compiled, what is refused, and that hostile code costs little."""

from __future__ import annotations

import struct

import pytest

from metis import engine
from metis.types import ArtifactRejected
from metis.vm.compiler.abi import ABI_VERSION, MAGIC
from metis.vm.compiler.artifact import Artifact
from metis.vm.compiler.options import Options
from metis.vm.compiler.pipeline import Refusal, compile_code, plan_code
from tests.unit.vm.compiler.compiling import FORK

CODE = bytes.fromhex("6001600201")
CODE_SIZE_BYTES = 24_576

HOSTILE = {
    "only jump destinations": "5b",
    "memory at unknown offsets": "5f355150",
    "steps": "5f5450",
    "divisions": "5f356020350550",
    "calls": "5f5f5f5f5f5f5ff150",
    "branches that never meet": "5f35600057",
    "loops into each other": "5b5f3580600057",
}


@pytest.mark.parametrize("pattern", HOSTILE.values(), ids=HOSTILE)
def test_hostile_code__as_large_as_a_contract_may_be__is_refused_before_llvm_sees_it(pattern: str) -> None:
    unit = bytes.fromhex(pattern)
    plan = plan_code(unit * (CODE_SIZE_BYTES // len(unit)), FORK, Options())
    assert isinstance(plan, Refusal)
    assert "to compile" in plan.reason


def test_hostile_code__thousands_of_unresolved_jumps__makes_no_entry_for_each() -> None:
    plan = plan_code(bytes.fromhex("5b5f3556") * 6000, FORK, Options())
    assert isinstance(plan, Refusal) or len(plan.flow.entries) <= 1


def test_code__larger_than_any_contract__is_refused_with_its_size() -> None:
    assert plan_code(bytes(60_000), FORK, Options()) == Refusal("code of 60000 bytes, at most 49152")


def test_compile__the_same_code_twice__gives_the_same_bytes() -> None:
    assert compile_code(CODE, FORK) == compile_code(CODE, FORK)


def test_artifact__its_header__is_the_documents() -> None:
    artifact = compile_code(CODE, FORK)
    assert isinstance(artifact, Artifact)
    magic, version, flags, code_hash, fork = struct.unpack_from("<4sHH32sB", artifact.data)
    assert (magic, version, flags) == (MAGIC, ABI_VERSION, 0)
    assert code_hash == engine.keccak256(CODE) == artifact.code_hash
    assert engine.fork_names()[fork] == FORK == artifact.fork


@pytest.mark.parametrize("cut", [0, 3, 40, 100, -1])
def test_artifact__cut_short__is_rejected_by_the_engine(cut: int) -> None:
    artifact = compile_code(CODE, FORK)
    assert isinstance(artifact, Artifact)
    registry = engine.CodeRegistry("eager")
    with pytest.raises(ArtifactRejected):
        registry.install(artifact.data[:cut])
    registry.install(artifact.data)


def test_object__needs_nothing_from_outside() -> None:
    # Copies of words and zeroed memory tempt LLVM to call memcpy and memset, which the engine does not have.
    code = bytes.fromhex("5f5f5f5f5f") + b"".join(bytes([0x80 + index % 5]) for index in range(200)) + b"\x54" * 90
    artifact = compile_code(code, FORK)
    assert isinstance(artifact, Artifact)
    engine.CodeRegistry("eager").install(artifact.data)
