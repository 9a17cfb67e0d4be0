"""Traces of random transactions agree with receipts, with the state before and after, and with each other."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from metis import engine
from metis.types import Account, Address, BlockAttributes, Gas, TimestampS, UnsignedTransaction, Wei
from tests.genesis_documents import CANCUN_BLOBS, genesis_json
from tests.property.programs import init_codes, programs

SIZE_BYTES_MAX = 64 * 2**20
GAS_LIMIT = Gas(30_000_000)
SENDERS = [Address(bytes([0xA0 + index]) * 20) for index in range(2)]
CONTRACTS = [Address(bytes([0xC0 + index]) * 20) for index in range(3)]
COINBASE = Address(b"\x0f" * 20)
CHAIN_ID = 77
GENESIS = genesis_json("Cancun", CHAIN_ID, gas_limit=GAS_LIMIT, blobs=CANCUN_BLOBS)

TRACERS: dict[str, dict[str, Any]] = {
    "structLog": {"enableMemory": True, "enableReturnData": True},
    "callTracer": {"tracer": "callTracer", "tracerConfig": {"withLog": True}},
    "prestate": {"tracer": "prestateTracer"},
    "diff": {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}},
    "4byte": {"tracer": "4byteTracer"},
    "flat": {"tracer": "flatCallTracer"},
    "noop": {"tracer": "noopTracer"},
    "mux": {"tracer": "muxTracer", "tracerConfig": {"4byteTracer": None, "callTracer": {"onlyTopCall": True}}},
}


@dataclass(frozen=True)
class World:
    """A chain with contracts, and transactions for its next block."""

    codes: list[bytes]
    transactions: list[UnsignedTransaction]
    attributes: BlockAttributes = field(
        default_factory=lambda: BlockAttributes(TimestampS(12), beneficiary=COINBASE, gas_limit=GAS_LIMIT)
    )

    def open(self) -> engine.Node:
        """Begin the chain."""
        accounts = {sender: Account(balance_wei=Wei(10**20)) for sender in SENDERS}
        contracts = {
            address: Account(nonce=1, balance_wei=Wei(10**6), code=code)
            for address, code in zip(CONTRACTS, self.codes, strict=True)
        }
        return engine.Node.open(GENESIS, accounts | contracts)

    def handles(self) -> list[engine.TransactionHandle]:
        """Its transactions, as the engine takes them."""
        return [engine.unsigned_transaction(transaction) for transaction in self.transactions]

    def mined(self) -> engine.Node:
        """The chain with its transactions in block 1."""
        node = self.open()
        built = node.build_from(self.attributes, self.handles())
        assert not built["dropped"]
        return node


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Programs that call each other, and calls and creations by two senders."""
    codes = draw(st.lists(programs, min_size=len(CONTRACTS), max_size=len(CONTRACTS)))
    transactions = []
    nonces = dict.fromkeys(SENDERS, 0)
    for _ in range(draw(st.integers(1, 4))):
        sender = draw(st.sampled_from(SENDERS))
        to = draw(st.sampled_from([*CONTRACTS, *CONTRACTS, SENDERS[0], None]))
        transactions.append(
            UnsignedTransaction(
                sender=sender,
                nonce=nonces[sender],
                gas_limit=Gas(draw(st.sampled_from([60_000, 200_000, 1_000_000]))),
                gas_price_wei=Wei(2 * 10**9),
                max_priority_fee_per_gas_wei=Wei(10**9),
                to=to,
                value_wei=Wei(draw(st.integers(0, 3))),
                data=draw(init_codes) if to is None else draw(st.binary(max_size=40)),
                type=2,
                chain_id=CHAIN_ID,
            )
        )
        nonces[sender] += 1
    return World(codes, transactions)


def block_trace(node: engine.Node, tracer: str) -> list[dict[str, Any]]:
    """The results for block 1, one a transaction."""
    text = node.trace_block_json(1, json.dumps(TRACERS[tracer]).encode(), SIZE_BYTES_MAX)
    return [entry["result"] for entry in json.loads(text or b"[]")]


def receipts(node: engine.Node) -> list[dict[str, Any]]:
    """The receipts of block 1."""
    found: list[dict[str, Any]] = json.loads(node.block_receipts_json(1) or b"[]")
    return found


@given(worlds())
def test_block_trace__with_any_tracer__equals_the_traces_of_its_transactions(world: World) -> None:
    node = world.mined()
    hashes = [bytes.fromhex(receipt["transactionHash"][2:]) for receipt in receipts(node)]
    for name, options in TRACERS.items():
        alone = [node.trace_transaction_json(one, json.dumps(options).encode(), SIZE_BYTES_MAX) for one in hashes]
        together = block_trace(node, name)
        assert together == [json.loads(text or b"null") for text in alone], name


@given(worlds())
def test_call_trace__of_any_transaction__agrees_with_its_receipt(world: World) -> None:
    node = world.mined()
    for frame, receipt in zip(block_trace(node, "callTracer"), receipts(node), strict=True):
        assert frame["gasUsed"] == receipt["gasUsed"]
        assert ("error" in frame) == (receipt["status"] == "0x0")
        # A creation that failed is nowhere.
        created = None if "error" in frame else receipt["contractAddress"]
        assert (frame["from"], frame.get("to")) == (receipt["from"], receipt["to"] or created)
        traced = sorted((int(log["index"], 16), log["address"], log["topics"], log["data"]) for log in _logs(frame))
        logged = [(log["address"], log["topics"], log["data"]) for log in receipt["logs"]]
        assert [(address, topics, data) for _, address, topics, data in traced] == logged


@given(worlds())
def test_struct_logs__of_any_transaction__agree_with_receipt_and_call_tree(world: World) -> None:
    node = world.mined()
    frames = block_trace(node, "callTracer")
    for trace, frame, receipt in zip(block_trace(node, "structLog"), frames, receipts(node), strict=True):
        assert trace["gas"] == int(receipt["gasUsed"], 16)
        assert trace["failed"] == (receipt["status"] == "0x0")
        assert all(step["gasCost"] <= step["gas"] or "error" in step for step in trace["structLogs"])
        assert max((step["depth"] for step in trace["structLogs"]), default=1) <= _height(frame)


@given(worlds())
def test_prestate_diffs__applied_to_the_state_before__give_the_state_after(world: World) -> None:
    node = world.mined()
    state: dict[str, dict[str, Any]] = {}
    for diff in block_trace(node, "diff"):
        for address, account in (diff["pre"] | diff["post"]).items():
            before = state.setdefault(address, _account(node, address, 0))
            for slot in account.get("storage", {}) | diff["post"].get(address, {}).get("storage", {}):
                before["storage"].setdefault(slot, node.storage(_bytes(address), int(slot, 16), 0))
        for address, account in diff["pre"].items():
            assert _is_part(account, state[address]), address
        for address in diff["pre"].keys() | diff["post"].keys():
            _apply(state[address], diff["pre"].get(address), diff["post"].get(address))
    for address in [*SENDERS, *CONTRACTS, COINBASE]:
        # Whoever is in no diff did not change.
        state.setdefault("0x" + address.hex(), _account(node, "0x" + address.hex(), 0))
    for address, account in state.items():
        after = _account(node, address, 1)
        after["storage"] = {slot: node.storage(_bytes(address), int(slot, 16), 1) for slot in account["storage"]}
        assert account == after, address


@given(worlds())
def test_simulated_block__of_transactions_that_are_then_mined__has_the_same_roots(world: World) -> None:
    node = world.open()
    block = _SimulatedBlock(world)
    report = node.simulate_blocks([block], 0, 10**9, validates=True)[0]
    simulated = json.loads(report["block_json"])

    node.build_from(world.attributes, world.handles())

    mined = json.loads(node.block_json(1, full=False) or b"null")
    for name in ("stateRoot", "receiptsRoot", "logsBloom", "gasUsed", "baseFeePerGas", "number", "parentHash"):
        assert simulated[name] == mined[name], name
    for call, receipt in zip(report["calls"], receipts(node), strict=True):
        assert call["gas_used"] == int(receipt["gasUsed"], 16)
        assert len(json.loads(call["logs_json"])) == len(receipt["logs"])


class _SimulatedBlock:
    """A world's transactions as the engine's simulation takes them."""

    def __init__(self, world: World) -> None:
        self.timestamp_s = world.attributes.timestamp_s
        self.environment = _Environment()
        self.parent_beacon_block_root = world.attributes.parent_beacon_block_root
        self.withdrawals = ()
        self.state: dict[bytes, Any] = {}
        self.calls = [_Call(transaction) for transaction in world.transactions]


@dataclass
class _Environment:
    number = timestamp_s = base_fee_per_gas_wei = blob_base_fee_wei = prev_randao = None
    gas_limit = GAS_LIMIT
    beneficiary = COINBASE


@dataclass
class _Call:
    message: UnsignedTransaction
    has_nonce: bool = True
    has_gas_limit: bool = True


def _logs(frame: dict[str, Any]) -> list[dict[str, Any]]:
    own: list[dict[str, Any]] = frame.get("logs", [])
    return own + [log for call in frame.get("calls", []) for log in _logs(call)]


def _height(frame: dict[str, Any]) -> int:
    """How many calls deep the tree is."""
    return 1 + max((_height(call) for call in frame.get("calls", [])), default=0)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def _account(node: engine.Node, address: str, block: int) -> dict[str, Any]:
    account = _bytes(address)
    return {
        "balance": node.balance(account, block),
        "nonce": node.nonce(account, block),
        "code": "0x" + node.code(account, block).hex(),
        "storage": {},
    }


def _is_part(shown: dict[str, Any], account: dict[str, Any]) -> bool:
    """Whether everything that a diff shows of an account is so."""
    return (
        int(shown.get("balance", "0x0"), 16) == account["balance"]
        and shown.get("nonce", 0) == account["nonce"]
        and shown.get("code", "0x") == account["code"]
        and all(int(value, 16) == account["storage"][slot] for slot, value in shown.get("storage", {}).items())
    )


def _apply(account: dict[str, Any], pre: dict[str, Any] | None, post: dict[str, Any] | None) -> None:
    """Change an account as a diff says; one that is not in "post" is gone."""
    if post is None:
        account |= {"balance": 0, "nonce": 0, "code": "0x", "storage": dict.fromkeys(account["storage"], 0)}
        return
    if "balance" in post:
        account["balance"] = int(post["balance"], 16)
    account["nonce"] = post.get("nonce", account["nonce"])
    account["code"] = post.get("code", account["code"])
    # A slot that was something and is not in "post" is zero now.
    for slot in (pre or {}).get("storage", {}):
        account["storage"][slot] = 0
    for slot, value in post.get("storage", {}).items():
        account["storage"][slot] = int(value, 16)
