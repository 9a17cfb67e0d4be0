"""How a signed request travels over HTTP: in headers beside OpenAI's own."""

from __future__ import annotations

from typing import Final

from metis.ai.receipt.fields import OPEN_BODY, Request
from metis.engine import keccak256
from metis.types import Hash32

__all__ = ["HEADERS", "body_hash", "headers_of"]

HEADERS: Final = {
    "payer": "x-metis-payer",
    "nonce": "x-metis-nonce",
    "max_cost_wei": "x-metis-max-cost",
    "deadline_s": "x-metis-deadline",
    "body": "x-metis-body",
    "signature": "x-metis-signature",
}
"""The headers of a signed request. ``x-metis-body: open`` leaves the body open; else it is the body that was sent."""


def body_hash(method: str, path: str, body: bytes) -> Hash32:
    """What a payer signs of an HTTP request: method, path and body, with a space and a line's end between them."""
    return keccak256(f"{method} {path}\n".encode() + body)


def headers_of(request: Request, signature: bytes) -> dict[str, str]:
    """The headers of a signed request."""
    headers = {
        HEADERS["payer"]: "0x" + request.payer.hex(),
        HEADERS["nonce"]: str(request.nonce),
        HEADERS["max_cost_wei"]: str(request.max_cost_wei),
        HEADERS["deadline_s"]: str(request.deadline_s),
        HEADERS["signature"]: "0x" + signature.hex(),
    }
    return headers | ({HEADERS["body"]: "open"} if request.body == OPEN_BODY else {})
