"""
Run a case on both sides and say where they differ.

What is compared, per transaction: whether it is accepted; success, revert or halt; gas; output;
created address; logs; state root after it. Per batch: receipts, transactions and state roots, bloom,
and every account. Per block: every header field, the encoding itself, receipts, and which candidates
were skipped. Error texts are not compared.
"""

from __future__ import annotations

import json
from typing import Any

from tests.differential.case import ChainCase, TransactionsCase
from tests.differential.oracle_client import Oracle

__all__ = ["assert_same", "differences", "same_or_raise"]

TRANSACTION_MEMBERS = ("accepted", "status", "gas_used", "output", "contract_address", "logs", "state_root")
BATCH_MEMBERS = ("gas_used", "logs_bloom", "transactions_root", "receipts_root", "state_root")
BLOCK_MEMBERS = ("built", "receipts", "hash", "rlp")

# The engine's names of header fields (metis.types.Header) are the oracle's but for these.
HEADER_NAMES = {
    "beneficiary": "coinbase",
    "receipts_root": "receipt_root",
    "logs_bloom": "bloom",
    "timestamp_s": "timestamp",
    "base_fee_per_gas_wei": "base_fee_per_gas",
}


def differences(case: TransactionsCase | ChainCase, expected: dict[str, Any]) -> list[str]:
    """Every member in which the engine differs from the oracle's answer ``expected``."""
    from tests.differential import subject

    if isinstance(case, TransactionsCase):
        return compare_transactions(expected, subject.run_transactions_case(case))
    return compare_chains(expected, subject.run_chain_case(case))


def assert_same(oracle: Oracle, case: TransactionsCase | ChainCase) -> dict[str, Any]:
    """
    Fail with a case that can be replayed if the two sides differ; returns the oracle's answer.

    The answer lets a test go on and check that the case did what it was made for.
    """
    expected = oracle.ask(case.to_request())
    same_or_raise(case, expected)
    return expected


def same_or_raise(case: TransactionsCase | ChainCase, expected: dict[str, Any]) -> None:
    """Raise AssertionError with the differences and the case as JSON, if there are any."""
    found = differences(case, expected)
    if found:
        lines = "\n".join(found)
        raise AssertionError(
            f"{case.name}: the engine differs from the specification:\n{lines}\n"
            f"Replay: save the next line as case.json; python -m tests.differential.replay case.json\n"
            f"{json.dumps(case.to_request())}"
        )


def compare_transactions(expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for index, (left, right) in enumerate(zip(expected["transactions"], actual["transactions"], strict=True)):
        found += compare_members(f"transaction {index}", TRANSACTION_MEMBERS, left, right)
        if left["accepted"] != right["accepted"]:
            found.append(f"transaction {index}: oracle {explain(left)}, engine {explain(right)}")
    return (
        found
        + compare_posts(expected["post"], actual["post"])
        + compare_members("batch", BATCH_MEMBERS, expected, actual)
    )


def compare_posts(expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    return [
        f"account {address} after it: oracle {shorten(expected.get(address))}, engine {shorten(actual.get(address))}"
        for address in sorted(expected.keys() | actual.keys())
        if expected.get(address) != actual.get(address)
    ]


def compare_chains(expected: dict[str, Any], actual: dict[str, Any]) -> list[str]:
    found = compare_members("genesis", ("genesis_state_root", "genesis_hash"), expected, actual)
    if len(expected["blocks"]) != len(actual["blocks"]):
        found.append(f"blocks: oracle answered for {len(expected['blocks'])}, engine for {len(actual['blocks'])}")
    for index, (left, right) in enumerate(zip(expected["blocks"], actual["blocks"], strict=False), start=1):
        where = f"block {index}"
        if left["built"] and right["built"]:
            found += compare_headers(where, left["header"], right["header"])
            found += compare_skipped(where, left["skipped"], right["skipped"])
        found += compare_members(where, BLOCK_MEMBERS, left, right)
        if left["built"] != right["built"]:
            found.append(f"{where}: oracle {explain(left)}, engine {explain(right)}")
    return found


def compare_headers(where: str, expected: dict[str, str], actual: dict[str, str]) -> list[str]:
    renamed = {HEADER_NAMES.get(name, name): value for name, value in actual.items() if name != "hash"}
    names = sorted(expected.keys() | renamed.keys())
    return [
        f"{where}: {name}: oracle {expected.get(name)}, engine {renamed.get(name)}"
        for name in names
        if expected.get(name) != renamed.get(name)
    ]


def compare_skipped(where: str, expected: list[dict[str, Any]], actual: list[dict[str, Any]]) -> list[str]:
    left = {entry["index"]: entry["refusal"] for entry in expected}
    right = {entry["index"]: entry["refusal"] for entry in actual}
    return [
        f"{where}: candidate {index}: oracle {left.get(index, 'includes it')}, engine {right.get(index, 'includes it')}"
        for index in sorted(left.keys() ^ right.keys())
    ]


def compare_members(where: str, members: tuple[str, ...], left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    return [
        f"{where}: {member}: oracle {shorten(left.get(member))}, engine {shorten(right.get(member))}"
        for member in members
        if left.get(member) != right.get(member)
    ]


def explain(answer: dict[str, Any]) -> str:
    return str(answer.get("refusal", "accepts it"))


def shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:180]}… ({len(text)} characters)"
