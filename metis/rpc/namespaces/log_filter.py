"""Which logs a client wants: addresses, topics by position, and blocks. Source: go-ethereum ``filters/api.go``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from metis.rpc.errors import ErrorCode, RpcError
from metis.rpc.parameters import BadValue, address, block_number_or_tag, hash32, list_of, object_of
from metis.types import Address, BlockNumber, Hash32

__all__ = ["LogFilter", "log_filter", "log_selector"]

ADDRESS_COUNT_MAX = 1_000
TOPIC_ALTERNATIVE_COUNT_MAX = 1_000
TOPIC_POSITION_COUNT = 4


@dataclass(frozen=True, slots=True)
class LogFilter:
    """
    A wish for logs; also the selector of a ``logs`` subscription.

    Attributes
    ----------
    addresses : of contracts; none means all.
    topics : alternatives by position; None at a position takes anything.
    from_block, to_block : heights or tags, None where not given. block_hash : instead of both.
    """

    addresses: tuple[Address, ...] = ()
    topics: tuple[tuple[Hash32, ...] | None, ...] = ()
    from_block: BlockNumber | str | None = None
    to_block: BlockNumber | str | None = None
    block_hash: Hash32 | None = None

    def accepts(self, event: Any) -> bool:
        """Whether a log, as decoded JSON with bytes for ``address`` and ``topics``, is wanted."""
        if self.addresses and event["address"] not in self.addresses:
            return False
        topics = event["topics"]
        if len(self.topics) > len(topics):
            return False
        return all(wanted is None or found in wanted for wanted, found in zip(self.topics, topics, strict=False))


def _addresses(value: Any) -> tuple[Address, ...]:
    if type(value) is list:
        return tuple(list_of(address, ADDRESS_COUNT_MAX)(value))
    return (address(value),)


def _topic(value: Any) -> tuple[Hash32, ...] | None:
    if value is None:
        return None
    if type(value) is not list:
        return (hash32(value),)
    if any(entry is None for entry in value):
        return None  # geth: null among alternatives takes anything
    return tuple(list_of(hash32, TOPIC_ALTERNATIVE_COUNT_MAX)(value)) or None


_fields = object_of(
    {
        "address": _addresses,
        "topics": list_of(_topic),
        "fromBlock": block_number_or_tag,
        "toBlock": block_number_or_tag,
        "blockHash": hash32,
    }
)


def log_filter(value: Any) -> LogFilter:
    """Parse a filter object."""
    fields = _fields(value)
    if "blockHash" in fields and ("fromBlock" in fields or "toBlock" in fields):
        raise BadValue("cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other")
    topics = tuple(fields.get("topics", ()))
    if len(topics) > TOPIC_POSITION_COUNT:
        raise RpcError(ErrorCode.INVALID_PARAMS, "exceed max topics")
    return LogFilter(
        addresses=fields.get("address", ()),
        topics=topics,
        from_block=fields.get("fromBlock"),
        to_block=fields.get("toBlock"),
        block_hash=fields.get("blockHash"),
    )


def log_selector(value: Any) -> LogFilter | None:
    """Parse the options of a ``logs`` subscription: addresses and topics, blocks do not matter."""
    if value is None:
        return None
    found = log_filter(value)
    return LogFilter(addresses=found.addresses, topics=found.topics) if found.addresses or found.topics else None
