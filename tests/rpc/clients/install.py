"""
``python -m tests.rpc.clients.install [NAME …] [--quick]``: make the environments of the client stacks.

What is there already with the pinned versions is left as it is. Exit code 1: an installation failed;
the others were still tried, and the next call starts that one over.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from tests.rpc.clients.environments import ENVIRONMENTS, Environment, MissingProgram


def main() -> int:
    """Install what was asked for, or everything."""
    parser = argparse.ArgumentParser(prog="python -m tests.rpc.clients.install", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ENVIRONMENTS)}")
    parser.add_argument("--quick", action="store_true", help="only what `make test` uses")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(ENVIRONMENTS)):
        parser.error(f"no environment {', '.join(unknown)}")
    asked = [ENVIRONMENTS[name] for name in options.names or ENVIRONMENTS]
    failed = [made.name for made in asked if not (options.quick and made.long) and not ensure(made)]
    if failed:
        print(f"not installed: {', '.join(failed)}; their reasons are above", file=sys.stderr)
    return 1 if failed else 0


def ensure(environment: Environment) -> bool:
    """Install an environment unless it is there; tells what it does. False: it failed."""
    if environment.is_ready:
        return True
    print(f"{environment.name}: installing {environment.holds} into {environment.folder}", flush=True)
    started = time.monotonic()
    try:
        environment.install()
    except MissingProgram as missing:
        # Not a failure: the tests that need it are skipped, and say so.
        print(f"{environment.name}: LEFT OUT: {missing}", flush=True)
        return True
    except subprocess.CalledProcessError as problem:
        print(f"{environment.name}: FAILED: exit code {problem.returncode} of {' '.join(problem.cmd)}", file=sys.stderr)
        return False
    print(f"{environment.name}: ready after {time.monotonic() - started:.0f} s", flush=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
