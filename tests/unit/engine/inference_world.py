"""A chain with inference, one small model, and people who register, activate and call it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
from eth_abi.abi import encode

from metis import engine
from metis.ai import GraphBuilder, Model, ReferenceEvaluator
from metis.ai.graph import DType, encode_graph
from metis.rpc.namespaces.overrides import BlockOverride
from metis.sdk import INFERENCE, MODEL_REGISTRY, ChainConstants, CollectedFees, InferenceConstants
from metis.sdk.genesis import genesis_accounts, genesis_document
from metis.types import Account, Address, BlockAttributes, Gas, TimestampS, UnsignedTransaction, Wei

__all__ = [
    "CONSTANTS",
    "DELAY",
    "KEYS",
    "MODEL",
    "OWNER",
    "PEOPLE",
    "SEQUENCER",
    "USER",
    "World",
    "answer",
    "call_data",
    "input_bytes",
]

MNEMONIC = "test test test test test test test test test test test junk"
KEYS = [engine.derive_private_key(MNEMONIC, f"m/44'/60'/0'/0/{index}") for index in range(3)]
PEOPLE = [Address(engine.address_of(key)) for key in KEYS]
SEQUENCER, OWNER, USER = range(3)
DELAY = 2
SALT = bytes([0x55]) * 32
CONSTANTS = ChainConstants(
    chain_id=77,
    accounts={person: Account(balance_wei=Wei(10**20)) for person in PEOPLE},
    inference=InferenceConstants(PEOPLE[SEQUENCER], activation_delay_blocks=DELAY),
)
FEES = CollectedFees(Address(bytes([0x42]) * 20))


def _model() -> Model:
    """Two rows of three int8, times a matrix, and the place of the greatest of each row."""
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (2, 3), -100, 100)
    weights = builder.constant(DType.INT8, np.arange(-6, 6, dtype=np.int8).reshape(3, 4))
    scores = builder.node("matmul", x, weights, transpose_b=0, accumulator=DType.INT32)
    builder.output("scores", scores)
    builder.output("best", builder.node("arg_max", scores))
    return builder.model()


MODEL = _model()


def input_bytes(*rows: tuple[int, int, int]) -> bytes:
    """What the model is given, as a call carries it."""
    return np.array(rows, np.int8).tobytes()


def answer(data: bytes) -> bytes:
    """What the model gives, by the reference evaluator."""
    run = ReferenceEvaluator(MODEL).run({"x": np.frombuffer(data, np.int8).reshape(2, 3)})
    return b"".join(
        run.outputs[name].astype(run.outputs[name].dtype.newbyteorder("<")).tobytes() for name in run.outputs
    )


def call_data(signature: str, *values: Any) -> bytes:
    """Selector and arguments."""
    types = signature[signature.index("(") + 1 : -1]
    return engine.keccak256(signature.encode())[:4] + encode(types.split(",") if types else [], values)


def infer_data(data: bytes, model: bytes = MODEL.id) -> bytes:
    """A call of the model."""
    return call_data("infer(bytes32,bytes)", model, data)


class World:
    """One node of the chain; several have the same genesis."""

    def __init__(self, *, has_model: bool = True, registry: engine.CodeRegistry | None = None) -> None:
        document = json.dumps(genesis_document(CONSTANTS, FEES)).encode()
        self.models = engine.ModelSet()
        self.node = engine.Node.open(document, genesis_accounts(CONSTANTS), registry=registry, models=self.models)
        if has_model:
            self.add_model()

    def add_model(self) -> None:
        self.models.add(MODEL.id, engine.InferenceModel.from_bytes(encode_graph(MODEL.graph), MODEL.weights.raw))

    def message(
        self, sender: int, to: Address | None, data: bytes, value_wei: int = 0, **fields: Any
    ) -> UnsignedTransaction:
        message = UnsignedTransaction(
            sender=PEOPLE[sender],
            nonce=self.node.pending_nonce(PEOPLE[sender]),
            gas_limit=Gas(5_000_000),
            gas_price_wei=Wei(10**10),
            to=to,
            value_wei=Wei(value_wei),
            data=data,
            chain_id=77,
        )
        return dataclasses.replace(message, **fields)

    def submit(self, sender: int, to: Address | None, data: bytes, value_wei: int = 0, **fields: Any) -> bytes:
        return self.node.submit(
            engine.sign_transaction(self.message(sender, to, data, value_wei, **fields), KEYS[sender])
        )

    def build(self) -> engine.BlockHandle:
        timestamp_s = TimestampS(10 * (self.node.head_number + 1))
        attributes = BlockAttributes(timestamp_s=timestamp_s, gas_limit=CONSTANTS.block_gas_limit)
        block: engine.BlockHandle = self.node.build(attributes)["block"]
        return block

    def send(self, sender: int, to: Address | None, data: bytes, value_wei: int = 0, **fields: Any) -> dict[str, Any]:
        """Mine a transaction in a block of its own, and give its receipt."""
        sent = self.submit(sender, to, data, value_wei, **fields)
        self.build()
        return self.receipt(sent)

    def receipt(self, transaction_hash: bytes) -> dict[str, Any]:
        receipt: dict[str, Any] = json.loads(self.node.receipt_json(transaction_hash) or b"null")
        return receipt

    def call(self, sender: int, to: Address, data: bytes, value_wei: int = 0) -> dict[str, Any]:
        message = self.message(sender, to, data, value_wei)
        return self.node.call(message, self.node.head_number, None, BlockOverride(number=self.node.head_number + 1))

    def register(self, price_wei: int = 0, owner: int = OWNER) -> None:
        commitment = engine.keccak256(encode(["bytes32", "address", "bytes32"], [MODEL.id, PEOPLE[owner], SALT]))
        self.send(owner, MODEL_REGISTRY, call_data("commit(bytes32)", commitment))
        data = call_data("register(bytes32,uint256,string,bytes32)", MODEL.id, price_wei, "", SALT)
        assert self.send(owner, MODEL_REGISTRY, data)["status"] == "0x1"

    def activate(self) -> None:
        data = call_data("activate(bytes32,uint256)", MODEL.id, 1_000)
        assert self.send(SEQUENCER, MODEL_REGISTRY, data)["status"] == "0x1"
        for _ in range(DELAY - 1):
            self.build()

    def infer(self, data: bytes, value_wei: int = 0) -> dict[str, Any]:
        return self.send(USER, INFERENCE, infer_data(data), value_wei)

    def balance(self, address: bytes) -> int:
        return self.node.balance(address, self.node.head_number)
