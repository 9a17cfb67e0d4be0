"""``metis demo`` as its user runs it: the whole story, and what is left when it is interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from metis.cli.demo.page import page
from metis.cli.demo.tables import tables
from tests.rpc.client_programs import CLIENTS, require, run
from tests.rpc.running_node import PROMPT_S
from tests.unit.cli.demo_results import results

COMMAND = [sys.executable, "-m", "metis.cli", "demo", "--fast"]


def _environment(tmp_path: Path) -> dict[str, str]:
    # Without the encoder and the fixtures: they take long, and must not be needed.
    return {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "METIS_FIXTURES": str(tmp_path / "none")}


def _nodes_in(folder: Path) -> list[int]:
    """Processes whose command line names a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in command and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def _cut_off() -> list[str]:
    """What runs a command with no network but its own loopback; nothing where the system does not let us."""
    inside = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        allowed = subprocess.run([*inside, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        allowed = False
    return inside if allowed else []


def _wait_until(is_so: Callable[[], bool]) -> None:
    for _ in range(10 * PROMPT_S):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError(f"not within {PROMPT_S} seconds")


@pytest.mark.timeout(240)
def test_demo__no_network_and_nothing_downloaded__shows_the_rest(tmp_path: Path) -> None:
    files = ["--folder", str(tmp_path / "demo"), "--report", str(tmp_path / "report.html")]
    command = [*_cut_off(), *COMMAND, "--json", *files]
    done = subprocess.run(command, capture_output=True, text=True, env=_environment(tmp_path), timeout=200, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    *steps, said = map(json.loads, done.stdout.splitlines())
    assert {step["step"] for step in steps if "left_out" in step} == {"encoder", "language-model"}
    assert said["ok"] is True
    assert said["lost_after_kill"] == 0
    assert said["verifier"]["mismatches"] == 0
    assert said["inferences"] > 0
    assert "Everything is as it should be." in (tmp_path / "report.html").read_text()
    assert _nodes_in(tmp_path / "demo") == []


def test_page__in_a_browser__shows_verdict_charts_and_tables(tmp_path: Path) -> None:
    browser = require("browser")
    report = tmp_path / "report.html"
    report.write_text(page(results()), encoding="utf-8")
    seen = json.loads(run(browser, tmp_path, "node", CLIENTS / "browser" / "page_check.mjs", report))
    assert seen["problems"] == []
    assert seen["verdict"] == "Everything is as it should be."
    assert not seen["overflows"]
    assert seen["cells"] == sum(len(row) for table in tables(results()) for row in table.rows)
    # Of the language model the interpreter's bar is ten times the compiled code's.
    assert seen["bars"][0] == pytest.approx(10 * seen["bars"][1], rel=0.01)


@pytest.mark.parametrize("after_s", [1.0, 2.0, 3.5])
@pytest.mark.timeout(120)
def test_demo__interrupted__leaves_no_process_behind(tmp_path: Path, after_s: float) -> None:
    folder = tmp_path / "demo"
    command = [*COMMAND, "--folder", str(folder), "--report", str(tmp_path / "report.html")]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment(tmp_path)
    )
    time.sleep(after_s)
    # Whoever runs tests in the background may have them ignore Ctrl-C, and what they start inherits that.
    how = signal.SIGTERM if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else signal.SIGINT
    is_over = process.poll() is not None
    process.send_signal(how)
    # Before Python has come to the program, the signal itself ends it; outside of the program's own code Python ends
    # itself by SIGINT, whichever signal it was.
    assert process.wait(PROMPT_S) in ({0} if is_over else {130, -how, -signal.SIGINT})
    assert _nodes_in(folder) == []


@pytest.mark.timeout(120)
def test_demo__killed__takes_its_node_along(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    command = [*COMMAND, "--folder", str(folder), "--report", str(tmp_path / "report.html")]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment(tmp_path)
    )
    # The demonstration itself is one.
    _wait_until(lambda: len(_nodes_in(folder)) > 1)
    process.kill()
    process.wait(PROMPT_S)
    _wait_until(lambda: not _nodes_in(folder))
