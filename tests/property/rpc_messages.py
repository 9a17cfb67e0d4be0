"""Strategies for JSON-RPC messages, good and bad, and a plain model of what each must be answered with."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

METHODS = ["test_echo", "test_pool", "test_async"]

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
# Integers that orjson keeps; test_echo answers with its argument.
small_values = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20)
ids = st.integers(-(2**70), 2**70) | st.text(max_size=10) | st.none() | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def good_requests(draw: st.DrawFn) -> dict[str, Any]:
    """Requests and notifications that are in order; their methods may not exist."""
    request: dict[str, Any] = {"jsonrpc": "2.0", "method": draw(st.sampled_from([*METHODS, "test_missing"]))}
    if draw(st.booleans()):
        request["id"] = draw(ids)
    if draw(st.booleans()):
        request["params"] = [draw(small_values)]
    return request


@st.composite
def twisted_requests(draw: st.DrawFn) -> Any:
    """Requests with one member replaced or removed: nearly right."""
    request = draw(good_requests())
    member = draw(st.sampled_from(["jsonrpc", "id", "method", "params"]))
    if draw(st.booleans()):
        request.pop(member, None)
    else:
        request[member] = draw(json_values)
    return request


elements = good_requests() | twisted_requests() | json_values
messages = elements | st.lists(elements, max_size=8)


def is_answered(element: Any) -> bool:
    """Whether an element gets an answer: all but notifications (JSON-RPC 2.0 §4.1)."""
    if not isinstance(element, dict) or "id" in element or element.get("jsonrpc") != "2.0":
        return True
    method, params = element.get("method"), element.get("params")
    return not (isinstance(method, str) and method) or not (params is None or isinstance(params, list | dict))


def expected_id(element: Any) -> Any:
    """The id of the answer to an element that gets one."""
    if not isinstance(element, dict):
        return None
    request_id = element.get("id")
    return None if isinstance(request_id, bool | list | dict) else request_id


def expected_codes(element: Any) -> set[int | None]:
    """The error codes that the answer may have; None stands for a result."""
    if not isinstance(element, dict) or isinstance(element.get("id"), bool | list | dict):
        return {-32600}
    method, params = element.get("method"), element.get("params")
    if element.get("jsonrpc") != "2.0" or not isinstance(method, str) or not method:
        return {-32600}
    if isinstance(params, dict):
        return {-32602}
    if params is not None and not isinstance(params, list):
        return {-32600}
    if method not in METHODS:
        return {-32601}
    if params is not None and len(params) > 1:
        return {-32602}
    return {None}


def check_answer(element: Any, answer: Any) -> None:
    """Assert that an answer is a JSON-RPC answer, and the one this element must get."""
    assert isinstance(answer, dict)
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] == expected_id(element)
    assert type(answer["id"]) is type(expected_id(element))
    if "error" in answer:
        assert set(answer) == {"jsonrpc", "id", "error"}
        assert isinstance(answer["error"]["message"], str)
        assert answer["error"]["code"] in expected_codes(element)
    else:
        assert set(answer) == {"jsonrpc", "id", "result"}
        assert None in expected_codes(element)


def check_message(message: Any, body: bytes) -> None:
    """Assert that ``body`` is what the server must answer to ``message`` as a whole."""
    if isinstance(message, list) and message:
        expected = [element for element in message if is_answered(element)]
        answers = json.loads(body) if body else []
        assert len(answers) == len(expected)
        assert bool(body) == bool(expected)
        for element, answer in zip(expected, answers, strict=True):
            check_answer(element, answer)
    elif isinstance(message, list):
        assert json.loads(body)["error"]["code"] == -32600
    elif is_answered(message):
        check_answer(message, json.loads(body))
    else:
        assert body == b""
