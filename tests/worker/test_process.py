"""A worker as a process: what ends it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.worker.process import METIS, running


def test_worker__input_ends__stops_if_it_was_told_to(tmp_path: Path) -> None:
    with running(tmp_path, "--until-eof") as worker:
        worker.end_input()
        assert worker.wait() == 0


def test_worker__until_eof_and_a_key_from_stdin__is_refused(tmp_path: Path) -> None:
    place = ["--chain-id", "1", "--contract", "0x" + "11" * 20, "--data", str(tmp_path)]
    command = [str(METIS), "worker", "--model", "a=b", *place, "--key-file", "-", "--until-eof"]
    found = subprocess.run(command, input="", capture_output=True, text=True, timeout=30, check=False)
    assert found.returncode == 2
    assert "--until-eof needs standard input" in found.stderr
