"""What the demonstration shows of what it found."""

from __future__ import annotations

import html.parser
import io
import json
from pathlib import Path

import numpy as np
import pytest

from metis.cli import main
from metis.cli.demo.json_lines import summary
from metis.cli.demo.models import train_digits
from metis.cli.demo.page import page
from metis.cli.demo.tables import tables
from metis.cli.demo.terminal import TerminalTelling
from tests.unit.cli.demo_results import results


def test_summary__of_everything__has_what_the_documentation_names() -> None:
    said = summary(results())
    assert said["ok"] is True
    assert (said["blocks"], said["transactions"], said["inferences"], said["lost_after_kill"]) == (48, 145, 45, 0)
    assert said["verifier"] == {"blocks": 48, "mismatches": 0}
    assert said["accuracy"] == {"float": 0.97, "quantised": 0.96}
    assert said["vm_speedup"] == 10.0
    json.dumps(said)


def test_summary__with_a_problem__is_not_ok() -> None:
    broken = results()
    broken.problems.append("a block was lost")
    assert summary(broken)["ok"] is False
    assert "Something is not as it should be." in page(broken)


def test_page__of_everything__is_whole_and_shows_every_cell_of_every_table() -> None:
    text = page(results())
    opened: list[str] = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in {"meta", "rect"}:
                opened.append(tag)
            assert not {"src", "href"} & {name for name, _ in attrs}, "the page loads something"

        def handle_endtag(self, tag: str) -> None:
            if tag != "rect":
                assert opened.pop() == tag

    Reader().feed(text)
    assert opened == []
    assert "a &lt;machine&gt;" in text
    for table in tables(results()):
        for cell in (cell for row in table.rows for cell in row):
            assert cell in text


def test_terminal__that_is_a_file__gets_no_progress_and_short_hashes() -> None:
    out = io.StringIO()
    telling = TerminalTelling(out)
    telling.begin("step", "A step")
    telling.progress("half of it")
    telling.done("it proves that", {"id": f"0x{bytes(32).hex()}"})
    telling.end(results())
    assert "half of it" not in out.getvalue()
    assert "0x00000000…00000000" in out.getvalue()
    assert out.getvalue().endswith("Everything is as it should be.\n")


def test_digits__trained_here__lose_nothing_as_integers() -> None:
    digits = train_digits()
    assert len(digits.labels) == 360
    assert digits.float_accuracy > 0.95
    assert digits.integer_accuracy > digits.float_accuracy - 0.01
    assert len({len(given) for given in digits.inputs()}) == 1
    assert np.isclose((digits.answers() == digits.labels).mean(), digits.integer_accuracy)


def test_demo__in_a_folder_that_cannot_be_made__says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["demo", "--fast", "--folder", str(tmp_path / "file" / "x")]) == 2
    assert "x" in capsys.readouterr().err
