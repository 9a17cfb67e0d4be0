"""What a user of web3.py does, against the node at argv[1] (HTTP) and argv[2] (WebSocket), with the key argv[3]."""

import asyncio
import sys

from web3 import AsyncWeb3, Web3, WebSocketProvider
from web3.exceptions import ContractLogicError, Web3RPCError

http, websocket, key = sys.argv[1:4]
ABI = [
    {"type": "function", "name": "store", "inputs": [{"name": "value", "type": "uint256"}],
     "outputs": [{"name": "", "type": "uint256"}], "stateMutability": "nonpayable"},
]  # fmt: skip
# Stores, logs and returns the first word after the selector.
RUNTIME = "600435805f55805f52600760205fa160205ff3"
DEPLOY = f"60{len(RUNTIME) // 2:02x}600c60003960{len(RUNTIME) // 2:02x}6000f3{RUNTIME}"

w3 = Web3(Web3.HTTPProvider(http))
assert w3.is_connected()
account = w3.eth.account.from_key(key)
assert w3.eth.get_balance(account.address) > 10**18
assert account.address in w3.eth.accounts

# The fees are filled in by web3 (estimateGas, maxPriorityFeePerGas, the latest block).
transfer = {"from": account.address, "to": "0x" + "11" * 20, "value": 5, "chainId": w3.eth.chain_id}
transfer["nonce"] = w3.eth.get_transaction_count(account.address)
transfer["gas"] = w3.eth.estimate_gas(transfer)
transfer["maxPriorityFeePerGas"] = w3.eth.max_priority_fee
transfer["maxFeePerGas"] = 2 * w3.eth.get_block("latest")["baseFeePerGas"] + transfer["maxPriorityFeePerGas"]
sent = w3.eth.send_raw_transaction(account.sign_transaction(transfer).raw_transaction)
receipt = w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.01)
assert (receipt["status"], receipt["gasUsed"]) == (1, 21000)
assert w3.eth.get_transaction(sent)["value"] == 5
assert w3.eth.get_balance("0x" + "11" * 20) >= 5

contract = w3.eth.contract(abi=ABI, bytecode="0x" + DEPLOY)
sent = w3.eth.send_transaction({"from": account.address, "data": "0x" + DEPLOY})
address = w3.eth.wait_for_transaction_receipt(sent)["contractAddress"]
contract = w3.eth.contract(address=address, abi=ABI)
assert contract.functions.store(9).call() == 9
logs = w3.eth.filter({"address": address})
receipt = w3.eth.wait_for_transaction_receipt(contract.functions.store(9).transact({"from": account.address}))
assert int.from_bytes(w3.eth.get_storage_at(address, 0), "big") == 9
assert [log["logIndex"] for log in logs.get_new_entries()] == [receipt["logs"][0]["logIndex"]]
assert w3.eth.get_logs({"address": address, "fromBlock": receipt["blockNumber"]})[0] == receipt["logs"][0]
assert len(w3.eth.fee_history(2, "latest", [50])["reward"]) == 2
assert w3.eth.get_proof(address, [0], "latest")["storageProof"][0]["value"] == (9).to_bytes(1, "big")

try:
    # Error("no"), by a state override.
    code = "0x62461bcd60e51b5f526020600452600260245261" + "6e6f60f01b60445260645ffd"
    w3.eth.call({"to": address}, "latest", {address: {"code": code}})
    raise AssertionError("did not revert")
except ContractLogicError as problem:
    assert "no" in str(problem), problem
try:
    w3.eth.send_raw_transaction(account.sign_transaction({**transfer, "value": 6}).raw_transaction)
    raise AssertionError("a nonce was used twice")
except Web3RPCError as problem:
    assert "nonce too low" in str(problem), problem


async def over_websocket() -> None:
    async with AsyncWeb3(WebSocketProvider(websocket)) as connected:
        await connected.eth.subscribe("newHeads")
        await connected.eth.send_transaction({"from": account.address, "to": account.address, "value": 1})
        async for message in connected.socket.process_subscriptions():
            assert message["result"]["number"] == await connected.eth.block_number
            return


asyncio.run(asyncio.wait_for(over_websocket(), 20))
print("web3.py: ok")
