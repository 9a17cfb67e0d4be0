"""New blocks in the place of old ones, as anvil_reorg builds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from metis.engine import Node, TransactionHandle, decode_transaction, keccak256, unsigned_transaction
from metis.node.next_block import TIP_WEI, NextBlock
from metis.rpc.namespaces import Signer
from metis.rpc.namespaces.filling import FillDefaults, fill_transaction
from metis.rpc.namespaces.happenings import HeadChange
from metis.rpc.namespaces.transaction_arguments import TransactionFields
from metis.types import Hash32

__all__ = ["new_blocks"]


class Builder(Protocol):
    """What building them needs of the running node."""

    node: Node
    signer: Signer
    call_gas_max: int
    next_block: NextBlock


def new_blocks(host: Builder, contents: Sequence[Sequence[Any]]) -> list[HeadChange]:
    """
    Build a block of each content on the head; on the builder's thread.

    Parameters
    ----------
    contents : for each block its transactions: raw, or the fields of one that is filled in here.

    Raises
    ------
    InvalidTransaction : one of them may not be in its block.
    """
    heads = []
    for content in contents:
        attributes = host.next_block.attributes()
        # An empty block in the same second would be the one that it replaces.
        other = keccak256(b"reorganised" + attributes.prev_randao)
        built = host.node.build_from(replace(attributes, prev_randao=Hash32(other)), _handles(host, content))
        for _, problem in built["dropped"]:
            raise problem
        host.next_block.used(attributes)
        block = built["block"]
        heads.append(HeadChange(block.number, Hash32(block.hash)))
    return heads


def _handles(host: Builder, content: Sequence[Any]) -> list[TransactionHandle]:
    sent: Counter[bytes] = Counter()
    handles = []
    for entry in content:
        handle = decode_transaction(entry) if isinstance(entry, bytes) else _filled(host, entry, sent)
        sent[handle.sender] += 1
        handles.append(handle)
    return handles


def _filled(host: Builder, fields: TransactionFields, sent: Counter[bytes]) -> TransactionHandle:
    node, signer = host.node, host.signer
    sender = fields.get("from", signer.addresses[0] if signer.addresses else None)
    if sender is not None and "nonce" not in fields:
        fields = {**fields, "nonce": node.nonce(sender, node.head_number) + sent[sender]}
    defaults = FillDefaults(node.spec.chain_id, node.next_base_fee_wei(), TIP_WEI, host.call_gas_max, sender)
    transaction = fill_transaction(node, fields, defaults)
    if signer.has(transaction.sender):
        return decode_transaction(signer.sign_transaction(transaction))
    return unsigned_transaction(transaction)
