"""
The engine's side of a comparison: runs a case in metis.engine and answers in the oracle's shape.

Every transaction runs twice: alone through ``execute_transaction`` (status, output, refund) and as
part of the block through ``execute_transactions`` (acceptance, receipts, roots); the two must agree
with the oracle, and so with each other.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from metis.engine import _native as native
from metis.types import DecodeError, InvalidBlock, InvalidTransaction
from tests.differential.case import ChainCase, TransactionsCase, hexed, unhex

__all__ = ["genesis_document", "import_candidates", "run_chain_case", "run_transactions_case"]

# Members of geth's genesis config that switch a fork on; those by time, oldest first.
BLOCK_SWITCHES = [
    "homesteadBlock",
    "eip150Block",
    "eip155Block",
    "eip158Block",
    "byzantiumBlock",
    "constantinopleBlock",
    "petersburgBlock",
    "istanbulBlock",
    "muirGlacierBlock",
    "berlinBlock",
    "londonBlock",
    "arrowGlacierBlock",
    "grayGlacierBlock",
    "mergeNetsplitBlock",
]
TIME_SWITCHES = {
    "Shanghai": "shanghaiTime",
    "Cancun": "cancunTime",
    "Prague": "pragueTime",
    "Osaka": "osakaTime",
    "BPO1": "bpo1Time",
    "BPO2": "bpo2Time",
}
# SPEC: EIP-7840 and EIP-7892: blobs per block and the update fraction of the blob base fee.
BLOB_SCHEDULE = {
    "cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3338477},
    "prague": {"target": 6, "max": 9, "baseFeeUpdateFraction": 5007716},
    "osaka": {"target": 6, "max": 9, "baseFeeUpdateFraction": 5007716},
    "bpo1": {"target": 10, "max": 15, "baseFeeUpdateFraction": 8346193},
    "bpo2": {"target": 14, "max": 21, "baseFeeUpdateFraction": 11684671},
}


@cache
def spec_at(fork: str, chain_id: int) -> native.ChainSpec:
    return native.ChainSpec.at_fork(fork, chain_id)


def run_transactions_case(case: TransactionsCase) -> dict[str, Any]:
    """Run the case; same members as the oracle's answer."""
    spec = spec_at(case.fork, case.chain_id)
    genesis = native.MemoryStore(case.alloc)
    accepted: list[native.Transaction] = []
    outcomes: list[dict[str, Any]] = []
    block = native.execute_transactions(genesis.fork(), spec, case.environment, [])
    for raw in case.transactions:
        try:
            transaction = native.decode_transaction(raw)
            block_with_it = native.execute_transactions(
                genesis.fork(), spec, case.environment, [*accepted, transaction]
            )
        except (DecodeError, InvalidTransaction) as refusal:
            outcomes.append({"accepted": False, "refusal": describe_refusal(refusal)})
            continue
        state_before = genesis.fork()
        if accepted:
            native.execute_transactions(state_before, spec, case.environment, accepted, commit=True)
        alone = native.execute_transaction(state_before, spec, case.environment, transaction)
        outcomes.append(describe_outcome(alone, block_with_it))
        accepted.append(transaction)
        block = block_with_it
    post = genesis.fork()
    native.execute_transactions(post, spec, case.environment, accepted, commit=True)
    return {
        "transactions": outcomes,
        "state_root": hexed(block["state_root"]),
        "receipts_root": hexed(block["receipts_root"]),
        "transactions_root": hexed(block["transactions_root"]),
        "logs_bloom": hexed(block["logs_bloom"]),
        "gas_used": block["gas_used"],
        "post": describe_state(post),
    }


def describe_state(store: native.MemoryStore) -> dict[str, Any]:
    """Every account of the newest state."""
    described = {}
    for address in store.accounts():
        account = store.account(address)
        assert account is not None
        nonce, balance_wei, _, _ = account
        described[hexed(address)] = {
            "nonce": nonce,
            "balance": balance_wei,
            "code": hexed(store.code(address)),
            "storage": {hex(slot): hex(value) for slot, value in sorted(store.storage_of(address).items())},
        }
    return described


def describe_refusal(refusal: DecodeError | InvalidTransaction) -> str:
    if isinstance(refusal, InvalidTransaction):
        return f"{refusal.reason}: {refusal.detail}"
    return f"decode: {refusal.field}: {refusal.problem}"


def describe_outcome(alone: dict[str, Any], block: dict[str, Any]) -> dict[str, Any]:
    receipt = block["receipts"][-1]
    assert receipt["gas_used"] == alone["gas_used"], "execute_transaction and execute_transactions differ in gas"
    assert block["state_root"] == alone["state_root"], "execute_transaction and execute_transactions differ in state"
    assert receipt["success"] == (alone["status"] == "success"), "the two differ in status"
    contract_address = alone["contract_address"]
    return {
        "accepted": True,
        "status": alone["status"],
        "error": alone["halt_reason"] or "",
        "gas_used": alone["gas_used"],
        "gas_refunded": alone["gas_refunded"],
        "output": hexed(alone["output"]),
        "contract_address": None if contract_address is None else hexed(contract_address),
        "logs": [describe_log(log) for log in alone["logs"]],
        "state_root": hexed(alone["state_root"]),
    }


def describe_log(log: tuple[bytes, list[bytes], bytes]) -> dict[str, Any]:
    address, topics, data = log
    return {"address": hexed(address), "topics": [hexed(topic) for topic in topics], "data": hexed(data)}


def genesis_document(case: ChainCase) -> bytes:
    """The case's genesis in geth's format."""
    config: dict[str, Any] = {
        "chainId": case.chain_id,
        "terminalTotalDifficulty": 0,
        "terminalTotalDifficultyPassed": True,
        "blobSchedule": BLOB_SCHEDULE,
        "depositContractAddress": "0x00000000219ab540356cbb839cbe05303d7705fa",
    }
    config |= dict.fromkeys(BLOCK_SWITCHES, 0)
    first = next(iter(case.schedule))
    for fork, switch in TIME_SWITCHES.items():
        if fork in case.schedule:
            config[switch] = case.schedule[fork]
        elif first in TIME_SWITCHES and list(TIME_SWITCHES).index(fork) < list(TIME_SWITCHES).index(first):
            config[switch] = 0
    genesis = case.genesis
    document = {
        "config": config,
        "nonce": "0x0",
        "timestamp": hex(genesis.timestamp_s),
        "extraData": "0x",
        "gasLimit": hex(genesis.gas_limit),
        "difficulty": "0x0",
        "mixHash": hexed(bytes(32)),
        "coinbase": hexed(bytes(20)),
        "number": "0x0",
        "parentHash": hexed(bytes(32)),
        "baseFeePerGas": hex(genesis.base_fee_per_gas_wei),
        "alloc": {},
    }
    if case.fork_at(genesis.timestamp_s) not in {"Paris", "Shanghai"}:
        document["excessBlobGas"] = hex(genesis.excess_blob_gas)
        document["blobGasUsed"] = hex(genesis.blob_gas_used)
    return json.dumps(document).encode()


class Chain:
    """The engine's chain of a case, at genesis."""

    def __init__(self, case: ChainCase) -> None:
        document = genesis_document(case)
        self.spec = native.ChainSpec.from_genesis(document)
        self.store = native.MemoryStore(case.alloc)
        self.tip = native.Block.genesis(document, self.store.state_root())


def run_chain_case(case: ChainCase) -> dict[str, Any]:
    """Build the case's blocks and import each into a second store; same members as the oracle's answer."""
    chain, importer = Chain(case), Chain(case)
    answer: dict[str, Any] = {
        "genesis_hash": hexed(chain.tip.hash),
        "genesis_state_root": hexed(chain.store.state_root()),
        "blocks": [],
    }
    for plan in case.blocks:
        try:
            answer["blocks"].append(build(chain, importer, plan.attributes, plan.transactions))
        except InvalidBlock as refusal:
            answer["blocks"].append({"built": False, "refusal": str(refusal)})
            break
    return answer


def build(chain: Chain, importer: Chain, attributes: Any, raws: tuple[bytes, ...]) -> dict[str, Any]:
    candidates: list[native.Transaction] = []
    positions: list[int] = []
    skipped: list[dict[str, Any]] = []
    for position, raw in enumerate(raws):
        try:
            candidates.append(native.decode_transaction(raw))
            positions.append(position)
        except DecodeError as refusal:
            skipped.append({"index": position, "refusal": describe_refusal(refusal)})
    built = native.build_block(chain.store, chain.spec, chain.tip, attributes, candidates)
    block = built["block"]
    skipped += [{"index": positions[i], "refusal": describe_refusal(error)} for i, error in built["skipped"]]
    imported = native.import_block(importer.store, importer.spec, importer.tip, block)
    assert imported == built["receipts"], "build_block and import_block differ in receipts"
    for side in (chain, importer):
        side.tip = block
    return {
        "built": True,
        "rlp": hexed(block.rlp),
        "hash": hexed(block.hash),
        "skipped": sorted(skipped, key=lambda entry: entry["index"]),
        "receipts": [
            {
                "success": receipt["success"],
                "cumulative_gas_used": receipt["cumulative_gas_used"],
                "logs_bloom": hexed(receipt["logs_bloom"]),
                "log_count": len(receipt["logs"]),
            }
            for receipt in built["receipts"]
        ],
        "header": {name: describe_field(value) for name, value in block.header_fields().items() if value is not None},
    }


def describe_field(value: Any) -> str:
    return hexed(value) if isinstance(value, bytes) else hex(value)


def import_candidates(case: ChainCase, prefix: list[str], candidates: list[str]) -> list[dict[str, Any]]:
    """Import ``prefix`` (encoded blocks, hexadecimal), then try each candidate on its end."""
    chain = Chain(case)
    for rlp in prefix:
        block = native.Block.decode(unhex(rlp))
        native.import_block(chain.store, chain.spec, chain.tip, block)
        chain.tip = block
    results = []
    for rlp in candidates:
        try:
            native.import_block(chain.store.fork(), chain.spec, chain.tip, native.Block.decode(unhex(rlp)))
        except (DecodeError, InvalidBlock) as refusal:
            results.append({"accepted": False, "error": str(refusal)})
        else:
            results.append({"accepted": True, "error": ""})
    return results
