"""
``python -m fuzz.graphs``: the engine's decoder and proof of graphs, on mutated graphs and on any bytes.

Every input must be accepted or refused with a field and an offset inside the bytes, never with a fault. Of every few
inputs one is judged by Python's rules too: both must accept it with the same shapes, bounds and cost, or name the same
field and offset. A difference is printed with its bytes and ends the run with exit code 1; a run without one is
recorded in fuzz/RESULTS.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from random import Random

from fuzz.graph_cases import graph_bytes, mutated
from fuzz.results import record
from metis.ai.graph import Limits, decode_graph, validate_graph
from metis.cli.bench.machine import commit
from metis.engine import prove_graph
from metis.types import GraphDecodeError, InvalidGraph

__all__ = ["main"]

_LIMITS = Limits()
Judgement = tuple[str, str, int] | dict[str, object]


def main(arguments: list[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.graphs", description="Decoding and proof of graphs.")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many at least")
    parser.add_argument("--seed", type=int, default=0, help="of the first graph; each takes the next one")
    parser.add_argument("--compare-every", type=int, default=25, help="of how many inputs one is judged by Python too")
    parser.add_argument("--record", action=argparse.BooleanOptionalAction, default=True, help="write RESULTS.json")
    chosen = parser.parse_args(arguments)
    tested_commit = commit()  # before anything runs: the checkout may move on meanwhile
    verdicts: Counter[str] = Counter()
    inputs = compared = 0
    seed = chosen.seed
    while inputs < chosen.inputs:
        random = Random(seed)
        for raw in mutated(random, graph_bytes(random)):
            judged = judged_by_engine(raw)
            if isinstance(judged, tuple) and not (judged[1] and 0 <= judged[2] <= len(raw)):
                print(f"seed {seed}: {judged} names no place in {raw.hex()}")
                return 1
            if inputs % chosen.compare_every == 0:
                compared += 1
                if judged != (expected := judged_by_python(raw)):
                    print(f"seed {seed}: {raw.hex()}\n  engine {judged}\n  python {expected}")
                    return 1
            verdicts[judged[0] if isinstance(judged, tuple) else "accepted"] += 1
            inputs += 1
        seed += 1
    command = f"python -m fuzz.graphs --inputs {chosen.inputs} --seed {chosen.seed}"
    result = {
        "command": f"{command} --compare-every {chosen.compare_every}",
        "commit": tested_commit,
        "inputs": inputs,
        "compared_with_python": compared,
        "differences": 0,
        "verdicts": dict(sorted(verdicts.items())),
    }
    print(json.dumps(result, indent=2))
    if chosen.record:
        record(result)
    return 0


def judged_by_engine(raw: bytes) -> Judgement:
    """What the engine says: the error with its field and offset, or what is proven."""
    try:
        return prove_graph(raw)
    except GraphDecodeError as error:
        return "not a graph", error.field, error.offset
    except InvalidGraph as error:
        return "not valid", error.field, 0


def judged_by_python(raw: bytes) -> Judgement:
    """What Python's rules say."""
    try:
        proven = validate_graph(decode_graph(raw), _LIMITS)
    except GraphDecodeError as error:
        return "not a graph", error.field, error.offset
    except InvalidGraph as error:
        return "not valid", error.field, 0
    cost = proven.cost
    return {
        "tensors": [(facts.dtype, facts.shape, facts.lo, facts.hi) for facts in proven.tensors],
        "node_macs": list(proven.node_macs),
        "cost": (cost.macs, cost.moved_bytes, cost.memory_bytes, cost.weights_bytes),
    }


if __name__ == "__main__":
    sys.exit(main())
