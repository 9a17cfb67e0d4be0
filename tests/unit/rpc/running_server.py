"""A server on a thread of its own, and a registry with one method of every kind, for tests with real sockets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop

from metis.rpc import (
    MethodRegistry,
    Parameter,
    RpcConfig,
    RpcError,
    RpcServer,
    execution_reverted,
    register_introspection,
    register_subscriptions,
)
from metis.rpc.parameters import BadValue, address, any_json, block_id, data, object_of, quantity
from metis.types import EngineFault, InvalidTransaction

T = TypeVar("T")

PROMPT_S = 20
"""How long a test waits for what should come at once, before it fails instead of hanging."""


@dataclass(frozen=True)
class AddressSelector:
    """Stands for a log filter: events of one address."""

    address: bytes

    def accepts(self, event: Any) -> bool:
        return bool(event == self.address)


def parse_log_options(value: Any) -> AddressSelector | None:
    if value is None:
        return None
    options = object_of({"address": address})(value)
    if "address" not in options:
        raise BadValue("missing field 'address'")
    return AddressSelector(options["address"])


@dataclass
class Gate:
    """Holds pool and async methods until the test lets them go."""

    opened: threading.Event = field(default_factory=threading.Event)
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait(self) -> str:
        self.entered.release()
        assert self.opened.wait(PROMPT_S)
        return "through"


def example_registry(gate: Gate) -> MethodRegistry:
    """Methods of every kind, and one for every way to fail."""
    registry = MethodRegistry()
    register_introspection(registry)

    @registry.hot("test_echo", Parameter("value", any_json, None))
    def echo(value: Any) -> Any:
        """Answer the argument."""
        return value

    @registry.hot("test_typed", Parameter("address", address), Parameter("block", block_id, "latest"))
    def typed(of: bytes, block: Any) -> list[str]:
        return [of.hex(), str(block)]

    @registry.hot("test_encoded")
    def encoded() -> bytes:
        return b'{"already":"encoded"}'

    @registry.hot("test_large", Parameter("size_bytes", quantity))
    def large(size_bytes: int) -> str:
        return "x" * size_bytes

    @registry.hot("test_fail", Parameter("how", any_json))
    def fail(how: str) -> None:
        failures: dict[str, Callable[[], Exception]] = {
            "bug": lambda: ZeroDivisionError("internal detail"),
            "fault": lambda: EngineFault("invariant broken"),
            "revert": lambda: execution_reverted(b"\x12\x34\x56\x78"),
            "nonce": lambda: InvalidTransaction("nonce-too-low", "nonce", "nonce 1 is below 2"),
            "own": lambda: RpcError(-38010, "own code", {"some": "data"}),
        }
        raise failures[how]()

    @registry.hot("test_unencodable")
    def unencodable() -> Any:
        return object()

    @registry.pool("test_pool", Parameter("value", any_json, None))
    def on_pool(value: Any) -> list[Any]:
        return [threading.current_thread().name.startswith("metis-rpc"), value]

    @registry.pool("test_gate")
    def through_gate() -> str:
        return gate.wait()

    @registry.pool("test_poolFail")
    def pool_fail() -> None:
        raise RpcError(-32004, "not on this pool")

    @registry.asynchronous("test_async", Parameter("value", any_json, None))
    async def later(value: Any) -> Any:
        await asyncio.sleep(0)
        return value

    @registry.asynchronous("test_never")
    async def never() -> None:
        await asyncio.Event().wait()

    @registry.hot("test_sizeOf", Parameter("data", data))
    def size_of(value: bytes) -> int:
        return len(value)

    return registry


class RunningServer:
    """A started server; the test talks to its sockets, or runs functions on its loop."""

    def __init__(self, config: RpcConfig) -> None:
        self.gate = Gate()
        self.registry = example_registry(self.gate)
        self.server = RpcServer(self.registry, config)
        topics = {"newHeads": parse_log_options, "logs": parse_log_options}
        register_subscriptions(self.registry, self.server.hub, topics)
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server under test")

    @property
    def address(self) -> tuple[str, int]:
        address = self.server.http_address
        assert address is not None
        return address

    def run(self, function: Callable[[], T]) -> T:
        """Run a function on the server's loop and return its result."""

        async def call() -> T:
            return function()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(PROMPT_S)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(PROMPT_S)

    def begin_stop(self) -> Callable[[], None]:
        """Begin to stop; the result waits until the server has stopped."""
        stopping = asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop)
        return lambda: stopping.result(PROMPT_S)

    def close(self) -> None:
        self.gate.opened.set()
        try:
            self.begin_stop()()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(PROMPT_S)
            self._loop.close()


@contextmanager
def running_server(config: RpcConfig | None = None) -> Iterator[RunningServer]:
    """Start a server on a free port, and stop it afterwards."""
    server = RunningServer(config if config is not None else RpcConfig(port=0))
    server.start()
    try:
        yield server
    finally:
        server.close()


def eventually(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds that will hold soon; fail when it never does."""
    deadline = time.monotonic() + PROMPT_S
    while not condition():
        assert time.monotonic() < deadline, "the condition never became true"
        time.sleep(0.005)
