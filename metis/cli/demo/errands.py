"""What the users send: questions, images, claims and coins, another mixture in each wave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from metis.cli.contract_files import call_data
from metis.cli.demo.users import Message
from metis.sdk import INFERENCE
from metis.types import Address, Hash32

__all__ = ["PRICE_WEI", "Errands", "answered"]

PRICE_WEI: Final = 10**12
"""What a run of each model pays its owner."""
_TRANSFER_WEI: Final = 10**15


@dataclass(frozen=True, slots=True)
class Errands:
    """
    Everything that there is to send.

    Attributes
    ----------
    users : places of the accounts that send. addresses : of all accounts.
    classifier : of digits. images : its inputs. labels : what they show. bounties : contracts by their digit.
    nearest : the contract that answers. questions : its inputs; none where there is no encoder.
    asks : users that ask a question in each wave.
    """

    users: range
    addresses: Sequence[Address]
    classifier: Hash32
    images: Sequence[bytes]
    labels: Sequence[int]
    bounties: Sequence[Address]
    nearest: Address | None
    questions: Sequence[bytes]
    asks: int

    def of_wave(self, wave: int) -> list[tuple[int, Message]]:
        """Who sends what."""
        count = len(self.users)
        return [(user, self._one(place, wave * count + place)) for place, user in enumerate(self.users)]

    def _one(self, place: int, turn: int) -> Message:
        if self.nearest is not None and place < self.asks:
            question = turn % len(self.questions)
            data = call_data("ask(bytes)", self.questions[question])
            return Message("ask", self.nearest, data, PRICE_WEI, question)
        image = turn % len(self.images)
        if place % 4 == 0:
            receiver = self.addresses[self.users[(place + 1) % len(self.users)]]
            return Message("transfer", receiver, value_wei=_TRANSFER_WEI)
        if place % 4 == 1:
            data = call_data("claim(bytes)", self.images[image])
            return Message("claim", self.bounties[self.labels[image]], data, PRICE_WEI)
        data = call_data("infer(bytes32,bytes)", self.classifier, self.images[image])
        return Message("infer", INFERENCE, data, PRICE_WEI)


def answered(receipt: Any) -> int:
    """The place of the answer that a question was given, from the contract's event."""
    data = bytes.fromhex(receipt["logs"][-1]["data"][2:])
    return int.from_bytes(data[:32], "big")
