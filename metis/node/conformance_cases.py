"""
Cases of execution-apis: files of requests with the answers that are expected.

A ``.io`` file has comments (``//``), requests (``>>``) and answers (``<<``) in turn; a comment
"speconly" says that only the form of the answers counts. Beside the cases lie the chain they are
about (genesis.json, chain.rlp) and the call that makes its last block the head (headfcu.json).
"""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from metis.types import FixtureError

__all__ = ["Case", "CaseSet", "Exchange", "load_cases"]

_CHAIN_FILES = ("genesis.json", "chain.rlp", "headfcu.json")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and the answer that is expected."""

    request: dict[str, Any]
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """
    One file.

    ``id`` is "method/name". ``is_form_only`` : the values of the answers are the reference node's own.
    """

    id: str
    exchanges: tuple[Exchange, ...]
    is_form_only: bool

    @property
    def method(self) -> str:
        """The method that the case is about."""
        return self.id.partition("/")[0]


@dataclass(frozen=True, slots=True)
class CaseSet:
    """A chain, and cases about it, sorted by id."""

    genesis: dict[str, Any]
    chain: bytes
    head_call: dict[str, Any]
    cases: tuple[Case, ...]


def load_cases(path: Path) -> CaseSet:
    """
    Read a folder, or an archive of one (.tar, .tar.xz, .tar.gz).

    Raises
    ------
    FixtureError : it is neither, or a file is missing or malformed.
    """
    files = _folder(path) if path.is_dir() else _archive(path)
    for name in _CHAIN_FILES:
        if name not in files:
            raise FixtureError(str(path), "", f"{name} is missing")
    cases = tuple(_case(path, name, files[name]) for name in sorted(files) if name.endswith(".io"))
    if not cases:
        # A run that checks nothing must not look like one that passes.
        raise FixtureError(str(path), "", "no cases (*.io) found")
    return CaseSet(
        _json(path, "genesis.json", files["genesis.json"]),
        files["chain.rlp"],
        _json(path, "headfcu.json", files["headfcu.json"]),
        cases,
    )


def _folder(path: Path) -> dict[str, bytes]:
    wanted = (*path.rglob("*.io"), *(path / name for name in _CHAIN_FILES))
    return {str(file.relative_to(path)): file.read_bytes() for file in wanted if file.is_file()}


def _archive(path: Path) -> dict[str, bytes]:
    if not path.is_file():
        raise FixtureError(str(path), "", "there is no such file or folder")
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    found[member.name] = content.read()
    except (tarfile.TarError, OSError, EOFError) as problem:
        raise FixtureError(str(path), "", f"is not an archive: {problem}") from problem
    root = next((name.removesuffix("genesis.json") for name in sorted(found) if name.endswith("genesis.json")), "")
    return {name.removeprefix(root): content for name, content in found.items() if name.startswith(root)}


def _case(path: Path, name: str, content: bytes) -> Case:
    requests: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    is_form_only = False
    for line in content.decode().splitlines():
        mark, rest = line[:2], line[2:].strip()
        if mark == "//":
            is_form_only = is_form_only or rest.startswith("speconly")
        elif mark == ">>":
            requests.append(_json(path, name, rest.encode()))
        elif mark == "<<":
            answers.append(_json(path, name, rest.encode()))
        elif line.strip():
            raise FixtureError(str(path), name, f"a line begins with {mark!r}")
    if len(requests) != len(answers):
        raise FixtureError(str(path), name, f"{len(requests)} requests, but {len(answers)} answers")
    exchanges = tuple(Exchange(request, answer) for request, answer in zip(requests, answers, strict=True))
    return Case(name.removesuffix(".io"), exchanges, is_form_only)


def _json(path: Path, name: str, text: bytes) -> dict[str, Any]:
    try:
        value: Mapping[str, Any] = orjson.loads(text)
    except orjson.JSONDecodeError as problem:
        raise FixtureError(str(path), name, f"is not JSON: {problem}") from problem
    return dict(value)
