"""WebSocket frames against ``websockets``: the same frames out of the same bytes, the same refusals."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as PeerFrame
from websockets.frames import Opcode as PeerOpcode
from websockets.protocol import Protocol, Side, State

from metis.rpc.frames import Frame, FrameError, FrameReader, Opcode

SIZE_MAX = 400

payloads = st.binary(max_size=150)
texts = st.text(max_size=60).map(str.encode)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, list[Frame]]:
    """Bytes of a client that keeps the rules, and the frames they stand for."""
    data, expected = b"", []
    for _ in range(draw(st.integers(0, 5))):
        opcode = draw(st.sampled_from([Opcode.TEXT, Opcode.BINARY]))
        payload = draw(texts if opcode is Opcode.TEXT else payloads)
        cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
        positions = [0, *cuts, len(payload)]
        for index, (begin, end) in enumerate(itertools.pairwise(positions)):
            kind = PeerOpcode(opcode) if index == 0 else PeerOpcode.CONT
            fragment = PeerFrame(kind, payload[begin:end], fin=index == len(positions) - 2)
            data += fragment.serialize(mask=True)
            if index < len(positions) - 2 and draw(st.booleans()):
                control = draw(st.sampled_from([Opcode.PING, Opcode.PONG]))
                body = draw(st.binary(max_size=125))
                data += PeerFrame(PeerOpcode(control), body).serialize(mask=True)
                expected.append(Frame(control, body))
        expected.append(Frame(opcode, payload))
    return data, expected


@given(conversations(), st.lists(st.integers(0, 2_000), max_size=20))
def test_conversation__cut_anywhere__gives_its_frames(conversation: tuple[bytes, list[Frame]], cuts: list[int]) -> None:
    data, expected = conversation
    reader = FrameReader(SIZE_MAX)
    found: list[Frame] = []
    positions = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for begin, end in itertools.pairwise(positions):
        found += reader.feed(data[begin:end])
    assert found == expected
    assert not reader.is_mid_message


def peer_reads(data: bytes) -> tuple[list[PeerFrame], int | None]:
    """What ``websockets`` makes of a client's bytes: frames, and the code it would fail the connection with."""
    peer = Protocol(Side.SERVER, state=State.OPEN, max_size=SIZE_MAX)
    peer.receive_data(data)
    frames = [event for event in peer.events_received() if isinstance(event, PeerFrame)]
    failed = peer.parser_exc is not None and peer.close_sent is not None
    return frames, int(peer.close_sent.code) if failed and peer.close_sent is not None else None


@st.composite
def frame_bytes(draw: st.DrawFn) -> bytes:
    """Frames with any header, mostly masked and complete, so that the interesting rules are reached."""
    data = b""
    for _ in range(draw(st.integers(1, 4))):
        first = draw(st.sampled_from([0x81, 0x82, 0x01, 0x80, 0x00, 0x89, 0x8A, 0x09, 0xC1, 0x83, 0x8B]))
        payload = draw(st.binary(max_size=140))
        size = len(payload)
        masked = 0x80 if draw(st.integers(0, 9)) else 0
        head = bytes([first, masked | size]) if size < 126 else bytes([first, masked | 126]) + size.to_bytes(2, "big")
        data += head + (b"\0\0\0\0" if masked else b"") + payload
    return data


@given(frame_bytes() | st.binary(max_size=60))
def test_any_bytes__as_frames__are_taken_and_refused_as_the_peer_does(data: bytes) -> None:
    """Text is compared in other tests: ``websockets`` leaves UTF-8 to its upper layer, so here 1007 ends it."""
    peer_frames, peer_code = peer_reads(data)
    reader = FrameReader(SIZE_MAX)
    frames: list[Frame] = []
    code: int | None = None
    try:
        for byte in data:
            frames += reader.feed(bytes([byte]))
    except FrameError as problem:
        code = int(problem.code)
    closes = [frame for frame in peer_frames if frame.opcode is PeerOpcode.CLOSE]
    if code == 1007 or closes or any(frame.opcode is Opcode.CLOSE for frame in frames):
        return
    if peer_code is not None:
        assert code == peer_code
    elif code is not None:
        # Refused from the header; the peer waits for the whole frame.
        assert peer_reads(data + bytes(1_000))[1] is not None
        return
    controls = [frame.payload for frame in frames if frame.opcode >= Opcode.CLOSE]
    assert controls == [frame.data for frame in peer_frames if frame.opcode >= PeerOpcode.CLOSE]
    joined = b"".join(frame.payload for frame in frames if frame.opcode < Opcode.CLOSE)
    assert b"".join(frame.data for frame in peer_frames if frame.opcode < PeerOpcode.CLOSE).startswith(joined)
