"""JSON-RPC without sockets: nothing breaks the parser, ids and order are kept, parsers refuse cleanly."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.rpc import parameters
from metis.rpc.json_stream import JsonStreamReader
from metis.rpc.jsonrpc import Call, Refusal, encode_error, encode_result, parse_message
from metis.rpc.parameters import BadValue
from tests.property.rpc_messages import expected_id, ids, is_answered, json_values, messages


@given(st.binary(max_size=200))
def test_any_bytes__as_a_message__are_read_or_refused(payload: bytes) -> None:
    message = parse_message(payload, 10)
    for item in message if isinstance(message, list) else [message]:
        assert isinstance(item, Call | Refusal)
        if isinstance(item, Refusal) and item.id_json is not None:
            json.loads(encode_error(item.id_json, item.error))


@given(messages)
def test_any_json__as_a_message__keeps_ids_and_places(message: Any) -> None:
    parsed = parse_message(json.dumps(message).encode(), 10)
    if not isinstance(message, list) or not message:
        assert not isinstance(parsed, list)
        return
    assert isinstance(parsed, list)
    assert len(parsed) == len(message)
    for element, item in zip(message, parsed, strict=True):
        assert (item.id_json is not None) == is_answered(element)
        if item.id_json is not None:
            assert json.loads(item.id_json) == expected_id(element)


@given(ids, st.sampled_from([None, 0, 4]))
def test_any_id__in_any_json_notation__is_the_same_in_the_answer(request_id: Any, indent: int | None) -> None:
    text = json.dumps({"jsonrpc": "2.0", "id": request_id, "method": "m"}, indent=indent, ensure_ascii=bool(indent))
    call = parse_message(text.encode(), 1)
    assert isinstance(call, Call)
    assert call.id_json is not None
    answered = json.loads(encode_result(call.id_json, None))["id"]
    assert answered == request_id
    assert type(answered) is type(request_id)


PARSERS = {
    name: value
    for name, value in vars(parameters).items()
    if name in parameters.__all__ and callable(value) and name not in ("any_json", "BadValue", "BlockByHash")
}
COMPOSED = {
    "list": parameters.list_of(parameters.address, 3),
    "object": parameters.object_of({"": parameters.quantity, "a": parameters.block_id}, frozenset({"a"})),
    "quantity_of": parameters.quantity_of(64),
    "data_of": parameters.data_of(2, "two bytes"),
}
del PARSERS["list_of"], PARSERS["object_of"], PARSERS["quantity_of"], PARSERS["data_of"]
PARSERS = {name: parser for name, parser in PARSERS.items() if name not in ("Parser", "BlockId")} | COMPOSED

hexish = st.text(alphabet="0123456789abcdefABCDEFxX_ \n-+.g", max_size=70)


@pytest.mark.parametrize("name", sorted(PARSERS))
@given(value=json_values | hexish | hexish.map(lambda text: "0x" + text))
def test_any_value__as_a_parameter__is_parsed_or_refused_with_a_reason(name: str, value: Any) -> None:
    try:
        PARSERS[name](value)
    except BadValue as problem:
        assert str(problem)  # noqa: PT017 - not raising is as good


@given(st.integers(0, 2**256 - 1))
def test_quantity__written_as_hex__is_read_back(number: int) -> None:
    assert parameters.quantity(hex(number)) == number
    assert parameters.number_or_quantity(hex(number)) == number
    assert parameters.storage_slot(f"0x{number:064x}") == number


@given(st.binary(max_size=100))
def test_data__written_as_hex__is_read_back(value: bytes) -> None:
    assert parameters.data(f"0x{value.hex()}") == value
    assert parameters.data(f"0X{value.hex().upper()}") == value


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), json_values, max_size=3) | st.lists(json_values, max_size=3), max_size=5
    ),
    st.sampled_from([None, 2]),
    st.sampled_from([b"", b"\n", b" \t"]),
    st.lists(st.integers(0, 400), max_size=12),
)
def test_json_stream__cut_anywhere__gives_the_same_values(
    values: list[Any],
    indent: int | None,
    separator: bytes,
    cuts: list[int],
) -> None:
    encoded = [json.dumps(value, indent=indent, ensure_ascii=False).encode() for value in values]
    stream = separator.join(encoded)
    reader = JsonStreamReader(1 << 20)
    found: list[bytes] = []
    positions = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    for begin, end in itertools.pairwise(positions):
        complete, problem = reader.feed(stream[begin:end])
        assert problem is None
        found += complete
    assert found == encoded


@given(st.lists(st.binary(max_size=30), max_size=6))
def test_any_bytes__as_a_json_stream__give_values_or_an_end(pieces: list[bytes]) -> None:
    reader = JsonStreamReader(100)
    for piece in pieces:
        values, problem = reader.feed(piece)
        assert all(values)
        if problem is not None:
            break
