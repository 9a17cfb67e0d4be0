"""The client without asyncio is the one with it: nobody has changed the derived file."""

from __future__ import annotations

from tests.tidy.client_source import DERIVED, SOURCE, derived, formatted


def test_client__without_asyncio__is_derived_from_the_other() -> None:
    expected = formatted(derived(SOURCE.read_text(encoding="utf-8")))
    assert DERIVED.read_text(encoding="utf-8") == expected, "run: .venv/bin/python -m tests.tidy.client_source"
    assert "async" not in expected.split('"""', 2)[2]
