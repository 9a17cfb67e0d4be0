"""Many receipts under one root, so that a payer can show what was billed and a contract reads 32 bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from metis.ai.receipt.fields import Domain, Receipt
from metis.ai.receipt.signing import batch_digest, receipt_digest, sign_digest, signer_of
from metis.engine import keccak256
from metis.types import Address, Hash32, InvalidReceipt

__all__ = ["Batch", "batch_leaf", "batch_path", "verify_in_batch"]

_BATCH: Final = b"metis/ai/batch/v1\x00"


@dataclasses.dataclass(frozen=True, slots=True)
class Batch:
    """
    Receipts of one worker, in the order in which they were issued.

    Attributes
    ----------
    number : counts the worker's batches from 0.
    count : how many receipts. cost_wei : what they cost together.
    root : over their leaves. signature : the worker's, over all of this.
    """

    domain: Domain
    worker: Address
    number: int
    count: int
    cost_wei: int
    root: Hash32
    signature: bytes

    @classmethod
    def of(cls, domain: Domain, worker: Address, number: int, receipts: Sequence[Receipt], private_key: bytes) -> Batch:
        """The signed batch of receipts. There is at least one."""
        cost_wei = sum(receipt.cost_wei for receipt in receipts)
        root = _root(len(receipts), _levels([batch_leaf(receipt) for receipt in receipts])[-1][0])
        signature = sign_digest(batch_digest(domain, worker, number, len(receipts), cost_wei, root), private_key)
        return cls(domain, worker, number, len(receipts), cost_wei, root, signature)


def batch_leaf(receipt: Receipt) -> Hash32:
    """A receipt in a batch: who pays how much, and the hash of all that the worker signed."""
    cost = receipt.cost_wei.to_bytes(32, "big")
    return keccak256(b"\x00" + receipt.request.payer + cost + receipt_digest(receipt))


def batch_path(receipts: Sequence[Receipt], index: int) -> list[bytes]:
    """The partners that lead from a receipt to the top of its batch, lowest first."""
    path: list[bytes] = []
    for level in _levels([batch_leaf(receipt) for receipt in receipts])[:-1]:
        if index ^ 1 < len(level):
            path.append(level[index ^ 1])
        index //= 2
    return path


def verify_in_batch(batch: Batch, receipt: Receipt, index: int, path: Sequence[bytes]) -> None:
    """
    Check that a receipt is the one at ``index`` of a batch that its worker signed.

    Raises
    ------
    InvalidReceipt : it is not; the field is "batch-signature", "batch-index" or "batch-path".
    """
    digest = batch_digest(batch.domain, batch.worker, batch.number, batch.count, batch.cost_wei, batch.root)
    if batch.worker != receipt.request.worker or signer_of(digest, batch.signature) != batch.worker:
        raise InvalidReceipt("batch-signature", "the receipt's worker has not signed this batch")
    if not 0 <= index < batch.count:
        raise InvalidReceipt("batch-index", f"{index} of {batch.count}")
    node, place, width, rest = batch_leaf(receipt), index, batch.count, list(path)
    while width > 1:
        if place ^ 1 < width:
            if not rest:
                raise InvalidReceipt("batch-path", "it is too short")
            partner = rest.pop(0)
            node = _parent(partner, node) if place & 1 else _parent(node, partner)
        place, width = place // 2, (width + 1) // 2
    if rest or _root(batch.count, node) != batch.root:
        raise InvalidReceipt("batch-path", "it does not lead to the root: the batch has another receipt there")


def _parent(left: bytes, right: bytes) -> Hash32:
    return keccak256(b"\x01" + left + right)


def _levels(leaves: list[Hash32]) -> list[list[Hash32]]:
    levels = [leaves]
    while len(levels[-1]) > 1:
        level = levels[-1]
        above = [_parent(level[left], level[left + 1]) for left in range(0, len(level) - 1, 2)]
        levels.append(above + level[len(above) * 2 :])
    return levels


def _root(count: int, top: bytes) -> Hash32:
    return keccak256(_BATCH + count.to_bytes(4, "little") + top)
