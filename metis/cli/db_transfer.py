"""``metis db export`` and ``metis db import``: a state as one stream of bytes, and a store made from one."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer

from metis.cli.output import hex_text, write_json
from metis.engine import MetisStore, StateExport, StateImport
from metis.types import StorageError

__all__ = ["export", "import_"]

_CHUNK_BYTES = 1 << 20
_PROGRESS_INTERVAL_S = 0.2
_MAGIC = b"METISEXP"

_Folder = Annotated[Path, typer.Argument(help="The store's folder.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def export(
    folder: _Folder,
    file: Annotated[Path, typer.Argument(help="Where to, or - for the standard output.")],
    block: Annotated[
        int | None, typer.Option(min=0, help="A kept block; by default the newest.", show_default=False)
    ] = None,
    as_json: _Json = False,
) -> None:
    """
    Write all accounts, storage and code of a block, in the form that docs/metisdb-format.md describes.

    The same state gives the same bytes. Also while somebody writes the store. A file appears whole or not at all.
    With --json: {"block", "counts", "bytes"}; with - as file on the standard error.
    """
    source = StateExport(str(folder), block)
    total, show = source.account_count, _progress()
    written = 0
    with _output(file) as out:
        for chunk in source:
            out.write(chunk)
            written += len(chunk)
            show(f"{source.counts['accounts']:,} of {total:,} accounts, {written:,} bytes")
    show("")
    _report({"block": source.block, "counts": source.counts, "bytes": written}, as_json, is_piped=str(file) == "-")


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="An exported state, a genesis document or a state dump of anvil; - for the standard input."
        ),
    ],
    folder: Annotated[Path, typer.Argument(help="The new store's folder; it must not hold a store.")],
    as_json: _Json = False,
) -> None:
    """
    Make a store from a state.

    Of an export the state root is checked, and the store goes on at its block. A genesis document (with alloc) and a
    state dump of anvil give block 0. Where anything is wrong there is no store. With --json: {"block", "counts"}.
    """
    with _input(file) as source:
        first = source.read(len(_MAGIC))
        if first == _MAGIC:
            report = _import_export(first, source, folder)
        else:
            report = _import_accounts(first + source.read(), folder)
    _report(report, as_json, is_piped=False)


def _import_export(first: bytes, source: IO[bytes], folder: Path) -> dict[str, Any]:
    show = _progress()
    state = StateImport()
    state.feed(first)
    while chunk := source.read(_CHUNK_BYTES):
        state.feed(chunk)
        show(f"{state.counts['accounts']:,} accounts, {state.counts['slots']:,} slots")
    show("")
    counts = state.counts
    return {"block": state.finish(str(folder)), "counts": counts}


def _import_accounts(content: bytes, folder: Path) -> dict[str, Any]:
    import orjson

    from metis.node.genesis_file import genesis_accounts
    from metis.node.state_file import decode_state, read_state

    try:
        document = orjson.loads(content)
    except orjson.JSONDecodeError:
        document = None
    if isinstance(document, dict) and "alloc" in document:
        accounts = genesis_accounts(document)
    else:
        accounts = dict(read_state(decode_state(content)).accounts)
    if (folder / "state").exists():
        raise StorageError("io", f"{folder} holds a store already")
    store = MetisStore.open(str(folder), {bytes(address): account for address, account in accounts.items()})
    counts = {
        "accounts": len(accounts),
        "slots": sum(sum(value != 0 for value in account.storage.values()) for account in accounts.values()),
        "codes": len({account.code for account in accounts.values() if account.code}),
    }
    block = {"number": store.block_number, "hash": bytes(32), "state_root": store.state_root()}
    return {"block": block, "counts": counts}


def _report(report: dict[str, Any], as_json: bool, *, is_piped: bool) -> None:
    if as_json and not is_piped:
        write_json(report)
        return
    block, counts = report["block"], report["counts"]
    text = (
        f"block {block['number']:,}, state root {hex_text(block['state_root'])}: {counts['accounts']:,} accounts, "
        f"{counts['slots']:,} slots, {counts['codes']:,} codes"
    )
    typer.echo(text, err=is_piped)


@contextmanager
def _output(file: Path) -> Iterator[IO[bytes]]:
    """Open a file that is there under its name only when all of it is on the disk; a pipe or device as it is."""
    if str(file) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if file.exists() and not file.is_file():
        try:
            with file.open("wb") as out:
                yield out
        except OSError as error:
            raise _refused(error, file) from error
        return
    partial = file.with_name(f"{file.name}.partial")
    try:
        with partial.open("wb") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    except OSError as error:
        raise _refused(error, file) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _input(file: Path) -> Iterator[IO[bytes]]:
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        with file.open("rb") as source:
            yield source
    except OSError as error:
        raise _refused(error, file) from error


def _refused(error: OSError, file: Path) -> StorageError:
    kind = "disk-full" if error.errno == errno.ENOSPC else "io"
    return StorageError(kind, f"{file}: {error.strerror}")


def _progress() -> Callable[[str], None]:
    """A line on the terminal that is written over, a few times a second; an empty text removes it."""
    shown_s = 0.0

    def show(text: str) -> None:
        nonlocal shown_s
        now_s = time.monotonic()
        if sys.stderr.isatty() and (not text or now_s - shown_s >= _PROGRESS_INTERVAL_S):
            shown_s = now_s
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    return show
