"""The order of the parts, and who may name what: tests/tidy/layers.py against the sources."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.tidy.layers import (
    CRATES_THAT_NAME,
    KEPT_OUT_OF_STATE_TRANSITION,
    WITHOUT_THIRD_PARTY,
    layer_of,
    may_import,
)
from tests.tidy.repository import CHECKOUT, files, python_modules


def imports_of(path: Path) -> set[str]:
    """Every module that a source file imports anywhere, by full name; also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse((CHECKOUT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            module = node.module or ""
            names.add(module)
            # `from metis.engine import _native` imports a module, not only a name of one.
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return names


def package_of(path: Path) -> str | None:
    """The part a module belongs to, or None for metis/__init__.py and what stands beside it."""
    return path.parts[1] if len(path.parts) > 2 else None


def parts_imported_by(path: Path) -> set[str]:
    """The parts, below ``metis``, that a module imports."""
    return {name.split(".")[1] for name in imports_of(path) if name.startswith("metis.")}


@pytest.mark.parametrize("path", python_modules(), ids=str)
def test_part__imports_another__only_from_earlier_layers(path: Path) -> None:
    package = package_of(path)
    parts = {part for part in parts_imported_by(path) if (CHECKOUT / "metis" / part).exists()}
    if path.name == "__main__.py" and package is None:
        package = "cli"
    if package is None:
        assert not parts, f"{path} is imported by every part, so it imports none"
        return
    wrong = {part for part in parts if not may_import(package, part)}
    assert not wrong, f"{path}: {package} may not import {sorted(wrong)} (tests/tidy/layers.py)"


def test_part__exists__has_a_layer() -> None:
    for path in python_modules():
        if (package := package_of(path)) is not None:
            layer_of(package)


@pytest.mark.parametrize("path", python_modules(), ids=str)
def test_native_module__is_imported__only_by_engine(path: Path) -> None:
    if package_of(path) != "engine":
        assert not {name for name in imports_of(path) if "._native" in name}


@pytest.mark.parametrize("package", sorted(WITHOUT_THIRD_PARTY))
def test_foundation__imports_third_party__never(package: str) -> None:
    for path in python_modules():
        if package_of(path) == package:
            roots = {name.split(".")[0] for name in imports_of(path)}
            outside = roots - sys.stdlib_module_names - {"metis"}
            assert not outside, f"{path} imports {sorted(outside)}"


# Distributions that are imported under another name than their own.
IMPORTED_AS = {"py_evm": "eth", "scikit_learn": "sklearn", "titanoboa": "boa"}


def distributions(requirements: list[str]) -> set[str]:
    """The import names of required distributions."""
    names = {re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("-", "_") for requirement in requirements}
    return {IMPORTED_AS.get(name, name) for name in names}


@pytest.mark.parametrize("folder", ["metis", "tests", "benches", "examples", "fuzz"])
def test_third_party_package__is_imported__only_when_declared(folder: str) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = distributions(project["dependencies"])
    if folder != "metis":
        declared |= distributions(extras["dev"]) | distributions(extras["ai"])
    ours = {"metis", "tests", "benches", "examples", "fuzz"}
    # tests/differential also runs in the executable specification's environment, which declares its own.
    for path in files():
        if path.parts[0] == folder and path.suffix == ".py" and path.parts[:2] != ("tests", "differential"):
            roots = {name.split(".")[0] for name in imports_of(path)}
            outside = roots - sys.stdlib_module_names - ours - declared
            if path.parts[:2] == ("metis", "ai"):
                outside -= distributions(extras["ai"])
            if path.parts[:3] == ("metis", "cli", "demo"):
                outside -= distributions(extras["ai"]) | distributions(extras["demo"])
            if path.parts[:2] == ("metis", "boa"):
                outside -= distributions(extras["boa"])
            assert not outside, f"{path} imports {sorted(outside)}: declare it in pyproject.toml"


def rust_code(text: str) -> str:
    """Rust source without comments and string literals, which may speak of any crate."""
    without_strings = re.sub(r'"(?:\\.|[^"\\])*"', '""', text)
    without_blocks = re.sub(r"/\*.*?\*/", "", without_strings, flags=re.DOTALL)
    return re.sub(r"//[^\n]*", "", without_blocks)


def names_crate(code: str, crate: str) -> bool:
    """Whether Rust code uses a crate or one of its family (``revm_primitives`` is revm's)."""
    family = rf"\b{crate}(?:_[a-z0-9_]+)?"
    return re.search(rf"{family}\s*::|\buse\s+{family}\b|\bextern\s+crate\s+{family}\b", code) is not None


def sources_of(crate: str) -> list[Path]:
    return [path for path in files() if path.parts[:2] == ("crates", crate) and path.suffix == ".rs"]


CRATES = sorted({path.parts[1] for path in files() if path.parts[0] == "crates" and path.name == "Cargo.toml"})


@pytest.mark.parametrize("named", sorted(CRATES_THAT_NAME))
@pytest.mark.parametrize("crate", CRATES)
def test_crate__names_a_reserved_crate__only_where_allowed(crate: str, named: str) -> None:
    if crate in CRATES_THAT_NAME[named]:
        return
    manifest = tomllib.loads((CHECKOUT / "crates" / crate / "Cargo.toml").read_text(encoding="utf-8"))
    for table in ("dependencies", "dev-dependencies", "build-dependencies"):
        listed = {name for name in manifest.get(table, {}) if name == named or name.startswith(f"{named}-")}
        assert not listed, f"{crate}/Cargo.toml [{table}] names {sorted(listed)}"
    for path in sources_of(crate):
        code = rust_code((CHECKOUT / path).read_text(encoding="utf-8"))
        assert not names_crate(code, named), f"{path} names {named}"


@pytest.mark.parametrize("word", KEPT_OUT_OF_STATE_TRANSITION)
def test_state_transition__knows_of_its_surroundings__never(word: str) -> None:
    for path in sources_of("metis-state-transition"):
        if "src" in path.parts:
            text = (CHECKOUT / path).read_text(encoding="utf-8")
            code = re.sub(r"//[^\n]*", "", text) if '"' in word else rust_code(text)
            assert word not in code, f"{path} uses {word}"


def test_names_crate__prose_and_strings__do_not_count() -> None:
    code = rust_code('//! revm::handler does this\n/* use revm; */ let version = "revm::x";')
    assert not names_crate(code, "revm")
    assert names_crate(rust_code("let x = revm_primitives::B256::ZERO;"), "revm")
    assert names_crate(rust_code("use revm as engine;"), "revm")
