"""
JSON-RPC 2.0 as values: bytes to calls, results to bytes. No input or output happens here.

In: the bytes of one message. Out: a :class:`Call`, a :class:`Refusal`, or a list of them for a
batch; and the bytes of answers. Invariant: an id comes back as the very number, string or null
that was sent. Cost: linear in the message; nesting is bounded by orjson at 1,024 levels.
Source: https://www.jsonrpc.org/specification
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import orjson

from metis.rpc.errors import ErrorCode, RpcError

__all__ = [
    "Call",
    "Item",
    "Refusal",
    "encode_batch",
    "encode_error",
    "encode_notification",
    "encode_result",
    "parse_message",
]

METHOD_NAME_SHOWN_MAX = 64
NULL_ID = b"null"


@dataclass(slots=True)
class Call:
    """
    One request, or a notification.

    Attributes
    ----------
    method : the method's name. params : positional parameters.
    id_json : the id as JSON text, or None for a notification, which gets no answer.
    """

    method: str
    params: list[Any]
    id_json: bytes | None


@dataclass(slots=True)
class Refusal:
    """
    Something that is not a request that can be served, and the error it is answered with.

    ``id_json`` is None for a notification, which gets no answer, not even this one.
    """

    id_json: bytes | None
    error: RpcError


Item = Call | Refusal


def parse_message(payload: bytes, batch_count_max: int) -> Item | list[Item]:
    """
    Read one message.

    Parameters
    ----------
    payload : the whole message, UTF-8.
    batch_count_max : more requests than this in a batch are refused as one.

    Returns
    -------
    One item, or a list with at least one item for a batch. Never raises: what cannot be read is a
    :class:`Refusal`. Of duplicate keys the last one counts, as in geth.
    """
    try:
        value = orjson.loads(payload)
    except orjson.JSONDecodeError as problem:
        return Refusal(NULL_ID, RpcError(ErrorCode.PARSE_ERROR, f"parse error: {problem}"))
    if type(value) is not list:
        return _item(value) or _with_exact_ids(payload, [value])[0]
    if not value:
        return Refusal(NULL_ID, RpcError(ErrorCode.INVALID_REQUEST, "empty batch"))
    if len(value) > batch_count_max:
        return [_batch_too_large(value, batch_count_max)]
    items = [_item(element) for element in value]
    checked = [item for item in items if item is not None]
    return checked if len(checked) == len(items) else _with_exact_ids(payload, value)


def _item(value: Any, exact_id_json: bytes | None = None) -> Item | None:
    """
    Read one decoded request, or return None where its id has to be read again, exactly.

    orjson reads numbers with a fraction, an exponent or more than 64 bits as floats, which
    would come back as other digits.
    """
    if type(value) is not dict:
        return _invalid(NULL_ID, "invalid request")
    request_id = value.get("id", value)  # the request itself stands for a missing id
    id_json: bytes | None
    if type(request_id) is int:
        id_json = b"%d" % request_id
    elif type(request_id) is str:
        id_json = orjson.dumps(request_id)
    elif request_id is None:
        id_json = NULL_ID
    elif request_id is value:
        id_json = None
    elif type(request_id) is float:
        if exact_id_json is None:
            return None
        id_json = exact_id_json
    else:
        return _invalid(NULL_ID, "invalid request: id must be a string, a number or null")
    if value.get("jsonrpc") != "2.0":
        return _invalid(id_json, 'invalid request: "jsonrpc" must be "2.0"')
    method = value.get("method")
    if type(method) is not str or not method:
        return _invalid(id_json, 'invalid request: "method" must be a non-empty string')
    params = value.get("params")
    if type(params) is list:
        return Call(method, params, id_json)
    if params is None:
        return Call(method, [], id_json)
    if type(params) is not dict:
        return _invalid(id_json, 'invalid request: "params" must be an array')
    return Refusal(id_json, RpcError(ErrorCode.INVALID_PARAMS, "non-array args: parameters are by position"))


def _invalid(id_json: bytes | None, message: str) -> Refusal:
    """Refuse what is not a request. A missing id is answered as null (JSON-RPC 2.0 §5)."""
    return Refusal(id_json or NULL_ID, RpcError(ErrorCode.INVALID_REQUEST, message))


def _batch_too_large(elements: list[Any], batch_count_max: int) -> Refusal:
    """
    Refuse a batch as a whole, under the id of its first call.

    The protocol has no answer for a batch; this is geth's way to let a client match the error.
    """
    message = f"batch too large: {len(elements)} requests, at most {batch_count_max}"
    first_id = NULL_ID
    for element in elements[: batch_count_max + 1]:
        item = _item(element)
        if isinstance(item, Call) and item.id_json is not None:
            first_id = item.id_json
            break
    return Refusal(first_id, RpcError(ErrorCode.LIMIT_EXCEEDED, message))


class _NumberText(str):
    """The digits of a JSON number, as they were sent."""

    __slots__ = ()


def _with_exact_ids(payload: bytes, values: list[Any]) -> list[Item]:
    """
    Read requests again, with the text of every number kept.

    Slower than orjson by an order of magnitude, but no known client sends such ids.
    """
    import json  # no other request needs it

    try:
        exact = json.loads(payload, parse_int=_NumberText, parse_float=_NumberText)
    except (RecursionError, ValueError):
        # Nested deeper than the standard library goes (orjson goes to 1,024): numerically equal ids.
        exact = values
    elements = exact if isinstance(exact, list) else [exact]
    items: list[Item] = []
    for value, element in zip(values, elements, strict=True):
        exact_id = element.get("id") if isinstance(element, dict) else None
        text = exact_id.encode() if isinstance(exact_id, _NumberText) else orjson.dumps(exact_id)
        # UNWRAP: _item returns None only without an exact id.
        items.append(cast("Item", _item(value, exact_id_json=text)))
    return items


def encode_result(id_json: bytes, result: Any) -> bytes:
    """
    Encode an answer.

    Parameters
    ----------
    result : any value orjson knows. ``bytes`` are JSON text that is already encoded (the engine
        writes blocks and receipts so), and are taken as they are.

    Raises
    ------
    TypeError : the value has no JSON form, such as an integer of more than 64 bits.
    """
    text = result if type(result) is bytes else orjson.dumps(result)
    return b'{"jsonrpc":"2.0","id":%b,"result":%b}' % (id_json, text)


def encode_error(id_json: bytes, error: RpcError) -> bytes:
    """Encode an error answer. Data without a JSON form is left out: the code and message count."""
    members: dict[str, object] = {"code": error.code, "message": error.message}
    if error.data is not None:
        members["data"] = error.data
    try:
        text = orjson.dumps(members)
    except TypeError:
        message = error.message.encode("utf-8", "replace").decode()
        text = orjson.dumps({"code": error.code, "message": message})
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (id_json, text)


def encode_batch(answers: list[bytes]) -> bytes:
    """Join the answers of a batch, in the order of its requests."""
    return b"[" + b",".join(answers) + b"]"


def encode_notification(method: str, subscription_id: str, result_json: bytes) -> bytes:
    """Encode what a subscriber gets; ``result_json`` is JSON text."""
    return b'{"jsonrpc":"2.0","method":%b,"params":{"subscription":%b,"result":%b}}' % (
        orjson.dumps(method),
        orjson.dumps(subscription_id),
        result_json,
    )


def shown(method: str) -> str:
    """Shorten a method name that a client chose, for an error message."""
    return method if len(method) <= METHOD_NAME_SHOWN_MAX else f"{method[:METHOD_NAME_SHOWN_MAX]}…"
