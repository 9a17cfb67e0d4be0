"""From HTTP headers and a body to a request that its payer has signed, or the reason why not."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from metis.ai.receipt import HEADERS, Domain, Request, request_digest, signer_of
from metis.ai.receipt.fields import OPEN_BODY
from metis.types import Address, Hash32, InvalidReceipt, RequestRefused, TimestampS, Wei

__all__ = ["SignedRequest", "field", "parse_body", "signed_request"]

_DIGITS: Final = re.compile(r"0|[1-9][0-9]{0,77}")
_HEX: Final = re.compile(r"0x(?:[0-9a-f]{2})+")
_DEPTH_MAX: Final = 64


@dataclasses.dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request whose signature is its payer's; ``task`` names it."""

    request: Request
    signature: bytes
    task: Hash32


def signed_request(
    headers: Mapping[str, str], domain: Domain, worker: Address, model: Hash32, body: Hash32
) -> SignedRequest:
    """
    The request that some headers are about.

    Parameters
    ----------
    model : the id of the model that the body names. body : :func:`metis.ai.receipt.body_hash` of what was sent.

    Raises
    ------
    RequestRefused : a header is missing or not in its form, or the payer has not signed this.
    """
    is_open = headers.get(HEADERS["body"], "") == "open"
    request = Request(
        Address(_bytes(headers, "payer", 20)),
        worker,
        model,
        OPEN_BODY if is_open else body,
        Wei(_number(headers, "max_cost_wei", 1 << 256)),
        _number(headers, "nonce", 1 << 63),
        TimestampS(_number(headers, "deadline_s", 1 << 63)),
    )
    signature = _bytes(headers, "signature", 65)
    task = request_digest(domain, request)
    try:
        signer = signer_of(task, signature)
    except InvalidReceipt as error:
        raise RequestRefused("signature", error.problem, 401) from None
    if signer != request.payer:
        problem = (
            f"0x{request.payer.hex()} has not signed this request to worker 0x{worker.hex()} on chain "
            f"{domain.chain_id}, contract 0x{domain.contract.hex()}, for model 0x{model.hex()} with this body, price "
            "and nonce"
        )
        raise RequestRefused("signature", problem, 401)
    return SignedRequest(request, signature, task)


def parse_body(raw: bytes) -> dict[str, Any]:
    """
    A request's JSON object.

    Raises
    ------
    RequestRefused : it is none, or nested too deeply.
    """
    # BOUND: nesting, before the parser's recursion.
    depth = most = 0
    for byte in raw:
        depth += (byte in b"[{") - (byte in b"]}")
        most = max(most, depth)
    try:
        document = json.loads(raw, parse_constant=_refuse_constant) if most <= _DEPTH_MAX else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise RequestRefused("body", "it is no JSON object")
    return document


def field(document: Mapping[str, Any], name: str, is_fit: Callable[[Any], bool], what: str, default: Any = None) -> Any:
    """A field of a request's body, or its default; raises :class:`metis.types.RequestRefused` where it does not fit."""
    value = document.get(name)
    if value is None:
        return default
    if not is_fit(value):
        raise RequestRefused(name, f"it is not {what}")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _number(headers: Mapping[str, str], name: str, end: int) -> int:
    text = headers.get(HEADERS[name], "")
    if not _DIGITS.fullmatch(text) or int(text) >= end:
        raise RequestRefused("headers", f"{HEADERS[name]} is not a decimal number below {end}", 401)
    return int(text)


def _bytes(headers: Mapping[str, str], name: str, length: int) -> bytes:
    text = headers.get(HEADERS[name], "").lower()
    if not _HEX.fullmatch(text) or len(text) != 2 + 2 * length:
        raise RequestRefused("headers", f"{HEADERS[name]} is not 0x and {2 * length} hexadecimal digits", 401)
    return bytes.fromhex(text[2:])
