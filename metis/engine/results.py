"""The engine's answers as :mod:`metis.types` values."""

from __future__ import annotations

from typing import Any

from metis.types import Address, Hash32, Log, Receipt, TransactionOutcome

__all__ = ["outcome_from", "receipt_from"]


def outcome_from(fields: dict[str, Any]) -> TransactionOutcome:
    """Make an outcome of the keyword arguments that the engine gives for it."""
    return TransactionOutcome(**{**fields, "logs": _logs_from(fields["logs"])})


def receipt_from(fields: dict[str, Any]) -> Receipt:
    """Make a receipt of the keyword arguments that the engine gives for it."""
    return Receipt(**{**fields, "logs": _logs_from(fields["logs"])})


def _logs_from(logs: list[tuple[Address, list[Hash32], bytes]]) -> tuple[Log, ...]:
    return tuple(Log(address, tuple(topics), data) for address, topics, data in logs)
