"""What the calls of a client return."""

from __future__ import annotations

import dataclasses

from metis.ai.receipt import Domain, Receipt
from metis.types import Address, Hash32

__all__ = [
    "Classification",
    "Classifications",
    "Completion",
    "Embeddings",
    "Piece",
    "Progress",
    "ServedModel",
    "WorkerFacts",
]


@dataclasses.dataclass(frozen=True, slots=True)
class WorkerFacts:
    """What a worker says of itself. Whom to trust with it is the reader's: give a client what it should find."""

    worker: Address
    domain: Domain
    price_wei: int


@dataclasses.dataclass(frozen=True, slots=True)
class ServedModel:
    """A model of a worker: ``units`` of one run, which costs ``run_cost_wei``."""

    name: str
    id: Hash32
    kind: str
    units: int
    run_cost_wei: int


@dataclasses.dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector for each text, and the receipt."""

    vectors: tuple[tuple[float, ...], ...]
    task: Hash32
    receipt: Receipt


@dataclasses.dataclass(frozen=True, slots=True)
class Classification:
    """The class with the greatest score, and all scores."""

    label: int
    scores: tuple[float, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Classifications:
    """One classification for each sample, and the receipt."""

    samples: tuple[Classification, ...]
    task: Hash32
    receipt: Receipt


@dataclasses.dataclass(frozen=True, slots=True)
class Completion:
    """A text that was written, and the receipt."""

    text: str
    finish_reason: str
    task: Hash32
    receipt: Receipt


@dataclasses.dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text that is being written; the last one has the receipt."""

    text: str
    receipt: Receipt | None


@dataclasses.dataclass(frozen=True, slots=True)
class Progress:
    """How far a task is: "waiting", "queued", "running", "finished", "cancelled" or "failed"."""

    state: str
    runs_done: int
    runs_max: int
