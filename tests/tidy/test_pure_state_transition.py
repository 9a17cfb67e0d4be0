"""The state transition stays portable: without std and without foreign code it is still whole."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tests.tidy.repository import CHECKOUT

CRATE = CHECKOUT / "crates" / "metis-state-transition"

# What a pure function of its inputs has no use for.
IMPURE = re.compile(
    r"\bstd::(thread|fs|net|env|time|process|io)\b|\bSystemTime\b|\bInstant::|\brayon\b|\brand::|extern \"C\""
)


def test_dependencies__without_native_crypto__hold_no_foreign_code() -> None:
    """`cargo tree` is the oracle: what the crate would be linked from in a build without std."""
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed: the dependency tree cannot be listed")
    command = ["cargo", "tree", "--package", "metis-state-transition", "--no-default-features"]
    command += ["--edges", "normal", "--prefix", "none", "--format", "{p}", "--locked", "--offline"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    names = {line.split()[0] for line in listed.splitlines() if line}
    assert "revm" in names
    foreign = {"blst", "c-kzg", "secp256k1", "keccak-asm", "sha3-asm", "libc", "rayon"}
    found = sorted(name for name in names if name.endswith("-sys") or name in foreign)
    assert not found, f"foreign or threaded code in the pure state transition: {found}"


def test_sources__of_the_pure_crate__use_no_threads_files_clocks() -> None:
    for path in sorted((CRATE / "src").rglob("*.rs")):
        match = IMPURE.search(path.read_text(encoding="utf-8"))
        assert match is None, f"{path.relative_to(CHECKOUT)}: {match.group()}"


def test_crate__without_std__says_so_in_its_root() -> None:
    root = (CRATE / "src" / "lib.rs").read_text(encoding="utf-8")
    assert '#![cfg_attr(not(feature = "std"), no_std)]' in root
