"""JSON values out of a stream: found wherever it is cut, and refused where none can begin."""

from __future__ import annotations

import pytest

from metis.rpc.errors import ErrorCode
from metis.rpc.json_stream import JsonStreamReader

VALUES = [
    b'{"a":[1,2,{"b":"}]"}]}',
    b"[]",
    b'"a string with \\" and { and \\\\"',
    b"[[[[]]]]",
    b'{"k\\"{":"\\\\"}',
    b'{"u":"\\u007b\xc3\xbc"}',
]


@pytest.mark.parametrize("separator", [b"", b"\n", b" \r\n\t "])
@pytest.mark.parametrize("piece_size", [1, 2, 3, 7, 1_000])
def test_values__with_any_separator_and_cut__are_found(separator: bytes, piece_size: int) -> None:
    stream = separator.join([b"", *VALUES, b""])
    reader = JsonStreamReader(1_000)
    found = []
    for position in range(0, len(stream), piece_size):
        values, problem = reader.feed(stream[position : position + piece_size])
        assert problem is None
        found += values
    assert found == VALUES
    assert not reader.is_mid_value


def test_scalars__end_where_the_next_value_begins() -> None:
    reader = JsonStreamReader(1_000)
    assert reader.feed(b'1 true{"a":1}null[2]-3.5e1"s"') == (
        [b"1", b"true", b'{"a":1}', b"null", b"[2]", b"-3.5e1", b'"s"'],
        None,
    )
    assert reader.feed(b"17") == ([], None)
    assert reader.is_mid_value
    assert reader.feed(b"\n") == ([b"17"], None)


@pytest.mark.parametrize("garbage", [b"'f", b"}", b"]", b",", b"POST / HTTP/1.1", b"\xff", b"\0", b"1,2"])
def test_garbage__between_values__ends_the_stream_after_what_came_before(garbage: bytes) -> None:
    values, problem = JsonStreamReader(1_000).feed(b"[1]" + garbage)
    assert values[0] == b"[1]"
    assert problem is not None
    assert problem.code is ErrorCode.PARSE_ERROR


def test_word__without_end__ends_the_stream() -> None:
    _, problem = JsonStreamReader(1_000).feed(b"n" * 65)
    assert problem is not None


def test_nesting__without_end__ends_the_stream() -> None:
    reader = JsonStreamReader(1 << 20)
    assert reader.feed(b"[" * 1_024) == ([], None)
    _, problem = reader.feed(b"[")
    assert problem is not None
    assert problem.code is ErrorCode.PARSE_ERROR


def test_value__over_the_limit__ends_the_stream_whole_or_not() -> None:
    exact = b'"' + b"x" * 98 + b'"'
    assert JsonStreamReader(100).feed(exact) == ([exact], None)
    for too_long in (b'"' + b"x" * 99 + b'"', b'"' + b"x" * 100, b"[" + b" " * 100):
        values, problem = JsonStreamReader(100).feed(too_long)
        assert values == []
        assert problem is not None
        assert problem.code is ErrorCode.LIMIT_EXCEEDED
