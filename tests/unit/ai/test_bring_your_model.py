"""docs/bring-your-model.md, held to the code."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import onnx
import pytest

from metis.ai.quantise.execution import supported_operators
from tests.ai_models.zoo import ZOO
from tests.unit.cli.running import run_here


def page(checkout: Path) -> str:
    return (checkout / "docs" / "bring-your-model.md").read_text(encoding="utf-8")


def test_commands_and_code__of_the_page__run(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, inputs = ZOO["mlp_torch"]()
    onnx.save(model, tmp_path / "model.onnx")
    np.save(tmp_path / "samples.npy", inputs(16)["input"])
    monkeypatch.chdir(tmp_path)
    (commands,) = re.findall(r"```sh\n(.*?)```", page(checkout), re.DOTALL)
    for line in commands.splitlines():
        assert run_here(capsys, *shlex.split(line)[1:]).exit_code == 0, line
    assert np.load("results.npy").shape == (16, 5)
    (code,) = re.findall(r"```python\n(.*?)```", page(checkout), re.DOTALL)
    exec(compile(code, "docs/bring-your-model.md", "exec"), {})  # noqa: S102 - the page's own example


def test_operators__that_the_page_lists__are_supported(checkout: Path) -> None:
    section = page(checkout).split("| | operators |")[1].split("Anything else")[0]
    cells = " ".join(line.split("|")[2] for line in section.splitlines() if line.startswith("| "))
    listed = set(re.findall(r"[A-Z]\w+", cells))
    assert len(listed) > 60
    assert listed <= supported_operators()
