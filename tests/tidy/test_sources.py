"""Habits of the sources: public names, file sizes, and words that have no place in a repository."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.tidy.repository import CHECKOUT, files, python_modules, text_of

# A file past this wants to be two. A table-like file may be listed with the length it may have.
LINES_MAX = 450
# The stub of the one extension module: a table, which cannot be cut in two.
LONGER_FILES: dict[str, int] = {"metis/engine/_native.pyi": 1_150}

# Machines that serve packages, and folders of someone's own machine. Each is written in two pieces
# so that this file passes its own test.
FORBIDDEN_WORDS = tuple(
    "".join(pieces)
    for pieces in (
        ("/wor", "k/"),
        ("/ro", "ot/"),
        ("py", "pi.org"),
        ("pythonhos", "ted.org"),
        ("index.crates", ".io"),
        ("static.crates", ".io"),
        ("https://crates", ".io"),
        ("registry.npm", "js.org"),
        ("registry.yarn", "pkg.com"),
        ("proxy.gol", "ang.org"),
        ("repo1.mav", "en.org"),
        ("repo.mav", "en.apache.org"),
        ("deb.deb", "ian.org"),
    )
)


def public_names(path: Path) -> list[str] | None:
    """The names in a module's ``__all__``, or None when it has none or does not write them out."""
    for node in ast.parse((CHECKOUT / path).read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.Assign)
            and any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets)
            and isinstance(node.value, ast.List | ast.Tuple)
        ):
            return [ast.literal_eval(element) for element in node.value.elts]
    return None


def names_at_top(path: Path) -> set[str]:
    """Every name a module binds at its top level."""
    bound: set[str] = set()
    for node in ast.parse((CHECKOUT / path).read_text(encoding="utf-8")).body:
        for inner in ast.walk(node) if isinstance(node, ast.If | ast.Try | ast.With) else [node]:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                bound.add(inner.name)
            elif isinstance(inner, ast.Import | ast.ImportFrom):
                bound.update((alias.asname or alias.name).split(".")[0] for alias in inner.names)
            elif isinstance(inner, ast.Assign):
                bound.update(target.id for target in inner.targets if isinstance(target, ast.Name))
            elif isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                bound.add(inner.target.id)
    return bound


def reading_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions, each by alphabet: the order that ruff's RUF022 keeps."""
    if name.isupper():
        return 0, name
    return (1 if name[:1].isupper() else 2), name


@pytest.mark.parametrize("path", [path for path in python_modules() if path.suffix == ".py"], ids=str)
def test_public_names__of_a_module__are_sorted_and_exist(path: Path) -> None:
    names = public_names(path)
    if path.name == "__init__.py" and len(path.parts) == 3:
        assert names is not None, f"{path} has no __all__: say what of this part is public"
    if names is None:
        return
    assert names == sorted(set(names), key=reading_order), f"{path}: __all__ is not sorted"
    lazy = "__getattr__" in names_at_top(path)
    assert lazy or set(names) <= names_at_top(path), f"{path}: {set(names) - names_at_top(path)} is not there"


@pytest.mark.parametrize("package", sorted({path.parts[1] for path in python_modules() if len(path.parts) > 2}))
def test_part__package_docstring__says_what_goes_in_and_out(package: str) -> None:
    text = (CHECKOUT / "metis" / package / "__init__.py").read_text(encoding="utf-8")
    docstring = ast.get_docstring(ast.parse(text)) or ""
    missing = [word for word in ("In:", "Out:") if word not in docstring]
    assert not missing, f"metis/{package}: its docstring does not say {missing}"


def test_source_file__length__fits_a_reader() -> None:
    too_long = {}
    for path in files():
        of_package = path.parts[0] == "metis" and path.suffix in {".py", ".pyi"}
        of_crate = path.parts[0] == "crates" and "src" in path.parts and path.suffix == ".rs"
        if of_package or of_crate:
            line_count = len((CHECKOUT / path).read_text(encoding="utf-8").splitlines())
            if line_count > LONGER_FILES.get(str(path), LINES_MAX):
                too_long[str(path)] = line_count
    assert not too_long


def test_longer_files__list__has_no_stale_entry() -> None:
    assert not [name for name in LONGER_FILES if not (CHECKOUT / name).is_file()]


def test_repository_text__names_private_places_or_package_servers__never() -> None:
    found = []
    for path in files():
        text = text_of(path) or ""
        found += [f"{path}: {word}" for word in FORBIDDEN_WORDS if word in text]
    assert not found
