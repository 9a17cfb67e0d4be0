"""A worker as a process of its own, which can be killed."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from metis.ai.file import save
from tests.unit.ai.receipt_samples import DOMAIN, WORKER_KEY, model_file
from tests.unit.worker.desks import embedder, writer

__all__ = ["Worker", "running"]

METIS = Path(sys.executable).parent / "metis"


class Worker:
    """
    The process and where it listens.

    Attributes
    ----------
    url : without /v1. data : the folder of its ledger. command : what it was started with.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self.data = folder / "data"
        self._folder, self._options = folder, options
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "key").write_text("0x" + WORKER_KEY.hex())
        self.models = {"numbers": model_file(), "words": embedder(), "writer": writer()}
        for name, file in self.models.items():
            save(file, folder / f"{name}.metis")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        models = [word for name in self.models for word in ("--model", f"{name}={self._folder / name}.metis")]
        place = ["--chain-id", str(DOMAIN.chain_id), "--contract", "0x" + DOMAIN.contract.hex()]
        files = ["--data", str(self.data), "--key-file", str(self._folder / "key")]
        rest = ["--price-wei", "7", "--port", str(self.port), "--json", *self._options]
        self.command = [str(METIS), "worker", *models, *place, *files, *rest]
        self._log = (self._folder / "log").open("ab")
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=self._log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/health", timeout=5).status_code == 200:
                    return
            time.sleep(0.1)
        raise AssertionError(f"the worker does not answer: {self.log}")

    def kill(self) -> None:
        """End it as a power cut would, as far as a process can be."""
        self.process.send_signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """Ask it to end; its exit code."""
        self.process.terminate()
        return self.wait()

    def wait(self) -> int:
        """Wait until it ends; its exit code."""
        code = self.process.wait(30)
        self.end_input()
        self._log.close()
        return code

    def end_input(self) -> None:
        """Close its standard input."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    @property
    def log(self) -> str:
        """All that it printed."""
        return (self._folder / "log").read_text()

    @property
    def first_line(self) -> dict[str, object]:
        """What it printed when it was ready to start."""
        found: dict[str, object] = json.loads(self.log.splitlines()[0])
        return found


@contextlib.contextmanager
def running(folder: Path, *options: str) -> Iterator[Worker]:
    """A worker that is ended at the end."""
    worker = Worker(folder, *options)
    try:
        yield worker
    finally:
        if worker.process.poll() is None:
            worker.kill()
