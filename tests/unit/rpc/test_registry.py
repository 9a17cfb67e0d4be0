"""The registry: names, parameters by position, optional tails, and lists of what there is."""

from __future__ import annotations

from typing import Any

import pytest

from metis.rpc import REQUIRED, InvalidParameter, Kind, MethodRegistry, Parameter, register_introspection
from metis.rpc.parameters import any_json, block_id, boolean, quantity


def registry_with(*parameters: Parameter) -> MethodRegistry:
    registry = MethodRegistry()
    registry.add("test_method", Kind.HOT, lambda *arguments: list(arguments), *parameters)
    return registry


def arguments_of(registry: MethodRegistry, params: list[Any]) -> list[Any]:
    method = registry.method("test_method")
    assert method is not None
    return method.arguments(params)


AMOUNT = Parameter("amount", quantity)
BLOCK = Parameter("block", block_id, "latest")
FULL = Parameter("full", boolean, default=False)


@pytest.mark.parametrize(
    ("params", "arguments"),
    [
        (["0x1"], [1, "latest", False]),
        (["0x1", None], [1, "latest", False]),
        (["0x1", "0x2"], [1, 2, False]),
        (["0x1", None, True], [1, "latest", True]),
        (["0x1", "safe", None], [1, "safe", False]),
    ],
)
def test_parameters__with_optional_tail__are_filled_up(params: list[Any], arguments: list[Any]) -> None:
    assert arguments_of(registry_with(AMOUNT, BLOCK, FULL), params) == arguments


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([], "invalid argument 0 (amount): missing value for required argument"),
        ([None], "invalid argument 0 (amount): missing value for required argument"),
        (["1"], "invalid argument 0 (amount): hex string without 0x prefix"),
        (["0x1", "0x"], 'invalid argument 1 (block): hex string "0x"'),
        (["0x1", "latest", 1], "invalid argument 2 (full): expected true or false, got number"),
        (["0x1", "latest", True, 1], "invalid argument 3: too many arguments, want at most 3"),
    ],
)
def test_parameters__wrong__are_named_by_position_and_name(params: list[Any], message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        arguments_of(registry_with(AMOUNT, BLOCK, FULL), params)
    assert (caught.value.code, caught.value.message) == (-32602, message)


def test_parameters__required_and_null__may_be_taken_by_their_parser() -> None:
    assert arguments_of(registry_with(Parameter("any", any_json, REQUIRED)), [None]) == [None]


def test_registration__of_a_wrong_name__fails() -> None:
    registry = registry_with()
    for name in ("chainId", "_x", "eth_", "Eth_x", "eth chain_id", ""):
        with pytest.raises(ValueError, match="method name"):
            registry.add(name, Kind.HOT, list)
    with pytest.raises(ValueError, match="twice"):
        registry.add("test_method", Kind.HOT, list)
    with pytest.raises(ValueError, match="optional"):
        registry.add("test_other", Kind.HOT, list, BLOCK, AMOUNT)


def test_registry__asked_for_its_methods__lists_them_sorted_with_summaries() -> None:
    registry = registry_with(AMOUNT)
    register_introspection(registry)

    @registry.pool("abc_later", AMOUNT)
    def later(amount: int) -> int:
        """
        Summary.

        More.
        """
        return amount

    registry.alias("xyz_later", of="abc_later")
    assert [method.name for method in registry] == ["abc_later", "rpc_modules", "test_method", "xyz_later"]
    assert [method.namespace for method in registry] == ["abc", "rpc", "test", "xyz"]
    assert registry.namespaces() == {"abc": "1.0", "rpc": "1.0", "test": "1.0", "xyz": "1.0"}
    alias = registry.method("xyz_later")
    assert alias is not None
    assert (alias.summary, alias.kind, alias.handler) == ("Summary.", Kind.POOL, later)
    assert "xyz_later" in registry
    assert len(registry) == 4


def test_registry__including_another__takes_all_or_the_named() -> None:
    engine = MethodRegistry()
    engine.include(registry_with(AMOUNT))
    assert "test_method" in engine
    eth = MethodRegistry()
    eth.include(engine, names=frozenset())
    assert len(eth) == 0


def test_promised_methods__asked_for__are_registered_once_and_all_together() -> None:
    registry = MethodRegistry()
    runs = []

    def register() -> None:
        runs.append(1)
        registry.add("test_one", Kind.HOT, lambda: 1)
        registry.add("test_two", Kind.HOT, lambda: 2)

    registry.later(("test_one", "test_two"), register)
    assert (len(registry), "test_two" in registry, registry.namespaces()) == (2, True, {"test": "1.0"})
    assert (runs, dict(registry.known)) == ([], {})
    assert registry.method("test_other") is None
    assert runs == []
    found = registry.method("test_two")
    assert found is not None
    assert (found.handler(), runs) == (2, [1])
    assert [method.name for method in registry] == ["test_one", "test_two"]
    assert runs == [1]


def test_promise__of_a_name_that_is_taken__is_refused() -> None:
    registry = registry_with()
    with pytest.raises(ValueError, match="test_method is registered twice"):
        registry.later(("test_method",), lambda: None)
    registry.later(("test_later",), lambda: None)
    with pytest.raises(ValueError, match="test_later is registered twice"):
        registry.add("test_later", Kind.HOT, lambda: None)


@pytest.mark.parametrize("added", [(), ("test_one", "test_more")])
def test_promise__that_is_not_kept__is_a_mistake_with_the_names(added: tuple[str, ...]) -> None:
    registry = MethodRegistry()

    def register() -> None:
        for name in added:
            registry.add(name, Kind.HOT, lambda: None)

    registry.later(("test_one",), register)
    with pytest.raises(ValueError, match="promised were"):
        registry.method("test_one")
