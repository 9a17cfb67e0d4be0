"""The engine of models stays portable: without std it builds, from nothing but Rust."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.tidy.repository import CHECKOUT

CRATE = CHECKOUT / "crates" / "metis-inference"


def cargo(*arguments: str) -> str:
    if shutil.which("cargo") is None:
        pytest.skip("cargo is not installed: the crate cannot be built")
    command = ["cargo", *arguments, "--package", "metis-inference", "--no-default-features", "--locked", "--offline"]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_dependencies__without_std__hold_no_files_and_foreign_code() -> None:
    listed = cargo("tree", "--edges", "normal", "--prefix", "none", "--format", "{p}")
    names = {line.split()[0] for line in listed.splitlines() if line}
    assert "metis-inference" in names
    assert not names & {"libc", "rayon"}


def test_crate__without_std__builds() -> None:
    assert '#![cfg_attr(not(feature = "std"), no_std)]' in (CRATE / "src" / "lib.rs").read_text(encoding="utf-8")
    cargo("check")
