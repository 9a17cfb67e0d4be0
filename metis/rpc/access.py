"""
Who may talk to the server from a browser: Host names, origins, and CORS answers.

Any page that a user opens can send requests to a node on the same machine. Two checks stand
between: the Host header (a page whose DNS name was re-pointed to 127.0.0.1 still sends its own
name) and the Origin header (a page of a foreign origin names itself). Programs outside browsers
can send any header; against them only the listening address and the JWT secret protect.

Sources: https://fetch.spec.whatwg.org/#http-cors-protocol, go-ethereum ``node/rpcstack.go``.
"""

from __future__ import annotations

import re
import socket

__all__ = ["ANY", "AccessPolicy"]

ANY = "*"
PREFLIGHT_AGE_S = 600
HEADER_NAMES = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{1,1024}")
KNOWN_HOSTS_MAX = 256


class AccessPolicy:
    """
    Decides about Host and Origin headers.

    Parameters
    ----------
    hosts : DNS names to answer to, besides ``localhost`` and every IP address; "*" for all. An
        address cannot be re-pointed, so it needs no list (geth does the same).
    origins : origins whose pages may call, such as ``http://localhost:3000``; "*" for all, which
        is anvil's default; none for no pages at all.
    """

    def __init__(self, hosts: tuple[str, ...] = (), origins: tuple[str, ...] = (ANY,)) -> None:
        self._any_host = ANY in hosts
        self._hosts = frozenset({"localhost", *(host.lower() for host in hosts)})
        self._any_origin = ANY in origins
        self._origins = frozenset(origin.lower().rstrip("/").encode() for origin in origins)
        self._known_hosts: set[bytes] = set()

    def allows_host(self, host: bytes) -> bool:
        """Whether to answer a request with this Host header, port included."""
        if self._any_host or host in self._known_hosts:
            return True
        if not self._check_host(host.decode("latin-1").lower()):
            return False
        if len(self._known_hosts) < KNOWN_HOSTS_MAX:
            self._known_hosts.add(host)
        return True

    def _check_host(self, host: str) -> bool:
        if host.startswith("["):
            name, _, port = host[1:].partition("]")
            return _is_address(socket.AF_INET6, name) and _is_port_suffix(port)
        name, colon, port = host.partition(":")
        if not _is_port_suffix(colon + port):
            return False
        return name in self._hosts or _is_address(socket.AF_INET, name)

    def allows_origin(self, origin: bytes | None) -> bool:
        """Whether to serve a request with this Origin header; without one it is no page's."""
        return origin is None or self._any_origin or origin.lower() in self._origins

    def cors_headers(self, origin: bytes | None) -> bytes:
        """Return header lines that let the page of an allowed origin read the answer."""
        if origin is None:
            return b""
        if self._any_origin:
            return b"Access-Control-Allow-Origin: *\r\n"
        if origin.lower() in self._origins:
            return b"Access-Control-Allow-Origin: %b\r\nVary: Origin\r\n" % origin
        return b"Vary: Origin\r\n"

    def preflight_headers(self, headers: dict[bytes, bytes]) -> bytes:
        """
        Return header lines that answer a preflight request.

        The names of the headers that the page wants to send are repeated rather than answered with
        "*", which older browsers do not take and which does not cover ``Authorization``.
        """
        lines = [b"Access-Control-Allow-Methods: POST, GET, OPTIONS\r\n"]
        wanted = headers.get(b"access-control-request-headers", b"")
        if HEADER_NAMES.fullmatch(wanted):
            lines.append(b"Access-Control-Allow-Headers: %b\r\n" % wanted)
        if headers.get(b"access-control-request-private-network") == b"true":
            lines.append(b"Access-Control-Allow-Private-Network: true\r\n")
        lines.append(b"Access-Control-Max-Age: %d\r\n" % PREFLIGHT_AGE_S)
        return b"".join(lines)


def _is_port_suffix(text: str) -> bool:
    """Whether ``text`` is empty, or a colon and a port."""
    return not text or (text[0] == ":" and (text[1:].isdecimal() or text == ":"))


def _is_address(family: socket.AddressFamily, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError, UnicodeError):
        return False
    return True
