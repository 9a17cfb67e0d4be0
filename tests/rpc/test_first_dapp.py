"""docs/first-dapp.md, as somebody follows it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from tests.rpc.client_programs import require
from tests.rpc.client_programs import run as run_program
from tests.rpc.running_node import running_node
from tests.tidy.repository import CHECKOUT, fences, text_of

PAGE = Path("docs/first-dapp.md")


def _program(name: str) -> str:
    """A Python program of the page, by the name in its first line."""
    programs = ["\n".join(fence.lines) for fence in fences(text_of(PAGE) or "") if fence.language == "python"]
    return next(program for program in programs if program.startswith(f"# {name}\n"))


def test_first_dapp__as_the_page_says__pays_the_bounty(tmp_path: Path) -> None:
    web3 = require("web3")
    environment = {"METIS_MODELS": str(tmp_path / "store"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with running_node(environment=environment) as node:
        for name in ("model.py", "play.py"):
            (tmp_path / name).write_text(_program(name).replace("http://127.0.0.1:8545", node.http))
        variables = {**os.environ, **environment, "PYTHONPATH": str(CHECKOUT)}
        subprocess.run([sys.executable, "model.py"], cwd=tmp_path, env=variables, check=True, timeout=120)
        found = re.search(r"^metis (ai publish .*)$", text_of(PAGE) or "", re.MULTILINE)
        assert found is not None
        publish = shlex.split(found[1].replace("http://127.0.0.1:8545", node.http))
        done = subprocess.run(
            [sys.executable, "-m", "metis.cli", *publish],
            cwd=tmp_path,
            env=variables,
            check=True,
            timeout=60,
            capture_output=True,
        )
        report = json.loads(done.stdout)
        arguments = [report["model_id"], str(report["active_from"]), str(CHECKOUT)]
        shown = run_program(web3, tmp_path, web3.python, "play.py", *arguments)
    assert re.fullmatch(r"paid 1000000000000000000 wei for \d+ gas and \d+ units of inference\n", shown)
