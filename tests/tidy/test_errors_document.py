"""docs/errors.md lists exactly the errors that exist."""

from __future__ import annotations

import dataclasses
import re

from metis.types import Transaction, errors
from tests.tidy.errors_document import (
    DOCUMENT,
    attributes_of,
    error_classes,
    reasons,
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


def test_errors_document__table_of_reasons__equals_the_enum() -> None:
    written = written_reasons(DOCUMENT.read_text(encoding="utf-8"))
    assert written == rendered_reasons(), "renew it: .venv/bin/python -m tests.tidy.errors_document"


def test_reasons__of_the_built_engine__are_those_of_the_sources() -> None:
    from metis.engine import _native

    assert sorted(_native.transaction_error_slugs()) == [reason.slug for reason in reasons()]


def test_reasons__field__is_one_of_a_transaction() -> None:
    known = {field.name for field in dataclasses.fields(Transaction)}
    unknown = {reason.field for reason in reasons()} - known
    assert not unknown
