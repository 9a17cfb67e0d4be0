"""Many requests at a time, and kills between them: no nonce lost, taken twice or out of order, none charged twice."""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from metis.ai.receipt import Receipt, body_hash, check_receipt, headers_of, request_digest, sign_request
from metis.ai.worker.ledger import Ledger, records
from metis.client.signing import Payer
from metis.engine import address_of
from metis.types import Address, Hash32, TimestampS, Wei
from tests.unit.ai.receipt_samples import DOMAIN, WORKER_KEY
from tests.worker.process import Worker, running

KEYS = [bytes([number]) * 32 for number in range(101, 106)]
PATH = "/v1/embeddings"


class Load:
    """Requests of several payers, and what came of them."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.model = worker.models["words"].model.id
        self.answered: dict[Hash32, bytes] = {}
        self.unanswered: set[Hash32] = set()

    async def send(self, http: httpx.AsyncClient, key: bytes, nonce: int) -> None:
        """One request; one without an answer is remembered as such."""
        body = b'{"model":"words","input":[%d,%d]}' % (nonce % 100, nonce % 7)
        signed = Payer(key).request(
            Address(address_of(WORKER_KEY)), self.model, body_hash("POST", PATH, body), 10**9, 3000, nonce
        )
        # Deadlines are part of the task: the same for a request and its repetition.
        signed = type(signed)(
            signed.payer, signed.worker, signed.model, signed.body, Wei(signed.max_cost_wei), nonce, self.deadline
        )
        task = request_digest(DOMAIN, signed)
        headers = headers_of(signed, sign_request(DOMAIN, signed, key))
        try:
            response = await http.post(PATH, content=body, headers=headers)
        except httpx.HTTPError:
            self.unanswered.add(task)
            return
        assert response.status_code == 200, response.text
        self.unanswered.discard(task)
        receipt = bytes.fromhex(response.headers["x-metis-receipt"][2:])
        assert self.answered.setdefault(task, receipt) == receipt, "one task, two receipts"

    deadline = TimestampS(0)

    async def send_all(self, requests: list[tuple[bytes, int]]) -> None:
        """All at a time."""
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=self.worker.url, timeout=120, limits=limits) as http:
            await asyncio.gather(*(self.send(http, key, nonce) for key, nonce in requests))


def shuffled(count: int, seed: int) -> list[tuple[bytes, int]]:
    requests = [(key, nonce) for key in KEYS for nonce in range(count // len(KEYS))]
    random.Random(seed).shuffle(requests)
    return requests


def check_ledger(load: Load) -> list[Receipt]:
    """What the ledger says is what was answered: each task once, each payer's charge the sum of its receipts."""
    ledger = Ledger(load.worker.data, DOMAIN)
    receipts = list(ledger.receipts)
    ledger.close()
    tasks = [request_digest(DOMAIN, receipt.request) for receipt in receipts]
    assert len(set(tasks)) == len(tasks)
    assert set(load.answered) <= set(tasks), "answered, and not in the ledger"
    nonces: dict[bytes, set[int]] = {}
    for receipt in receipts:
        check_receipt(receipt)
        assert receipt.request.nonce not in nonces.setdefault(receipt.request.payer, set())
        nonces[receipt.request.payer].add(receipt.request.nonce)
    charged = dict.fromkeys(nonces, 0)
    for receipt in receipts:
        charged[receipt.request.payer] += receipt.cost_wei
    assert charged == ledger.charged
    return receipts


def accepted_nonces(data: Path) -> dict[bytes, list[int]]:
    """The nonces of each payer in the order in which the ledger took them, read from its bytes."""
    found: dict[bytes, list[int]] = {}
    for payload, _ in records((data / "ledger").read_bytes()):
        if payload[:1] == b"A":
            found.setdefault(payload[33:53], []).append(int.from_bytes(payload[53:61], "big"))
    return found


def run_without_kill(worker: Worker, count: int) -> None:
    load = Load(worker)
    load.deadline = TimestampS(int(time.time()) + 3000)
    asyncio.run(load.send_all(shuffled(count, 1)))
    assert len(load.answered) == count
    assert worker.stop() == 0
    assert len(check_ledger(load)) == count
    for nonces in accepted_nonces(worker.data).values():
        assert nonces == list(range(count // len(KEYS)))


def run_with_kills(worker: Worker, count: int, kills: int) -> None:
    """Each round sends what is unanswered, and is killed in its middle; the last one is not."""
    load = Load(worker)
    load.deadline = TimestampS(int(time.time()) + 3000)
    requests = shuffled(count, 2)
    keys = dict.fromkeys(requests)

    async def round_with_kill(after: int) -> None:
        sending = asyncio.create_task(load.send_all(list(keys)))
        before = len(load.answered)
        while len(load.answered) < before + after and not sending.done():
            await asyncio.sleep(0.002)
        worker.kill()
        await sending

    for number in range(kills):
        done = len(load.answered)
        asyncio.run(round_with_kill(max(1, count // (2 * kills))))
        receipts = check_ledger(load)
        assert len(receipts) >= len(load.answered) >= done
        taken = accepted_nonces(worker.data)
        assert all(nonces == sorted(set(nonces)) for nonces in taken.values()), f"after kill {number}"
        worker.start()
        finished = {(receipt.request.payer, receipt.request.nonce) for receipt in receipts}
        last = {payer: max(nonces) for payer, nonces in taken.items()}
        # Open ones went with the kill: their nonces stay taken, and nobody was charged.
        keys = {
            (key, nonce): None
            for key, nonce in keys
            if nonce > last.get(address_of(key), -1) or (address_of(key), nonce) in finished
        }
    asyncio.run(load.send_all(list(keys)))
    assert worker.stop() == 0
    receipts = check_ledger(load)
    assert {request_digest(DOMAIN, receipt.request) for receipt in receipts} >= set(load.answered)
    assert all(nonces == sorted(set(nonces)) for nonces in accepted_nonces(worker.data).values())


def test_worker__sixty_requests_at_a_time__takes_each_nonce_once_in_order(tmp_path: Path) -> None:
    with running(tmp_path) as worker:
        run_without_kill(worker, 60)


def test_worker__killed_among_sixty_requests__charges_none_twice(tmp_path: Path) -> None:
    with running(tmp_path) as worker:
        run_with_kills(worker, 60, kills=1)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_worker__a_thousand_requests_at_a_time__takes_each_nonce_once_in_order(tmp_path: Path) -> None:
    with running(tmp_path) as worker:
        run_without_kill(worker, 1000)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_worker__killed_five_times_among_a_thousand_requests__charges_none_twice(tmp_path: Path) -> None:
    with running(tmp_path) as worker:
        run_with_kills(worker, 1000, kills=5)


def test_worker__started_twice_on_one_folder__refuses_the_second(tmp_path: Path) -> None:
    with running(tmp_path) as worker:
        second = subprocess.run(worker.command, capture_output=True, text=True, check=False, timeout=60)
        assert second.returncode == 2
        assert "another worker's" in second.stdout
        assert worker.first_line["worker"] == "0x" + address_of(WORKER_KEY).hex()
        assert WORKER_KEY.hex() not in worker.log
