"""
The server: listeners, their life from start to stop, and the clock that keeps deadlines.

In: a registry of methods and a configuration. Out: answers over HTTP and WebSocket on one port,
over a Unix socket, and on a second port with tokens for the Engine API. Invariant: after
:meth:`RpcServer.stop` no socket, file or task of the server is left; a pool thread may still finish
the engine call it is in, which cannot be interrupted.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import orjson

from metis.rpc.access import ANY, AccessPolicy
from metis.rpc.auth import TokenCheck
from metis.rpc.counters import RpcCounters
from metis.rpc.dispatch import Dispatcher
from metis.rpc.errors import ListenError
from metis.rpc.http import HttpConnection
from metis.rpc.ipc import IpcConnection, close_socket_file, open_socket_file
from metis.rpc.limits import RpcLimits
from metis.rpc.listener import Listener, Page, PageContent, Shared
from metis.rpc.pool import CallPool
from metis.rpc.registry import MethodRegistry
from metis.rpc.subscriptions import SubscriptionHub

__all__ = ["AuthenticatedConfig", "RpcConfig", "RpcServer"]

log = logging.getLogger("metis.rpc")

LOOPBACK = "127.0.0.1"
BACKLOG = 1_024
DRAIN_INTERVAL_S = 0.02
# The Engine API's bodies are blocks with blobs, and only the consensus client sends them (geth's limit).
ENGINE_BODY_SIZE_BYTES_MAX = 128 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class AuthenticatedConfig:
    """
    The second listener, for the Engine API: every request carries a JWT made with ``secret``.

    Attributes
    ----------
    registry : its methods: engine_* and the eth_* methods that consensus clients use.
    secret : 32 bytes, from :func:`metis.rpc.auth.read_or_create_secret`.
    host, port : where to listen; port 0 lets the system choose.
    hosts : DNS names to answer to, as in :class:`RpcConfig`. No web page may call.
    """

    registry: MethodRegistry
    secret: bytes = field(repr=False)
    host: str = LOOPBACK
    port: int = 8551
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RpcConfig:
    """
    Where to listen, and for whom.

    Attributes
    ----------
    host, port : of HTTP and WebSocket; port 0 lets the system choose, None turns both off.
    hosts, origins : who may call from a browser, see :class:`metis.rpc.access.AccessPolicy`.
    ipc_path : of the Unix socket, or None for none.
    authenticated : the Engine API's listener, or None for none.
    limits : see :class:`metis.rpc.limits.RpcLimits`.
    pages : further GET paths, such as "/metrics"; each runs inline.
    client_name : what GET / calls the node.
    """

    host: str = LOOPBACK
    port: int | None = 8545
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = (ANY,)
    ipc_path: Path | None = None
    authenticated: AuthenticatedConfig | None = None
    limits: RpcLimits = field(default_factory=RpcLimits)
    pages: Mapping[str, Page] = field(default_factory=dict)
    client_name: str = "metis"


class RpcServer:
    """
    Serves a registry.

    Parameters
    ----------
    registry : methods may still be added while the server runs.
    config : see :class:`RpcConfig`.

    Attributes
    ----------
    counters : what the server has done. hub : where the node publishes events; both exist from
        the beginning, so that methods can be registered with them before :meth:`start`.
    """

    def __init__(self, registry: MethodRegistry, config: RpcConfig | None = None) -> None:
        self.registry = registry
        self.config = config if config is not None else RpcConfig()
        self.counters = RpcCounters()
        self.hub = SubscriptionHub(self.counters)
        self._shared: Shared | None = None
        self._pool: CallPool | None = None
        self._dispatchers: list[Dispatcher] = []
        self._servers: list[asyncio.Server] = []
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._ipc_inode = 0
        self.http_address: tuple[str, int] | None = None
        """Host and port that HTTP and WebSocket are served on, once started."""
        self.authenticated_address: tuple[str, int] | None = None
        """Host and port of the Engine API, once started."""

    async def start(self) -> None:
        """
        Listen on everything that is configured, on the running event loop.

        Raises
        ------
        ListenError : an address or path cannot be listened on; nothing is left open.
        """
        loop = asyncio.get_running_loop()
        limits = self.config.limits
        self._shared = shared = Shared(loop, limits, self.counters, self.hub)
        self._pool = CallPool(limits.pool_thread_count, loop)
        try:
            await self._listen(loop, shared, self._pool)
        except BaseException:
            await self.stop()
            raise
        self._sweep()

    def serve(self, registry: MethodRegistry) -> None:
        """Answer from another registry from now on, on every listener but the authenticated one."""
        self.registry = registry
        for dispatcher in self._dispatchers[:1]:
            dispatcher.serve(registry)

    async def stop(self) -> None:
        """
        Stop listening, finish requests in progress, close every connection.

        What takes longer than ``shutdown_timeout_ms`` is cut off. Stopping twice is harmless.
        """
        shared, pool = self._shared, self._pool
        self._shared = self._pool = None
        for server in self._servers:
            server.close()
        if self._ipc_inode and self.config.ipc_path is not None:
            close_socket_file(self.config.ipc_path, self._ipc_inode)
        if shared is not None:
            await self._drain(shared)
        for dispatcher in self._dispatchers:
            dispatcher.stop()
        if pool is not None:
            pool.stop()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
        self._servers, self._dispatchers = [], []
        self._sweep_timer, self._ipc_inode = None, 0
        self.http_address = self.authenticated_address = None

    async def _listen(self, loop: asyncio.AbstractEventLoop, shared: Shared, pool: CallPool) -> None:
        config = self.config
        dispatcher = self._dispatcher(self.registry, shared, pool, config.limits)
        access = AccessPolicy((*config.hosts, config.host), config.origins)
        public = Listener(shared, config.limits, dispatcher, access, None, self._pages())
        if config.port is not None:
            if not config.host.startswith(("127.", "localhost", "::1")):
                log.warning("JSON-RPC listens on %s, where other machines can reach it without a password", config.host)
            make = _factory(HttpConnection, public)
            self.http_address = await self._listen_tcp(loop, make, config.host, config.port)
        if config.ipc_path is not None:
            listening = open_socket_file(config.ipc_path)
            self._ipc_inode = config.ipc_path.lstat().st_ino
            make_ipc = _factory(IpcConnection, public)
            self._servers.append(await loop.create_unix_server(make_ipc, sock=listening, backlog=BACKLOG))
        if (engine := config.authenticated) is not None:
            limits = replace(config.limits, body_size_bytes_max=ENGINE_BODY_SIZE_BYTES_MAX)
            dispatcher = self._dispatcher(engine.registry, shared, pool, limits)
            access = AccessPolicy((*engine.hosts, engine.host), origins=())
            private = Listener(shared, limits, dispatcher, access, TokenCheck(engine.secret), {})
            make = _factory(HttpConnection, private)
            self.authenticated_address = await self._listen_tcp(loop, make, engine.host, engine.port)

    def _dispatcher(self, registry: MethodRegistry, shared: Shared, pool: CallPool, limits: RpcLimits) -> Dispatcher:
        dispatcher = Dispatcher(registry, limits, self.counters, pool, shared.loop)
        self._dispatchers.append(dispatcher)
        return dispatcher

    async def _listen_tcp(
        self, loop: asyncio.AbstractEventLoop, make: Callable[[], asyncio.BaseProtocol], host: str, port: int
    ) -> tuple[str, int]:
        endpoint = f"{host}:{port}"
        try:
            server = await loop.create_server(make, host, port, backlog=BACKLOG, reuse_address=True)
        except OSError as problem:
            hint = "; stop what uses it, or choose another port" if problem.errno == errno.EADDRINUSE else ""
            text = os.strerror(problem.errno) if problem.errno else str(problem)
            raise ListenError(endpoint, text + hint) from problem
        self._servers.append(server)
        address = server.sockets[0].getsockname()
        return str(address[0]), int(address[1])

    def _pages(self) -> dict[str, Page]:
        return {"/": self._front_page, "/health": self._health_page, **self.config.pages}

    def _front_page(self) -> PageContent:
        """Tell a person who opens the address in a browser what it is."""
        shown = {
            "client": self.config.client_name,
            "jsonrpc": "POST requests to /, or open a WebSocket on /",
            "namespaces": list(self.registry.namespaces()),
            "method_count": len(self.registry),
        }
        return PageContent("application/json", orjson.dumps(shown))

    def _health_page(self) -> PageContent:
        """Answer a supervisor: the loop runs, and whether the pool keeps up."""
        waiting = self._pool.waiting_count if self._pool is not None else 0
        is_healthy = waiting < self.config.limits.pool_queue_count_max
        shown = {"status": "ok" if is_healthy else "overloaded", "pool_waiting_count": waiting}
        return PageContent("application/json", orjson.dumps(shown), 200 if is_healthy else 503)

    def _sweep(self) -> None:
        shared = self._shared
        if shared is not None:
            shared.sweep()
            self._sweep_timer = shared.loop.call_later(self.config.limits.sweep_interval_s, self._sweep)

    async def _drain(self, shared: Shared) -> None:
        """Wait for connections to finish, then cut off the rest."""
        shared.stop()
        deadline_s = shared.loop.time() + self.config.limits.shutdown_timeout_ms / 1_000
        while shared.connections and shared.loop.time() < deadline_s:
            await asyncio.sleep(DRAIN_INTERVAL_S)
            shared.sweep()
        for connection in list(shared.connections):
            connection.abort()
        for server in self._servers:
            await server.wait_closed()
        # One more turn, for connection_lost of what was just aborted.
        await asyncio.sleep(0)


def _factory(
    protocol: Callable[[Listener], asyncio.BaseProtocol], listener: Listener
) -> Callable[[], asyncio.BaseProtocol]:
    return lambda: protocol(listener)
