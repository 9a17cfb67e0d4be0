"""What clients rely on, method by method, against a running node."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import websockets

from tests.rpc.running_node import HASHES_ONLY, WHOLE, Client, RunningNode, running_node

# Stores calldata's first word in slot 0, emits it as a log with one topic, and returns it.
#   CALLDATALOAD(0) DUP1 PUSH0 SSTORE  DUP1 PUSH0 MSTORE  PUSH1 7 PUSH1 32 PUSH0 LOG1  PUSH1 32 PUSH0 RETURN
RUNTIME = bytes.fromhex("5f35805f55805f52600760205fa160205ff3")
DEPLOY = bytes.fromhex(f"60{len(RUNTIME):02x}600c60003960{len(RUNTIME):02x}6000f3") + RUNTIME
# Reverts with Error("no").
REVERT = bytes.fromhex("62461bcd60e51b5f5260206004526002602452616e6f60f01b60445260645ffd")
TOPIC = f"0x{7:064x}"


def account(node: RunningNode, index: int) -> str:
    return f"0x{node.addresses[index].hex()}"


@pytest.fixture(scope="module")
def contract(node: RunningNode) -> str:
    client = node.client()
    sent = client.ask("eth_sendTransaction", {"from": account(node, 3), "data": f"0x{DEPLOY.hex()}"})
    receipt = client.ask("eth_getTransactionReceipt", sent)
    client.close()
    assert receipt["status"] == "0x1"
    address: str = receipt["contractAddress"]
    return address


def store(node: RunningNode, client: Client, contract: str, value: int) -> dict[str, Any]:
    """Send a transaction that stores and logs a value; returns the receipt."""
    call = {"from": account(node, 3), "to": contract, "data": f"0x{value:064x}"}
    sent = client.ask("eth_sendTransaction", call)
    receipt: dict[str, Any] = client.ask("eth_getTransactionReceipt", sent)
    assert receipt["status"] == "0x1"
    return receipt


def test_state__of_a_contract__is_readable_now_and_then(node: RunningNode, client: Client, contract: str) -> None:
    first = store(node, client, contract, 5)
    second = store(node, client, contract, 6)
    assert client.ask("eth_getCode", contract) == f"0x{RUNTIME.hex()}"
    assert client.ask("eth_getStorageAt", contract, "0x0", "latest") == f"0x{6:064x}"
    assert client.ask("eth_getStorageAt", contract, "0x0", first["blockNumber"]) == f"0x{5:064x}"
    by_hash = {"blockHash": second["blockHash"], "requireCanonical": True}
    assert client.ask("eth_getStorageAt", contract, "0x0", by_hash) == f"0x{6:064x}"
    unknown = client.answer("eth_getBalance", contract, {"blockHash": f"0x{1:064x}"})
    assert unknown["error"] == {"code": -32000, "message": "header for hash not found"}
    assert client.answer("eth_getBalance", contract, "0xffffff")["error"]["code"] == -32000
    proof = client.ask("eth_getProof", contract, ["0x0"], "latest")
    assert (proof["storageProof"][0]["key"], proof["storageProof"][0]["value"]) == ("0x0", "0x6")


def test_call__with_overrides__sees_them(node: RunningNode, client: Client, contract: str) -> None:
    call = {"to": contract, "data": f"0x{9:064x}"}
    assert client.ask("eth_call", call, "latest") == f"0x{9:064x}"
    # NUMBER and TIMESTAMP, then SLOAD(1), then SELFBALANCE.
    code = "0x435f5242602052600154604052476060526080" + "5ff3"
    state = {contract: {"code": code, "balance": "0x22", "stateDiff": {f"0x{1:064x}": f"0x{3:064x}"}}}
    block = {"number": "0x1234", "time": "0xffffffffff"}
    words = client.ask("eth_call", {"to": contract}, "latest", state, block)[2:]
    numbers = [int(words[index : index + 64], 16) for index in range(0, len(words), 64)]
    assert numbers == [0x1234, 0xFFFFFFFFFF, 3, 0x22]
    assert client.ask("eth_getCode", contract) == f"0x{RUNTIME.hex()}"


def test_call__that_reverts__has_code_3_and_the_data(client: Client, contract: str) -> None:
    state = {contract: {"code": f"0x{REVERT.hex()}"}}
    for method in ("eth_call", "eth_estimateGas"):
        error = client.answer(method, {"to": contract}, "latest", state)["error"]
        assert (error["code"], error["message"]) == (3, "execution reverted: no")
        assert error["data"].startswith("0x08c379a0")


def test_estimate__of_transfer_and_call__is_enough_and_no_more(
    node: RunningNode, client: Client, contract: str
) -> None:
    assert client.ask("eth_estimateGas", {"from": account(node, 0), "to": account(node, 1), "value": "0x1"}) == "0x5208"
    call = {"from": account(node, 3), "to": contract, "data": f"0x{77:064x}"}
    gas = int(client.ask("eth_estimateGas", call), 16)
    sent = client.ask("eth_sendTransaction", {**call, "gas": hex(gas)})
    assert client.ask("eth_getTransactionReceipt", sent)["status"] == "0x1"
    listed = client.ask("eth_createAccessList", call)
    assert {"address": contract, "storageKeys": [f"0x{0:064x}"]} in listed["accessList"]
    error = client.answer("eth_estimateGas", {"from": f"0x{'ab' * 20}", "to": contract, "value": "0x1"})["error"]
    assert "insufficient funds" in error["message"]


def test_estimate__with_the_fee_cap_of_the_next_block__is_given_and_with_less_refused() -> None:
    """While the base fee falls, a client's cap for the next block is below the base fee of the latest one."""
    # A node of its own: after many blocks the fee is so low that it falls no more.
    with running_node() as node:
        client = node.client()
        client.send(node.transfer(0, 0))
        latest_fee_wei, next_fee_wei = (
            int(fee, 16) for fee in client.ask("eth_feeHistory", "0x1", "latest")["baseFeePerGas"]
        )
        assert next_fee_wei < latest_fee_wei
        call = {"from": account(node, 0), "to": account(node, 1), "maxPriorityFeePerGas": "0x0"}
        assert client.ask("eth_estimateGas", {**call, "maxFeePerGas": hex(next_fee_wei)}, "latest") == "0x5208"
        refused = client.answer("eth_estimateGas", {**call, "maxFeePerGas": hex(next_fee_wei - 1)}, "latest")
        assert "max fee per gas less than block base fee" in refused["error"]["message"]
        client.close()


def test_logs__by_range_hash_and_filter__are_the_same(node: RunningNode, client: Client, contract: str) -> None:
    wish = {"address": contract, "topics": [TOPIC]}
    found = client.ask("eth_newFilter", wish)
    blocks = client.ask("eth_newBlockFilter")
    pending = client.ask("eth_newPendingTransactionFilter")
    receipts = [store(node, client, contract, value) for value in (11, 12)]
    expected = [log for receipt in receipts for log in receipt["logs"]]
    assert client.ask("eth_getFilterChanges", found) == expected
    assert client.ask("eth_getFilterChanges", found) == []
    assert client.ask("eth_getFilterChanges", blocks) == [receipt["blockHash"] for receipt in receipts]
    assert client.ask("eth_getFilterChanges", pending) == [receipt["transactionHash"] for receipt in receipts]
    in_range = {**wish, "fromBlock": receipts[0]["blockNumber"], "toBlock": "latest"}
    assert client.ask("eth_getLogs", in_range) == expected
    assert client.ask("eth_getLogs", {**wish, "blockHash": receipts[1]["blockHash"]}) == receipts[1]["logs"]
    assert client.ask("eth_getLogs", {**in_range, "topics": [f"0x{8:064x}"]}) == []
    assert client.ask("eth_getBlockReceipts", receipts[0]["blockNumber"]) == [receipts[0]]
    assert client.ask("eth_uninstallFilter", found) is True
    assert client.ask("eth_uninstallFilter", found) is False
    assert client.answer("eth_getFilterChanges", found)["error"]["message"] == "filter not found"
    assert client.answer("eth_getLogs", {"fromBlock": "0x2", "toBlock": "0x1"})["error"]["code"] == -32602


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nonce": 0}, "nonce too low"),
        ({"chain_id": 1}, "invalid chain id for signer: chain id 1 is not this chain's"),
        ({"gas_limit": 20_000}, "intrinsic gas too low"),
        ({"value_wei": 10**24}, "insufficient funds for gas * price + value"),
        ({"gas_limit": 10**9}, "transaction gas limit too high"),
    ],
)
def test_send__of_what_may_not_be__is_refused_in_geths_words(
    node: RunningNode, client: Client, fields: dict[str, Any], words: str
) -> None:
    client.send(node.transfer(6, nonce := int(client.ask("eth_getTransactionCount", account(node, 6)), 16)))
    raw = node.transfer(6, fields.pop("nonce", nonce + 1), b"\x78" * 20, **fields)
    error = client.answer("eth_sendRawTransaction", f"0x{raw.hex()}")["error"]
    assert words in error["message"]
    assert error["code"] in (-32000, -32003)


def test_send__of_the_same_transaction_twice__is_refused(node: RunningNode, client: Client) -> None:
    nonce = int(client.ask("eth_getTransactionCount", account(node, 7)), 16)
    queued = node.transfer(7, nonce + 1)
    client.send(queued)
    assert "already known" in client.answer("eth_sendRawTransaction", f"0x{queued.hex()}")["error"]["message"]
    cheap = node.transfer(7, nonce + 1, to=b"\x99" * 20)
    error = client.answer("eth_sendRawTransaction", f"0x{cheap.hex()}")["error"]
    assert "replacement transaction underpriced" in error["message"]
    client.send(node.transfer(7, nonce))


def test_signing__with_a_nodes_key__is_by_that_account(node: RunningNode, client: Client) -> None:
    signature = client.ask("eth_sign", account(node, 0), "0x68656c6c6f")
    assert client.ask("personal_sign", "0x68656c6c6f", account(node, 0)) == signature
    assert len(signature) == 2 + 65 * 2
    assert "no key" in client.answer("eth_sign", f"0x{'ab' * 20}", "0x")["error"]["message"]
    filled = client.ask("eth_fillTransaction", {"from": account(node, 8), "to": account(node, 1), "value": "0x1"})
    raw = client.ask("eth_signTransaction", filled["tx"])
    assert client.ask("eth_getTransactionByHash", client.ask("eth_sendRawTransaction", raw))["from"] == account(node, 8)


def test_fees__of_a_living_chain__are_coherent(client: Client) -> None:
    tip, price, base = (
        int(client.ask(name), 16) for name in ("eth_maxPriorityFeePerGas", "eth_gasPrice", "eth_baseFee")
    )
    assert price == base + tip
    history = client.ask("eth_feeHistory", "0x2", "latest", [10, 90])
    assert int(history["baseFeePerGas"][-1], 16) == base
    assert len(history["baseFeePerGas"]) == len(history["gasUsedRatio"]) + 1 == len(history["reward"]) + 1
    assert int(client.ask("eth_getBlockByNumber", "pending", HASHES_ONLY)["baseFeePerGas"], 16) == base


def test_blocks__by_number_and_hash__agree(client: Client) -> None:
    block = client.ask("eth_getBlockByNumber", "latest", WHOLE)
    assert client.ask("eth_getBlockByHash", block["hash"], WHOLE) == block
    count = hex(len(block["transactions"]))
    assert client.ask("eth_getBlockTransactionCountByHash", block["hash"]) == count
    for index, transaction in enumerate(block["transactions"]):
        assert client.ask("eth_getTransactionByBlockHashAndIndex", block["hash"], hex(index)) == transaction
    assert client.ask("eth_getUncleCountByBlockNumber", "latest") == "0x0"
    assert client.ask("eth_getUncleByBlockNumberAndIndex", "latest", "0x0") is None
    assert client.ask("eth_getBlockByNumber", "0xffffff", HASHES_ONLY) is None


def test_subscriptions__over_websocket__bring_heads_logs_and_pending(
    node: RunningNode, client: Client, contract: str
) -> None:
    async def scenario() -> None:
        async with websockets.connect(node.websocket) as socket:

            async def ask(*params: Any) -> str:
                await socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": params}))
                subscribed: str = json.loads(await socket.recv())["result"]
                return subscribed

            heads = await ask("newHeads")
            logs = await ask("logs", {"address": contract})
            pending = await ask("newPendingTransactions")
            await ask("syncing")
            receipt = await asyncio.to_thread(store, node, client, contract, 21)
            got: dict[str, Any] = {}
            while len(got) < 3:
                event = json.loads(await asyncio.wait_for(socket.recv(), 20))["params"]
                got[event["subscription"]] = event["result"]
            assert got[heads]["hash"] == receipt["blockHash"]
            assert got[logs] == receipt["logs"][0]
            assert got[pending] == receipt["transactionHash"]

    asyncio.run(scenario())
