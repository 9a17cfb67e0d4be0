"""Log lines: what programs parse, and what people read."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from metis.node.logs import configure_logging


@pytest.fixture(autouse=True)
def _package_logger() -> Iterator[None]:
    """Leave the package's logger as it was."""
    root = logging.getLogger("metis")
    before = (root.handlers[:], root.level, root.propagate)
    yield
    root.handlers[:], root.level, root.propagate = before


def lines(form: str, level: str = "info") -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    configure_logging(form, level, stream)
    return logging.getLogger("metis.node"), stream


def test_json_line__with_fields__is_one_object_with_bytes_in_hex() -> None:
    log, stream = lines("json")
    log.info("block %d", 7, extra={"number": 7, "hash": b"\xab\x01", "other": None})
    line = json.loads(stream.getvalue())
    time = line.pop("time")
    assert line == {
        "level": "info",
        "logger": "metis.node",
        "message": "block 7",
        "number": 7,
        "hash": "0xab01",
        "other": None,
    }
    assert (len(time), time[10], time[-1]) == (24, "T", "Z")


def test_json_line__of_an_exception__stays_one_line() -> None:
    log, stream = lines("json")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        log.exception("it failed")
    [line] = stream.getvalue().splitlines()
    assert "ValueError: two\nlines" in json.loads(line)["exception"]


def test_json_line__of_a_value_that_is_no_json__shows_its_text() -> None:
    log, stream = lines("json")
    log.warning("x", extra={"reason": ValueError("why")})
    assert json.loads(stream.getvalue())["reason"] == "why"


def test_text_line__with_fields__ends_with_them() -> None:
    log, stream = lines("text")
    log.error("dropped", extra={"hash": b"\x01"})
    text = stream.getvalue()
    assert text.endswith("Z ERROR   dropped  hash=0x01\n")


def test_text_line__of_an_exception__is_followed_by_the_traceback() -> None:
    log, stream = lines("text")
    try:
        raise ValueError("why")
    except ValueError:
        log.exception("it failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("it failed")
    assert rest[-1] == "ValueError: why"


@pytest.mark.parametrize(("level", "written"), [("debug", 3), ("info", 2), ("error", 1)])
def test_level__of_the_configuration__leaves_out_what_is_below(level: str, written: int) -> None:
    log, stream = lines("text", level)
    for write in (log.debug, log.info, log.error):
        write("x")
    assert len(stream.getvalue().splitlines()) == written


def test_configure__twice__writes_each_line_once_and_to_the_newest() -> None:
    _, first = lines("text")
    log, second = lines("text")
    log.info("x")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1
