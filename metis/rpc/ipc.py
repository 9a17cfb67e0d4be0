"""
Unix-domain sockets: JSON values in, JSON values out, a line each.

In: bytes of a local program. Out: answers and notifications. Invariant: the socket file is its
owner's alone (mode 0600) from the moment it exists; no token and no Host is checked. Bytes that
cannot be cut into messages are answered and end the connection.
Source: go-ethereum ``rpc/ipc_unix.go``, ``rpc/json.go``.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, cast

from metis.rpc.errors import ListenError, RpcError
from metis.rpc.json_stream import JsonStreamReader
from metis.rpc.jsonrpc import encode_error
from metis.rpc.session_queue import SessionQueue
from metis.rpc.write_clock import WriteClock

if TYPE_CHECKING:
    from metis.rpc.listener import Listener, Shared
    from metis.rpc.subscriptions import Framing, Subscriber, Subscription

__all__ = ["IpcConnection", "close_socket_file", "open_socket_file"]

# sockaddr_un: 108 bytes on Linux, 104 on macOS, with a null byte at the end.
PATH_SIZE_BYTES_MAX = 103
NULL_ID = b"null"
LINGER_S = 2.0


class LineFraming:
    """Messages as lines, as geth writes them."""

    def frame(self, message: bytes) -> bytes:
        """Return the message with its line end."""
        return message + b"\n"


IPC_FRAMING = LineFraming()


def open_socket_file(path: Path) -> socket.socket:
    """
    Make a listening socket at ``path``, readable and writable by its owner only.

    A socket file that a killed process left behind is replaced.

    Raises
    ------
    ListenError : another process listens there, another kind of file is there, the path is too
        long for a socket, or its folder cannot be written.
    """
    if len(os.fsencode(path)) > PATH_SIZE_BYTES_MAX:
        raise ListenError(str(path), f"the path is longer than {PATH_SIZE_BYTES_MAX} bytes; choose a shorter one")
    _remove_stale(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode has to be right when the file appears: between bind and chmod anyone could connect.
    mask = os.umask(0o177)
    try:
        listening.bind(os.fspath(path))
    except OSError as problem:
        listening.close()
        raise ListenError(str(path), os.strerror(problem.errno or 0)) from problem
    finally:
        os.umask(mask)
    listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listening


def _remove_stale(path: Path) -> None:
    """Remove a socket file that nobody listens on."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(str(path), "a file that is not a socket is there; move it away")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        result = probe.connect_ex(os.fspath(path))
    if result == errno.ECONNREFUSED:
        path.unlink(missing_ok=True)
    elif result != errno.ENOENT:
        raise ListenError(str(path), "another process listens there; stop it, or choose another path")


def close_socket_file(path: Path, inode: int) -> None:
    """Remove our socket file, unless another process has put its own there."""
    try:
        if path.lstat().st_ino == inode:
            path.unlink()
    except FileNotFoundError:
        pass


class IpcConnection(asyncio.Protocol):
    """One local client. Is the session of its requests and the subscriber of its subscriptions."""

    transport_name = "ipc"
    framing: Framing = IPC_FRAMING

    def __init__(self, listener: Listener) -> None:
        self._shared: Shared = listener.shared
        self._limits = listener.limits
        self._transport: asyncio.Transport | None = None
        self._reader = JsonStreamReader(self._limits.body_size_bytes_max)
        self._queue = SessionQueue(listener, self, self._send_answer, self._set_reading)
        self.subscriber: Subscriber | None = self
        self.subscriptions: dict[str, Subscription] = {}
        self.subscription_count_max = self._limits.subscriptions_per_connection_max
        self.is_closed = False
        self._is_ending = False
        self._refused_at_s: float | None = None
        self._is_our_side_ended = False
        self._is_reading_paused = False
        self._value_since_s: float | None = None
        self._write_clock = WriteClock()

    # From the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, or close it when there are too many."""
        self._transport = transport = cast("asyncio.Transport", transport)
        if not self._shared.admit(self, self.transport_name):
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget everything; answers that are still being made go nowhere."""
        self.is_closed = True
        self._transport = None
        self._shared.hub.drop(self)
        self._queue.close()
        self._shared.forget(self)

    def data_received(self, data: bytes) -> None:
        """Cut out messages; run and answer them."""
        if self._is_ending or self._transport is None:
            return
        values, problem = self._reader.feed(data)
        fits = self._queue.hold_partial(self._reader.kept_size_bytes)
        if not (fits and all(self._queue.put(value) for value in values)):
            self._transport.abort()
        elif problem is not None:
            self._end_with(RpcError(problem.code, str(problem)))
        elif not self._reader.is_mid_value:
            self._value_since_s = None
        elif self._value_since_s is None:
            self._value_since_s = self._shared.loop.time()

    def eof_received(self) -> bool:
        """Answer what was asked, then close: a client may end its side after the last request."""
        self._is_ending = True
        self._refused_at_s = None
        return not self._queue.is_idle

    def pause_writing(self) -> None:
        """Run nothing more while the client does not read its answers."""
        self._write_clock.pause(self._shared.loop.time())
        self._queue.set_client_reading(is_reading=False)

    def resume_writing(self) -> None:
        """Go on; the client reads again."""
        self._write_clock.resume()
        self._queue.set_client_reading(is_reading=True)

    # From the server's clock.

    def sweep(self, now_s: float) -> None:
        """Drop who does not read, who stops in the middle of a message, and who was refused and stays."""
        limits, transport = self._limits, self._transport
        if transport is None:
            return
        value_since_s = None if self._is_reading_paused else self._value_since_s
        if (
            self._write_clock.stuck_ms(now_s, transport) > limits.write_timeout_ms
            or _is_older(value_since_s, now_s, limits.body_timeout_ms / 1_000)
            or _is_older(self._refused_at_s, now_s, LINGER_S)
        ):
            transport.abort()
        elif self._is_ending and self._queue.is_idle:
            self._finish()

    def stop(self) -> None:
        """Answer what is in progress, then close."""
        self._is_ending = True
        if self._transport is not None and self._queue.is_idle:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # From the hub.

    def send_framed(self, frame: bytes) -> None:
        """Write a notification; a client that does not read them is disconnected."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() + len(frame) > self._limits.subscriber_buffer_bytes_max:
            self._shared.counters.slow_subscriber_count += 1
            transport.abort()
        else:
            transport.write(frame)

    # Inside.

    def _send_answer(self, answer: bytes) -> None:
        if self._transport is None:
            return
        self._transport.write(answer + b"\n")
        if self._is_ending and self._queue.is_idle:
            self._finish()

    def _end_with(self, error: RpcError) -> None:
        """Answer what is no message, and close once all is answered."""
        self._shared.counters.invalid_message_count += 1
        self._is_ending = True
        self._refused_at_s = self._shared.loop.time()
        self._send_answer(encode_error(NULL_ID, error))

    def _finish(self) -> None:
        """Close; where the client may still be sending, end only our side, or it would lose the last answer."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._refused_at_s is None:
            self._transport.close()
        elif not self._is_our_side_ended:
            self._is_our_side_ended = True
            self._transport.write_eof()

    def _set_reading(self, *, is_reading: bool) -> None:
        transport = self._transport
        if is_reading != self._is_reading_paused or transport is None or transport.is_closing():
            return
        self._is_reading_paused = not is_reading
        if is_reading:
            if self._value_since_s is not None:
                self._value_since_s = self._shared.loop.time()
            transport.resume_reading()
        else:
            transport.pause_reading()


def _is_older(since_s: float | None, now_s: float, age_s: float) -> bool:
    """Whether something began, and that is longer ago than ``age_s``."""
    return since_s is not None and now_s - since_s > age_s
