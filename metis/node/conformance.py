"""
execution-apis' cases against a fresh node: its chain is imported, its head set, every request sent over HTTP.

A case passes when every answer is the expected one: results as JSON values; errors by code and data (messages
are every node's own words); of "speconly" cases only the form. What this node does not offer yet is skipped,
with the reason in :data:`EXCLUSIONS`.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from metis.node.accounts import DevelopmentSigner
from metis.node.block_files import import_blocks
from metis.node.config import EngineApiConfig, MiningConfig, NodeConfig, RpcSection
from metis.node.conformance_cases import Case, CaseSet, Exchange
from metis.node.genesis_file import genesis_accounts
from metis.node.service import NodeService
from metis.node.shapes import difference_of_shape
from metis.rpc import make_token, read_or_create_secret
from metis.types import MetisError

__all__ = ["EXCLUSIONS", "CaseDifference", "ConformanceReport", "Counts", "run_cases"]

EXCLUSIONS: Mapping[str, str] = MappingProxyType({})
"""Methods whose cases are skipped, and why: none at present."""

# What the reference node of the cases was told.
_GAS_LIMIT = 60_000_000
_CALL_GAS_MAX = 50_000_000


@dataclass(slots=True)
class Counts:
    """How many cases ended how; total is the sum of the others."""

    total: int = 0
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def add(self, outcome: str) -> None:
        """Count a case; ``outcome`` is the name of a field."""
        self.total += 1
        setattr(self, outcome, getattr(self, outcome) + 1)


@dataclass(frozen=True, slots=True)
class CaseDifference:
    """An answer that is not as expected."""

    id: str
    problem: str
    request: dict[str, Any]
    expected: Any
    got: Any


@dataclass(slots=True)
class ConformanceReport:
    """Result of a run. ``fork`` : of the chain's head. ``skips`` : case id → reason."""

    fork: str = ""
    counts: Counts = field(default_factory=Counts)
    by_method: dict[str, Counts] = field(default_factory=dict)
    failures: list[CaseDifference] = field(default_factory=list)
    skips: dict[str, str] = field(default_factory=dict)

    def add(self, case: Case, outcome: str) -> None:
        """Count a case."""
        self.counts.add(outcome)
        self.by_method.setdefault(case.method, Counts()).add(outcome)


def run_cases(cases: CaseSet, on_progress: Callable[[ConformanceReport], None] | None = None) -> ConformanceReport:
    """
    Run every case against one fresh node, in the order of their ids.

    Raises
    ------
    GenesisError, InvalidBlock : the chain of the cases cannot be loaded.
    """
    with tempfile.TemporaryDirectory(prefix="metis-conformance-") as folder:
        return asyncio.run(_run(cases, Path(folder), on_progress))


async def _run(
    cases: CaseSet, folder: Path, on_progress: Callable[[ConformanceReport], None] | None
) -> ConformanceReport:
    secret_path = folder / "jwt.hex"
    config = NodeConfig(
        rpc=RpcSection(port=0, call_gas_max=_CALL_GAS_MAX),
        engine_api=EngineApiConfig(enabled=True, port=0, secret_path=str(secret_path)),
        mining=MiningConfig(mode="manual", gas_limit=_GAS_LIMIT),
    )
    service = NodeService(
        config, cases.genesis, genesis_accounts(cases.genesis), DevelopmentSigner(()), "metis/conformance"
    )
    try:
        import_blocks(service.node, cases.chain)
        await service.start()
        client = _Client(service, read_or_create_secret(secret_path))
        answer = await client.ask(cases.head_call)
        if answer.get("result", {}).get("payloadStatus", {}).get("status") != "VALID":
            raise MetisError(f"the head of the cases' chain was refused: {json.dumps(answer)}")
        return await _run_all(cases, service, client, on_progress)
    finally:
        await service.stop()


async def _run_all(
    cases: CaseSet,
    service: NodeService,
    client: _Client,
    on_progress: Callable[[ConformanceReport], None] | None,
) -> ConformanceReport:
    head = service.node.block(service.node.head_number)
    timestamp_s = 0 if head is None else int(head.header_fields()["timestamp_s"])
    report = ConformanceReport(fork=service.node.spec.fork_at(service.node.head_number, timestamp_s))
    for case in cases.cases:
        if case.method in EXCLUSIONS:
            report.skips[case.id] = EXCLUSIONS[case.method]
            report.add(case, "skipped")
        elif (difference := await _run_case(case, client)) is not None:
            report.failures.append(difference)
            report.add(case, "failed")
        else:
            report.add(case, "passed")
        if on_progress is not None:
            on_progress(report)
    return report


async def _run_case(case: Case, client: _Client) -> CaseDifference | None:
    for exchange in case.exchanges:
        got = await client.ask(exchange.request)
        problem = difference(exchange, got, is_form_only=case.is_form_only)
        if problem is not None:
            return CaseDifference(case.id, problem, exchange.request, exchange.answer, got)
    return None


def difference(exchange: Exchange, got: dict[str, Any], *, is_form_only: bool) -> str | None:
    """Return how an answer differs from the expected one, or None."""
    expected = exchange.answer
    if got.get("id") != expected.get("id") or got.get("jsonrpc") != "2.0":
        return "the envelope differs"
    if ("error" in expected) != ("error" in got):
        return "an error was expected" if "error" in expected else f"an error came: {got['error'].get('message')}"
    if "error" in expected:
        for name in ("code", "data"):
            if expected["error"].get(name) != got["error"].get(name):
                return f"error.{name} differs"
        return None
    if is_form_only:
        return difference_of_shape(expected["result"], got["result"])
    return None if expected["result"] == got["result"] else _first_difference(expected["result"], got["result"])


def _first_difference(expected: Any, got: Any, path: str = "result") -> str:
    """Name the first place where two values differ."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in sorted(expected.keys() | got.keys()):
            if key not in got or key not in expected:
                return f"{path}.{key}: only {'expected' if key in expected else 'got'}"
            if expected[key] != got[key]:
                return _first_difference(expected[key], got[key], f"{path}.{key}")
    if isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (a, b) in enumerate(zip(expected, got, strict=True)):
            if a != b:
                return _first_difference(a, b, f"{path}[{index}]")
    return f"{path}: expected {str(expected)[:80]}, got {str(got)[:80]}"


class _Client:
    """Sends requests over HTTP: engine_ and testing_ methods with a token, the others without."""

    def __init__(self, service: NodeService, secret: bytes) -> None:
        self._service = service
        self._secret = secret

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request and return the decoded answer."""
        is_private = request["method"].startswith(("engine_", "testing_"))
        server = self._service.server
        address = server.authenticated_address if is_private else server.http_address
        assert address is not None  # noqa: S101 - the service is started
        body = orjson.dumps(request)
        token = f"Authorization: Bearer {make_token(self._secret)}\r\n" if is_private else ""
        head = (
            f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{token}"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        reader, writer = await asyncio.open_connection(*address)
        try:
            writer.write(head.encode() + body)
            response = await reader.read(-1)
        finally:
            writer.close()
        content = response.partition(b"\r\n\r\n")[2]
        answer: dict[str, Any] = orjson.loads(content)
        return answer
