"""
``metis bench rpc``: how many requests a second a node answers, and how late the slowest hundredth is.

Both nodes get the same chain first: a token is deployed and moved in a few blocks. Then each
method is asked over kept-alive connections, the nodes taking turns. Loopback, and the load maker
shares the processors with the server, so only ratios within one run count.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from metis.cli.bench.asking import Client, request_body
from metis.cli.bench.fanout import notifications_per_s
from metis.cli.bench.load import Load, make_load
from metis.cli.bench.report import Row, alternate, document, print_rows, progress
from metis.cli.bench.rivals import find_anvil, running_anvil, running_metis
from metis.cli.contract_files import load_contract
from metis.cli.output import write_json

__all__ = ["rpc"]

OURS, RIVAL = "metis", "anvil"
SUPPLY = 10**24
TRANSFER_COUNT = 64
BATCH_CALL_COUNT = 100
SUBSCRIBER_COUNT = 200
FANOUT_BLOCK_COUNT = 20


@dataclass(frozen=True, slots=True)
class _Chain:
    """What was put on a chain, to ask about. ``holder`` has tokens; ``last_hash`` is of the last transfer."""

    token: str
    holder: str
    last_hash: str
    last_block: str


def rpc(
    anvil: Annotated[Path | None, typer.Option(help="anvil's program; without it, it is looked for.")] = None,
    alone: Annotated[bool, typer.Option("--alone", help="Measure Metis only.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Rows whose name contains this; may be repeated.")] = None,
    seconds: Annotated[float, typer.Option(help="Length of one round of one row.")] = 2.0,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds that count, after one that does not.")] = 5,
    connections: Annotated[int, typer.Option(min=1, help="Clients at a time.")] = 16,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Measure JSON-RPC methods, beside anvil in the same run.

    Every row is two figures: requests a second, and the 99th percentile of the time to an answer.
    """
    with ExitStack() as stack:
        ports = {OURS: stack.enter_context(running_metis()).port}
        if not alone:
            ports[RIVAL] = stack.enter_context(running_anvil(find_anvil(anvil))).port
        chains = {name: _prepare(Client(port)) for name, port in ports.items()}
        rows: list[Row] = []
        for name, make_body, share in _METHODS:
            if only and not any(part in name for part in only):
                continue
            progress(f"{name} …")
            rows += _measure(name, make_body, share, ports, chains, connections, seconds, rounds)
        if not only or any(part in "newHeads" for part in only):
            progress("newHeads …")
            runs = {name: _fanout(port) for name, port in ports.items()}
            found = alternate(runs, rounds)
            label = f"newHeads to {SUBSCRIBER_COUNT} subscribers"
            rows.append(Row(label, "notifications/s", {name: tuple(values) for name, values in found.items()}))
    if as_json:
        write_json(document(rows, OURS, RIVAL))
    else:
        print_rows(rows, OURS, RIVAL)


def _measure(
    name: str,
    make_body: Callable[[_Chain], bytes],
    share: int,
    ports: dict[str, int],
    chains: dict[str, _Chain],
    connections: int,
    seconds: float,
    rounds: int,
) -> list[Row]:
    """Two rows of one method; ``share`` is how many connections fewer it gets, because each asks for more."""

    def run_of(contender: str) -> Callable[[], Any]:
        load = Load(ports[contender], max(1, connections // share), seconds, [make_body(chains[contender])])
        return lambda: make_load(load)

    found = alternate({contender: run_of(contender) for contender in ports}, rounds)
    unit = "batches/s" if share > 1 else "requests/s"
    rates = {contender: tuple(one.per_s for one in values) for contender, values in found.items()}
    tails = {contender: tuple(one.p99_ms for one in values) for contender, values in found.items()}
    return [Row(name, unit, rates), Row(f"{name}, p99", "ms", tails, higher_is_better=False)]


def _fanout(port: int) -> Callable[[], float]:
    return lambda: notifications_per_s(port, SUBSCRIBER_COUNT, FANOUT_BLOCK_COUNT)


def _prepare(client: Client) -> _Chain:
    """Deploy the token and move some of it, a block each."""
    holder, receiver = client.ask("eth_accounts")[:2]
    code = load_contract("Token").bytecode + SUPPLY.to_bytes(32, "big")
    token = _send(client, {"from": holder, "data": f"0x{code.hex()}"})["contractAddress"]
    receipt: dict[str, Any] = {}
    for amount in range(1, TRANSFER_COUNT + 1):
        receipt = _send(client, {"from": holder, "to": token, "data": _calldata("a9059cbb", receiver, amount)})
    return _Chain(token, holder, receipt["transactionHash"], receipt["blockNumber"])


def _send(client: Client, transaction: dict[str, str]) -> dict[str, Any]:
    sent = client.ask("eth_sendTransaction", transaction)
    while (receipt := client.ask("eth_getTransactionReceipt", sent)) is None:
        pass  # anvil answers with the hash before the receipt is there
    return dict(receipt)


def _calldata(selector: str, address: str, *numbers: int) -> str:
    return f"0x{selector}{address[2:]:0>64}{''.join(f'{number:064x}' for number in numbers)}"


def _balance_call(chain: _Chain) -> dict[str, str]:
    return {"to": chain.token, "data": _calldata("70a08231", chain.holder)}


def _transfer_call(chain: _Chain) -> dict[str, str]:
    return {"from": chain.holder, "to": chain.token, "data": _calldata("a9059cbb", chain.token, 1)}


def _batch(chain: _Chain) -> bytes:
    call = {"jsonrpc": "2.0", "method": "eth_call", "params": [_balance_call(chain), "latest"]}
    return orjson.dumps([call | {"id": number} for number in range(BATCH_CALL_COUNT)])


_METHODS: tuple[tuple[str, Callable[[_Chain], bytes], int], ...] = (
    ("eth_blockNumber", lambda _: request_body("eth_blockNumber"), 1),
    ("eth_getBalance", lambda chain: request_body("eth_getBalance", chain.holder, "latest"), 1),
    ("eth_call (ERC-20 balanceOf)", lambda chain: request_body("eth_call", _balance_call(chain), "latest"), 1),
    ("eth_estimateGas (ERC-20 transfer)", lambda chain: request_body("eth_estimateGas", _transfer_call(chain)), 1),
    ("eth_getTransactionReceipt", lambda chain: request_body("eth_getTransactionReceipt", chain.last_hash), 1),
    ("eth_getProof", lambda chain: request_body("eth_getProof", chain.token, [], "latest"), 1),
    (
        "eth_getLogs (one block)",
        lambda chain: request_body(
            "eth_getLogs", {"fromBlock": chain.last_block, "toBlock": chain.last_block, "address": chain.token}
        ),
        1,
    ),
    (f"batch of {BATCH_CALL_COUNT} eth_call", _batch, 4),
)
