"""The worker's HTTP interface, in process: answers, refusals, receipts, batches."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from metis.ai.receipt import Domain, Expected, body_hash, check_receipt, decode_receipt, headers_of, sign_request
from metis.ai.receipt.batch import Batch, verify_in_batch
from metis.ai.receipt.fields import Unproven
from metis.ai.verify import verify
from metis.ai.verify.document import receipt_file_of
from metis.ai.worker import Desk, ServedModel, application
from metis.client.signing import Payer
from metis.engine import address_of
from metis.types import Address, Hash32, InvalidReceipt, RequestRefused
from tests.unit.ai.receipt_samples import DOMAIN, PAYER_KEY, STRANGER_KEY, WORKER_KEY, model_file
from tests.unit.worker.desks import LETTERS, asking, desk, embedder, settings, writer

ENOUGH = 10**9
PAYER = address_of(PAYER_KEY)


def test_client__embeds_and_classifies__gets_receipts_that_verify(tmp_path: Path) -> None:
    async def story() -> None:
        async with asking(desk(tmp_path)) as client:
            facts = await client.worker()
            assert facts.domain == DOMAIN
            embedded = await client.embeddings("words", [[1, 2, 3], [4, 5]], max_cost_wei=ENOUGH)
            assert len(embedded.vectors) == embedded.receipt.runs == 2
            found = await client.classify("numbers", [[1, 2, 3, 4, 5, 6, 7, 8]], max_cost_wei=ENOUGH)
            assert len(found.samples[0].scores) == 8
            for task, model in ((embedded.task, embedder()), (found.task, model_file())):
                file = receipt_file_of(await client.receipt_file(task))
                expected = Expected(DOMAIN, client.payer.address, facts.worker)
                assert verify(file, model, expected).valid
                assert (await client.progress(task)).state == "finished"

    asyncio.run(story())


def test_client__completes__as_a_whole_and_as_a_stream(tmp_path: Path) -> None:
    async def story() -> None:
        made = Desk(settings(tmp_path), [ServedModel("writer", writer())], WORKER_KEY)
        async with asking(made) as client:
            asked: dict[str, Any] = {"max_tokens": 6, "max_cost_wei": ENOUGH, "seed": 3}
            whole = await client.complete("writer", [1, 2, 3], **asked)
            assert (whole.finish_reason, whole.receipt.runs) == ("length", 8)
            pieces = [piece async for piece in client.complete_stream("writer", [1, 2, 3], **asked)]
            assert "".join(piece.text for piece in pieces) == whole.text
            assert [piece.receipt is not None for piece in pieces] == [False] * 6 + [True]
            last = pieces[-1].receipt
            assert last is not None
            assert (last.trace, last.outputs) == (whole.receipt.trace, whole.receipt.outputs)
            text = await client.complete("writer", "bcd", **asked)
            assert (text.text, text.receipt.trace) == (whole.text, whole.receipt.trace)
            assert set(text.text) <= set(LETTERS)
            with pytest.raises(RequestRefused, match="does not take this text"):
                await client.complete("writer", "xyz", **asked)
            with pytest.raises(RequestRefused, match="context"):
                await client.complete("writer", [1] * 40, max_tokens=20, max_cost_wei=ENOUGH)

    asyncio.run(story())


class Wire:
    """Requests made by hand, so that every part of them can be wrong."""

    def __init__(self, of: Desk) -> None:
        self.desk = of
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(application(of)), base_url="http://worker")

    async def post(
        self,
        *,
        body: bytes = b'{"model":"words","input":[1,2,3]}',
        sent: bytes | None = None,
        nonce: int = 0,
        max_cost_wei: int = ENOUGH,
        key: bytes = PAYER_KEY,
        domain: Domain = DOMAIN,
        worker: bytes | None = None,
        model: str = "words",
        deadline_s: int = 600,
        path: str = "/v1/embeddings",
        is_open: bool = False,
        **headers: str,
    ) -> httpx.Response:
        hashed = Hash32(bytes(32)) if is_open else body_hash("POST", "/v1/embeddings", body)
        payer = Payer(key)
        to = Address(worker) if worker is not None else self.desk.worker
        request = payer.request(to, self.desk.models[model].id, hashed, max_cost_wei, deadline_s, nonce)
        signed = headers_of(request, sign_request(domain, request, key))
        changed = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.http.post(path, content=body if sent is None else sent, headers={**signed, **changed})


def refusal(response: httpx.Response) -> tuple[int, str]:
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    return response.status_code, error["code"]


REFUSED: dict[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "another body": ({"sent": b'{"model":"words","input":[1,2,4]}'}, (401, "signature")),
    "another path": ({"path": "/v1/completions"}, (401, "signature")),
    "a model of another kind": ({"body": b'{"model":"numbers","input":[1]}', "model": "numbers"}, (400, "model")),
    "another chain": ({"domain": Domain(1, DOMAIN.contract)}, (401, "signature")),
    "another contract": ({"domain": Domain(DOMAIN.chain_id, Address(bytes(20)))}, (401, "signature")),
    "another worker": ({"worker": bytes(20)}, (401, "signature")),
    "another model": ({"model": "numbers"}, (401, "signature")),
    "another price": ({"x_metis_max_cost": "1000000001"}, (401, "signature")),
    "another nonce": ({"x_metis_nonce": "1"}, (401, "signature")),
    "another deadline": ({"x_metis_deadline": str(int(time.time()) + 300)}, (401, "signature")),
    "another payer": ({"x_metis_payer": "0x" + address_of(STRANGER_KEY).hex()}, (401, "signature")),
    "too low a price": ({"max_cost_wei": 1}, (402, "max-cost")),
    "a deadline that is past": ({"deadline_s": -1}, (400, "deadline")),
    "a deadline too far ahead": ({"deadline_s": 10**6}, (400, "deadline")),
    "no number": ({"x_metis_nonce": "007"}, (401, "headers")),
    "no JSON": ({"body": b"[]"}, (400, "body")),
    "deep JSON": ({"body": b"[" * 5000}, (400, "body")),
    "an unknown model": ({"body": b'{"model":"x","input":[1]}'}, (404, "model_not_found")),
    "a text without tokenizer": ({"body": b'{"model":"words","input":"text"}'}, (400, "input")),
    "too many tokens": ({"body": b'{"model":"words","input":[1,1,1,1,1,1,1]}'}, (400, "context_length_exceeded")),
    "a token out of range": ({"body": b'{"model":"words","input":[100]}'}, (400, "input")),
    "too large a body": ({"body": b" " * 2000}, (413, "body")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_request__with_something_wrong__is_refused_in_openais_form_and_costs_nothing(what: str, tmp_path: Path) -> None:
    async def story() -> None:
        wire = Wire(desk(tmp_path, body_bytes_max=1000 if what == "too large a body" else 1 << 20))
        given, expected = REFUSED[what]
        assert refusal(await wire.post(**given)) == expected
        assert wire.desk.ledger.last_nonce(PAYER) == -1
        assert not wire.desk.ledger.charged
        assert not wire.desk.ledger.reserved
        wire.desk.close()

    asyncio.run(story())


def test_request__sent_twice__is_answered_twice_and_charged_once(tmp_path: Path) -> None:
    async def story() -> None:
        wire = Wire(desk(tmp_path))
        first, again = await wire.post(), await wire.post()
        assert first.content == again.content
        assert first.headers["x-metis-receipt"] == again.headers["x-metis-receipt"]
        cost = int(first.headers["x-metis-cost-wei"])
        assert wire.desk.ledger.charged == {PAYER: cost}
        wire.desk.close()
        restarted = Wire(desk(tmp_path))
        once_more = await restarted.post()
        assert once_more.json() == first.json()
        for stored in (tmp_path / "receipts").iterdir():
            stored.unlink()
        computed = Wire(restarted.desk)
        restarted.desk._tasks.clear()
        assert (await computed.post()).json() == first.json()
        assert restarted.desk.ledger.charged == {PAYER: cost}
        assert refusal(await computed.post(body=b'{"model":"words","input":[9]}')) == (409, "nonce-too-low")
        restarted.desk.close()

    asyncio.run(story())


def test_request__with_an_open_body__is_taken_only_where_allowed(tmp_path: Path) -> None:
    async def story() -> None:
        strict, loose = Wire(desk(tmp_path / "a", open_bodies=False)), Wire(desk(tmp_path / "b"))
        assert refusal(await strict.post(is_open=True)) == (401, "signature")
        answer = await loose.post(is_open=True)
        receipt = decode_receipt(bytes.fromhex(answer.headers["x-metis-receipt"][2:]))
        check_receipt(receipt)
        assert Unproven.BODY in receipt.unproven
        strict.desk.close()
        loose.desk.close()

    asyncio.run(story())


def test_request__above_the_credit__is_refused_also_after_a_restart(tmp_path: Path) -> None:
    async def story() -> None:
        cost = 7 * desk_units(tmp_path / "x")
        wire = Wire(desk(tmp_path, credit_wei=2 * cost))
        answers = [await wire.post(nonce=nonce) for nonce in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 402]
        wire.desk.close()
        again = Wire(desk(tmp_path, credit_wei=2 * cost))
        assert refusal(await again.post(nonce=9)) == (402, "credit")
        again.desk.close()

    asyncio.run(story())


def desk_units(folder: Path) -> int:
    made = desk(folder)
    made.close()
    return made.models["words"].units


def test_embedding__as_base64__has_the_same_numbers(tmp_path: Path) -> None:
    async def story() -> None:
        wire = Wire(desk(tmp_path))
        document = {"model": "words", "input": [1, 2, 3]}
        plain = await wire.post(body=json.dumps(document).encode())
        coded = await wire.post(body=json.dumps({**document, "encoding_format": "base64"}).encode(), nonce=1)
        raw = base64.b64decode(coded.json()["data"][0]["embedding"])
        assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == plain.json()["data"][0]["embedding"]
        wire.desk.close()

    asyncio.run(story())


def test_batches__closed_by_size__prove_each_receipt(tmp_path: Path) -> None:
    async def story() -> None:
        made = desk(tmp_path, batch_size=3)
        async with asking(made) as client:
            tasks = [(await client.embeddings("words", [[1]], max_cost_wei=ENOUGH)).task for _ in range(4)]
            for task in tasks[:3]:
                proof = await client.batch_proof(task)
                shown = proof["batch"]
                batch = Batch(
                    DOMAIN,
                    Address(bytes.fromhex(shown["worker"][2:])),
                    shown["number"],
                    shown["count"],
                    int(shown["cost_wei"]),
                    Hash32(bytes.fromhex(shown["root"][2:])),
                    bytes.fromhex(shown["signature"][2:]),
                )
                receipt = receipt_file_of(await client.receipt_file(task)).receipt
                path = [bytes.fromhex(partner[2:]) for partner in proof["path"]]
                verify_in_batch(batch, receipt, proof["index"], path)
            with pytest.raises(RequestRefused, match="no batch yet"):
                await client.batch_proof(tasks[3])

    asyncio.run(story())


def test_task__asked_about_by_another__is_not_there(tmp_path: Path) -> None:
    async def story() -> None:
        made = desk(tmp_path)
        async with asking(made) as client:
            task = (await client.embeddings("words", [[1]], max_cost_wei=ENOUGH)).task
            client.payer = Payer(STRANGER_KEY)
            for asked in (client.receipt_file, client.progress, client.cancel, client.batch_proof):
                with pytest.raises(RequestRefused) as raised:
                    await asked(task)
                assert raised.value.status == 404

    asyncio.run(story())


def test_task__cancelled_while_it_waits__is_not_charged(tmp_path: Path) -> None:
    async def story() -> None:
        made = desk(tmp_path, hold_s=30)
        wire = Wire(made)
        waiting = asyncio.create_task(wire.post(nonce=5))
        while not made._tasks:
            await asyncio.sleep(0.01)
        made.cancel(next(iter(made._tasks.values())))
        assert refusal(await waiting) == (499, "cancelled")
        assert not made.ledger.charged
        assert (await wire.post(nonce=0)).status_code == 200
        made.close()

    asyncio.run(story())


def test_task__cancelled_between_runs__is_charged_for_what_ran(tmp_path: Path) -> None:
    async def story() -> None:
        made = Desk(settings(tmp_path), [ServedModel("writer", writer())], WORKER_KEY)
        async with asking(made) as client:
            model = made.models["writer"]
            ran = model.run

            def then_cancelled(*arguments: Any) -> Any:
                task = next(iter(made._tasks.values()))
                if task.runs_done == 4:
                    made.cancel(task)
                return ran(*arguments)

            model.run = then_cancelled  # type: ignore[assignment, method-assign]
            done = await client.complete("writer", [1, 2], max_tokens=9, max_cost_wei=ENOUGH)
            assert (done.finish_reason, done.receipt.runs) == ("cancelled", 5)
            assert done.receipt.units == 5 * model.units

    asyncio.run(story())


def test_client__of_a_worker_that_is_not_the_expected_one__refuses_it(tmp_path: Path) -> None:
    async def story() -> None:
        made = desk(tmp_path)
        async with asking(made) as client:
            client._expected = (Address(bytes(20)), None)
            with pytest.raises(InvalidReceipt, match="worker"):
                await client.embeddings("words", [[1]], max_cost_wei=ENOUGH)

    asyncio.run(story())


def test_paths__that_are_not_there__are_refused_in_openais_form(tmp_path: Path) -> None:
    async def story() -> None:
        wire = Wire(desk(tmp_path))
        assert refusal(await wire.http.get("/v1/chat/completions")) == (404, "unknown_url")
        assert refusal(await wire.http.get("/v1/models/none")) == (404, "model_not_found")
        assert refusal(await wire.http.put("/v1/models")) == (405, "unknown_url")
        wire.desk.close()

    asyncio.run(story())
