"""Executing again what came before a transaction in its block, so that a fork begins right after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metis.engine import decode_transaction
from metis.node.fork.client import AnswerError, Call
from metis.types import Address, BlockAttributes, DecodeError, Gas, Hash32, TimestampS, UpstreamError

if TYPE_CHECKING:
    from metis.node.fork.service import ForkService
    from metis.node.service import NodeService

__all__ = ["replay"]


async def replay(fork: ForkService, service: NodeService) -> None:
    """
    Build one block from the first transactions of the block after the fork block, as that one was built.

    Raises
    ------
    UpstreamError : the transactions cannot be had, or do not run here as they did there.
    """
    block, hashes = fork.origin.replay_block, fork.origin.replay_hashes
    if block is None:
        return
    client = fork.upstream.client
    answers = await client.batch([Call("eth_getRawTransactionByHash", (entry,)) for entry in hashes])
    transactions = []
    for transaction_hash, answer in zip(hashes, answers, strict=True):
        if isinstance(answer, AnswerError) or not isinstance(answer, str):
            raise UpstreamError("answer", client.endpoint.shown, f"has no raw transaction {transaction_hash}")
        try:
            transactions.append(decode_transaction(bytes.fromhex(answer[2:])))
        except (ValueError, DecodeError) as problem:
            raise UpstreamError(
                "garbage", client.endpoint.shown, f"transaction {transaction_hash}: {problem}"
            ) from None
    try:
        attributes = attributes_of(block)
    except (KeyError, TypeError, ValueError) as problem:
        raise UpstreamError("garbage", client.endpoint.shown, f"a block with a bad field: {problem!r}") from problem
    node = service.node
    built: dict[str, Any] = await service.miner.run(lambda: node.build_from(attributes, transactions))
    if built["dropped"]:
        refused, reason = built["dropped"][0]
        detail = f"transaction 0x{refused.hex()} does not run here as it did there: {reason}"
        raise UpstreamError("answer", client.endpoint.shown, detail)


def attributes_of(block: dict[str, Any]) -> BlockAttributes:
    """Read what the builder of a block decided; raises KeyError, TypeError or ValueError."""
    return BlockAttributes(
        timestamp_s=TimestampS(int(block["timestamp"], 16)),
        beneficiary=Address(bytes.fromhex(block["miner"][2:])),
        gas_limit=Gas(int(block["gasLimit"], 16)),
        prev_randao=Hash32(bytes.fromhex(block["mixHash"][2:])),
        extra_data=bytes.fromhex(block["extraData"][2:]),
        parent_beacon_block_root=Hash32(bytes.fromhex((block.get("parentBeaconBlockRoot") or "0x" + "00" * 32)[2:])),
    )
