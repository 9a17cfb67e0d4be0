"""The ledger: what was told is on disk, torn ends are cut off, damage is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from metis.ai.receipt import Domain, request_digest
from metis.ai.receipt.batch import Batch
from metis.ai.worker.ledger import LEDGER_MAGIC, Ledger
from metis.engine import address_of
from metis.types import Address, InvalidReceipt, StorageError
from tests.unit.ai.receipt_samples import DOMAIN, PAYER_KEY, WORKER_KEY, receipt_file, request

PAYER = address_of(PAYER_KEY)
WORKER = Address(address_of(WORKER_KEY))


async def filled(folder: Path) -> None:
    """Three requests: one charged, one aborted, one left open; and a batch."""
    ledger = Ledger(folder, DOMAIN)
    for nonce in (4, 5, 9):
        asked = request(nonce=nonce)
        await ledger.accept(request_digest(DOMAIN, asked), asked, 1000)
    receipt = receipt_file().receipt
    await ledger.finish(receipt)
    await ledger.abort(request_digest(DOMAIN, request(nonce=5)))
    await ledger.close_batch(Batch.of(DOMAIN, WORKER, 0, [receipt], WORKER_KEY))
    assert ledger.reserved[PAYER] == 1000
    ledger.close()


def test_ledger__opened_again__knows_nonces_charges_and_batches(tmp_path: Path) -> None:
    asyncio.run(filled(tmp_path))
    ledger = Ledger(tmp_path, DOMAIN)
    receipt = receipt_file().receipt
    assert ledger.last_nonce(PAYER) == 9
    assert ledger.charged == {PAYER: receipt.cost_wei}
    assert ledger.receipts == [receipt]
    assert [batch.count for batch in ledger.batches] == [ledger.batched] == [1]
    # What was open when it stopped reserves nothing: it was not charged, and never will be.
    assert not ledger.reserved
    ledger.close()


def test_ledger__cut_off_anywhere__keeps_all_that_is_whole(tmp_path: Path) -> None:
    asyncio.run(filled(tmp_path))
    raw = (tmp_path / "ledger").read_bytes()
    nonces, charges = set(), set()
    for length in range(0, len(raw), 7):
        (tmp_path / "ledger").write_bytes(raw[:length])
        ledger = Ledger(tmp_path, DOMAIN)
        nonces.add(ledger.last_nonce(PAYER))
        charges.add(len(ledger.receipts))
        ledger.close()
        whole = (tmp_path / "ledger").read_bytes()
        assert raw.startswith(whole)
        assert len(whole) >= len(LEDGER_MAGIC)
    assert (nonces, charges) == ({-1, 4, 5, 9}, {0, 1})


def test_ledger__one_bit_of_the_last_record_changed__is_without_it(tmp_path: Path) -> None:
    asyncio.run(filled(tmp_path))
    path = tmp_path / "ledger"
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 4
    path.write_bytes(raw)
    ledger = Ledger(tmp_path, DOMAIN)
    assert (len(ledger.receipts), len(ledger.batches)) == (1, 0)
    ledger.close()


def test_ledger__damaged_far_from_its_end__is_refused_not_shortened(tmp_path: Path) -> None:
    asyncio.run(filled(tmp_path))
    path = tmp_path / "ledger"
    raw = bytearray(path.read_bytes() + bytes(1 << 17))
    raw[30] ^= 1
    path.write_bytes(raw)
    with pytest.raises(StorageError, match="damaged"):
        Ledger(tmp_path, DOMAIN)
    assert path.read_bytes() == raw


def test_ledger__another_file_chain_or_process__is_refused(tmp_path: Path) -> None:
    asyncio.run(filled(tmp_path))
    with pytest.raises(StorageError, match="another contract"):
        Ledger(tmp_path, Domain(1, DOMAIN.contract))
    held = Ledger(tmp_path, DOMAIN)
    with pytest.raises(StorageError, match="another worker's"):
        Ledger(tmp_path, DOMAIN)
    held.close()
    other = tmp_path / "other"
    other.mkdir()
    (other / "ledger").write_bytes(b"something else entirely")
    with pytest.raises(StorageError, match="no worker's ledger"):
        Ledger(other, DOMAIN)


def test_ledger__one_task_charged_twice__is_refused(tmp_path: Path) -> None:
    async def twice() -> None:
        ledger = Ledger(tmp_path, DOMAIN)
        receipt = receipt_file().receipt
        await ledger.finish(receipt)
        try:
            with pytest.raises(InvalidReceipt, match="charged already"):
                ledger.finish(receipt)
            assert ledger.charged[PAYER] == receipt.cost_wei
        finally:
            ledger.close()

    asyncio.run(twice())


def test_ledger__that_cannot_be_synced__takes_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync nobody knows what is on disk: going on would charge for what may be lost."""

    def refuses(_: int) -> None:
        raise OSError(28, "No space left on device")

    async def story() -> None:
        ledger = Ledger(tmp_path, DOMAIN)
        monkeypatch.setattr("metis.ai.worker.ledger.os.fdatasync", refuses)
        with pytest.raises(StorageError, match="cannot be written"):
            await ledger.finish(receipt_file().receipt)
        monkeypatch.undo()
        with pytest.raises(StorageError, match="cannot be written"):
            ledger.accept(request_digest(DOMAIN, request(nonce=5)), request(nonce=5), 1)
        ledger.close()

    asyncio.run(story())
