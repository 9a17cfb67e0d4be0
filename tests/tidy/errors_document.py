"""
docs/errors.md against the code: reads its tables, and writes the one that can be derived.

The table of classes is written by hand, for what to do is advice; a test compares its classes,
slugs and attributes to metis/types/errors.py. The table of an ``InvalidTransaction``'s reasons is
derived from the enum that raises them, ``TransactionError`` in Rust. After a change there:

    .venv/bin/python -m tests.tidy.errors_document
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from pathlib import Path

from metis.types import errors

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENT = CHECKOUT / "docs" / "errors.md"
ENUM = CHECKOUT / "crates" / "metis-state-transition" / "src" / "transaction" / "error.rs"
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


@dataclass(frozen=True)
class Reason:
    """One variant of ``TransactionError``: its slug, the field it is about, and its message's template."""

    slug: str
    field: str
    message: str


def function_arms(source: str, function: str) -> dict[str, str]:
    """Variant → string, of a Rust function that is one match over the enum's variants."""
    body = source.split(f"pub const fn {function}(&self)", 1)[1].split("\n    }\n", 1)[0]
    arms: dict[str, str] = {}
    for patterns, value in re.findall(r"((?:\|?\s*Self::\w+(?: \{ \.\. \})?\s*)+)=>\s*\{?\s*\"([^\"]*)\"", body):
        arms.update(dict.fromkeys(re.findall(r"Self::(\w+)", patterns), value))
    return arms


def reasons() -> list[Reason]:
    """Every reason that the engine gives, sorted by slug."""
    source = ENUM.read_text(encoding="utf-8")
    enum = source.split("pub enum TransactionError {", 1)[1].split("\n}\n", 1)[0]
    messages = {variant: text for text, variant in re.findall(r'#\[error\(\s*"([^"]*)",?\s*\)\]\s*(\w+)', enum)}
    slugs, fields = function_arms(source, "slug"), function_arms(source, "field")
    assert set(messages) == set(slugs) == set(fields), f"{ENUM.name} is written in a way that this file does not read"
    found = [Reason(slugs[variant], fields[variant], messages[variant]) for variant in messages]
    return sorted(found, key=lambda reason: reason.slug)


def without_format(message: str) -> str:
    """A template whose values carry no Rust format: ``{chain_id:?}`` is ``{chain_id}`` to a reader."""
    return re.sub(r"\{(\w+):[^}]*\}", r"{\1}", message)


def rendered_reasons() -> str:
    """The table of reasons, without its marks."""
    lines = ["| reason | field | message |", "|---|---|---|"]
    lines += [f"| `{reason.slug}` | `{reason.field}` | {without_format(reason.message)} |" for reason in reasons()]
    return "\n".join(lines)


def written_reasons(text: str) -> str:
    """What stands between the marks of a document."""
    found = re.search(rf"{re.escape(BEGIN)}\n(.*?)\n?{re.escape(END)}", text, re.DOTALL)
    assert found is not None, f"{DOCUMENT.name} has lost its marks"
    return found.group(1)


def main() -> None:
    """Write the table of reasons into docs/errors.md."""
    text = DOCUMENT.read_text(encoding="utf-8")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    DOCUMENT.write_text(f"{head}{BEGIN}\n{rendered_reasons()}\n{END}{tail}", encoding="utf-8")
    print(f"{DOCUMENT}: {len(reasons())} reasons")


if __name__ == "__main__":
    main()
