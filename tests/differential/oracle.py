"""
The oracle: a process that runs cases in the executable specification and answers with what happened.

Runs inside `.venv-oracle` (``python -m tests.differential.oracle``): one JSON object per line in, one
per line out. Loading the specification takes a second, a transaction some milliseconds; so one
process answers every case of a session. Requests: ``{"op": "transactions"|"chain"|"import", …}`` with
the members of a case file (tests/differential/case.py).
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from typing import Any, TextIO

from tests.differential.oracle_blocks import import_blocks, run_chain
from tests.differential.oracle_transactions import run_transactions

__all__ = ["answer"]

# A call 1,024 frames deep nests several Python functions per frame.
RECURSION_LIMIT = 30_000
STACK_SIZE_BYTES = 512 * 1024 * 1024


OPERATIONS = {"transactions": run_transactions, "chain": run_chain, "import": import_blocks}


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """
    Answer one request. A crash of the specification is an answer too: ``{"oracle_error": …}``.

    It means that a case is outside of what the specification can say, and must be seen by a person.
    """
    try:
        return OPERATIONS[request["op"]](request)
    except Exception:  # noqa: BLE001 - whatever it is, the process must go on for the next case
        return {"oracle_error": traceback.format_exc()}


def serve(requests: TextIO, answers: TextIO) -> None:
    """Answer line by line until the input ends."""
    for line in requests:
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


def main() -> None:
    answers = sys.stdout
    # What libraries print must not get between the answers.
    sys.stdout = sys.stderr
    sys.setrecursionlimit(RECURSION_LIMIT)
    threading.stack_size(STACK_SIZE_BYTES)
    worker = threading.Thread(target=serve, args=(sys.stdin, answers))
    worker.start()
    worker.join()


if __name__ == "__main__":
    main()
