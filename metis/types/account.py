"""An account with everything it owns, as genesis documents and dumps describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from metis.types.units import Wei

__all__ = ["Account"]


@dataclass(frozen=True, slots=True)
class Account:
    """
    One entry of the world state (Yellow Paper §4.1), with code and storage in the clear.

    Attributes
    ----------
    nonce : transactions sent, or contracts created, by this account.
    balance_wei : native token.
    code : runtime bytecode; empty for an account that is no contract.
    storage : slot → value, both in [0, 2**256); zero values mean absent.
    """

    nonce: int = 0
    balance_wei: Wei = Wei(0)
    code: bytes = b""
    storage: Mapping[int, int] = field(default_factory=dict)
