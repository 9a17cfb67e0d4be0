"""A node as users run it: ``metis dev`` in a process of its own, and a plain client for it."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from metis.engine import sign_transaction
from metis.types import Address, Gas, UnsignedTransaction
from metis.types.units import Wei

PROMPT_S = 30
"""How long a test waits for what should come at once, before it fails instead of hanging."""

WHOLE, HASHES_ONLY = True, False
"""The second parameter of eth_getBlockBy*: whole transactions, or their hashes."""

FEE_CAP_WEI = 100 * 10**9


class RunningNode:
    """A node that answers; :meth:`ask` and :meth:`post` make a connection per thread's client."""

    def __init__(self, process: subprocess.Popen[str], started: dict[str, Any]) -> None:
        self.process = process
        self.started = started
        self.http: str = started["http"]
        self.websocket: str = started["websocket"]
        self.chain_id: int = started["chain_id"]
        self.keys = [bytes.fromhex(entry["private_key"][2:]) for entry in started["accounts"]]
        self.addresses = [Address(bytes.fromhex(entry["address"][2:])) for entry in started["accounts"]]

    def client(self) -> Client:
        """Open a connection; a thread should have its own."""
        host, _, port = self.http.removeprefix("http://").partition(":")
        return Client(host, int(port))

    def transfer(self, sender: int, nonce: int, to: bytes = b"\x77" * 20, **fields: Any) -> bytes:
        """Sign a transfer of 1 wei by one of the development accounts."""
        transaction = UnsignedTransaction(
            sender=self.addresses[sender],
            nonce=nonce,
            gas_limit=Gas(21_000),
            gas_price_wei=Wei(FEE_CAP_WEI),
            to=Address(to),
            value_wei=Wei(1),
            type=2,
            chain_id=self.chain_id,
            max_priority_fee_per_gas_wei=Wei(10**9),
        )
        from dataclasses import replace

        return sign_transaction(replace(transaction, **fields), self.keys[sender])

    def kill(self) -> None:
        """End the process as the kernel does when memory runs out."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(PROMPT_S)

    def stop(self) -> int:
        """End the process in order; returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PROMPT_S)


class Client:
    """JSON-RPC over one kept-alive connection."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=PROMPT_S)
        self._id = 0

    @property
    def url(self) -> str:
        """Where it is connected to."""
        return f"http://{self._connection.host}:{self._connection.port}"

    def post(self, body: bytes, content_type: str = "application/json") -> tuple[int, bytes]:
        """Send a body; returns status and answer."""
        self._connection.request("POST", "/", body, {"Content-Type": content_type})
        response = self._connection.getresponse()
        return response.status, response.read()

    def get(self, path: str) -> tuple[int, str]:
        """Fetch a page."""
        self._connection.request("GET", path)
        response = self._connection.getresponse()
        return response.status, response.read().decode()

    def answer(self, method: str, *params: Any) -> dict[str, Any]:
        """Call a method and return the whole answer."""
        self._id += 1
        request = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": list(params)}
        status, body = self.post(json.dumps(request).encode())
        assert status == 200, body
        answer: dict[str, Any] = json.loads(body)
        assert answer["id"] == self._id
        return answer

    def ask(self, method: str, *params: Any) -> Any:
        """Call a method that must succeed, and return its result."""
        answer = self.answer(method, *params)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def send(self, raw: bytes) -> str:
        """Send a transaction that must be taken; returns its hash."""
        sent: str = self.ask("eth_sendRawTransaction", f"0x{raw.hex()}")
        return sent

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def start_node(*options: str, log: Path | None = None, environment: dict[str, str] | None = None) -> RunningNode:
    """
    Start ``metis dev`` on a free port and wait until it answers.

    Parameters
    ----------
    log : gets its log lines; without it only errors are written, to the test's own stderr.
    """
    # METIS_TEST_NODE_OPTIONS: the same tests on a node that does something else inside, such as compile everything.
    for_all = shlex.split(os.environ.get("METIS_TEST_NODE_OPTIONS", ""))
    command = [sys.executable, "-m", "metis.cli", "dev", "--port", "0", "--json", *for_all, *options]
    if log is None:
        command += ["--log-level", "error"]
    with log.open("a") if log is not None else open(os.devnull, "w") as errors:  # noqa: PTH123 - the null device
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=errors if log is not None else None,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise AssertionError(f"the node ended with {process.wait(PROMPT_S)} before it answered")
    started = json.loads(line)
    assert "error" not in started, started
    return RunningNode(process, started)


@contextmanager
def running_node(
    *options: str, log: Path | None = None, environment: dict[str, str] | None = None
) -> Iterator[RunningNode]:
    """Run a node for the length of a block; it must also stop in order."""
    node = start_node(*options, log=log, environment=environment)
    try:
        yield node
    except BaseException:
        node.process.kill()
        node.process.wait(PROMPT_S)
        raise
    else:
        assert node.stop() == 0
    finally:
        if node.process.stdout is not None:
            node.process.stdout.close()
