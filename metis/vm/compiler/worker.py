"""
A process that compiles what it is sent: ``python -m metis.vm.compiler.worker``.

Requests come on standard input, answers go to standard output, both as :mod:`metis.vm.tiering.messages`
has them. The process limits itself: a request may use so many seconds of CPU, and all of it so much
memory; what goes beyond is killed by the kernel, and the parent starts another.
"""

from __future__ import annotations

import os
import resource
import sys
import time

from metis.vm.compiler.options import Options
from metis.vm.compiler.pipeline import Refusal, compile_code
from metis.vm.tiering.messages import Answer, read_request, write_answer

__all__ = ["main"]

MEMORY_MAX_BYTES = 2 << 30


def _limit_cpu(seconds: int) -> None:
    """Let the kernel kill the process when it has used ``seconds`` more of CPU time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def main() -> None:
    """Answer requests until standard input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MAX_BYTES, MEMORY_MAX_BYTES))
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Whatever a library prints must not end up among the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while (request := read_request(requests)) is not None:
        _limit_cpu(request.cpu_limit_s)
        begin = time.process_time()
        result = compile_code(request.code, request.fork, Options(level=request.level))
        spent_ms = (time.process_time() - begin) * 1000
        if isinstance(result, Refusal):
            write_answer(answers, Answer(None, result.reason, spent_ms))
        else:
            write_answer(answers, Answer(result.data, "", spent_ms))


if __name__ == "__main__":
    main()
