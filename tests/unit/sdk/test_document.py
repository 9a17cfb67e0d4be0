"""docs/sdk.md: its file, its program and its table."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from metis.sdk import available_parts
from metis.sdk.registry import INTERFACES
from tests.tidy.repository import CHECKOUT, fences, text_of

PAGE = Path("docs/sdk.md")


def _fence(language: str) -> str:
    (found,) = ("\n".join(fence.lines) for fence in fences(text_of(PAGE) or "") if fence.language == language)
    return found


def test_program__of_the_page__runs_on_the_file_of_the_page(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(_fence("toml"))
    (tmp_path / "program.py").write_text(_fence("python"))
    subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env={"PYTHONPATH": str(CHECKOUT)}, check=True, timeout=60
    )


@pytest.mark.parametrize("slot", INTERFACES)
def test_table__of_the_page__names_every_part(slot: str) -> None:
    found = re.search(rf"^\| `{slot}` \|[^|]*\|([^|]*)\|", text_of(PAGE) or "", re.MULTILINE)
    assert found is not None
    assert tuple(sorted(re.findall(r"`([a-z]+)`", found[1]))) == available_parts(slot)
