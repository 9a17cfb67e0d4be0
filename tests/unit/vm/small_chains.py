"""A blockchain-test file small enough to read: blocks that the engine builds, as execution-spec-tests writes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import rlp  # type: ignore[import-untyped]
from eth_account import Account as KeyAccount

from metis.engine import Node, decode_transaction
from metis.types import BlockAttributes, FixtureError, Gas, TimestampS
from metis.vm import ChainTest, parse_chain_tests
from metis.vm.beginning import alloc_of
from metis.vm.forks import network_config
from tests.unit.vm.small_tests import RECEIVER, SECRET_KEY, SENDER

STATE_ROOT_FIELD = 3
"""Position in a header."""

PRE = {
    SENDER: {"balance": "0x0de0b6b3a7640000", "code": "0x", "nonce": "0x00", "storage": {}},
    # Stores the value sent at slot 0.
    RECEIVER: {"balance": "0x00", "code": "0x345f55", "nonce": "0x01", "storage": {"0x01": "0x02"}},
}
_GENESIS = {
    "nonce": "0x0000000000000000",
    "timestamp": "0x00",
    "extraData": "0x00",
    "gasLimit": "0x05f5e100",
    "difficulty": "0x00",
    "mixHash": "0x" + "00" * 32,
    "coinbase": "0x" + "00" * 20,
    "baseFeePerGas": "0x07",
    "excessBlobGas": "0x00",
    "blobGasUsed": "0x00",
    "parentBeaconBlockRoot": "0x" + "00" * 32,
}


def chain_test(network: str = "Cancun", block_count: int = 2) -> dict[str, Any]:
    """One test: blocks 10 seconds apart, each with a transfer of as many wei as its number."""
    config = network_config(network, 1, {})
    node = Node.open(orjson.dumps({**_GENESIS, "config": config, "alloc": {}}), alloc_of(PRE), workers=1)
    try:
        blocks = [_built(node, number) for number in range(1, block_count + 1)]
        return {
            "network": network,
            "genesisBlockHeader": {**_GENESIS, "hash": f"0x{node.genesis_hash.hex()}"},
            "pre": PRE,
            "blocks": [{"rlp": f"0x{block.hex()}", "blockHeader": {}, "uncleHeaders": []} for block in blocks],
            "lastblockhash": f"0x{node.head_hash.hex()}",
            "postState": {
                address: {**account, "nonce": hex(account["nonce"])}
                for address, account in orjson.loads(node.accounts_json()).items()
            },
            "config": {"network": network, "chainid": "0x01"},
        }
    finally:
        node.close()


def _built(node: Node, number: int) -> bytes:
    fields = {"nonce": number - 1, "gasPrice": 10, "gas": 100_000, "to": RECEIVER, "value": number, "chainId": 1}
    signed = KeyAccount.sign_transaction(fields, SECRET_KEY).raw_transaction
    attributes = BlockAttributes(TimestampS(10 * number), gas_limit=Gas(100_000_000))
    block = node.build_from(attributes, [decode_transaction(signed)])["block"]
    assert node.head_number == number
    return bytes(block.rlp)


def changed(block: dict[str, Any], change: Callable[[list[Any]], None], **more: Any) -> dict[str, Any]:
    """A block of a test with another header (and body), as one that is refused is written."""
    body = rlp.decode(bytes.fromhex(block["rlp"][2:]))
    body = [list(part) if isinstance(part, list) else part for part in body]
    change(body)
    return {"rlp": f"0x{rlp.encode(body).hex()}", "rlp_decoded": {}, **more}


def only_chain_test(document: dict[str, Any]) -> ChainTest:
    """Parse a file of one test, which must follow the format."""
    (test,) = parse_chain_tests("small.json", orjson.dumps(document))
    assert not isinstance(test, FixtureError), test
    return test
