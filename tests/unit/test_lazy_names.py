"""Packages that import their modules late: every public name is there, and no other."""

from __future__ import annotations

import importlib

import pytest


@pytest.mark.parametrize("package", ["metis.engine", "metis.sdk", "metis.types", "metis.vm"])
def test_package__asked_for_its_public_names__has_each(package: str) -> None:
    module = importlib.import_module(package)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_package__asked_for_another_name__says_that_there_is_none() -> None:
    module = importlib.import_module("metis.types")
    with pytest.raises(AttributeError, match=r"module 'metis\.types' has no attribute 'Nothing'"):
        _ = module.Nothing
