"""
Files over HTTPS, as stores read them: whole or from the beginning, never more than is asked for.

An address in the registry of models may have been written by anybody. So there are no redirects, no proxies, no
credentials; connections are made to the address that was checked, and to no private network; an answer that is too long
or too slow is left.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpcore

__all__ = ["HttpsFiles"]

_CONNECTIONS: Final = 8
_TIMEOUT_S: Final = 15.0
_FILE_S: Final = 120.0
_MISSING: Final = frozenset({404, 410})
_OK: Final = frozenset({200, 206})


class _PublicNetwork(httpcore.NetworkBackend):
    """Connections to addresses of the public Internet alone."""

    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        # The address that is checked is the one that is connected to: a second answer could be another one.
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            if not ipaddress.ip_address(address.partition("%")[0]).is_global:
                raise httpcore.ConnectError(f"{host} leads to {address}, which is not on the public Internet")
        return self._backend.connect_tcp(addresses[0], port, timeout, local_address, socket_options)

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class HttpsFiles:
    """
    The reading part of a file system of fsspec, over HTTPS.

    Parameters
    ----------
    is_public_only : whether private networks are out of reach.
    pool : of connections; one with the system's certificates by default.
    """

    protocol = ("https",)

    def __init__(self, *, is_public_only: bool, pool: httpcore.ConnectionPool | None = None) -> None:
        network = _PublicNetwork() if is_public_only else httpcore.SyncBackend()
        self._pool = pool or httpcore.ConnectionPool(max_connections=_CONNECTIONS, network_backend=network)

    def cat_file(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        """
        The bytes of a file from ``start``, which is 0, to ``end``.

        Raises
        ------
        FileNotFoundError : there is none. OSError : the server does not give it.
        """
        assert start == 0  # noqa: S101 - stores read from the beginning
        assert end is not None  # noqa: S101 - and so much at most
        headers: dict[bytes | str, bytes | str] = {
            "Range": f"bytes=0-{end - 1}",
            "Accept-Encoding": "identity",
            "User-Agent": "metis",
        }
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), _TIMEOUT_S)
        ends_at, content = time.monotonic() + _FILE_S, bytearray()
        try:
            with self._pool.stream("GET", path, headers=headers, extensions={"timeout": timeouts}) as answer:
                if answer.status in _MISSING:
                    raise FileNotFoundError(path)
                if answer.status not in _OK:
                    raise OSError(f"{path}: HTTP status {answer.status}")
                for piece in answer.iter_stream():
                    content += piece[: end - len(content)]
                    if len(content) >= end:
                        break
                    if time.monotonic() > ends_at:
                        raise TimeoutError(f"{path}: more than {_FILE_S:.0f} s")
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.TimeoutException,
            httpcore.UnsupportedProtocol,
            UnicodeError,
        ) as problem:
            raise OSError(f"{path}: {type(problem).__name__}: {problem}") from problem
        return bytes(content)

    def cat_ranges(
        self, paths: Sequence[str], starts: Sequence[int], ends: Sequence[int], on_error: str = "return"
    ) -> list[bytes | Exception]:
        """:meth:`cat_file` of several at a time; what one raises stands in its place."""
        assert on_error == "return"  # noqa: S101 - stores say what went wrong themselves

        def one(path: str, start: int, end: int) -> bytes | Exception:
            try:
                return self.cat_file(path, start, end)
            except OSError as problem:
                return problem

        with ThreadPoolExecutor(_CONNECTIONS) as threads:
            return list(threads.map(one, paths, starts, ends))

    def ls(self, path: str, **_: Any) -> list[str]:
        """Nothing is listed over HTTPS; raises OSError."""
        raise OSError(f"{path}: files behind HTTPS cannot be listed")

    def exists(self, path: str) -> bool:
        """Whether a file is there."""
        with contextlib.suppress(FileNotFoundError):
            self.cat_file(path, 0, 1)
            return True
        return False

    def makedirs(self, path: str, **_: Any) -> None:
        """Nothing is written over HTTPS; raises OSError."""
        raise OSError(f"{path}: files behind HTTPS cannot be written")
