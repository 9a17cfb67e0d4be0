"""Many users at once: waves of transactions, mined, counted, paid; and a node that is killed meanwhile."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from metis.cli.demo.node_process import NodeProcess
from metis.cli.demo.results import Crash, Wave
from metis.cli.demo.users import Message, Users
from metis.cli.node_client import NodeClient
from metis.engine import keccak256
from metis.sdk import INFERENCE
from metis.types import UpstreamError

__all__ = ["Mined", "crash", "estimates", "mine_all", "run_wave", "send"]

_BLOCKS_PER_WAVE_MAX: Final = 64
_MARGIN: Final = 1.2
_PARTS: Final = 8
_REPORT_TIMEOUT_S: Final = 60.0

Receipt = Mapping[str, Any]


class Mined:
    """
    Every receipt that the node reported, by the transaction's hash.

    Attributes
    ----------
    runs : of each model, counted in the system logs of the receipts.
    """

    def __init__(self) -> None:
        self.receipts: dict[str, Receipt] = {}
        self.runs: Counter[str] = Counter()

    def add(self, receipts: Sequence[Receipt]) -> None:
        """Keep what was reported."""
        address = f"0x{INFERENCE.hex()}"
        for receipt in receipts:
            self.receipts[receipt["transactionHash"]] = receipt
            self.runs.update(log["topics"][1] for log in receipt["logs"] if log["address"] == address)


def estimates(client: NodeClient, users: Users, messages: Sequence[tuple[int, Message]]) -> dict[str, int]:
    """
    Gas limits by kind of message: of the first of each kind that would succeed, and some more.

    Raises
    ------
    UpstreamError : none of a kind would.
    """
    limits: dict[str, int] = {}
    refusals: dict[str, UpstreamError] = {}
    for user, message in messages:
        if message.kind in limits:
            continue
        call = {
            "from": f"0x{users.addresses[user].hex()}",
            "to": f"0x{message.to.hex()}",
            "data": f"0x{message.data.hex()}",
            "value": hex(message.value_wei),
        }
        try:
            limits[message.kind] = int(int(client.ask("eth_estimateGas", call), 16) * _MARGIN)
        except UpstreamError as error:
            refusals[message.kind] = error
    for kind in refusals.keys() - limits.keys():
        raise refusals[kind]
    return limits


def send(client: NodeClient, raw: Sequence[bytes]) -> list[str]:
    """Send signed transactions in one request; their hashes."""
    return client.ask_many("eth_sendRawTransaction", [[f"0x{transaction.hex()}"] for transaction in raw])


def mine_all(client: NodeClient, hashes: Sequence[str]) -> tuple[list[Receipt], int]:
    """
    Mine until all are in blocks; the receipts, and how many blocks it took.

    Raises
    ------
    UpstreamError : some are not included, however many blocks there are.
    """
    first = int(client.ask("eth_blockNumber"), 16)
    for _ in range(_BLOCKS_PER_WAVE_MAX):
        client.ask("evm_mine")
        receipts = client.ask_many("eth_getTransactionReceipt", [[transaction] for transaction in hashes])
        if all(receipts):
            return receipts, int(client.ask("eth_blockNumber"), 16) - first
    raise UpstreamError("answer", client.url, "transactions that it took do not get into blocks")


def run_wave(
    client: NodeClient, users: Users, messages: Sequence[tuple[int, Message]], limits: Mapping[str, int], mined: Mined
) -> tuple[Wave, list[Receipt]]:
    """Let users sign and send at once, and mine it all."""
    raw = users.sign(messages, limits)
    began_s = time.perf_counter()
    hashes = send(client, raw)
    sent_s = time.perf_counter()
    receipts, blocks = mine_all(client, hashes)
    done_s = time.perf_counter()
    before = mined.runs.total()
    mined.add(receipts)
    wave = Wave(
        transactions=len(receipts),
        inferences=mined.runs.total() - before,
        succeeded=sum(receipt["status"] == "0x1" for receipt in receipts),
        blocks=blocks,
        gas=sum(int(receipt["gasUsed"], 16) for receipt in receipts),
        send_ms=(sent_s - began_s) * 1e3,
        mine_ms=(done_s - sent_s) * 1e3,
    )
    return wave, receipts


def crash(node: NodeProcess, client: NodeClient, raw: Sequence[bytes], mined: Mined) -> tuple[Crash, NodeClient]:
    """
    Kill the node while it builds blocks of ``raw``, start it again, and look for everything that it had reported.

    What it had not mined is sent again.

    Returns
    -------
    What was found, and a client of the node that is there now.
    """
    building = _Building(client.url, raw)
    building.start()
    building.has_reported.wait(_REPORT_TIMEOUT_S)
    # Somewhere in a later block: the demonstration must not depend on where.
    time.sleep(0.02)
    node.kill()
    building.join()
    client.close()
    mined.add(building.receipts)
    began_s = time.perf_counter()
    node.start()
    restart_ms = (time.perf_counter() - began_s) * 1e3
    again = NodeClient(node.url)
    again.ask("evm_setAutomine", False)
    found = again.ask_many("eth_getTransactionReceipt", [[transaction] for transaction in mined.receipts])
    pairs = zip(found, mined.receipts.values(), strict=True)
    lost = sum(now is None or _place(now) != _place(before) for now, before in pairs)
    head_after = int(again.ask("eth_blockNumber"), 16)
    hashes = [f"0x{keccak256(transaction).hex()}" for transaction in raw]
    known = again.ask_many("eth_getTransactionReceipt", [[transaction] for transaction in hashes])
    missing = [transaction for transaction, receipt in zip(raw, known, strict=True) if receipt is None]
    send(again, missing)
    receipts, _ = mine_all(again, hashes)
    mined.add(receipts)
    return Crash(len(found), lost, building.head, head_after, len(missing), restart_ms), again


def _place(receipt: Receipt) -> tuple[Any, ...]:
    return receipt["blockHash"], receipt["status"], receipt["gasUsed"]


class _Building(threading.Thread):
    """
    Sends transactions part by part, each followed by a block, until the node is no longer there.

    Attributes
    ----------
    receipts : that the node reported. head : the last block that it did. has_reported : set after the first block.
    """

    def __init__(self, url: str, raw: Sequence[bytes]) -> None:
        super().__init__(daemon=True)
        self.receipts: list[Receipt] = []
        self.head = 0
        self.has_reported = threading.Event()
        self._url = url
        self._raw = raw

    def run(self) -> None:
        """See the class."""
        size = -(-len(self._raw) // _PARTS)
        try:
            with NodeClient(self._url) as client:
                for begin in range(0, len(self._raw), size):
                    hashes = send(client, self._raw[begin : begin + size])
                    receipts, _ = mine_all(client, hashes)
                    self.receipts += receipts
                    self.head = int(client.ask("eth_blockNumber"), 16)
                    self.has_reported.set()
        except UpstreamError:
            return
        finally:
            self.has_reported.set()
