"""Methods that other nodes have had for a while: sequences of calls, codes by hash, sending again, detailed blocks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis.engine import keccak256
from tests.rpc.control_world import OFF, ON
from tests.rpc.running_node import Client, RunningNode

COUNTER = "0x" + "c0" * 20
COUNTER_CODE = "0x5f546001018060005560005260206000f3"
"""Adds one to slot 0, and returns it."""
CALLER_REVERTS = "0x" + "c1" * 20
REASON = "no"
REVERTING_CODE = (
    f"0x7f08c379a0{'00' * 28}5f52"  # the selector of Error(string)
    "60206004526002602452"  # where the text is, and its length
    f"7f{REASON.encode().hex()}{'00' * 30}60445260645ffd"
)
"""Reverts with Error("no")."""
WORD = 64


@pytest.fixture
def ready(client: Client) -> Client:
    """The node's client, with two contracts on an empty chain."""
    client.ask("anvil_reset")
    client.ask("anvil_setAutomine", ON)
    client.ask("anvil_setCode", COUNTER, COUNTER_CODE)
    client.ask("anvil_setCode", CALLER_REVERTS, REVERTING_CODE)
    return client


def word(number: int) -> str:
    return f"0x{number:0{WORD}x}"


def test_call_many__of_a_contract_that_counts__goes_on_from_what_each_left(ready: Client) -> None:
    call = {"to": COUNTER}
    answer = ready.ask("eth_callMany", [{"transactions": [call, call]}, {"transactions": [call]}], {})
    assert answer == [[{"value": word(1)}, {"value": word(2)}], [{"value": word(3)}]]
    assert ready.ask("eth_call", call, "latest") == word(1), "nothing is kept"
    diff = {COUNTER: {"stateDiff": {word(0): word(40)}}}
    assert ready.ask("eth_callMany", [{"transactions": [call]}], {}, diff) == [[{"value": word(41)}]]


def test_call_many__with_block_overrides__keeps_them_in_later_bundles(ready: Client) -> None:
    # NUMBER, returned.
    ready.ask("anvil_setCode", COUNTER, "0x435f5260205ff3")
    call = {"to": COUNTER}
    bundles = [{"transactions": [call], "blockOverride": {"number": "0x64"}}, {"transactions": [call]}]
    assert ready.ask("eth_callMany", [{"transactions": [call]}, *bundles], {"blockNumber": "latest"}) == [
        [{"value": word(0)}],
        [{"value": word(0x64)}],
        [{"value": word(0x64)}],
    ]


def test_call_many__inside_a_block__begins_after_its_first_transactions(node: RunningNode, ready: Client) -> None:
    ready.ask("anvil_setAutomine", OFF)
    for index in range(3):
        ready.ask("eth_sendTransaction", {"from": ready.ask("eth_accounts")[index], "to": COUNTER, "gas": "0x186a0"})
    ready.ask("anvil_mine")
    bundle = [{"transactions": [{"to": COUNTER}]}]
    for index in range(4):
        assert ready.ask("eth_callMany", bundle, {"transactionIndex": index}) == [[{"value": word(index + 1)}]]
    assert ready.ask("eth_callMany", bundle, {"transactionIndex": -1}) == [[{"value": word(4)}]]
    assert ready.answer("eth_callMany", bundle, {"transactionIndex": 4})["error"]["code"] == -32602


def test_call_many__of_a_call_that_reverts__says_why_and_goes_on(ready: Client) -> None:
    calls = [{"to": CALLER_REVERTS}, {"to": COUNTER}]
    assert ready.ask("eth_callMany", [{"transactions": calls}]) == [
        [{"error": f"execution reverted: {REASON}"}, {"value": word(1)}]
    ]
    assert ready.answer("eth_callMany", [])["error"]["code"] == -32602


def test_trace_call_many__of_calls__is_trace_call_on_what_each_left(ready: Client) -> None:
    call, types = {"to": COUNTER}, ["trace", "stateDiff"]
    first, second = ready.ask("trace_callMany", [[call, types], [call, types]], "latest")
    assert first == ready.ask("trace_call", call, types, "latest")
    after = {COUNTER: {"stateDiff": {word(0): word(1)}}}
    assert second["output"] == ready.ask("trace_call", call, types, "latest", after)["output"] == word(2)
    assert second["stateDiff"][COUNTER]["storage"] == {word(0): {"*": {"from": word(1), "to": word(2)}}}
    assert ready.ask("trace_callMany", []) == []


def test_trace_raw_transaction__before_it_is_sent__is_what_it_will_do(node: RunningNode, ready: Client) -> None:
    raw = node.transfer(0, 0, to=bytes.fromhex(COUNTER[2:]), gas_limit=100_000, value_wei=0)
    types = ["trace", "vmTrace", "stateDiff"]
    foreseen = ready.ask("trace_rawTransaction", f"0x{raw.hex()}", types)
    assert ready.ask("eth_blockNumber") == "0x0"
    seen = ready.ask("trace_replayTransaction", ready.send(raw), types)
    assert foreseen["output"] == seen["output"] == word(1)
    assert foreseen["trace"] == seen["trace"]
    assert foreseen["vmTrace"] == seen["vmTrace"]
    assert foreseen["stateDiff"][COUNTER] == seen["stateDiff"][COUNTER]


def test_code_by_hash__of_a_contract__is_its_code(ready: Client) -> None:
    code = bytes.fromhex(COUNTER_CODE[2:])
    code_hash = keccak256(code)
    assert ready.ask("debug_codeByHash", f"0x{code_hash.hex()}") == COUNTER_CODE
    assert ready.ask("debug_dbGet", f"0x63{code_hash.hex()}") == COUNTER_CODE
    assert ready.ask("debug_codeByHash", word(1)) is None
    assert ready.answer("debug_dbGet", "0x64" + code_hash.hex())["error"]["code"] == -32602


def test_account_info_at__each_transaction_of_a_block__is_what_transfers_left(ready: Client) -> None:
    accounts, receiver = ready.ask("eth_accounts"), "0x" + "77" * 20
    ready.ask("anvil_setAutomine", OFF)
    for index in range(3):
        sent = {"from": accounts[index], "to": receiver, "value": hex(10**index), "gas": "0x5208"}
        ready.ask("eth_sendTransaction", sent | {"maxPriorityFeePerGas": hex(10**9 * (3 - index))})
    ready.ask("anvil_mine")
    assert len(ready.ask("eth_getBlockByNumber", "latest", ON)["transactions"]) == 3
    for index, total in enumerate((1, 11, 111)):
        found = ready.ask("debug_accountInfoAt", "latest", index, receiver)
        assert found == {"balance": hex(total), "nonce": "0x0", "code": "0x"}
        sender = ready.ask("debug_accountInfoAt", "latest", hex(index), accounts[1])
        assert sender["nonce"] == ("0x1" if index >= 1 else "0x0")
    assert ready.ask("debug_accountInfoAt", "latest", 0, COUNTER)["code"] == COUNTER_CODE
    assert "out of bounds" in ready.answer("debug_accountInfoAt", "latest", 3, receiver)["error"]["message"]


def test_raw_transactions__of_a_block__are_those_of_its_hashes(node: RunningNode, ready: Client) -> None:
    raw = node.transfer(0, 0)
    found = ready.send(raw)
    assert ready.ask("debug_getRawTransactions", "latest") == [f"0x{raw.hex()}"]
    assert ready.ask("debug_getRawTransaction", found) == f"0x{raw.hex()}"


def test_resend__of_a_waiting_transaction__replaces_it(ready: Client) -> None:
    sender = ready.ask("eth_accounts")[0]
    fields = {"from": sender, "to": "0x" + "77" * 20, "value": "0x1", "gas": "0x5208", "nonce": "0x0"}
    assert "not in the pool" in ready.answer("eth_resend", fields)["error"]["message"]
    ready.ask("anvil_setAutomine", OFF)
    first = ready.ask("eth_sendTransaction", fields | {"gasPrice": hex(2 * 10**9)})
    second = ready.ask("eth_resend", fields, hex(4 * 10**9), "0x7530")
    assert second != first
    ready.ask("anvil_mine")
    assert ready.ask("eth_getTransactionByHash", first) is None
    mined = ready.ask("eth_getTransactionByHash", second)
    assert (mined["gasPrice"], mined["gas"], mined["nonce"]) == (hex(4 * 10**9), "0x7530", "0x0")


@pytest.mark.parametrize("method", ["evm_mine_detailed", "anvil_mine_detailed"])
def test_mine_detailed__of_calls__says_what_they_returned_and_why_they_reverted(either: Client, method: str) -> None:
    sender = either.ask("eth_accounts")[0]
    either.ask("anvil_setCode", COUNTER, COUNTER_CODE)
    either.ask("anvil_setCode", CALLER_REVERTS, REVERTING_CODE)
    either.ask("anvil_setAutomine", OFF)
    for nonce, to in enumerate((COUNTER, CALLER_REVERTS, "0x" + "77" * 20)):
        either.ask("eth_sendTransaction", {"from": sender, "to": to, "gas": "0x186a0", "nonce": hex(nonce)})
    (block,) = either.ask(method)
    outputs = [transaction["output"] for transaction in block["transactions"]]
    error = "0x08c379a0" + word(32)[2:] + word(len(REASON))[2:] + REASON.encode().hex().ljust(WORD, "0")
    assert outputs == [word(1), error, "0x"]
    reasons = [transaction.get("revertReason") for transaction in block["transactions"]]
    assert (reasons[0], reasons[2]) == (None, None)
    assert REASON in reasons[1]


def test_names__of_other_nodes__answer_the_same(node: RunningNode, ready: Client) -> None:
    assert ready.ask("eth_networkId") == ready.ask("net_version") == str(node.chain_id)
    assert ready.ask("eth_requestAccounts") == ready.ask("eth_accounts")
    data: dict[str, Any] = {
        "types": {"EIP712Domain": [{"name": "name", "type": "string"}], "Mail": [{"name": "text", "type": "string"}]},
        "primaryType": "Mail",
        "domain": {"name": "x"},
        "message": {"text": "y"},
    }
    account = ready.ask("eth_accounts")[0]
    signed = ready.ask("eth_signTypedData", account, json.dumps(data))
    assert signed == ready.ask("eth_signTypedData_v4", account, data)


def test_last_block_wall_time__after_a_block__is_between_the_times_around_it(ready: Client) -> None:
    before = ready.ask("anvil_getLastBlockWallTime")
    ready.ask("anvil_increaseTime", 1_000_000)
    ready.ask("anvil_mine")
    after = ready.ask("anvil_getLastBlockWallTime")
    # The clock of the chain went ahead by days; this one did not.
    assert before <= after < before + 1_000_000


def test_clear_txpool__of_a_waiting_transaction__forgets_it(ready: Client) -> None:
    ready.ask("anvil_setAutomine", OFF)
    ready.ask("eth_sendTransaction", {"from": ready.ask("eth_accounts")[0], "to": COUNTER, "gas": "0x186a0"})
    assert ready.ask("txpool_status")["pending"] == "0x1"
    ready.ask("debug_clearTxpool")
    assert ready.ask("txpool_status")["pending"] == "0x0"
