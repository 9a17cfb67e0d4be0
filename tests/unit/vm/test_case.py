"""One case against the engine: what passes, and each way to fail."""

from __future__ import annotations

from typing import Any

import pytest

from metis import engine
from metis.types import Account, InvalidTransaction
from metis.vm import CaseFailure, execute_case, run_case
from tests.unit.vm.small_tests import (
    BENEFICIARY,
    RECEIVER,
    SENDER,
    ZERO_HASH,
    filled,
    only_test,
    signed,
    transfer_test,
)


def _run(test: dict[str, Any]) -> CaseFailure | None:
    parsed = only_test({"transfer": test})
    return run_case(parsed, parsed.cases[0])


def _failure(test: dict[str, Any]) -> CaseFailure:
    failure = _run(test)
    assert failure is not None
    return failure


def _root_before(test: dict[str, Any], *, extra: dict[bytes, Account] | None = None) -> str:
    alloc = {**only_test({"transfer": test}).alloc, **(extra or {})}
    return f"0x{engine.MemoryStore(alloc).state_root().hex()}"


def _refused_test(expected: str, fork: str = "Cancun", **transaction: Any) -> dict[str, Any]:
    """A transaction below its intrinsic gas, with the state it must leave: the one before."""
    test = transfer_test(fork=fork, **{"gasLimit": ["0x64"], **transaction})
    test["post"][fork][0]["hash"] = _root_before(test)
    test["post"][fork][0]["expectException"] = expected
    return test


@pytest.mark.parametrize("fork", engine.fork_names())
def test_case__results_as_recorded__passes_at_every_fork(fork: str) -> None:
    assert _run(filled(transfer_test(fork=fork))) is None


def test_case__signed_bytes__passes_like_the_fields() -> None:
    assert _run(signed(filled(transfer_test()))) is None


@pytest.mark.parametrize("alias", ["EIP150", "EIP158", "ConstantinopleFix", "Merge"])
def test_case__fork_by_its_old_name__passes(alias: str) -> None:
    assert _run(filled(transfer_test(fork=alias))) is None


def test_case__other_state_root__fails_with_both_roots() -> None:
    test = filled(transfer_test())
    computed = test["post"]["Cancun"][0]["hash"]
    test["post"]["Cancun"][0]["hash"] = ZERO_HASH
    failure = _failure(test)
    assert failure.kind == "state-root"
    assert failure.id == "small.json::transfer::Cancun::0_0_0"
    assert failure.expected["state_root"] == ZERO_HASH
    assert failure.actual["state_root"] == computed


def test_case__other_logs__fails_although_the_root_is_right() -> None:
    test = filled(transfer_test())
    test["post"]["Cancun"][0]["logs"] = ZERO_HASH
    assert _failure(test).kind == "logs-hash"


def test_case__signature_of_somebody_else__fails() -> None:
    test = signed(filled(transfer_test()))
    test["transaction"]["sender"] = RECEIVER
    failure = _failure(test)
    assert failure.kind == "sender"
    assert SENDER in failure.detail


def test_case__refused_without_expectation__fails_with_our_reason() -> None:
    failure = _failure(transfer_test(gasLimit=["0x64"]))
    assert failure.kind == "refused"
    assert failure.actual["refusal"] == "intrinsic-gas-too-low"


def test_case__refused_for_the_reason_it_names__passes() -> None:
    assert _run(_refused_test("TransactionException.INTRINSIC_GAS_TOO_LOW")) is None


def test_case__refused_for_another_reason__fails() -> None:
    failure = _failure(_refused_test("TransactionException.INITCODE_SIZE_EXCEEDED"))
    assert failure.kind == "wrong-refusal"
    assert failure.actual["refusal"] == "intrinsic-gas-too-low"


def test_case__refused_but_another_root__fails() -> None:
    test = _refused_test("TransactionException.INTRINSIC_GAS_TOO_LOW")
    test["post"]["Cancun"][0]["hash"] = ZERO_HASH
    assert _failure(test).kind == "state-root"


def test_case__expected_refusal_does_not_happen__fails() -> None:
    test = filled(transfer_test())
    test["post"]["Cancun"][0]["expectException"] = "TransactionException.INTRINSIC_GAS_TOO_LOW"
    assert _failure(test).kind == "not-refused"


def test_case__bytes_that_are_no_transaction__refused_by_decoding() -> None:
    test = _refused_test("TransactionException.RLP_TOO_FEW_ELEMENTS")
    test["post"]["Cancun"][0]["txbytes"] = "0xc0"
    assert _run(test) is None


def test_case__value_above_256_bits_in_fields__refused() -> None:
    test = _refused_test("TransactionException.VALUE_OVERFLOW", value=["0x:bigint 0x01" + "00" * 32])
    test["transaction"]["gasLimit"] = ["0x0186a0"]
    assert _run(test) is None


def test_case__refused_before_spurious_dragon__root_has_the_empty_beneficiary() -> None:
    """So has it for ethereum/tests' filler, which ends each block with a reward of zero; the newer one does not."""
    test = _refused_test("TransactionException.INTRINSIC_GAS_TOO_LOW", fork="Homestead")
    assert _failure(test).kind == "state-root"
    untouched = test["post"]["Homestead"][0]["hash"]
    with_beneficiary = _root_before(test, extra={bytes.fromhex(BENEFICIARY[2:]): Account()})
    test["post"]["Homestead"][0]["hash"] = with_beneficiary
    assert _run(test) is None

    test["config"] = {"chainid": "0x01"}
    assert _failure(test).kind == "state-root"
    test["post"]["Homestead"][0]["hash"] = untouched
    assert _run(test) is None


def test_case__cases_of_one_test__do_not_see_each_other() -> None:
    test = transfer_test()
    test["post"]["Cancun"] *= 3
    (first, *others) = filled(test)["post"]["Cancun"]
    assert all(other == first for other in others)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [(299, engine.keccak256(b"299")), (44, engine.keccak256(b"44")), (43, bytes(32)), (300, bytes(32))],
)
def test_case__blockhash__decimal_number_hashed_within_256_ancestors(asked: int, answer: bytes) -> None:
    test = transfer_test()
    test["env"]["currentNumber"] = "0x012c"
    test["pre"][RECEIVER]["code"] = f"0x61{asked:04x}405f5260205ff3"
    parsed = only_test({"transfer": test})
    assert execute_case(parsed, parsed.cases[0]).output == answer


def test_case__chain_id_of_the_file__seen_by_the_code() -> None:
    test = transfer_test()
    test["config"] = {"chainid": "0x0539"}
    test["pre"][RECEIVER] |= {"code": "0x465f5260205ff3", "storage": {}}
    parsed = only_test({"transfer": test})
    assert execute_case(parsed, parsed.cases[0]).output == (1337).to_bytes(32, "big")


@pytest.mark.parametrize(("blob_count_max", "passes"), [(9, True), (1, False)])
def test_case__blob_schedule_of_the_file__limits_the_blobs(blob_count_max: int, *, passes: bool) -> None:
    test = transfer_test(
        fork="Prague",
        maxFeePerGas="0x0a",
        maxPriorityFeePerGas="0x00",
        maxFeePerBlobGas="0x01",
        blobVersionedHashes=["0x01" + "00" * 31, "0x01" + "01" * 31],
    )
    del test["transaction"]["gasPrice"]
    limits = {"target": "0x01", "max": hex(blob_count_max), "baseFeeUpdateFraction": "0x4c6964"}
    test["config"] = {"blobSchedule": {"Prague": limits}}
    parsed = only_test({"transfer": test})
    if passes:
        assert execute_case(parsed, parsed.cases[0]).status == "success"
    else:
        with pytest.raises(InvalidTransaction) as refusal:
            execute_case(parsed, parsed.cases[0])
        assert refusal.value.reason == "too-many-blobs"


def test_case__gas_above_the_cap_of_osaka__runs_only_with_the_cap_lifted() -> None:
    test = transfer_test(fork="Osaka", gasLimit=["0x02000000"])
    parsed = only_test({"transfer": test})
    with pytest.raises(InvalidTransaction) as refusal:
        execute_case(parsed, parsed.cases[0])
    assert refusal.value.reason == "gas-limit-above-cap"
    assert execute_case(parsed, parsed.cases[0], transaction_gas_cap=False).status == "success"
