"""WebSocket frames against a second implementation, ``websockets``, and the rules of RFC 6455."""

from __future__ import annotations

import os
import struct

import pytest
from websockets.frames import Close
from websockets.frames import Frame as PeerFrame
from websockets.frames import Opcode as PeerOpcode

from metis.rpc.frames import (
    CloseCode,
    Frame,
    FrameError,
    FrameReader,
    Opcode,
    accept_token,
    encode_close,
    encode_frame,
    unmask,
)

SIZES = [0, 1, 2, 3, 4, 5, 125, 126, 127, 1_023, 1_024, 1_025, 65_535, 65_536, 70_001]


def masked(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    return PeerFrame(PeerOpcode(opcode), payload, fin=final).serialize(mask=True)


def read(data: bytes, size_max: int = 1 << 20) -> list[Frame]:
    return FrameReader(size_max).feed(data)


def error_of(data: bytes, size_max: int = 1 << 20) -> FrameError:
    with pytest.raises(FrameError) as caught:
        read(data, size_max)
    return caught.value


@pytest.mark.parametrize("size_bytes", SIZES)
def test_unmask__of_any_size__is_xor_with_the_key(size_bytes: int) -> None:
    data, key = os.urandom(size_bytes), os.urandom(4)
    assert unmask(data, key) == bytes(byte ^ key[index % 4] for index, byte in enumerate(data))


@pytest.mark.parametrize("size_bytes", SIZES)
def test_message__written_by_the_peer__is_read(size_bytes: int) -> None:
    payload = os.urandom(size_bytes)
    assert read(masked(2, payload)) == [Frame(Opcode.BINARY, payload)]


@pytest.mark.parametrize("size_bytes", SIZES)
def test_frame__we_write__is_the_peers(size_bytes: int) -> None:
    payload = os.urandom(size_bytes)
    assert encode_frame(Opcode.BINARY, payload) == PeerFrame(PeerOpcode.BINARY, payload).serialize(mask=False)


def test_fragments__with_a_ping_between__are_one_message_after_the_ping() -> None:
    parts = masked(1, b"gr", final=False) + masked(9, b"?") + masked(0, "ü".encode()[:1], final=False)
    frames = read(parts + masked(0, b"", final=False) + masked(0, "ü".encode()[1:] + b"n") + masked(1, b"next"))
    assert frames == [
        Frame(Opcode.PING, b"?"),
        Frame(Opcode.TEXT, "grün".encode()),
        Frame(Opcode.TEXT, b"next"),
    ]


def test_reader__between_and_within_messages__knows_which() -> None:
    reader = FrameReader(100)
    frame = masked(1, b"hello")
    for byte in frame[:-1]:
        assert reader.feed(bytes([byte])) == []
        assert reader.is_mid_message
    assert reader.feed(frame[-1:]) == [Frame(Opcode.TEXT, b"hello")]
    assert not reader.is_mid_message
    reader.feed(masked(1, b"", final=False))
    assert reader.is_mid_message


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (PeerFrame(PeerOpcode.TEXT, b"x").serialize(mask=False), CloseCode.PROTOCOL_ERROR),
        (b"\xc1\x80\0\0\0\0", CloseCode.PROTOCOL_ERROR),  # reserved bit
        (b"\x83\x80\0\0\0\0", CloseCode.PROTOCOL_ERROR),  # unknown data opcode
        (b"\x8b\x80\0\0\0\0", CloseCode.PROTOCOL_ERROR),  # unknown control opcode
        (b"\x80\x80\0\0\0\0", CloseCode.PROTOCOL_ERROR),  # continuation of nothing
        (b"\x09\x80\0\0\0\0", CloseCode.PROTOCOL_ERROR),  # fragmented ping
        (b"\x89\xfe\x00\x7e" + b"\0" * 130, CloseCode.PROTOCOL_ERROR),  # long ping
        (masked(1, b"a", final=False) + masked(1, b"b"), CloseCode.PROTOCOL_ERROR),
        (masked(1, b"\xff"), CloseCode.INVALID_TEXT),
        (masked(1, b"\xed\xa0\x80"), CloseCode.INVALID_TEXT),
        (masked(8, b"\x03"), CloseCode.PROTOCOL_ERROR),
        (masked(8, struct.pack("!H", 999)), CloseCode.PROTOCOL_ERROR),
        (masked(8, struct.pack("!H", 1005)), CloseCode.PROTOCOL_ERROR),
        (masked(8, struct.pack("!H", 1015)), CloseCode.PROTOCOL_ERROR),
        (masked(8, struct.pack("!H", 5000)), CloseCode.PROTOCOL_ERROR),
        (masked(8, struct.pack("!H", 1000) + b"\xff"), CloseCode.INVALID_TEXT),
    ],
)
def test_frame__against_the_rules__has_its_close_code(data: bytes, code: CloseCode) -> None:
    assert error_of(data).code is code


def test_message__over_the_limit__is_refused_from_its_header() -> None:
    assert read(masked(1, b"x" * 100), size_max=100)
    assert error_of(masked(1, b"x" * 101), size_max=100).code is CloseCode.MESSAGE_TOO_BIG
    assert error_of(b"\x82\xff" + b"\xff" * 8, size_max=100).code is CloseCode.MESSAGE_TOO_BIG
    fragments = masked(1, b"x" * 60, final=False) + masked(0, b"x" * 41)
    assert error_of(fragments, size_max=100).code is CloseCode.MESSAGE_TOO_BIG
    assert read(masked(9, b"x" * 125), size_max=100)  # control frames have their own


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "bye"), (4000, "grün"), (1008, "x" * 123)])
def test_close_frame__of_either_side__is_read_by_the_other(code: int, reason: str) -> None:
    (frame,) = read(PeerFrame(PeerOpcode.CLOSE, Close(code, reason).serialize()).serialize(mask=True))
    assert (frame.opcode, frame.close_code) == (Opcode.CLOSE, code)
    assert Close.parse(encode_close(code, reason)[2:]) == Close(code, reason)


def test_close_frame__without_code__is_read_and_written() -> None:
    assert read(masked(8, b"")) == [Frame(Opcode.CLOSE, b"")]
    assert encode_close(1005) == b"\x88\x00"


def test_close_reason__too_long__is_cut_between_characters() -> None:
    closed = Close.parse(encode_close(1011, "ü" * 100)[2:])
    assert closed.reason == "ü" * 61


def test_accept_token__of_the_rfcs_example__is_the_rfcs() -> None:
    assert accept_token(b"dGhlIHNhbXBsZSBub25jZQ==") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
