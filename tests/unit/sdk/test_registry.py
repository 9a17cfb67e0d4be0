"""Parts by name, from installed packages."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from metis.sdk import Network, available_parts
from metis.sdk.registry import create_part
from metis.types import CompositionError

MODULE = """
from metis.sdk import EthereumFees, MemoryStateStore

class Store(MemoryStateStore):
    name = "third-party"

not_callable = 3
"""

ENTRY_POINTS = """
[metis.state_store]
third-party = third_party_parts:Store
broken = third_party_parts:Absent
constant = third_party_parts:not_callable
wrong = third_party_parts:EthereumFees
"""


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package that adds parts, as pip would lay it out."""
    (tmp_path / "third_party_parts.py").write_text(MODULE, encoding="utf-8")
    _install(tmp_path, "third_party_parts", ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "third_party_parts", raising=False)
    return tmp_path


def _install(folder: Path, name: str, entry_points: str) -> None:
    metadata = folder / f"{name}-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text(entry_points, encoding="utf-8")


def test_available_parts__without_other_packages__are_the_built_in_ones() -> None:
    assert available_parts("state_store") == ("memory", "metisdb")
    assert available_parts("virtual_machine") == ("interpreter", "metisvm")
    assert available_parts("executor") == ("parallel", "sequential")
    assert available_parts("fee_policy") == ("collected", "ethereum")


@pytest.mark.usefixtures("third_party")
def test_part__of_an_installed_package__is_found_by_its_name() -> None:
    assert "third-party" in available_parts("state_store")

    network = Network.compose(name="mine", chain=Network.from_preset("hyperion").chain, state_store="third-party")

    assert network.state_store.name == "third-party"
    assert network.open().store.block_number == 0


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("broken", "cannot be loaded"),
        ("constant", "cannot be called"),
        ("wrong", "no member 'open' of StateStore"),
    ],
)
def test_part__of_an_installed_package_that_does_not_fit__error_says_why(name: str, problem: str) -> None:
    with pytest.raises(CompositionError, match=problem) as caught:
        create_part("state_store", name)

    assert (caught.value.interface, caught.value.name) == ("StateStore", name)


def test_part__claimed_by_two_packages__error_names_both(third_party: Path) -> None:
    _install(third_party, "another_package", ENTRY_POINTS)

    with pytest.raises(CompositionError, match="another_package, third_party_parts"):
        create_part("state_store", "third-party")


def test_part__with_options_it_takes__gets_them() -> None:
    part = create_part("state_store", "memory", {"kept_block_count": 3})

    assert getattr(part, "kept_block_count", None) == 3


def test_part__with_an_option_it_does_not_take__is_refused() -> None:
    with pytest.raises(CompositionError, match="'colour'"):
        create_part("state_store", "memory", {"colour": "red"})


def test_part__without_an_option_it_needs__is_refused() -> None:
    with pytest.raises(CompositionError, match="'base_fee_recipient'"):
        create_part("fee_policy", "collected")
