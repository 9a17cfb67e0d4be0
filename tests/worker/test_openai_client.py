"""The openai package against a worker, unmodified: another base URL, and headers or an httpx client that signs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import httpx
import openai
import pytest

from metis.ai.receipt import check_receipt, decode_receipt
from metis.client import Client, SignedAuth
from metis.engine import address_of
from metis.types import Address, Hash32
from tests.unit.ai.receipt_samples import DOMAIN, PAYER_KEY, WORKER_KEY
from tests.worker.process import Worker, running


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    with running(tmp_path_factory.mktemp("worker")) as started:
        yield started


def signing(worker: Worker, max_cost_wei: int = 10**9) -> SignedAuth:
    payer = "0x" + address_of(PAYER_KEY).hex()
    nonce = httpx.get(f"{worker.url}/v1/payers/{payer}").json()["next_nonce"]
    models = {name: Hash32(file.model.id) for name, file in worker.models.items()}
    return SignedAuth(PAYER_KEY, DOMAIN, Address(address_of(WORKER_KEY)), models, max_cost_wei, nonce)


def test_openai__with_headers_alone__embeds(worker: Worker) -> None:
    headers = signing(worker).headers_for("words")
    with openai.OpenAI(base_url=f"{worker.url}/v1", api_key="-") as client:
        raw = client.embeddings.with_raw_response.create(model="words", input=[[1, 2, 3], [4]], extra_headers=headers)
    found = raw.parse()
    assert [item.index for item in found.data] == [0, 1]
    assert len(found.data[0].embedding) == 4
    assert found.usage.prompt_tokens == 4
    receipt = decode_receipt(bytes.fromhex(raw.headers["x-metis-receipt"][2:]))
    check_receipt(receipt)
    assert receipt.runs == 2


def test_openai__with_a_client_that_signs__embeds_completes_and_streams(worker: Worker) -> None:
    with httpx.Client(auth=signing(worker)) as http:
        client = openai.OpenAI(base_url=f"{worker.url}/v1", api_key="-", http_client=cast("Any", http))
        assert [model.id for model in client.models.list()] == ["numbers", "words", "writer"]
        assert client.models.retrieve("writer").owned_by == "0x" + address_of(WORKER_KEY).hex()
        assert len(client.embeddings.create(model="words", input=[1, 2]).data) == 1
        whole = client.completions.create(model="writer", prompt=[1, 2, 3], max_tokens=5, seed=9)
        assert whole.usage is not None
        assert (whole.choices[0].finish_reason, whole.usage.completion_tokens) == ("length", 5)
        pieces = client.completions.create(model="writer", prompt=[1, 2, 3], max_tokens=5, seed=9, stream=True)
        assert "".join(piece.choices[0].text for piece in pieces) == whole.choices[0].text


def test_openai__errors_of_the_worker__are_its_own_errors(worker: Worker) -> None:
    with openai.OpenAI(base_url=f"{worker.url}/v1", api_key="-") as unsigned:
        with pytest.raises(openai.AuthenticationError):
            unsigned.embeddings.create(model="words", input=[1])
        with pytest.raises(openai.NotFoundError):
            unsigned.embeddings.create(model="none", input=[1])
        headers = signing(worker, max_cost_wei=1).headers_for("words")
        with pytest.raises(openai.APIStatusError) as raised:
            unsigned.embeddings.create(model="words", input=[1], extra_headers=headers)
        assert (raised.value.status_code, raised.value.code) == (402, "max-cost")


def test_client__without_asyncio__does_what_the_other_does(worker: Worker) -> None:
    with Client(worker.url, PAYER_KEY, domain=DOMAIN) as client:
        found = client.embeddings("words", [[1, 2]], max_cost_wei=10**9)
        assert client.progress(found.task).state == "finished"
        pieces = list(client.complete_stream("writer", [1], max_tokens=3, max_cost_wei=10**9))
        assert pieces[-1].receipt is not None
