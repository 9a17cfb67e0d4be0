"""
docs/errors.md against the code: reads its tables, and writes the one that the engine knows.

The table of classes is written by hand, for what to do is advice; a test compares its classes,
slugs and attributes to metis/types/errors.py. The table of an ``InvalidTransaction``'s reasons comes
from ``metis.engine.INVALID_TRANSACTION_REASONS`` (reason → field and rule). After a change there:

    .venv/bin/python -m tests.tidy.errors_document
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path

from metis.types import errors

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
BEGIN = "<!-- begin reasons: written by tests/tidy/errors_document.py -->"
END = "<!-- end reasons -->"


def error_classes() -> dict[str, type[errors.MetisError]]:
    """Every class of the tree by name, the root included."""
    return {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.MetisError)
    }


def attributes_of(error: type[errors.MetisError]) -> tuple[str, ...]:
    """The values that a class carries: the parameters it is made from, in order."""
    if "__init__" not in vars(error):
        return ()
    return tuple(name for name in inspect.signature(error).parameters if name != "self")


def table_rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its two head lines and without code marks."""
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines[2:]]


def engine_reasons() -> Mapping[str, tuple[str, str]] | None:
    """Reason → (field, rule) as the engine lists them, or None where it lists none."""
    import metis.engine

    return getattr(metis.engine, "INVALID_TRANSACTION_REASONS", None)


def rendered_reasons(reasons: Mapping[str, tuple[str, str]]) -> str:
    """The table of reasons, sorted, without its marks."""
    lines = ["| reason | field | rule |", "|---|---|---|"]
    lines += [f"| `{reason}` | `{field}` | {rule} |" for reason, (field, rule) in sorted(reasons.items())]
    return "\n".join(lines)


def written_reasons(text: str) -> str:
    """What stands between the marks of a document."""
    found = re.search(rf"{re.escape(BEGIN)}\n(.*?)\n?{re.escape(END)}", text, re.DOTALL)
    assert found is not None, f"{DOCUMENT.name} has lost its marks"
    return found.group(1)


def main() -> None:
    """Write the table of reasons into docs/errors.md."""
    reasons = engine_reasons()
    if reasons is None:
        raise SystemExit("metis.engine lists no reasons")
    text = DOCUMENT.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    DOCUMENT.write_text(f"{head}{BEGIN}\n{rendered_reasons(reasons)}\n{END}{tail}", encoding="utf-8")
    print(f"{DOCUMENT}: {len(reasons)} reasons")


if __name__ == "__main__":
    main()
