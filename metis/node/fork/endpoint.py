"""The address of an upstream node: what of it may be shown, and under which name its state is cached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from metis.node.errors import ConfigError

__all__ = ["Endpoint", "read_endpoint"]

# "rpc", "eth", "v3": words of a path that name a service. Anything else may be a key.
_PLAIN_SEGMENT = re.compile(r"v[0-9]{1,2}|[a-z]{1,16}(-[a-z]{1,16})?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    An upstream node.

    Attributes
    ----------
    url : where requests go, keys included: never shown, never written.
    shown : scheme, host and port, for messages.
    cache_name : a folder's name, the same for every key of one service.
    """

    url: str
    shown: str
    cache_name: str

    def __repr__(self) -> str:
        return f"Endpoint({self.shown!r})"


def read_endpoint(url: str) -> Endpoint:
    """
    Check and normalise a URL.

    Raises
    ------
    ConfigError : it is not the URL of an HTTP server.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as problem:
        raise ConfigError("fork.url", f"is not a URL: {problem}") from problem
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ConfigError("fork.url", "must begin with http:// or https:// and name a host")
    host = parts.hostname.lower()
    port = port or _DEFAULT_PORTS[parts.scheme]
    bracketed = f"[{host}]" if ":" in host else host
    shown = f"{parts.scheme}://{bracketed}"
    if port != _DEFAULT_PORTS[parts.scheme]:
        shown += f":{port}"
    kept = "/".join(segment for segment in parts.path.split("/") if _PLAIN_SEGMENT.fullmatch(segment))
    digest = sha256(f"{host}:{port}/{kept}".encode()).hexdigest()[:12]
    name = re.sub(r"[^a-z0-9.-]", "_", host)[:80]
    return Endpoint(url.strip(), shown, f"{name}-{port}-{digest}")
