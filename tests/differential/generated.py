"""
Random cases from a Random: the same generators serve Hypothesis, which shrinks, and plain seeds.

Hypothesis' own Random is driven by its choices, so a failing case is reduced by drawing simpler
values, and every case is reproducible from what the test prints.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.differential.case import ChainCase, TransactionsCase
from tests.differential.compare import assert_same
from tests.differential.oracle_client import Oracle

__all__ = ["check_generated"]

SEED_VARIABLE = "METIS_DIFFERENTIAL_SEED"


def check_generated(
    oracle: Oracle, generate: Callable[..., TransactionsCase | ChainCase], examples: int, **arguments: Any
) -> dict[str, int]:
    """
    Compare ``examples`` cases of ``generate(random, **arguments)``; returns how many outcomes were of which kind.

    The cases are the same whenever the same tests are run together: Hypothesis also draws constants
    that it finds in loaded modules. With METIS_DIFFERENTIAL_SEED set to a number they are others, the
    same for the same number.
    """
    covered: dict[str, int] = {}

    def check(random: Random) -> None:
        case = generate(random, **arguments)
        count(covered, assert_same(oracle, case))

    # Hypothesis derives its choices from this name: every generator and argument gets its own.
    check.__name__ = "_".join(
        [generate.__module__.rpartition(".")[2], generate.__name__, *map(str, arguments.values())]
    )
    bounded = settings(settings.get_profile("differential"), max_examples=examples)(
        given(st.randoms(use_true_random=False))(check)
    )
    if SEED_VARIABLE in os.environ:
        bounded = seed(int(os.environ[SEED_VARIABLE]))(bounded)
    bounded()
    return covered


def count(covered: dict[str, int], answer: dict[str, Any]) -> None:
    """Add one oracle answer to the tally: outcomes by kind."""
    transactions = answer.get("transactions")
    if transactions is None:
        transactions = [item for block in answer["blocks"] if block["built"] for item in block["transactions"]]
    for outcome in transactions:
        kind = outcome["status"] if outcome["accepted"] else "refused"
        covered[kind] = covered.get(kind, 0) + 1
