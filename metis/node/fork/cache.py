"""
What was fetched for a fork, kept on disk: one file per endpoint and block.

In: keys with JSON values. Out: the same, in a later process. Invariant: a file begins complete or not at
all (a new one is written aside and renamed); afterwards it only grows, by whole checksummed lines in one
write; lines that are damaged, cut off or foreign are ignored, never believed. A cache that cannot be
written is no reason to stop. Cost: a file is read once, at the start.

    metis-fork-cache 1
    <CRC-32, 8 hexadecimal digits> [key, value]
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

__all__ = ["ForkCache"]

log = logging.getLogger("metis.node.fork")

FIRST_LINE = b"metis-fork-cache 1\n"
ENTRY_SIZE_BYTES_MAX = 1024 * 1024
BLOCK_KEY = "block"


class ForkCache:
    """
    Answers of an upstream node about one block and those before it.

    Parameters
    ----------
    path : the file, or None to keep everything in memory.
    size_bytes_max : of all files of the folder's folder together; the oldest go first.
    """

    def __init__(self, path: Path | None, size_bytes_max: int) -> None:
        self.path = path
        self._size_bytes_max = size_bytes_max
        self._entries: dict[str, Any] = {}
        self._size_bytes = 0
        self._held_bytes = 0
        if path is not None:
            self._read(path)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def block(self) -> dict[str, Any] | None:
        """The fork block as it was fetched, with the chain's id under "chainId"."""
        found = self._entries.get(BLOCK_KEY)
        return found if isinstance(found, dict) else None

    def begin(self, block: dict[str, Any]) -> None:
        """Begin for a block; what is there about another block, one that was reorganised, is forgotten."""
        known = self.block
        if known is not None and (known.get("hash"), known.get("chainId")) == (block.get("hash"), block.get("chainId")):
            return
        self._entries = {BLOCK_KEY: block}
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._make_room(self.path.parent.parent)
                self._replace(FIRST_LINE + _line(BLOCK_KEY, block))
            except OSError as problem:
                self._give_up(problem)

    def get(self, key: str) -> Any:
        """Return a value, or None."""
        return self._entries.get(key)

    def put(self, entries: Iterable[tuple[str, Any]]) -> None:
        """Keep values, on disk with one write."""
        lines = []
        for key, value in entries:
            line = _line(key, value)
            # BOUND: answers are kept up to the limit; state is what the chain stands on, and is kept always.
            if key.startswith("rpc:") and (
                len(line) > ENTRY_SIZE_BYTES_MAX or self._held_bytes + len(line) > self._size_bytes_max
            ):
                continue
            self._held_bytes += len(line)
            self._entries[key] = value
            lines.append(line)
        data = b"".join(lines)
        if self.path is None or not data or self._size_bytes + len(data) > self._size_bytes_max:
            return
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(descriptor, data)
            finally:
                os.close(descriptor)
            self._size_bytes += len(data)
        except OSError as problem:
            self._give_up(problem)

    def _read(self, path: Path) -> None:
        try:
            if path.stat().st_size > self._size_bytes_max:
                return
            data = path.read_bytes()
        except OSError:
            return
        if not data.startswith(FIRST_LINE):
            return
        for line in data[len(FIRST_LINE) :].split(b"\n"):
            entry = _entry(line)
            if entry is not None:
                # What was known first stays, as in the engine.
                self._entries.setdefault(*entry)
        self._size_bytes = self._held_bytes = len(data)
        if not data.endswith(b"\n"):
            # A process died while it wrote: the next line must not continue that one.
            self._close_line(path)
        if self.block is None:
            self._entries = {}

    def _close_line(self, path: Path) -> None:
        with contextlib.suppress(OSError), path.open("ab") as file:
            file.write(b"\n")

    def _replace(self, data: bytes) -> None:
        assert self.path is not None  # noqa: S101 - callers have looked
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(name).replace(self.path)
        except OSError:
            Path(name).unlink(missing_ok=True)
            raise
        self._size_bytes = len(data)

    def _make_room(self, folder: Path) -> None:
        """Remove the files used longest ago until all are within the limit."""
        files = [(found.stat().st_mtime, found.stat().st_size, found) for found in folder.glob("*/*.log")]
        excess = sum(size for _, size, _ in files) - self._size_bytes_max
        for _, size, found in sorted(files):
            if excess <= 0:
                break
            found.unlink(missing_ok=True)
            excess -= size

    def _give_up(self, problem: OSError) -> None:
        log.warning("the cache of the fork cannot be written: %s", problem)
        self.path = None


def _line(key: str, value: Any) -> bytes:
    data = orjson.dumps([key, value])
    return b"%08x %b\n" % (zlib.crc32(data), data)


def _entry(line: bytes) -> tuple[str, Any] | None:
    """Read one line; None where anything about it is wrong."""
    checksum, separator, data = line.partition(b" ")
    try:
        if not separator or len(checksum) != 8 or int(checksum, 16) != zlib.crc32(data):
            return None
        entry = orjson.loads(data)
    except ValueError:
        return None
    if type(entry) is not list or len(entry) != 2 or type(entry[0]) is not str:
        return None
    return entry[0], entry[1]
