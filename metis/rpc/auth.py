"""
JSON Web Tokens of the Engine API: HS256 with a shared secret, fresh within a minute.

In: an Authorization header. Out: nothing, or :class:`Unauthorized`. Source: execution-apis,
``src/engine/authentication.md``; RFC 7515, RFC 7519.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import time
from pathlib import Path
from typing import Any

import orjson

from metis.types import MetisError

__all__ = ["SecretError", "TokenCheck", "Unauthorized", "make_token", "read_or_create_secret"]

SECRET_SIZE_BYTES = 32
AGE_S_MAX = 60
TOKEN_SIZE_BYTES_MAX = 8 * 1024


class Unauthorized(MetisError):
    """A request to the authenticated listener without a valid token; the message says why."""

    slug = "rpc-unauthorized"


class SecretError(MetisError):
    """
    The file of the shared secret does not hold one.

    Attributes
    ----------
    path : the file. problem : what is wrong with it.
    """

    slug = "rpc-secret"

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


def read_or_create_secret(path: Path) -> bytes:
    """
    Return the 32 bytes of a secret file, which holds them as 64 hexadecimal digits, 0x or not.

    A missing file is created with a random secret, readable by its owner only.

    Raises
    ------
    SecretError : the file holds something else.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        text = path.read_text(encoding="ascii", errors="replace").strip()
        if not re.fullmatch("(?:0x)?[0-9a-fA-F]{64}", text):
            raise SecretError(path, "expected 64 hexadecimal digits") from None
        return bytes.fromhex(text.removeprefix("0x"))
    secret = os.urandom(SECRET_SIZE_BYTES)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secret.hex())
    return secret


def make_token(secret: bytes, issued_at_s: int | None = None) -> str:
    """Return a token as a consensus client would make it, for tests and tools."""
    header = _encode_part(b'{"alg":"HS256","typ":"JWT"}')
    claims = _encode_part(orjson.dumps({"iat": int(time.time()) if issued_at_s is None else issued_at_s}))
    signed = header + b"." + claims
    return (signed + b"." + _encode_part(_signature(secret, signed))).decode()


class TokenCheck:
    """Checks the Authorization header of requests to one listener."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_SIZE_BYTES:
            raise ValueError(f"the secret must be {SECRET_SIZE_BYTES} bytes")
        self._secret = secret

    def check(self, authorization: bytes | None, now_s: float | None = None) -> None:
        """
        Check one header value.

        Parameters
        ----------
        authorization : the header's value, or None where it is missing. now_s : the time, for tests.

        Raises
        ------
        Unauthorized : no bearer token, not HS256, wrong signature, or ``iat`` more than 60 s off.
        """
        if authorization is None or authorization[:7].lower() != b"bearer ":
            raise Unauthorized("missing token")
        token = authorization[7:].strip()
        parts = token.split(b".")
        if len(token) > TOKEN_SIZE_BYTES_MAX or len(parts) != 3:
            raise Unauthorized("malformed token")
        header = _decode_object(parts[0], "header")
        if header.get("alg") != "HS256":
            raise Unauthorized("unexpected algorithm, only HS256 is accepted")
        # The signature comes before the claims: nothing that an outsider wrote is looked at further.
        if not hmac.compare_digest(_decode_part(parts[2]), _signature(self._secret, parts[0] + b"." + parts[1])):
            raise Unauthorized("invalid signature")
        claims = _decode_object(parts[1], "claims")
        now = time.time() if now_s is None else now_s
        issued_at = claims.get("iat")
        if not isinstance(issued_at, int | float):
            raise Unauthorized("missing issued-at")
        if abs(now - issued_at) > AGE_S_MAX:
            raise Unauthorized("stale token" if now > issued_at else "future token")
        expires_at = claims.get("exp")
        if expires_at is not None and (not isinstance(expires_at, int | float) or expires_at <= now):
            raise Unauthorized("token is expired")


def _signature(secret: bytes, signed: bytes) -> bytes:
    return hmac.new(secret, signed, hashlib.sha256).digest()


def _encode_part(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def _decode_part(part: bytes) -> bytes:
    if not re.fullmatch(rb"[A-Za-z0-9_-]*", part):
        raise Unauthorized("malformed token")
    try:
        return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except ValueError:
        raise Unauthorized("malformed token") from None


def _decode_object(part: bytes, noun: str) -> dict[str, Any]:
    try:
        value = orjson.loads(_decode_part(part))
    except orjson.JSONDecodeError:
        raise Unauthorized(f"malformed token {noun}") from None
    if not isinstance(value, dict):
        raise Unauthorized(f"malformed token {noun}")
    return value
