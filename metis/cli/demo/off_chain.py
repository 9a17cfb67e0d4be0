"""A worker off the chain: asked by people who sign, answered with receipts, checked by whoever likes."""

from __future__ import annotations

import atexit
import dataclasses
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import httpx

from metis.ai import ModelFile, save, validate_graph
from metis.ai.receipt import Domain, sign_receipt, traces_root
from metis.ai.trace import Trace, points_of, step_of
from metis.ai.verify import ReceiptFile, verify
from metis.ai.verify.document import receipt_file_of
from metis.cli.demo.node_process import ended, spawned, uninterrupted
from metis.cli.demo.results import Receipts
from metis.client import Client
from metis.engine import keccak256
from metis.types import Hash32, UpstreamError

__all__ = ["WorkerProcess", "ask_and_verify"]

_START_TIMEOUT_S: Final = 60.0
_PRICE_WEI: Final = 3
_MAX_COST_WEI: Final = 10**12


class WorkerProcess:
    """
    ``metis worker`` with one model, on a free port, with a key that was made for it.

    Raises :class:`metis.types.UpstreamError` where it does not come up.
    """

    def __init__(self, name: str, model: ModelFile, domain: Domain, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.key = secrets.token_bytes(32)
        self.domain = domain
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        save(model, folder / "model.metis")
        key_file = folder / "key"
        key_file.touch(mode=0o600)
        key_file.write_text(f"0x{self.key.hex()}")
        place = ["--chain-id", str(domain.chain_id), "--contract", f"0x{domain.contract.hex()}"]
        files = ["--data", str(folder / "data"), "--key-file", str(key_file)]
        served = ["--model", f"{name}={folder / 'model.metis'}"]
        command = [sys.executable, "-m", "metis.cli", "worker", *served, *files, *place, "--port", str(port)]
        self._process: subprocess.Popen[str] | None = None
        atexit.register(self.stop)
        with (folder / "worker.log").open("a") as log, uninterrupted():
            self._process = spawned([*command, "--price-wei", str(_PRICE_WEI), "--json"], log, log)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline_s and self._process is not None and self._process.poll() is None:
            try:
                if httpx.get(f"{self.url}/health", timeout=1).status_code == 200:
                    return
            except httpx.HTTPError:
                time.sleep(0.1)
        raise UpstreamError("unreachable", self.url, "the worker did not start")

    def stop(self) -> None:
        """End it."""
        process, self._process = self._process, None
        if process is not None:
            ended(process)


def ask_and_verify(
    worker: WorkerProcess, name: str, model: ModelFile, payers: list[bytes], samples: list[list[float]]
) -> tuple[Receipts, list[int]]:
    """
    Let people ask in turn, verify every receipt by execution, and a falsified one as well.

    Parameters
    ----------
    payers : private keys. samples : what the model takes, one for each request.

    Returns
    -------
    What was found, and the class of each sample.
    """
    files: list[ReceiptFile] = []
    labels: list[int] = []
    clients = [Client(worker.url, key, domain=worker.domain) for key in payers]
    began_s = time.perf_counter()
    try:
        for place, sample in enumerate(samples):
            client = clients[place % len(clients)]
            found = client.classify(name, [sample], max_cost_wei=_MAX_COST_WEI)
            labels.append(found.samples[0].label)
            files.append(receipt_file_of(client.receipt_file(found.task)))
    finally:
        for client in clients:
            client.close()
    ask_ms = (time.perf_counter() - began_s) * 1e3
    began_s = time.perf_counter()
    valid = sum(verify(file, model).valid for file in files)
    verify_ms = (time.perf_counter() - began_s) * 1e3
    point, forged = _falsified(files[0], model, worker.key)
    verdict = verify(forged, model)
    found_point = None if verdict.operator is None else verdict.operator["point"]
    return Receipts(
        requests=len(samples),
        valid=valid,
        cost_wei=sum(file.receipt.cost_wei for file in files),
        ask_ms=ask_ms,
        verify_ms=verify_ms,
        falsified_operator=_operator(model, point),
        pinpointed_operator=str(verdict.operator["operator"]) if found_point == point and verdict.operator else "",
    ), labels


def _operator(model: ModelFile, point: int) -> str:
    proven = validate_graph(model.graph)
    return model.graph.nodes[step_of(model.graph, points_of(proven), point).nodes[-1]].operator


def _falsified(file: ReceiptFile, model: ModelFile, worker_key: bytes) -> tuple[int, ReceiptFile]:
    """A receipt whose worker lies about an operator in the middle and all that follows, and signs that."""
    points = points_of(validate_graph(model.graph))
    computed = [point for point in points if step_of(model.graph, points, point).nodes]
    point = computed[len(computed) // 2]
    trace = list(file.traces[0])
    for place in range(points.index(point), len(trace)):
        trace[place] = Hash32(keccak256(b"falsified" + trace[place]))
    roots = [Trace(points, tuple(trace)).root]
    lie: dict[str, Any] = {"trace": traces_root(roots), "outputs": Hash32(keccak256(b"another answer"))}
    receipt = sign_receipt(dataclasses.replace(file.receipt, **lie), worker_key)
    return point, dataclasses.replace(file, receipt=receipt, traces=(tuple(trace),))
