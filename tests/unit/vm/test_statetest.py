"""Reading state-test files: every flavour, and what each broken field is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from metis.types import FixtureError
from metis.vm import StateTest, parse_state_tests
from metis.vm.beginning import BlobSchedule
from tests.unit.vm.small_tests import RECEIVER, SENDER, encoded, only_test, transfer_test


def _change(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set the field at a dotted path; numbers in it are positions in lists."""

    def change(test: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        body: Any = test
        for part in parents:
            body = body[int(part)] if isinstance(body, list) else body[part]
        body[last] = value

    return change


def _problem(change: Callable[[dict[str, Any]], None]) -> FixtureError:
    test = transfer_test()
    change(test)
    (error,) = parse_state_tests("small.json", encoded({"transfer": test}))
    assert isinstance(error, FixtureError)
    return error


def test_parse__ethereum_tests_file__every_value_typed() -> None:
    test = only_test({"transfer": transfer_test()})
    assert (test.path, test.name, test.chain_id) == ("small.json", "transfer", 1)
    assert test.environment.number == 1
    assert test.environment.timestamp_s == 1000
    assert test.environment.base_fee_per_gas_wei == 10
    assert test.environment.prev_randao == (0x20000).to_bytes(32, "big")
    assert test.environment.excess_blob_gas is None
    account = test.alloc[bytes.fromhex(RECEIVER[2:])]
    assert (account.nonce, account.balance_wei, account.code) == (1, 0, bytes.fromhex("345f55"))
    assert account.storage == {1: 2}
    (case,) = test.cases
    assert (case.fork, case.index, case.expected_exception, case.transaction_rlp) == ("Cancun", 0, None, None)
    assert test.case_id(case) == "small.json::transfer::Cancun::0_0_0"


def test_parse__execution_spec_tests_file__chain_id_and_blob_schedule_read() -> None:
    body = transfer_test(fork="Prague")
    body["config"] = {
        "chainid": "0x0539",
        "blobSchedule": {"Prague": {"target": "0x06", "max": "0x09", "baseFeeUpdateFraction": "0x4c6964"}},
    }
    body["_info"] = {"comment": "filled by execution-spec-tests"}
    body["env"]["currentExcessBlobGas"] = "0x020000"
    body["post"]["Prague"][0]["state"] = {SENDER: {"balance": "0x00"}}
    test = only_test({"transfer": body})
    assert test.chain_id == 1337
    assert test.blob_schedules == {"Prague": BlobSchedule(6, 9, 5_007_716)}
    assert test.environment.excess_blob_gas == 0x20000


def test_parse__file_from_before_the_merge__difficulty_is_the_random_value() -> None:
    body = transfer_test(fork="Frontier")
    del body["env"]["currentRandom"]
    del body["env"]["currentBaseFee"]
    test = only_test({"transfer": body})
    assert int.from_bytes(test.environment.prev_randao, "big") == test.environment.difficulty == 0x20000
    assert test.environment.base_fee_per_gas_wei == 10


@pytest.mark.parametrize(("text", "number"), [("0x", 0), ("", 0), ("0x00", 0), ("0x0a", 10), ("10", 10), ("0xA", 10)])
def test_parse__quantity_spellings__same_number(text: str, number: int) -> None:
    body = transfer_test()
    body["pre"][SENDER]["balance"] = text
    assert only_test({"transfer": body}).alloc[bytes.fromhex(SENDER[2:])].balance_wei == number


def test_parse__several_cases_and_forks__kept_in_the_files_order() -> None:
    body = transfer_test()
    body["transaction"]["value"] = ["0x01", "0x02"]
    (entry,) = body["post"]["Cancun"]
    body["post"]["Cancun"] = [entry, {**entry, "indexes": {"data": 0, "gas": 0, "value": 1}}]
    body["post"]["Shanghai"] = [entry]
    test = only_test({"transfer": body})
    assert [(case.fork, case.index, case.value_index) for case in test.cases] == [
        ("Cancun", 0, 0),
        ("Cancun", 1, 1),
        ("Shanghai", 0, 0),
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_change("env", None), "field 'env': missing"),
        (_change("env", []), "field 'env': not an object"),
        (_change("env.currentNumber", None), "field 'currentNumber': missing"),
        (_change("env.currentNumber", "0x010000000000000000"), "not in [0, 2**64)"),
        (_change("env.currentNumber", "-0x1"), "'-0x1' is not"),
        (_change("env.currentNumber", 1), "not a hex or decimal string"),
        (_change("env.currentCoinbase", "0x00"), "field 'currentCoinbase': 1 bytes instead of 20"),
        (_change("pre.0x12", {}), "field 'pre.address': 1 bytes instead of 20"),
        (_change(f"pre.{SENDER}.balance", "0xzz"), f"field 'pre.{SENDER}.balance': '0xzz' is not a quantity"),
        (_change(f"pre.{SENDER}.code", "0x0"), "is not hex"),
        (_change(f"pre.{SENDER}.storage", []), "not an object"),
        (_change("transaction", None), "field 'transaction': missing"),
        (_change("transaction.data", "0x"), "field 'transaction.data': not a list"),
        (_change("post", None), "field 'post': missing"),
        (_change("post.Cancun", {}), "field 'post.Cancun': not a list"),
        (_change("post.Cancun", [1]), "field 'post.Cancun[0]': not an object"),
        (_change("post.Cancun.0.hash", "0x12"), "field 'post.Cancun[0].hash': 1 bytes instead of 32"),
        (_change("post.Cancun.0.logs", None), "field 'post.Cancun[0].logs': missing"),
        (_change("post.Cancun.0.indexes.gas", 1), "field 'post.Cancun[0].indexes.gas': 1 is not in [0, 1)"),
        (_change("post.Cancun.0.indexes.gas", "0"), "'0' is not in [0, 1)"),
        (_change("post.Cancun.0.expectException", 7), "not a name"),
        (_change("post.Cancun.0.txbytes", "0xzz"), "is not hex"),
        (_change("config", 1), "field 'config': not an object"),
        (_change("config", {"blobSchedule": {"Cancun": {}}}), "field 'config.blobSchedule.target': missing"),
    ],
)
def test_parse__broken_field__error_names_file_test_and_field(
    change: Callable[[dict[str, Any]], None], problem: str
) -> None:
    error = _problem(change)
    assert (error.path, error.test) == ("small.json", "transfer")
    assert problem in error.problem


def test_parse__one_broken_test__others_still_read() -> None:
    document = {"a": transfer_test(), "b": {"env": {}}, "c": transfer_test()}
    first, broken, last = parse_state_tests("small.json", encoded(document))
    assert isinstance(first, StateTest)
    assert isinstance(broken, FixtureError)
    assert broken.test == "b"
    assert isinstance(last, StateTest)


@pytest.mark.parametrize(
    ("content", "problem"), [(b"{", "not JSON"), (b"[]", "not an object of tests"), (b"", "not JSON")]
)
def test_parse__not_an_object__whole_file_refused(content: bytes, problem: str) -> None:
    with pytest.raises(FixtureError, match=problem):
        list(parse_state_tests("small.json", content))
