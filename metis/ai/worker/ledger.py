"""
What a worker has taken and charged, on disk before anyone is told.

A file of records, each with its length and a checksum, only ever appended to. Records that wait together are written
and synced together. After a kill the file ends in whole records or in a torn one, which was told to nobody and is cut
off. Opening takes a lock: one process writes. Format: docs/worker.md.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from metis.ai.receipt import Batch, Receipt, decode_receipt, encode_receipt, request_digest
from metis.ai.receipt.encoding import RECEIPT_BYTES
from metis.ai.receipt.fields import Domain, Request
from metis.types import Address, Hash32, InvalidReceipt, StorageError

__all__ = ["LEDGER_MAGIC", "Ledger", "records"]

LEDGER_MAGIC: Final = b"METISLED\x01\x00\x00\x00"
_HEAD: Final = struct.Struct("<II")
_ACCEPTED, _FINISHED, _ABORTED, _BATCH = b"A", b"F", b"X", b"B"
_RECORD_BYTES_MAX: Final = 4096
_GROUP_BYTES_MAX: Final = 1 << 16

_Waiter = tuple[bytes, asyncio.AbstractEventLoop, "asyncio.Future[None]"]


class Ledger:
    """
    The ledger of one worker.

    Attributes
    ----------
    charged : wei by payer, of all receipts. reserved : wei by payer, of tasks that were accepted and are not finished.
    receipts : all of them, in the order in which they were issued.
    batches : those that were closed, in order. batched : how many receipts are in one.

    Raises
    ------
    StorageError : another process has it, or it cannot be read or written.
    """

    def __init__(self, folder: Path, domain: Domain) -> None:
        self.domain = domain
        self.charged: dict[bytes, int] = {}
        self.reserved: dict[bytes, int] = {}
        self.receipts: list[Receipt] = []
        self.batches: list[Batch] = []
        self.batched = 0
        self._last_nonce: dict[bytes, int] = {}
        self._open: dict[bytes, tuple[bytes, int]] = {}
        self._place_of: dict[bytes, int] = {}
        self._failure: OSError | None = None
        path = folder / "ledger"
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StorageError("io", f"{path}: {error.strerror or error}") from None
        try:
            _lock(self._file, path)
            self._load(path)
            _sync_folder(folder)
        except OSError as error:
            os.close(self._file)
            raise StorageError("io", f"{path}: {error.strerror or error}") from None
        except BaseException:
            os.close(self._file)
            raise
        # What a kill left open was not charged, and its nonce stays taken.
        self._open.clear()
        self.reserved.clear()
        self._queue: queue.SimpleQueue[_Waiter | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write, name="metis-ledger", daemon=True)
        self._writer.start()

    def close(self) -> None:
        """Write what waits, and let the file go."""
        if self._writer.is_alive():
            self._queue.put(None)
            self._writer.join()
            os.close(self._file)

    def last_nonce(self, payer: bytes) -> int:
        """The last nonce that was taken of a payer; -1 before the first."""
        return self._last_nonce.get(payer, -1)

    def receipt_of(self, task: bytes) -> Receipt | None:
        """A task's receipt, if it has one."""
        place = self._place_of.get(task)
        return None if place is None else self.receipts[place]

    def place_of(self, task: bytes) -> int | None:
        """Which receipt a task's is, counted from 0."""
        return self._place_of.get(task)

    def accept(self, task: Hash32, request: Request, cost_wei: int) -> asyncio.Future[None]:
        """
        Take a request's nonce and reserve what it may cost; done when that is on disk.

        Raises
        ------
        StorageError : nothing can be written any more.
        """
        nonce, cost = request.nonce.to_bytes(8, "big"), cost_wei.to_bytes(32, "big")
        done = self._append(_ACCEPTED + task + request.payer + nonce + cost)
        self._apply_accepted(task, request.payer, request.nonce, cost_wei)
        return done

    def finish(self, receipt: Receipt) -> asyncio.Future[None]:
        """Charge for a task; done when the receipt is on disk. Raises :class:`metis.types.StorageError`."""
        task = request_digest(receipt.domain, receipt.request)
        if task in self._place_of:
            raise InvalidReceipt("task", "it was charged already")
        done = self._append(_FINISHED + encode_receipt(receipt))
        self._apply_finished(task, receipt)
        return done

    def abort(self, task: Hash32) -> asyncio.Future[None]:
        """End a task without a charge; its nonce stays taken. Raises :class:`metis.types.StorageError`."""
        done = self._append(_ABORTED + task)
        self._release(task)
        return done

    def close_batch(self, batch: Batch) -> asyncio.Future[None]:
        """Keep a batch of the receipts after those that are in one. Raises :class:`metis.types.StorageError`."""
        number, count = batch.number.to_bytes(8, "big"), batch.count.to_bytes(4, "big")
        cost = batch.cost_wei.to_bytes(32, "big")
        done = self._append(_BATCH + number + count + cost + batch.worker + batch.root + batch.signature)
        self._apply_batch(batch)
        return done

    def _apply_accepted(self, task: bytes, payer: bytes, nonce: int, cost_wei: int) -> None:
        self._last_nonce[payer] = max(nonce, self.last_nonce(payer))
        self._open[task] = (payer, cost_wei)
        self.reserved[payer] = self.reserved.get(payer, 0) + cost_wei

    def _apply_finished(self, task: bytes, receipt: Receipt) -> None:
        self._release(task)
        payer = receipt.request.payer
        self._last_nonce[payer] = max(receipt.request.nonce, self.last_nonce(payer))
        self.charged[payer] = self.charged.get(payer, 0) + receipt.cost_wei
        self._place_of[task] = len(self.receipts)
        self.receipts.append(receipt)

    def _apply_batch(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.batched += batch.count

    def _release(self, task: bytes) -> None:
        payer, cost_wei = self._open.pop(task, (b"", 0))
        if payer:
            self.reserved[payer] -= cost_wei

    def _append(self, payload: bytes) -> asyncio.Future[None]:
        """Memory is at once what the disk will be: records are written in the order in which they are made here."""
        if self._failure is not None:
            raise StorageError("io", f"the ledger cannot be written: {self._failure}")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._queue.put((_HEAD.pack(len(payload), zlib.crc32(payload)) + payload, loop, done))
        return done

    def _write(self) -> None:
        """The writer: what waits, up to a size that a torn end is known by, in one write and one sync."""
        while True:
            waiter = self._queue.get()
            group: list[_Waiter] = []
            while waiter is not None:
                group.append(waiter)
                if self._queue.empty() or sum(len(record) for record, _, _ in group) > _GROUP_BYTES_MAX:
                    break
                waiter = self._queue.get()
            failure: StorageError | None = None
            try:
                if self._failure is not None:
                    raise self._failure
                _write_all(self._file, b"".join(record for record, _, _ in group))
                os.fdatasync(self._file)
            except OSError as error:
                # After a failed sync nobody knows what is on disk: nothing more is written.
                self._failure = error
                failure = StorageError("io", f"the ledger cannot be written: {error}")
            for _, loop, done in group:
                loop.call_soon_threadsafe(_resolve, done, failure)
            if waiter is None:
                return

    def _load(self, path: Path) -> None:
        raw = path.read_bytes()
        if LEDGER_MAGIC.startswith(raw):
            # A new file, or one whose first bytes a kill has torn.
            os.ftruncate(self._file, 0)
            _write_all(self._file, LEDGER_MAGIC)
            os.fdatasync(self._file)
            return
        if raw[: len(LEDGER_MAGIC)] != LEDGER_MAGIC:
            raise StorageError("corrupt", f"{path} is no worker's ledger")
        end = len(LEDGER_MAGIC)
        for payload, after in records(raw):
            self._replay(path, payload)
            end = after
        if len(raw) - end > _GROUP_BYTES_MAX + _RECORD_BYTES_MAX:
            # A kill leaves less than that: this file was damaged, and what follows is not to be lost.
            raise StorageError("corrupt", f"{path} is damaged at byte {end}")
        os.ftruncate(self._file, end)
        os.lseek(self._file, end, os.SEEK_SET)

    def _replay(self, path: Path, payload: bytes) -> None:
        kind, body = payload[:1], payload[1:]
        if kind == _ACCEPTED and len(body) == 92:
            nonce, cost = int.from_bytes(body[52:60], "big"), int.from_bytes(body[60:], "big")
            self._apply_accepted(body[:32], body[32:52], nonce, cost)
        elif kind == _FINISHED and len(body) == RECEIPT_BYTES:
            receipt = decode_receipt(body)
            if receipt.domain != self.domain:
                raise StorageError("other-chain", f"{path} is of chain {receipt.domain.chain_id} or another contract")
            self._apply_finished(request_digest(receipt.domain, receipt.request), receipt)
        elif kind == _ABORTED and len(body) == 32:
            self._release(body)
        elif kind == _BATCH and len(body) == 161:
            self._apply_batch(_batch(self.domain, body))
        else:
            raise StorageError("corrupt", f"{path} has a record that this release does not know")


def _batch(domain: Domain, body: bytes) -> Batch:
    return Batch(
        domain,
        Address(body[44:64]),
        int.from_bytes(body[:8], "big"),
        int.from_bytes(body[8:12], "big"),
        int.from_bytes(body[12:44], "big"),
        Hash32(body[64:96]),
        body[96:],
    )


def records(raw: bytes) -> Iterator[tuple[bytes, int]]:
    """Each whole record of a ledger's bytes, with the place of its end."""
    place = len(LEDGER_MAGIC)
    while place + _HEAD.size <= len(raw):
        length, checksum = _HEAD.unpack_from(raw, place)
        end = place + _HEAD.size + length
        payload = raw[place + _HEAD.size : end]
        if length > _RECORD_BYTES_MAX or end > len(raw) or zlib.crc32(payload) != checksum:
            return
        yield payload, end
        place = end


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StorageError("locked", f"{path} is another worker's") from None


def _write_all(file: int, raw: bytes) -> None:
    view = memoryview(raw)
    while view:
        view = view[os.write(file, view) :]


def _resolve(done: asyncio.Future[None], failure: StorageError | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
