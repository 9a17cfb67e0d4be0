"""Reading execution-apis' cases, and comparing answers."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pytest

from metis.node.conformance import difference
from metis.node.conformance_cases import Exchange, load_cases
from metis.node.shapes import difference_of_shape
from metis.types import FixtureError

CASE = '// about\n// speconly: form\n>> {"id":1,"method":"a_b"}\n<< {"id":1,"result":"0x1"}\n'


def folder_of(root: Path, **files: str) -> Path:
    for name, text in {"genesis.json": "{}", "chain.rlp": "", "headfcu.json": "{}", **files}.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_cases__of_a_folder_and_of_an_archive__are_the_same(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path / "cases", **{"a_b__one.io": CASE, "a_b__two.io": CASE.replace("// speconly: form\n", "")}
    )
    with tarfile.open(tmp_path / "cases.tar.xz", "w:xz") as archive:
        archive.add(folder, "some/where")
    loaded = load_cases(folder)
    assert load_cases(tmp_path / "cases.tar.xz") == loaded
    assert [(case.id, case.method, case.is_form_only) for case in loaded.cases] == [
        ("a_b/one", "a_b", True),
        ("a_b/two", "a_b", False),
    ]


@pytest.mark.parametrize("text", [">> {}", "?? {}", ">> {\n<< {}"])
def test_cases__that_are_malformed__name_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(FixtureError) as caught:
        load_cases(folder_of(tmp_path, **{"a_b__one.io": text}))
    assert caught.value.test == "a_b/one.io"


def test_cases__of_an_empty_folder__are_refused(tmp_path: Path) -> None:
    with pytest.raises(FixtureError, match="missing"):
        load_cases(tmp_path)
    with pytest.raises(FixtureError, match="no cases"):
        load_cases(folder_of(tmp_path))


def answer(**members: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, **members}


@pytest.mark.parametrize(
    ("expected", "got", "is_same"),
    [
        ({"result": {"a": 1}}, {"result": {"a": 1}}, True),
        ({"result": {"a": [1, 2]}}, {"result": {"a": [1, 3]}}, False),
        ({"result": {"a": 1}}, {"result": {"b": 1}}, False),
        ({"result": 1}, {"error": {"code": 1, "message": "x"}}, False),
        (
            {"error": {"code": 3, "message": "x", "data": "0x"}},
            {"error": {"code": 3, "message": "y", "data": "0x"}},
            True,
        ),
        ({"error": {"code": 3, "message": "x", "data": "0x"}}, {"error": {"code": 3, "message": "x"}}, False),
        ({"error": {"code": 3, "message": "x"}}, {"error": {"code": 4, "message": "x"}}, False),
    ],
)
def test_difference__of_answers__is_about_values_codes_and_data(
    expected: dict[str, Any], got: dict[str, Any], is_same: Any
) -> None:
    found = difference(Exchange({}, answer(**expected)), answer(**got), is_form_only=False)
    assert (found is None) == is_same


@pytest.mark.parametrize(
    ("expected", "got", "is_same"),
    [
        ("0x1", "0x22", True),
        ("0x1", 1, False),
        ({"a": None}, {"a": None}, True),
        ({"a": None}, {"a": "0x"}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([], ["0x1"], True),
        (["0x1"], [1], False),
        ({"0x" + "11" * 20: {"0": {"a": 1}}}, {"0x" + "22" * 20: {"7": {"a": 2}}}, True),
        ({"0x" + "11" * 20: {"0": {"a": 1}}}, {"0x" + "22" * 20: {"7": {"b": 2}}}, False),
        ({"pending": {}}, {"pending": {"0x" + "22" * 20: {}}}, True),
    ],
)
def test_shape__of_two_values__is_fields_and_kinds(expected: Any, got: Any, is_same: Any) -> None:
    assert (difference_of_shape(expected, got) is None) == is_same
