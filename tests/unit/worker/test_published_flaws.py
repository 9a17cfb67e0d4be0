"""
The four flaws that were found in published contracts of verified computing, each as an attack on this worker.

They are: a balance that is changed in a copy; one signature that settles any cost, again and again; a proof that is not
bound to what it proves; pay without proof.
"""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path

import pytest

from metis.ai.receipt import (
    Expected,
    check_receipt,
    request_digest,
    sign_receipt,
    sign_request,
    signer_of,
    verify_in_batch,
)
from metis.ai.receipt.batch import Batch, batch_path
from metis.ai.verify import ReceiptFile, verify
from metis.ai.worker.ledger import Ledger
from metis.engine import address_of
from metis.types import Address, InvalidReceipt, Wei
from tests.unit.ai.receipt_samples import (
    DOMAIN,
    PAYER_KEY,
    STRANGER_KEY,
    WORKER_KEY,
    inputs,
    model_file,
    receipt_file,
    request,
    signed_again,
)
from tests.unit.worker.desks import asking, desk

PAYER = Address(address_of(PAYER_KEY))
WORKER = Address(address_of(WORKER_KEY))


def test_flaw__balance_changed_in_a_copy__what_is_owed_is_kept_whatever_happens(tmp_path: Path) -> None:
    """There: 1,000 paid in were withdrawn eleven times, for only a copy in memory was reduced."""

    async def spend(times: int) -> int:
        made = desk(tmp_path, credit_wei=10**9)
        async with asking(made) as client:
            for _ in range(times):
                await client.embeddings("words", [[1]], max_cost_wei=10**8)
            return made.ledger.charged[PAYER]

    one = asyncio.run(spend(1))
    owed = [asyncio.run(spend(3)) for _ in range(3)]
    assert owed == [one * total for total in (4, 7, 10)]


def test_flaw__authorisation_without_cost__a_receipt_above_what_was_signed_is_rejected() -> None:
    """There: one signature over nonce, user and node settled 10, then 40,000, then 5,000."""
    file = receipt_file()
    receipt = file.receipt
    dearer = signed_again(file, price_wei=Wei(receipt.price_wei * 10**6), cost_wei=Wei(receipt.cost_wei * 10**6))
    verdict = verify(dearer, model_file())
    assert (verdict.valid, verdict.reason) == (False, "max-cost")
    # The worker raises the authorised price as well: then the payer has not signed it.
    more = dataclasses.replace(dearer.receipt.request, max_cost_wei=Wei(10**30))
    forged = signed_again(dearer, request=more)
    verdict = verify(forged, model_file())
    assert (verdict.valid, verdict.reason) == (False, "payer-signature")


def test_flaw__equal_nonce__one_signature_is_charged_once(tmp_path: Path) -> None:
    """There: the same nonce settled three times."""

    async def story() -> None:
        ledger = Ledger(tmp_path, DOMAIN)
        receipt = receipt_file().receipt
        await ledger.finish(receipt)
        again = sign_receipt(dataclasses.replace(receipt, units=receipt.units - 1), WORKER_KEY)
        with pytest.raises(InvalidReceipt, match="charged already"):
            ledger.finish(again)
        assert ledger.charged == {PAYER: receipt.cost_wei}
        ledger.close()

    asyncio.run(story())


def test_flaw__proof_of_another_subject__a_receipt_cannot_be_moved() -> None:
    """There: a proof of one file was attached to another by a third party, and minted its reward."""
    mine, other = receipt_file(), receipt_file(given=inputs(3)[1:])
    # To other inputs, another payer, another model, another nonce.
    moved = ReceiptFile(mine.receipt, other.inputs, other.outputs, other.traces)
    assert verify(moved, model_file()).reason == "inputs"
    stranger = Address(address_of(STRANGER_KEY))
    for changes in ({"payer": stranger}, {"model": bytes(32)}, {"nonce": 5}, {"body": bytes(31) + b"\1"}):
        asked = dataclasses.replace(mine.receipt.request, **changes)
        with pytest.raises(InvalidReceipt, match="payer"):
            check_receipt(signed_again(mine, request=asked).receipt)
    # A third party signs in the worker's place.
    forged = sign_receipt(mine.receipt, STRANGER_KEY)
    with pytest.raises(InvalidReceipt, match="worker-signature"):
        check_receipt(forged)
    # To another chain or contract, signed there by the worker: the payer has signed for this one only.
    elsewhere = dataclasses.replace(DOMAIN, chain_id=1)
    with pytest.raises(InvalidReceipt, match="payer-signature"):
        check_receipt(signed_again(mine, domain=elsewhere).receipt, Expected(elsewhere))


def test_flaw__signature_without_chain_and_contract__the_task_has_another_name_elsewhere() -> None:
    """There: permits were signed without chain and contract, and count on every deployment."""
    asked = request()
    signature = sign_request(DOMAIN, asked, PAYER_KEY)
    for elsewhere in (
        dataclasses.replace(DOMAIN, chain_id=DOMAIN.chain_id + 1),
        dataclasses.replace(DOMAIN, contract=Address(bytes(20))),
    ):
        assert signer_of(request_digest(elsewhere, asked), signature) != PAYER


def test_flaw__pay_without_proof__nothing_is_billed_that_has_no_receipt(tmp_path: Path) -> None:
    """There: a node completed a job and claimed its pay without having shown anything."""
    receipts = [receipt_file(nonce=nonce).receipt for nonce in range(3)]
    honest = Batch.of(DOMAIN, WORKER, 0, receipts, WORKER_KEY)
    # A batch that bills more than its receipts say: the payer shows one, and the sum of those that exist.
    greedy = Batch.of(DOMAIN, WORKER, 0, [*receipts, receipts[0]], WORKER_KEY)
    assert greedy.root != honest.root
    never = receipt_file(nonce=77).receipt
    for index in range(3):
        with pytest.raises(InvalidReceipt, match="batch-path"):
            verify_in_batch(honest, never, index, batch_path(receipts, index))

    # A task whose run fails, or that is cancelled before it ran, is taken, and costs nothing.
    async def story() -> None:
        made = desk(tmp_path)
        async with asking(made) as client:
            made.models["words"].run = _fails  # type: ignore[assignment, method-assign]
            with pytest.raises(Exception, match="charged"):
                await client.embeddings("words", [[1]], max_cost_wei=10**9)
            assert made.ledger.last_nonce(PAYER) == 0
            assert not made.ledger.charged
            assert not made.ledger.receipts
            assert made.ledger.reserved == {PAYER: 0}

    asyncio.run(story())


def _fails(*_: object) -> dict[str, object]:
    raise InvalidReceipt("run", "it fails")
