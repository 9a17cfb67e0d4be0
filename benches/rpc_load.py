"""
``python -m benches.rpc_load [--anvil PATH] [--seconds S] [--connections N] [--rounds N]``: the front door under load.

Requests a second, latency and processor time per request of the server with trivial methods, by
``wrk`` on loopback; and of anvil's ``eth_blockNumber`` and ``eth_getBalance`` in the same run, where
its program is given. The load maker shares the processors, so only ratios within a run count;
processor time per request is the steadier number.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import uvloop

from metis.rpc import MethodRegistry, Parameter, RpcConfig, RpcServer
from metis.rpc.parameters import address, block_id

BODIES = {
    "eth_blockNumber": '{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}',
    "eth_getBalance": '{"jsonrpc":"2.0","id":1,"method":"eth_getBalance",'
    '"params":["0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266","latest"]}',
}
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def stub_registry() -> MethodRegistry:
    """Two methods that answer constants: what is measured is the way to a method and back."""
    registry = MethodRegistry()

    @registry.hot("eth_blockNumber")
    def block_number() -> str:
        return "0x7b"

    @registry.hot("eth_getBalance", Parameter("address", address), Parameter("block", block_id, "latest"))
    def get_balance(of: bytes, block: object) -> str:  # noqa: ARG001 - the signature is what costs
        return "0x3635c9adc5dea00000"

    return registry


async def serve(port: int) -> None:
    """Serve the stub until killed."""
    await RpcServer(stub_registry(), RpcConfig(port=port)).start()
    await asyncio.Event().wait()


def free_port() -> int:
    """A port that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """Run a server until the block ends; gives its process id once it listens."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def processor_s(pid: int) -> float:
    """Processor time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def load(port: int, body: str, connections: int, seconds: int) -> tuple[int, str]:
    """Run ``wrk`` once; the number of requests, and a line about them."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f"wrk.method='POST' wrk.headers['Content-Type']='application/json' wrk.body='{body}'")
        script.flush()
        url = f"http://127.0.0.1:{port}/"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name, url]
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in shown or "Socket errors" in shown:
        raise SystemExit(f"the server failed under load:\n{shown}")
    found = [
        re.search(pattern, shown)
        for pattern in (r"(\d+) requests in", r"/sec:\s+(\S+)", r"50%\s+(\S+)", r"99%\s+(\S+)")
    ]
    count, rate, median, tail = (match[1] if match else "?" for match in found)
    return int(count), f"{float(rate):>9,.0f} requests/s   p50 {median:>8}   p99 {tail:>8}"


def main() -> None:
    """Measure all contenders in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anvil", type=Path, help="anvil's program, for the comparison")
    parser.add_argument("--seconds", type=int, default=3, help="length of one run")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(options.serve))
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing (Debian: apt-get install wrk)")
    commands = {"metis (stub methods)": [sys.executable, "-m", "benches.rpc_load", "--serve"]}
    if options.anvil is not None:
        commands["anvil"] = [str(options.anvil), "--silent", "--port"]
    ports = {name: free_port() for name in commands}
    with ExitStack() as stack:
        pids = {
            name: stack.enter_context(running([*command, str(ports[name])], ports[name]))
            for name, command in commands.items()
        }
        for method, body in BODIES.items():
            for _ in range(options.rounds):
                for name in commands:
                    before_s = processor_s(pids[name])
                    count, line = load(ports[name], body, options.connections, options.seconds)
                    used_us = (processor_s(pids[name]) - before_s) / count * 1e6
                    print(f"{method:16} {name:22} {line}   {used_us:6.1f} µs of processor a request", flush=True)


if __name__ == "__main__":
    main()
