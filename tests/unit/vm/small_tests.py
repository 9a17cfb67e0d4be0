"""A state-test file small enough to read, and its results filled in by the engine."""

from __future__ import annotations

import copy
from typing import Any

import orjson
from eth_account import Account as KeyAccount

from metis.types import FixtureError
from metis.vm import CaseRunner, StateTest, parse_state_tests

SECRET_KEY = "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8"  # noqa: S105 - of ethereum/tests, known to everyone
SENDER = "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b"
RECEIVER = "0x1000000000000000000000000000000000000001"
BENEFICIARY = "0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba"
ZERO_HASH = "0x" + "00" * 32
NO_LOGS_HASH = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"


def transfer_test(fork: str = "Cancun", **transaction: Any) -> dict[str, Any]:
    """One test with one case: a transfer of 1 wei, its results not filled in."""
    return {
        "env": {
            "currentBaseFee": "0x0a",
            "currentCoinbase": BENEFICIARY,
            "currentDifficulty": "0x020000",
            "currentGasLimit": "0x05f5e100",
            "currentNumber": "0x01",
            "currentRandom": "0x0000000000000000000000000000000000000000000000000000000000020000",
            "currentTimestamp": "0x03e8",
        },
        "pre": {
            SENDER: {"balance": "0x0de0b6b3a7640000", "code": "0x", "nonce": "0x00", "storage": {}},
            # Stores the value sent at slot 0 and logs nothing.
            RECEIVER: {"balance": "0x00", "code": "0x345f55", "nonce": "0x01", "storage": {"0x01": "0x02"}},
        },
        "transaction": {
            "data": ["0x"],
            "gasLimit": ["0x0186a0"],
            "gasPrice": "0x0a",
            "nonce": "0x00",
            "secretKey": SECRET_KEY,
            "sender": SENDER,
            "to": RECEIVER,
            "value": ["0x01"],
            **transaction,
        },
        "post": {
            fork: [{"hash": ZERO_HASH, "indexes": {"data": 0, "gas": 0, "value": 0}, "logs": NO_LOGS_HASH}],
        },
    }


def signed(test: dict[str, Any]) -> dict[str, Any]:
    """The same test with the signed bytes of its (legacy) transaction in each case."""
    test = copy.deepcopy(test)
    fields = test["transaction"]
    for cases in test["post"].values():
        for case in cases:
            indexes = case["indexes"]
            transaction = {
                "nonce": int(fields["nonce"], 16),
                "gasPrice": int(fields["gasPrice"], 16),
                "gas": int(fields["gasLimit"][indexes["gas"]], 16),
                "to": bytes.fromhex(fields["to"][2:]),
                "value": int(fields["value"][indexes["value"]], 16),
                "data": fields["data"][indexes["data"]],
            }
            case["txbytes"] = "0x" + KeyAccount.sign_transaction(transaction, SECRET_KEY).raw_transaction.hex()
    return test


def filled(test: dict[str, Any]) -> dict[str, Any]:
    """The same test with the roots and logs hashes that the engine computes."""
    test = copy.deepcopy(test)
    parsed = only_test({"filled": test})
    runner = CaseRunner(parsed)
    for case in parsed.cases:
        outcome = runner.execute(case)
        entry = test["post"][case.fork][case.index]
        entry["hash"], entry["logs"] = f"0x{outcome.state_root.hex()}", f"0x{outcome.logs_hash.hex()}"
    return test


def only_test(document: dict[str, Any]) -> StateTest:
    """Parse a file of one test, which must follow the format."""
    (test,) = parse_state_tests("small.json", encoded(document))
    assert not isinstance(test, FixtureError), test
    return test


def encoded(document: Any) -> bytes:
    """JSON bytes."""
    return orjson.dumps(document)
