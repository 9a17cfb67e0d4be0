"""
What a compile worker and its parent say to each other.

Each message is a 32-bit little-endian length and that many bytes, so that either side sees at once when
the other has died in the middle of one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

__all__ = ["Answer", "Request", "read_answer", "read_request", "write_answer", "write_request"]

_LENGTH = struct.Struct("<I")
_REQUEST = struct.Struct("<BBB")
_ANSWER = struct.Struct("<?dI")

MESSAGE_MAX_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Request:
    """A contract to compile, LLVM's level, and seconds of CPU time that it may take."""

    code: bytes
    fork: str
    level: int
    cpu_limit_s: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The artifact, or None with the reason; and the CPU time it took."""

    artifact: bytes | None
    reason: str
    compile_ms: float


def _write(stream: BinaryIO, payload: bytes) -> None:
    stream.write(_LENGTH.pack(len(payload)) + payload)
    stream.flush()


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    if length > MESSAGE_MAX_BYTES:
        return None
    payload = stream.read(length)
    return payload if len(payload) == length else None


def write_request(stream: BinaryIO, request: Request) -> None:
    """Send a request."""
    fork = request.fork.encode()
    _write(stream, _REQUEST.pack(len(fork), request.level, request.cpu_limit_s) + fork + request.code)


def read_request(stream: BinaryIO) -> Request | None:
    """Receive a request; None where the other side has gone."""
    payload = _read(stream)
    if payload is None:
        return None
    fork_length, level, cpu_limit_s = _REQUEST.unpack_from(payload)
    code_at = _REQUEST.size + fork_length
    return Request(payload[code_at:], payload[_REQUEST.size : code_at].decode(), level, cpu_limit_s)


def write_answer(stream: BinaryIO, answer: Answer) -> None:
    """Send an answer."""
    reason = answer.reason.encode()
    head = _ANSWER.pack(answer.artifact is not None, answer.compile_ms, len(reason))
    _write(stream, head + reason + (answer.artifact or b""))


def read_answer(stream: BinaryIO) -> Answer | None:
    """Receive an answer; None where the other side has gone."""
    payload = _read(stream)
    if payload is None:
        return None
    has_artifact, compile_ms, reason_length = _ANSWER.unpack_from(payload)
    data_at = _ANSWER.size + reason_length
    reason = payload[_ANSWER.size : data_at].decode()
    return Answer(payload[data_at:] if has_artifact else None, reason, compile_ms)
