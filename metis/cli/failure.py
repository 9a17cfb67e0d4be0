"""
Errors as people and programs read them.

Every error of ours has a slug and typed attributes; usage errors come from the argument parser. A
Python error that is none of these is a bug of Metis and keeps its traceback.
"""

from __future__ import annotations

import sys
import traceback
from typing import Any

from metis.cli.output import write_json
from metis.types import EngineFault, MetisError

__all__ = ["report_failure"]

_ADVICE = {
    "engine-fault": "This is a bug in Metis; please report it with the command that led to it.",
    "bug": "This is a bug in Metis; please report it with the traceback above.",
}


def report_failure(error: Exception, as_json: bool) -> None:
    """Write an error to stderr, or with ``as_json`` as one object ``{"error": {...}}`` to stdout."""
    slug, message, attributes = _described(error)
    if slug == "bug":
        traceback.print_exception(error)
    if as_json:
        write_json({"error": {"slug": slug, "message": message, **attributes}})
        return
    # The argument parser knows the usage line and the command's --help; the others have only a message.
    if slug == "usage" and hasattr(error, "show"):
        error.show()
        return
    sys.stderr.write(f"metis: {message}\n")
    if slug in _ADVICE:
        sys.stderr.write(f"{_ADVICE[slug]}\n")


def _described(error: Exception) -> tuple[str, str, dict[str, Any]]:
    if isinstance(error, MetisError):
        message = str(error) or "the engine stopped itself" if isinstance(error, EngineFault) else str(error)
        return error.slug, message, _attributes(error)
    # The parser's own errors, by their shape: typer has moved their class between modules.
    format_message = getattr(error, "format_message", None)
    if format_message is not None:
        return "usage", str(format_message()), {}
    if isinstance(error, ImportError) and "metis.engine" in (error.name or "") and "_native" in str(error):
        return "engine-missing", "the engine is not built in this environment; run `make setup` in a checkout", {}
    return "bug", f"{type(error).__name__}: {error}", {}


def _attributes(error: MetisError) -> dict[str, Any]:
    # Names with an underscore are not ours: typer marks the exceptions that pass through it.
    return {name: _plain(value) for name, value in vars(error).items() if not name.startswith("_")}


def _plain(value: object) -> Any:
    """JSON form of an error's attribute."""
    return value if isinstance(value, str | int | float | bool | bytes | None) else str(value)
