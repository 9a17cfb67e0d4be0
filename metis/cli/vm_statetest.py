"""``metis vm statetest``: Ethereum's state tests against the engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from metis.cli.vm_conformance import core_count, tell

if TYPE_CHECKING:
    from metis.vm import CaseFailure
    from metis.vm.eager import CompiledRun

__all__ = ["statetest"]


def statetest(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH", help="State-test files, folders of them, or .tar.xz archives.", show_default=False
        ),
    ],
    mode: Annotated[
        str,
        typer.Option(
            help="interpreter; eager (everything compiled first); parallel (each case a block, scheduler forced)."
        ),
    ] = "interpreter",
    fork: Annotated[
        str | None, typer.Option(help="Only this fork's cases, such as Cancun.", show_default=False)
    ] = None,
    store: Annotated[str, typer.Option(help="Where the state lies: memory; metisdb.")] = "memory",
    workers: Annotated[int, typer.Option(min=0, help="Threads; 0 takes one per core.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
) -> None:
    """
    Check the engine against Ethereum state tests.

    A case passes when the state root and the logs hash are the file's and, where the file expects
    a refusal, the transaction is refused for the reason it names. Every case is counted: passed,
    failed, or skipped because the engine does not implement its fork. A file that cannot be read
    counts as one failure; the others go on.

    Mode eager runs everything, compiles each code that was met once, in processes, and runs
    everything again until no code is new; the last run counts.

    With --json: {"total", "passed", "failed", "skipped", "by_fork": {fork: counts}, "failures":
    [the first 20]}, in mode eager also "compiled": {"codes", "refusals", "frames_compiled",
    "frames_interpreted", "compiled_share", "deoptimisations", "compile_ms"}. Exit code 1 when
    anything failed.
    """
    from metis.vm import fixture_files, run_state_tests

    tell(
        paths,
        lambda on_progress: run_state_tests(
            fixture_files(paths),
            mode=mode,
            fork=fork,
            workers=workers or core_count(),
            store=store,
            on_progress=on_progress,
        ),
        as_json,
        "no state tests found" + (f" for fork {fork}" if fork else ""),
        more_object=lambda report: {} if report.compiled is None else {"compiled": _compiled_object(report.compiled)},
        more_text=lambda report: None if report.compiled is None else _compiled_text(report.compiled),
        replay=_replay,
    )


def _compiled_object(run: CompiledRun) -> dict[str, Any]:
    return {
        "codes": run.codes,
        "refusals": run.refusals,
        "frames_compiled": run.frames_compiled,
        "frames_interpreted": run.frames_interpreted,
        "compiled_share": run.compiled_share,
        "deoptimisations": run.deoptimisations,
        "compile_ms": run.compile_ms,
    }


def _compiled_text(run: CompiledRun) -> str:
    refused = sum(run.refusals.values())
    lines = [
        f"{run.codes:,} codes compiled in {run.compile_ms / 1000:.1f} s of CPU time, {refused:,} of them refused",
        f"{run.compiled_share:.2%} of {run.frames_compiled + run.frames_interpreted:,} frames ran compiled",
        "left to the interpreter: " + ", ".join(f"{cause} {count:,}" for cause, count in run.deoptimisations.items()),
    ]
    return "\n".join([*lines, *(f"refused {count:,}: {reason}" for reason, count in run.refusals.items())])


def _replay(failure: CaseFailure) -> str | None:
    """The command that traces this case, for files that are on disk by that name."""
    if failure.index is None:
        return None
    import shlex

    path, _, rest = failure.id.partition("::")
    if not Path(path).is_file():
        return None
    test, fork, _ = rest.rsplit("::", 2)
    return shlex.join(["metis", "vm", "run", path, "--test", test, "--fork", fork, "--index", str(failure.index)])
