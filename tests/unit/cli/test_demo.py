"""``metis demo``: the story holds, on every preset, and a broken engine would be noticed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from metis.cli import main
from metis.cli.demo_json import demo_object
from metis.cli.demo_report import print_demo
from metis.cli.demo_run import DemoResult, run_demo

ABSENT = Path("/nonexistent/block.json.xz")


@pytest.fixture(scope="module")
def result() -> DemoResult:
    return run_demo("hyperion", ABSENT)


@pytest.mark.parametrize("preset", ["ethereum", "hyperion"])
def test_demo__on_every_preset__is_as_it_should_be(preset: str) -> None:
    result = run_demo(preset, ABSENT)

    assert result.problems == ()
    assert (result.collected_wei is None) == (preset == "ethereum")
    assert result.base_fees_wei > 0


def test_demo__blocks__hold_every_type_and_every_ending(result: DemoResult) -> None:
    included = [entry for block in result.blocks for entry in block.included]
    refused = [entry for block in result.blocks for entry in block.refused]

    assert {entry.transaction.type for entry in included} == {0, 1, 2, 3, 4}
    assert {entry.result for entry in included} == {"success", "revert", "out-of-gas"}
    assert {entry.explanation for entry in included} == {
        "",
        "token: insufficient balance",
        "token: insufficient allowance",
    }
    assert [entry.error.reason for entry in refused] == ["nonce-too-high", "insufficient-funds"]


def test_demo__token__moves_as_the_story_says(result: DemoResult) -> None:
    assert result.proof.balance == 800 * 10**18
    assert result.proof.forgery_refused
    batch = next(entry for block in result.blocks for entry in block.included if entry.transaction.type == 4)
    assert len(batch.receipt.logs) == 2
    (authorization,) = batch.transaction.authorization_list
    assert authorization.authority == batch.transaction.sender


def test_demo__twice__makes_the_same_blocks(result: DemoResult) -> None:
    again = run_demo("hyperion", ABSENT)

    assert [block.rlp for block in again.blocks] == [block.rlp for block in result.blocks]


def test_demo__as_text__tells_everything(result: DemoResult, capsys: pytest.CaptureFixture[str]) -> None:
    print_demo(result)

    text = capsys.readouterr().out
    for expected in (
        "hyperion: chain 7133717, rules of Osaka",
        "nonce-too-high",
        "insufficient-funds",
        "token: insufficient balance",
        "out-of-gas",
        "the same block hashes, state roots and receipts",
        "a balance of one unit more is refused",
        f"left out: {ABSENT} is not there",
        "Everything is as it should be.",
        result.blocks[-1].block.header.state_root.hex(),
    ):
        assert expected in " ".join(text.split())


def test_demo__with_a_problem__says_so(result: DemoResult, capsys: pytest.CaptureFixture[str]) -> None:
    print_demo(replace(result, problems=("re-execution of block 2: another state root",)))

    text = capsys.readouterr().out
    assert "NOT AS EXPECTED  re-execution of block 2: another state root" in text
    assert "it does not agree" in text
    assert "Everything is as it should be" not in text


def test_demo_command__as_json__prints_one_object(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, result: DemoResult, tmp_path: Path
) -> None:
    monkeypatch.setenv("METIS_FIXTURES", str(tmp_path))

    exit_code = main(["demo", "--json"])

    printed = json.loads(capsys.readouterr().out)
    assert exit_code == 0
    assert printed["passed"] is True
    assert printed["mainnet_block"] is None
    assert printed["reexecution"]["agrees"] is True
    assert [block["state_root"] for block in printed["blocks"]] == [
        f"0x{block.block.header.state_root.hex()}" for block in result.blocks
    ]
    assert [entry["reason"] for entry in printed["blocks"][1]["skipped"]] == ["nonce-too-high", "insufficient-funds"]


def test_demo_command__when_something_is_wrong__exits_with_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, result: DemoResult
) -> None:
    broken = replace(result, problems=("re-execution of block 2: another state root",))
    monkeypatch.setattr("metis.cli.demo_run.run_demo", lambda *_: broken)

    exit_code = main(["demo", "--json"])

    printed = json.loads(capsys.readouterr().out)
    assert exit_code == 1
    assert (printed["passed"], printed["reexecution"]["agrees"]) == (False, False)
    assert printed["problems"] == list(broken.problems)


def test_demo_command__an_unknown_preset__lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    exit_code = main(["demo", "--preset", "andromeda"])

    assert exit_code == 2
    assert "ethereum, hyperion" in capsys.readouterr().err


def test_demo__with_the_recorded_mainnet_block__compares_its_logs(fixtures: Path) -> None:
    path = fixtures / "mainnet-blocks" / "18920116.json.xz"
    if not path.is_file():
        pytest.skip(f"no {path}")

    result = run_demo("hyperion", path)

    assert result.passed
    assert demo_object(result)["mainnet_block"]["different_log_count"] == 0
    assert demo_object(result)["mainnet_block"]["transaction_count"] == 146
