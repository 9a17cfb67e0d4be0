"""A panic in Rust arrives as a Python error, and what it met is usable afterwards."""

from __future__ import annotations

import pytest

from metis import engine
from metis.engine import _native
from metis.types import EngineFault, MetisError
from tests.unit.engine.small_world import ENVIRONMENT, SPEC, open_world, transfer


@pytest.mark.parametrize("detached", [False, True])
def test_panic__in_rust__is_an_engine_fault_with_its_message(detached: bool) -> None:  # noqa: FBT001
    with pytest.raises(EngineFault, match="the sky is falling") as caught:
        _native.inject_panic("the sky is falling", detached)

    assert isinstance(caught.value, MetisError)


def test_panic__while_a_store_is_open__leaves_the_store_usable() -> None:
    store = open_world()
    before = store.state_root()

    with pytest.raises(EngineFault):
        _native.inject_panic("now", True)  # noqa: FBT003

    outcome = engine.execute_transactions(store, SPEC, ENVIRONMENT, [transfer()], commit=True)
    assert store.state_root(0) == before
    assert store.state_root() == outcome.state_root


def test_panic__many_times__always_arrives() -> None:
    for _ in range(100):
        with pytest.raises(EngineFault):
            _native.inject_panic("again")
