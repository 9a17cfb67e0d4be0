"""JSON-RPC 2.0 as values: what counts as a request, and ids that come back as they were sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.jsonrpc import (
    Call,
    Refusal,
    encode_batch,
    encode_error,
    encode_notification,
    encode_result,
    parse_message,
)


def parsed(text: str | bytes, batch_count_max: int = 4) -> Any:
    return parse_message(text.encode() if isinstance(text, str) else text, batch_count_max)


def refused(text: str | bytes) -> Refusal:
    refusal = parsed(text)
    assert isinstance(refusal, Refusal)
    return refusal


def test_request__complete__is_a_call() -> None:
    call = parsed('{"jsonrpc":"2.0","id":7,"method":"eth_chainId","params":[1,"a"]}')
    assert call == Call("eth_chainId", [1, "a"], b"7")


@pytest.mark.parametrize("params", ["", ',"params":null', ',"params":[]'])
def test_request__without_parameters__has_none(params: str) -> None:
    assert parsed(f'{{"jsonrpc":"2.0","id":1,"method":"m"{params}}}') == Call("m", [], b"1")


def test_request__without_id__is_a_notification() -> None:
    assert parsed('{"jsonrpc":"2.0","method":"m"}') == Call("m", [], None)


@pytest.mark.parametrize(
    "id_text",
    [
        "0",
        "-1",
        "18446744073709551615",
        "18446744073709551616",
        "340282366920938463463374607431768211455",
        "-9223372036854775809",
        "1.0",
        "1.50",
        "1e2",
        "1E+2",
        "0.1000",
        '""',
        '"abc"',
        '"18446744073709551616"',
        '"é\\n"',
        "null",
    ],
)
def test_id__any_number_string_or_null__comes_back_as_sent(id_text: str) -> None:
    single = parsed(f'{{"jsonrpc":"2.0","id":{id_text},"method":"m"}}')
    batch = parsed(f'[{{"jsonrpc":"2.0","id":1,"method":"m"}},{{"jsonrpc":"2.0","id":{id_text},"method":"m"}}]')
    for call in (single, batch[1]):
        answer = encode_result(call.id_json, "0x1")
        assert json.loads(answer)["id"] == json.loads(id_text)
        if '"' not in id_text:
            assert answer == b'{"jsonrpc":"2.0","id":%b,"result":"0x1"}' % id_text.encode()


@pytest.mark.parametrize("id_text", ["true", "false", "[]", "{}", "[1]"])
def test_id__of_another_type__is_refused_under_null(id_text: str) -> None:
    refusal = refused(f'{{"jsonrpc":"2.0","id":{id_text},"method":"m"}}')
    assert (refusal.id_json, refusal.error.code) == (b"null", ErrorCode.INVALID_REQUEST)


def test_exact_id__in_a_deeply_nested_message__is_at_least_equal() -> None:
    depth = 1_000
    nested = "[" * depth + "]" * depth
    call = parsed(f'{{"jsonrpc":"2.0","id":1.50,"method":"m","params":[{nested}]}}')
    assert json.loads(call.id_json) == 1.5


def test_duplicate_keys__in_a_request__last_one_counts() -> None:
    assert parsed('{"jsonrpc":"2.0","id":1,"id":2,"method":"a","method":"b"}') == Call("b", [], b"2")


@pytest.mark.parametrize(
    ("text", "id_json"),
    [
        ("1", b"null"),
        ("null", b"null"),
        ('"eth_chainId"', b"null"),
        ("{}", b"null"),
        ('{"id":1}', b"1"),
        ('{"id":1,"method":"m"}', b"1"),
        ('{"jsonrpc":"2.1","id":"x","method":"m"}', b'"x"'),
        ('{"jsonrpc":2.0,"id":1,"method":"m"}', b"1"),
        ('{"jsonrpc":"2.0","id":1}', b"1"),
        ('{"jsonrpc":"2.0","id":1,"method":1}', b"1"),
        ('{"jsonrpc":"2.0","id":1,"method":""}', b"1"),
        ('{"jsonrpc":"2.0","method":["m"]}', b"null"),
        ('{"jsonrpc":"2.0","id":1,"method":"m","params":"p"}', b"1"),
        ('{"jsonrpc":"2.0","id":1,"result":"0x1"}', b"1"),
    ],
)
def test_request__malformed__is_refused_under_its_id(text: str, id_json: bytes) -> None:
    refusal = refused(text)
    assert (refusal.id_json, refusal.error.code) == (id_json, ErrorCode.INVALID_REQUEST)


def test_named_parameters__of_a_request__are_refused_as_parameters() -> None:
    refusal = refused('{"jsonrpc":"2.0","id":3,"method":"m","params":{"a":1}}')
    assert (refusal.id_json, refusal.error.code) == (b"3", ErrorCode.INVALID_PARAMS)


def test_named_parameters__of_a_notification__get_no_answer() -> None:
    assert refused('{"jsonrpc":"2.0","method":"m","params":{"a":1}}').id_json is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"'f",
        b"{",
        b'{"jsonrpc":"2.0","id":1,"method":"m"',
        b'{"jsonrpc":"2.0","id":1,"method":"m"}}',
        b'{"id":NaN}',
        b'"\xff"',
        b'{"jsonrpc":"2.0","id":"\xc3\x28","method":"m"}',
        b'{"id":"\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
        b"[" * 2_000 + b"]" * 2_000,
    ],
)
def test_message__not_json__is_a_parse_error_under_null(text: bytes) -> None:
    refusal = refused(text)
    assert (refusal.id_json, refusal.error.code) == (b"null", ErrorCode.PARSE_ERROR)


def test_batch__empty__is_one_refusal_and_no_batch() -> None:
    assert refused("[]").error.code == ErrorCode.INVALID_REQUEST


def test_batch__with_junk__keeps_every_place() -> None:
    items = parsed('[{"jsonrpc":"2.0","id":1,"method":"m"},55,{"foo":"bar"},null]')
    assert isinstance(items[0], Call)
    assert [item.error.code for item in items[1:]] == [ErrorCode.INVALID_REQUEST] * 3


def test_batch__too_large__is_refused_as_one_under_the_first_id() -> None:
    without_id = '{"jsonrpc":"2.0","method":"m"}'
    with_id = '{"jsonrpc":"2.0","id":3,"method":"m"}'
    assert len(parsed(f"[{','.join([without_id] * 4)}]")) == 4
    (refusal,) = parsed(f"[{','.join([without_id, with_id, *[without_id] * 3])}]")
    assert (refusal.id_json, refusal.error.code) == (b"3", ErrorCode.LIMIT_EXCEEDED)
    (refusal,) = parsed(f"[{','.join([without_id] * 5)}]")
    assert refusal.id_json == b"null"


def test_result__encoded_already__is_taken_as_it_is() -> None:
    assert encode_result(b"1", b'{"a": 1}') == b'{"jsonrpc":"2.0","id":1,"result":{"a": 1}}'


def test_result__without_json_form__raises() -> None:
    with pytest.raises(TypeError):
        encode_result(b"1", 2**64)


def test_error__with_and_without_data__is_encoded_so() -> None:
    assert json.loads(encode_error(b"null", RpcError(-32000, "m")))["error"] == {"code": -32000, "message": "m"}
    assert json.loads(encode_error(b"1", RpcError(3, "m", "0x")))["error"]["data"] == "0x"


def test_error__that_cannot_be_encoded__keeps_code_and_message() -> None:
    answer = json.loads(encode_error(b"1", RpcError(-32000, "lone \ud800 surrogate", object())))
    assert answer["error"] == {"code": -32000, "message": "lone ? surrogate"}


def test_batch_of_answers__keeps_their_order() -> None:
    assert json.loads(encode_batch([encode_result(b"2", 0), encode_result(b"1", 0)]))[0]["id"] == 2


def test_notification__to_a_subscriber__has_subscription_and_result() -> None:
    message = json.loads(encode_notification("eth_subscription", "0xab", b'{"n":1}'))
    assert message == {
        "jsonrpc": "2.0",
        "method": "eth_subscription",
        "params": {"subscription": "0xab", "result": {"n": 1}},
    }
