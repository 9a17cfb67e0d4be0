"""Commitments over all runs of a task; docs/receipts.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from metis.engine import keccak256
from metis.types import Hash32

__all__ = ["TRACES_TAG", "inputs_commitment", "outputs_commitment", "traces_root"]

_INPUTS: Final = b"metis/ai/task/inputs/v1\x00"
_OUTPUTS: Final = b"metis/ai/task/outputs/v1\x00"
TRACES_TAG: Final = b"metis/ai/task/traces/v1\x00"


def inputs_commitment(runs: Sequence[Sequence[bytes]]) -> Hash32:
    """
    What went into the runs of a task.

    Parameters
    ----------
    runs : for each run the commitments of its inputs and states, in the graph's order.
    """
    given = [keccak256(b"".join(run)) for run in runs]
    return keccak256(_INPUTS + len(runs).to_bytes(4, "little") + b"".join(given))


def outputs_commitment(hashes: Sequence[bytes]) -> Hash32:
    """What came out of the runs of a task, from :attr:`metis.ai.runs.Run.output_hash` of each."""
    return keccak256(_OUTPUTS + len(hashes).to_bytes(4, "little") + b"".join(hashes))


def traces_root(roots: Sequence[bytes]) -> Hash32:
    """The root over the runs' trace roots."""
    level = list(roots)
    while len(level) > 1:
        pairs: list[bytes] = [keccak256(level[left] + level[left + 1]) for left in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return keccak256(TRACES_TAG + len(roots).to_bytes(4, "little") + (level[0] if level else bytes(32)))
