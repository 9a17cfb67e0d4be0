"""What the tidy tests read: the repository's files as git sees them, and the code fences of its prose."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


@cache
def files() -> tuple[Path, ...]:
    """Every file that is committed or would be (not ignored), relative to the checkout, sorted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git of the developer
        cwd=CHECKOUT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (Path(name) for name in listed.split("\0") if name)
    return tuple(sorted(path for path in paths if (CHECKOUT / path).is_file()))


@cache
def folders() -> frozenset[Path]:
    """Every folder that holds one of :func:`files`, at any depth, relative to the checkout."""
    return frozenset(parent for path in files() for parent in path.parents if parent != Path())


def text_of(path: Path) -> str | None:
    """A file's text, or None when it is not UTF-8 text."""
    try:
        return (CHECKOUT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def documents() -> tuple[Path, ...]:
    """Every Markdown file."""
    return tuple(path for path in files() if path.suffix == ".md")


def python_modules() -> tuple[Path, ...]:
    """Every module and stub of the package."""
    return tuple(path for path in files() if path.parts[0] == "metis" and path.suffix in {".py", ".pyi"})


@dataclass(frozen=True)
class Fence:
    """One fenced block of a document: its language, its lines and the line number it starts at."""

    language: str
    lines: tuple[str, ...]
    line_number: int


def fences(text: str) -> list[Fence]:
    """The fenced blocks of a Markdown text, in order."""
    found: list[Fence] = []
    language: str | None = None
    started = 0
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        mark = re.match(r"\s*```\s*(\S*)", line)
        if mark is None:
            lines.append(line)
        elif language is None:
            language, started, lines = mark.group(1), number, []
        else:
            found.append(Fence(language, tuple(lines), started))
            language = None
    return found
