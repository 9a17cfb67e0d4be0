"""What the demonstration found out: everything that its tables, its page and its JSON show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from metis.types import Hash32

__all__ = [
    "Crash",
    "Crowd",
    "LanguageModel",
    "Parallel",
    "PublishedModel",
    "Receipts",
    "Results",
    "Score",
    "Verdict",
    "Wave",
]


@dataclass(frozen=True, slots=True)
class Score:
    """How good a model is before and after it was made one of integers."""

    measure: str
    of_float: float
    of_integer: float


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """
    A model that contracts can call.

    Attributes
    ----------
    macs : of one run. size_bytes : of graph and weights. gas : of one run, call data aside.
    """

    name: str
    id: Hash32
    macs: int
    size_bytes: int
    gas: int
    score: Score


@dataclass(frozen=True, slots=True)
class Wave:
    """What many users sent at once. Times are from the first byte sent to the last receipt known."""

    transactions: int
    inferences: int
    succeeded: int
    blocks: int
    gas: int
    send_ms: float
    mine_ms: float


@dataclass(frozen=True, slots=True)
class Crowd:
    """All waves, and what the models' owner earned by them."""

    waves: tuple[Wave, ...]
    users: int
    answers_asked: int
    answers_right: int
    bounties_paid: int
    earned_wei: int
    expected_wei: int

    @property
    def transactions(self) -> int:
        """Of all waves."""
        return sum(wave.transactions for wave in self.waves)

    @property
    def inferences(self) -> int:
        """Of all waves."""
        return sum(wave.inferences for wave in self.waves)


@dataclass(frozen=True, slots=True)
class Crash:
    """The node was killed while it built a block, and started again."""

    reported_transactions: int
    lost: int
    head_before: int
    head_after: int
    sent_again: int
    restart_ms: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a second node says that executed every block itself."""

    blocks: int
    transactions: int
    mismatches: int
    execute_ms: float
    refused: dict[str, str]


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """
    A language model written in EVM bytecode, interpreted and compiled.

    Attributes
    ----------
    compiled_share : of the frames with code, those that began in compiled code.
    """

    gas: int
    interpreted_ms: float
    compiled_ms: float
    compile_ms: float
    compiled_share: float

    @property
    def speedup(self) -> float:
        """How much sooner the compiled code is done."""
        return self.interpreted_ms / self.compiled_ms


@dataclass(frozen=True, slots=True)
class Parallel:
    """
    The crowd's blocks executed again, one transaction after the other and many at a time.

    Attributes
    ----------
    dependent : transactions that read what one before them in their block wrote. reruns : transactions that were run
        again because they had been run before that one.
    speedup_max : gas of the blocks over that of their longest chains: no number of cores does better, but where calls
        only add to slots, which counts as a dependency here.
    accounts, slots_read, slots_written : that the blocks accessed, each counted once in a block.
    """

    blocks: int
    transactions: int
    workers: int
    sequential_ms: float
    parallel_ms: float
    dependent: int
    reruns: int
    speedup_max: float
    accounts: int
    slots_read: int
    slots_written: int

    @property
    def speedup(self) -> float:
        """How much sooner many at a time are done."""
        return self.sequential_ms / self.parallel_ms


@dataclass(frozen=True, slots=True)
class Receipts:
    """
    Requests to a worker off the chain.

    Attributes
    ----------
    valid : receipts that were verified by executing their task again.
    falsified_operator, pinpointed_operator : of a receipt that lies; the second is "" where it was not found.
    """

    requests: int
    valid: int
    cost_wei: int
    ask_ms: float
    verify_ms: float
    falsified_operator: str
    pinpointed_operator: str


@dataclass(slots=True)
class Results:
    """
    Filled in as the story goes on; what was left out stays None, and ``left_out`` says why.

    Attributes
    ----------
    inferences : on the chain, in all transactions.
    """

    machine: dict[str, Any] = field(default_factory=dict)
    models: list[PublishedModel] = field(default_factory=list)
    inferences: int = 0
    crowd: Crowd | None = None
    crash: Crash | None = None
    verdict: Verdict | None = None
    parallel: Parallel | None = None
    receipts: Receipts | None = None
    language_model: LanguageModel | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything that was tried is as it should be."""
        return not self.problems
