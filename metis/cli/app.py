"""The root command: its help, its version, and the one place where errors become messages."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, ClassVar

import typer

from metis.cli.lazy import LazyGroup, new_group
from metis.cli.output import write_json

__all__ = ["EXIT_ERROR", "EXIT_NEGATIVE", "EXIT_OK", "app", "main"]

EXIT_OK = 0
EXIT_NEGATIVE = 1
"""The command ran, and its answer is no: a test failed, the code reverted or halted."""
EXIT_ERROR = 2
"""The command could not run: bad arguments, a file that cannot be read, a refused transaction."""
EXIT_INTERRUPTED = 130

_EPILOG = """\
Exit codes: 0 done; 1 it ran, and the answer is no (a state test failed, the code reverted or halted);
2 it could not run (arguments, files, a refused transaction), with the reason on stderr.

With --json the result, or {"error": {"slug", "message", ...}}, is printed to stdout as JSON."""


class _RootGroup(LazyGroup):
    targets: ClassVar[dict[str, tuple[str, str]]] = {
        "account": ("metis.cli.account:app", "Make, keep and use keys in encrypted files."),
        "ai": ("metis.cli.ai:app", "Quantise, run and inspect models: the same bits on every machine."),
        "bench": ("metis.cli.bench:app", "Measure this machine, beside a rival in the same run."),
        "db": ("metis.cli.db:app", "Look at MetisDB's files, check them, and torture them."),
        "demo": (
            "metis.cli.demo.command:demo",
            "Show all of Hyperion in one run: models, contracts, users, a crash, a verifier.",
        ),
        "dev": (
            "metis.cli.dev_command:app",
            "Run one node for development: JSON-RPC, funded accounts, instant blocks.",
        ),
        "executor": ("metis.cli.executor:app", "Explain parallel execution of blocks, and check it."),
        "rpc": ("metis.cli.rpc:app", "Check the JSON-RPC interface against Ethereum's cases."),
        "vm": (
            "metis.cli.vm:app",
            "Run bytecode, compile it, measure it, and check it against Ethereum's state tests.",
        ),
        "worker": ("metis.cli.worker:worker", "Serve models over HTTP, paid by signed requests, with receipts."),
    }


app = new_group(_RootGroup)


@app.callback(invoke_without_command=True, epilog=_EPILOG)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --version: print it as a JSON object.")] = False,
) -> None:
    """
    Metis: an Ethereum-exact execution engine in one Python package.

    Start with "metis demo". Each command explains itself with --help.
    """
    if version:
        _print_version(as_json)
        raise typer.Exit(EXIT_OK)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(EXIT_OK)


def _print_version(as_json: bool) -> None:
    from metis import version

    if as_json:
        write_json({"name": "metis", "version": version()})
    else:
        typer.echo(f"metis {version()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line and return its exit code; nothing but that escapes.

    Parameters
    ----------
    arguments : without the program's name; None takes the process's own.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = app(arguments, prog_name="metis", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_gone()
    except SystemExit as leaving:
        # typer turns a broken pipe into one of these by itself.
        if isinstance(leaving.__context__, BrokenPipeError):
            return _reader_gone()
        return leaving.code if isinstance(leaving.code, int) else EXIT_ERROR
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except Exception as error:  # noqa: BLE001 - this is the one place; a bug keeps its traceback
        from metis.cli.failure import report_failure

        # Looked up in the arguments, since what failed may be their parsing.
        report_failure(error, as_json="--json" in arguments)
        return EXIT_ERROR
    return result if isinstance(result, int) else EXIT_OK


def _reader_gone() -> int:
    """End quietly after ``metis … | head`` closed the pipe."""
    import os

    # The interpreter flushes stdout once more at exit; give it somewhere to go.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_OK
