"""Tokens of the Engine API: only HS256, only fresh, only with our secret."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from metis.rpc.auth import SecretError, TokenCheck, Unauthorized, make_token, read_or_create_secret

SECRET = bytes(range(32))
NOW_S = 1_700_000_000


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def token(header: Any, claims: Any, secret: bytes = SECRET) -> str:
    signed = f"{part(header)}.{part(claims)}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


HS256 = {"alg": "HS256", "typ": "JWT"}


def check(authorization: str | None) -> None:
    TokenCheck(SECRET).check(authorization.encode() if authorization is not None else None, NOW_S)


@pytest.mark.parametrize("offset_s", [-60, -1, 0, 1, 60])
@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER "])
def test_token__fresh_and_signed__is_accepted(offset_s: int, scheme: str) -> None:
    check(scheme + make_token(SECRET, NOW_S + offset_s))
    check(scheme + token(HS256, {"iat": NOW_S + offset_s, "exp": NOW_S + 1, "id": "consensus", "clv": "x"}))


def test_token__as_a_reference_implementation_makes_it__is_accepted() -> None:
    """The JWT of RFC 7515 appendix A.1 is signed right; only its claims lack iat."""
    secret = base64.urlsafe_b64decode(
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow=="
    )
    example = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9"
        ".eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    )
    checker = TokenCheck(SECRET)
    checker._secret = secret
    with pytest.raises(Unauthorized, match="missing issued-at"):
        checker.check(f"Bearer {example}".encode(), NOW_S)


@pytest.mark.parametrize(
    ("authorization", "problem"),
    [
        (None, "missing token"),
        ("", "missing token"),
        ("Basic YTpi", "missing token"),
        ("Bearer ", "malformed token"),
        ("Bearer a.b", "malformed token"),
        ("Bearer a.b.c.d", "malformed token"),
        ("Bearer !.!.!", "malformed token"),
        ("Bearer " + "a" * 10_000 + ".b.c", "malformed token"),
        (f"Bearer {part([])}.{part({})}.", "malformed token header"),
        (f"Bearer {token({'alg': 'none'}, {'iat': NOW_S})}", "only HS256"),
        (f"Bearer {part({'alg': 'none'})}.{part({'iat': NOW_S})}.", "only HS256"),
        (f"Bearer {token({'alg': 'HS512'}, {'iat': NOW_S})}", "only HS256"),
        (f"Bearer {token({'typ': 'JWT'}, {'iat': NOW_S})}", "only HS256"),
        (f"Bearer {token(HS256, {'iat': NOW_S}, secret=bytes(32))}", "invalid signature"),
        (f"Bearer {token(HS256, {'iat': NOW_S})[:-4]}", "invalid signature"),
        (f"Bearer {token(HS256, {'iat': NOW_S - 61})}", "stale token"),
        (f"Bearer {token(HS256, {'iat': NOW_S + 61})}", "future token"),
        (f"Bearer {token(HS256, {})}", "missing issued-at"),
        (f"Bearer {token(HS256, {'iat': str(NOW_S)})}", "missing issued-at"),
        (f"Bearer {token(HS256, [])}", "malformed token claims"),
        (f"Bearer {token(HS256, {'iat': NOW_S, 'exp': NOW_S})}", "expired"),
        (f"Bearer {token(HS256, {'iat': NOW_S, 'exp': 'x'})}", "expired"),
    ],
)
def test_token__wrong_in_any_way__is_refused(authorization: str | None, problem: str) -> None:
    with pytest.raises(Unauthorized, match=problem):
        check(authorization)


def test_token__with_any_byte_changed__is_refused() -> None:
    good = make_token(SECRET, NOW_S)
    # Without the last character, whose low bits are not decoded.
    for index, character in enumerate(good[:-1]):
        changed = good[:index] + ("A" if character != "A" else "B") + good[index + 1 :]
        with pytest.raises(Unauthorized):
            check(f"Bearer {changed}")


def test_secret__missing__is_created_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "jwt.hex"
    secret = read_or_create_secret(path)
    assert len(secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_or_create_secret(path) == secret


@pytest.mark.parametrize("text", [SECRET.hex(), "0x" + SECRET.hex(), f"  {SECRET.hex().upper()}\n"])
def test_secret__in_a_file__is_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "jwt.hex"
    path.write_text(text)
    assert read_or_create_secret(path) == SECRET


@pytest.mark.parametrize("text", ["", "0x", SECRET.hex()[:-2], SECRET.hex() + "00", "é" * 64])
def test_secret__malformed__is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    path = tmp_path / "jwt.hex"
    path.write_text(text)
    with pytest.raises(SecretError) as caught:
        read_or_create_secret(path)
    assert caught.value.path == path


def test_token_check__with_a_short_secret__is_a_mistake() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        TokenCheck(b"short")
