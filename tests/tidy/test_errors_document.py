"""docs/errors.md lists exactly the errors that exist."""

from __future__ import annotations

import re

import pytest

from metis.types import errors
from tests.tidy.errors_document import (
    DOCUMENT,
    attributes_of,
    engine_reasons,
    error_classes,
    rendered_reasons,
    table_rows,
    written_reasons,
)


def test_errors_document__table_of_classes__equals_the_tree() -> None:
    rows = {row[0]: row for row in table_rows(DOCUMENT.read_text(encoding="utf-8"), "Classes")}
    classes = error_classes()
    assert list(rows) == sorted(rows)
    assert set(rows) == set(classes)
    for name, (_, slug, attributes, what_to_do) in rows.items():
        assert slug == classes[name].slug, name
        assert tuple(re.findall(r"\w+", attributes)) == attributes_of(classes[name]), name
        assert what_to_do, name


def test_errors_docstring__printed_tree__equals_the_classes() -> None:
    printed = set(re.findall(r"(?:├──|└──|│\s+├──|│\s+└──) (\w+)", errors.__doc__ or "")) | {"MetisError"}
    assert printed == set(error_classes())


def test_error_slugs__of_all_classes__are_different() -> None:
    slugs = [error.slug for error in error_classes().values()]
    assert len(set(slugs)) == len(slugs)


def test_errors_document__table_of_reasons__equals_the_engine() -> None:
    reasons = engine_reasons()
    if reasons is None:
        pytest.skip("metis.engine does not list the reasons yet")
    written = written_reasons(DOCUMENT.read_text(encoding="utf-8"))
    assert written == rendered_reasons(reasons), "renew it: .venv/bin/python -m tests.tidy.errors_document"
