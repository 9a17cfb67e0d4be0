"""``metis vm run``: bytecode and cases of files, as columns and as EIP-3155."""

from __future__ import annotations

import lzma
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.unit.cli.running import Ended, run_here
from tests.unit.vm.small_tests import RECEIVER, ZERO_HASH, encoded, filled, signed, transfer_test

# PUSH1 2, PUSH1 3, ADD, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN
ADD_2_AND_3 = "0x60026003015f5260205ff3"
REVERT_WITH_7 = "0x60075f5260205ffd"
BAD_JUMP = "0x600056"


def _lines(ended: Ended) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in ended.out.splitlines()]


def _file(path: Path, **tests: dict[str, Any]) -> str:
    path.write_bytes(encoded(tests))
    return str(path)


def test_run__bytecode__every_step_and_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "vm", "run", ADD_2_AND_3)
    assert ended.exit_code == 0
    rows = [line.split() for line in ended.out.splitlines()]
    assert rows[0] == ["depth", "pc", "op", "gas", "gas", "cost", "stack", "top", "of", "stack"]
    assert rows[1] == ["1", "0", "PUSH1", "30,000,000", "3", "0"]
    assert rows[3] == ["1", "4", "ADD", "29,999,994", "3", "2", "0x3"]
    assert rows[8][2] == "RETURN"
    assert rows[9] == ["status", "success", "(Osaka)"]
    assert ["output", "0x" + "00" * 31 + "05"] in rows


def test_run__json__eip_3155_lines_then_the_summary(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "vm", "run", ADD_2_AND_3, "--json", "--gas", "0x186a0")
    *steps, summary = _lines(ended)
    assert [step["opName"] for step in steps[:3]] == ["PUSH1", "PUSH1", "ADD"]
    assert steps[0] | {"returnData": "", "refund": ""} == {
        "pc": 0,
        "op": 0x60,
        "gas": "0x186a0",
        "gasCost": "0x3",
        "memSize": 0,
        "stack": [],
        "depth": 1,
        "returnData": "",
        "refund": "",
        "opName": "PUSH1",
    }
    assert steps[2]["stack"] == ["0x2", "0x3"]
    assert summary["pass"] is True
    assert summary["output"] == "0x" + "00" * 31 + "05"
    assert int(summary["gasUsed"], 16) == sum(int(step["gasCost"], 16) for step in steps)
    assert {"stateRoot", "output", "gasUsed", "pass", "time", "fork"} <= set(summary)


def test_run__without_trace__only_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_here(capsys, "vm", "run", ADD_2_AND_3, "--no-trace").out.startswith("status      success")
    (summary,) = _lines(run_here(capsys, "vm", "run", ADD_2_AND_3, "--no-trace", "--json"))
    assert summary["status"] == "success"


def test_run__revert__exit_1_with_its_data(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "vm", "run", REVERT_WITH_7, "--json", "--no-trace")
    assert ended.exit_code == 1
    (summary,) = _lines(ended)
    assert (summary["pass"], summary["status"], int(summary["output"], 16)) == (False, "revert", 7)


def test_run__halt__exit_1_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    ended = run_here(capsys, "vm", "run", BAD_JUMP)
    assert ended.exit_code == 1
    assert "status      halt: invalid-jump (Osaka)" in ended.out


def test_run__calldata_and_value__reach_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    # return calldataload(0) + callvalue
    code = "0x5f3534015f5260205ff3"
    options = ["--calldata", "0x" + "00" * 31 + "05", "--value", "1_000", "--no-trace", "--json"]
    (summary,) = _lines(run_here(capsys, "vm", "run", code, *options))
    assert int(summary["output"], 16) == 1005


def test_run__fork__decides_which_opcodes_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    push0 = "0x5f"
    assert run_here(capsys, "vm", "run", push0, "--fork", "Shanghai").exit_code == 0
    assert run_here(capsys, "vm", "run", push0, "--fork", "Paris").exit_code == 1


def test_run__hex_file__white_space_does_not_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "code.hex"
    path.write_text(f"{ADD_2_AND_3[2:10]}\n{ADD_2_AND_3[10:]}\n")
    assert run_here(capsys, "vm", "run", str(path)).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "slug"),
    [
        (["0xzz"], "decode"),
        (["absent.hex"], "decode"),
        (["0x00", "--calldata", "0x1"], "decode"),
        (["0x00", "--fork", "Sometime"], "genesis"),
        (["absent.json"], "fixture"),
        (["absent.json", "--gas", "1"], "usage"),
        (["0x00", "--test", "a"], "usage"),
        (["0x00", "--gas", "-1"], "usage"),
    ],
)
def test_run__wrong_arguments__exit_2_with_the_kind_of_error(
    arguments: list[str], slug: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = run_here(capsys, "vm", "run", *arguments, "--json")
    assert ended.exit_code == 2
    assert ended.object["error"]["slug"] == slug


def test_run__case_of_a_file__same_result_as_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = _file(tmp_path / "a.json", transfer=filled(signed(transfer_test())))
    ended = run_here(capsys, "vm", "run", target)
    assert ended.exit_code == 0
    assert "CALLVALUE" in ended.out
    assert "differs" not in ended.out


def test_run__packed_file__read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json.xz"
    path.write_bytes(lzma.compress(encoded({"transfer": filled(transfer_test())})))
    assert run_here(capsys, "vm", "run", str(path)).exit_code == 0


def test_run__case_that_differs__exit_1_with_both_roots(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = filled(transfer_test())
    computed = test["post"]["Cancun"][0]["hash"]
    test["post"]["Cancun"][0]["hash"] = "0x" + "11" * 32
    target = _file(tmp_path / "a.json", transfer=test)
    ended = run_here(capsys, "vm", "run", target, "--json", "--no-trace")
    assert ended.exit_code == 1
    (summary,) = _lines(ended)
    assert summary["differences"] == [f"state root: the file has 0x{'11' * 32}, got {computed}"]


def test_run__workload_without_recorded_results__judged_by_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    works, reverts = transfer_test(), transfer_test()
    for test in (works, reverts):
        test["post"]["Cancun"][0]["logs"] = ZERO_HASH
    reverts["pre"][RECEIVER]["code"] = "0x5f5ffd"
    target = _file(tmp_path / "a.json", works=works, reverts=reverts)
    assert run_here(capsys, "vm", "run", target, "--test", "works").exit_code == 0
    assert run_here(capsys, "vm", "run", target, "--test", "reverts").exit_code == 1


def test_run__refused_as_the_file_expects__exit_0(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = transfer_test(gasLimit=["0x64"])
    test["post"]["Cancun"][0]["expectException"] = "TransactionException.INTRINSIC_GAS_TOO_LOW"
    target = _file(tmp_path / "a.json", transfer=test)
    ended = run_here(capsys, "vm", "run", target)
    assert ended.exit_code == 0
    assert "refused" in ended.out
    (summary,) = _lines(run_here(capsys, "vm", "run", target, "--json"))
    assert (summary["pass"], summary["status"]) == (False, "refused")


def test_run__refused_unexpectedly__exit_2_with_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = _file(tmp_path / "a.json", transfer=transfer_test(gasLimit=["0x64"]))
    ended = run_here(capsys, "vm", "run", target, "--json")
    assert ended.exit_code == 2
    assert ended.object["error"]["reason"] == "intrinsic-gas-too-low"


def test_run__choice_left_open__says_what_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = filled(transfer_test())
    test["post"]["Shanghai"] = test["post"]["Cancun"]
    target = _file(tmp_path / "a.json", one=test, two=test)
    assert "choose with --test: one, two" in run_here(capsys, "vm", "run", target).err
    assert "choose with --fork: Cancun, Shanghai" in run_here(capsys, "vm", "run", target, "--test", "one").err
    chosen = ["vm", "run", target, "--test", "one", "--fork"]
    assert "--fork Paris: not in the file" in run_here(capsys, *chosen, "Paris").err
    assert "--index 1: Cancun has 1 cases" in run_here(capsys, *chosen, "Cancun", "--index", "1").err
    assert run_here(capsys, *chosen, "Cancun", "--index", "0").exit_code == 0


def test_run__fork_by_another_of_its_names__found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = _file(tmp_path / "a.json", transfer=filled(transfer_test(fork="EIP158")))
    assert run_here(capsys, "vm", "run", target, "--fork", "SpuriousDragon").exit_code == 0


def test_run__gas_above_the_cap__runs_with_the_cap_lifted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = _file(tmp_path / "a.json", transfer=transfer_test(fork="Osaka", gasLimit=["0x02000000"]))
    assert run_here(capsys, "vm", "run", target, "--json").object["error"]["reason"] == "gas-limit-above-cap"
    assert run_here(capsys, "vm", "run", target, "--no-gas-cap").exit_code == 0
