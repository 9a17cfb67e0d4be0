"""
What a microsecond of this machine costs in gas: calls of models beside what else is heavy.

A contract does one thing again and again; what twice as many times take more, in time and in gas, is the thing's own.
Calls of models run on the fastest kernel of the machine, and once more on AVX2, for which they are priced. The language
model in bytecode (an EVM workload) is measured beside a decoder with as many weights through ``infer``.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from benches.chapter import Effort, Measured, NotMeasured, block, workload_folder
from benches.vm import MODEL_TOKENS
from examples.decoder.graph import step_graph
from examples.decoder.make import runs
from metis import engine
from metis.ai import GraphBuilder, ModelFile
from metis.ai.graph import DType
from metis.ai.quantise import quantise_graph
from metis.cli.output import columns
from metis.sdk import INFERENCE, MODEL_REGISTRY, VECTORS, InferenceConstants, MemoryStateStore
from metis.sdk.chain_constants import ChainConstants
from metis.sdk.genesis import genesis_document
from metis.sdk.inference import inference_accounts
from metis.sdk.parts import EthereumFees
from metis.types import Account, Address, BlockEnvironment, BlockNumber, Gas, Hash32, UnsignedTransaction, Wei
from metis.vm import fixture_files
from metis.vm.bench import bench_file

KERNEL: Final = "avx2"
SENDER: Final = Address(bytes([0x11]) * 20)
CONTRACT: Final = Address(bytes([0x22]) * 20)
BLOCK: Final = BlockNumber(10)
GAS_LIMIT: Final = Gas(1 << 40)
ROUNDS: Final = 7
# What a measured loop takes, about.
LOOP_S: Final = 0.004

BN_G1: Final = (1, 2)
BN_FIELD: Final = 21888242871839275222246405745257275088696311157297823662689037894645226208583
# The second group's generator: imaginary part first, as EIP-197 encodes it.
BN_G2: Final = (
    11559732032986387107991004021392285783925812861821192530917403151452391805634,
    10857046999023057135944570762232829481370756359578518086990519993285655852781,
    4082367875863433681332203403145435568316851327593401208105741076214120093531,
    8495653923123431417604973247489272438418190587263600148770280649306958101930,
)
# As many weights as the language model in bytecode has bytes of them: 27 contracts of 24,576.
LM_WIDTH, LM_LAYERS, LM_WIDE, LM_CONTEXT, LM_LETTERS = 128, 4, 384, 48, 64


@dataclass(frozen=True, slots=True)
class Row:
    """What one operation takes: microseconds and gas."""

    name: str
    time_us: float
    gas: float

    @property
    def gas_per_us(self) -> float:
        """Gas that one microsecond costs."""
        return self.gas / self.time_us


class World:
    """A chain with inference whose models are active and free."""

    def __init__(self) -> None:
        self.models = engine.ModelSet()
        constants = InferenceConstants(SENDER, transaction_macs_max=1 << 62, block_macs_max=1 << 62)
        document = genesis_document(ChainConstants(chain_id=1, accounts={}, inference=constants), EthereumFees())
        spec = engine.ChainSpec.from_genesis(_json(document), self.models)
        self.spec = spec.without_transaction_gas_limit_cap()
        self._accounts = dict(inference_accounts(constants))

    def add(self, file: ModelFile) -> tuple[Hash32, engine.InferenceModel]:
        """Make a model callable."""
        model_id = file.model.id
        handle = engine.InferenceModel.from_bytes(file.graph_bytes, file.model.weights.raw)
        self.models.add(model_id, handle)
        registry = self._accounts[MODEL_REGISTRY]
        first = int.from_bytes(engine.keccak256(bytes(32) + model_id), "big")
        storage = {**registry.storage, first: int.from_bytes(SENDER, "big"), (first + 2) % (1 << 256): 1}
        self._accounts[MODEL_REGISTRY] = Account(nonce=1, code=registry.code, storage=storage)
        return model_id, handle

    def measure(self, name: str, body: bytes, data: bytes, estimate_s: float) -> Row:
        """One operation: ``body``, with ``data`` in memory."""
        count = max(1, min(20_000, int(LOOP_S / estimate_s)))
        once, twice = (self._runner(body, data, times * count) for times in (1, 2))
        times = [(once()[0], twice()[0]) for _ in range(ROUNDS)]
        least = [min(values) for values in zip(*times, strict=True)]
        gas = (twice()[1] - once()[1]) / count
        return Row(name, max(1, least[1] - least[0]) / count / 1e3, gas)

    def _runner(self, body: bytes, data: bytes, count: int) -> Callable[[], tuple[int, int]]:
        accounts = {
            **self._accounts,
            SENDER: Account(balance_wei=Wei(10**30)),
            CONTRACT: Account(nonce=1, code=_loop(body, count)),
        }
        store = MemoryStateStore().open(accounts)
        unsigned = UnsignedTransaction(SENDER, 0, GAS_LIMIT, Wei(0), to=CONTRACT, data=data)
        transaction = engine.unsigned_transaction(unsigned)
        environment = BlockEnvironment(number=BLOCK, gas_limit=GAS_LIMIT)

        def run() -> tuple[int, int]:
            found = engine.bench_transaction(store, self.spec, environment, transaction, "tier0", 1)
            outcome = found["outcome"]
            if outcome["status"] != "success":
                raise NotMeasured(f"a measured call failed: {outcome}")
            return min(found["times_ns"]), int(outcome["gas_used"])

        return run


def _json(document: Any) -> bytes:
    import json

    return json.dumps(document).encode()


def _push(value: int) -> bytes:
    raw = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return bytes([0x5F + len(raw)]) + raw


def _loop(body: bytes, count: int) -> bytes:
    """Call data into memory, then the body ``count`` times."""
    begin = bytes.fromhex("365f5f37") + _push(count)
    # JUMPDEST, body, PUSH1 1, SWAP1, SUB, DUP1, PUSH2 back, JUMPI, STOP
    return begin + b"\x5b" + body + bytes.fromhex("600190038061") + len(begin).to_bytes(2, "big") + b"\x57\x00"


def _static_call(address: int, size: int) -> bytes:
    """STATICCALL with all gas and the first bytes of memory; its status is dropped."""
    arguments = [0, 0, size, 0, address]
    return b"".join(map(_push, arguments)) + b"\x5a\xfa\x50"


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def _ethereums() -> list[tuple[str, bytes, bytes, float]]:
    """Opcodes and precompiles that every chain has: name, body, call data, seconds about."""
    random = np.random.default_rng(5)
    page = random.bytes(4096)
    digest, key = engine.keccak256(b"heavy"), engine.keccak256(b"key")
    signature = engine.sign_hash(digest, key)
    recover = digest + _word(27 + signature[0] % 2) + b"".join(_word(part) for part in signature[1:])
    number = random.bytes(255) + b"\x01"
    modexp = _word(256) * 3 + number + number + number
    negative = (BN_G1[0], BN_FIELD - BN_G1[1])
    pairing = b"".join(_word(value) for point in (BN_G1, negative) for value in (*point, *BN_G2))
    multiply = _word(1) + _word(2) + random.bytes(32)
    blake = (10_000).to_bytes(4, "big") + random.bytes(208) + b"\x01"
    return [
        ("KECCAK256 of 4 KiB", _push(4096) + b"\x5f\x20\x50", page, 8e-6),
        ("MCOPY of 4 KiB", _push(4096) + b"\x5f" + _push(4096) + b"\x5e", page * 2, 1e-7),
        ("SHA-256 of 4 KiB", _static_call(2, 4096), page, 4e-6),
        ("ecrecover", _static_call(1, len(recover)), recover, 3e-5),
        ("modexp of 256 bytes", _static_call(5, len(modexp)), modexp, 1e-3),
        ("bn254 multiplication", _static_call(7, 96), multiply, 3e-5),
        ("bn254 pairing of 2", _static_call(8, len(pairing)), pairing, 5e-4),
        ("BLAKE2 of 10,000 rounds", _static_call(9, len(blake)), blake, 5e-4),
    ]


def _vectors() -> list[tuple[str, bytes, bytes, float]]:
    from eth_abi.abi import encode

    random = np.random.default_rng(6)

    def call(signature: str, *values: Any) -> bytes:
        types = signature[signature.index("(") + 1 : -1].split(",")
        return engine.keccak256(signature.encode())[:4] + encode(types, values)

    vector = random.bytes(4 * 384)
    calls = [
        ("cosine of 384 int32", call("cosine(uint8,bytes,bytes)", 3, vector, vector[::-1]), 3e-6),
        ("dot of 4,096 int8", call("dot(uint8,bytes,bytes)", 1, random.bytes(4096), random.bytes(4096)), 3e-6),
        (
            "matmulInt8, (32, 64) by (64, 64)",
            call(
                "matmulInt8(uint32,uint32,uint32,bytes,bytes)", 32, 64, 64, random.bytes(32 * 64), random.bytes(64 * 64)
            ),
            3e-5,
        ),
    ]
    address = int.from_bytes(VECTORS, "big")
    return [(name, _static_call(address, len(data)), data, estimate) for name, data, estimate in calls]


def _product() -> ModelFile:
    """A layer as large ones have: 128 rows of 384, times (384, 1536)."""
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (128, 384), -127, 127)
    weights = np.random.default_rng(0).integers(-127, 128, (384, 1536))
    y = builder.node("matmul", x, builder.constant(DType.INT8, weights), transpose_b=0, accumulator=DType.INT32)
    builder.output("y", builder.node("reduce_max", y, axis=0))
    return ModelFile.of(builder.model())


def _rows_of_one() -> ModelFile:
    """Awkward on purpose: softmax of 20,000 rows of one element."""
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (20_000, 1), -127, 127)
    exp2 = (16_777_216, -11_603_335, 3_882_178, -668_937)
    y = builder.node("softmax", x, multiplier=94_548, shift=20, exp2=exp2, dtype=DType.INT8)
    builder.output("y", builder.node("reduce_max", y, axis=0))
    return ModelFile.of(builder.model())


def decoder() -> ModelFile:
    """A decoder for one letter a run, with as many weights as the language model in bytecode; random ones."""
    random = np.random.default_rng(1)

    def normal(*shape: int) -> Any:
        return random.normal(0, 0.05, shape).astype(np.float32)

    weights = {"words": normal(LM_LETTERS, LM_WIDTH), "places": normal(LM_CONTEXT, LM_WIDTH)}
    weights["out"] = normal(LM_WIDTH, LM_LETTERS)
    for layer in range(LM_LAYERS):
        weights |= {f"{name}{layer}": normal(LM_WIDTH, LM_WIDTH) for name in "qkvo"}
        weights |= {f"up{layer}": normal(LM_WIDTH, LM_WIDE), f"down{layer}": normal(LM_WIDE, LM_WIDTH)}
    tokens = random.integers(0, LM_LETTERS, (1, LM_CONTEXT))
    return quantise_graph(step_graph(weights), runs(tokens), source="examples/decoder")


def _models() -> list[tuple[str, ModelFile]]:
    found = [("a product (128, 384) by (384, 1536)", _product()), ("softmax of 20,000 rows of 1", _rows_of_one())]
    found.append((f"a decoder of {decoder_weights():,} weights", decoder()))
    try:
        from metis.cli.demo.models import train_digits
    except ImportError as error:
        print(f"without the digits' classifier: {error}")
    else:
        found.append(("digits", train_digits().file))
    return found


def decoder_weights() -> int:
    """Weights of the decoder's matrices."""
    layer = 4 * LM_WIDTH**2 + 2 * LM_WIDTH * LM_WIDE
    return LM_LAYERS * layer + (2 * LM_LETTERS + LM_CONTEXT) * LM_WIDTH


def _infer_data(model_id: bytes, given: bytes) -> bytes:
    from eth_abi.abi import encode

    return engine.keccak256(b"infer(bytes32,bytes)")[:4] + encode(["bytes32", "bytes"], [model_id, given])


def _inputs(file: ModelFile) -> list[bytes]:
    """The elements of the model's inputs, in the middle of their ranges."""
    return [
        np.full(tensor.shape, (tensor.lo + tensor.hi) // 2, np.int64).astype(f"<i{tensor.dtype.size_bytes}").tobytes()
        for tensor in file.graph.inputs
    ]


def rows() -> list[Row]:
    """Measure everything."""
    world = World()
    files = _models()
    handles = {name: (*world.add(file), file) for name, file in files}
    found = [world.measure(*one) for one in _ethereums()]
    found += [world.measure(*one) for one in _vectors()]
    address = int.from_bytes(INFERENCE, "big")
    for name, (model_id, handle, file) in handles.items():
        inputs = _inputs(file)
        given: list[bytes | None] = [*inputs, *[None] * len(file.graph.states)]
        data = _infer_data(model_id, b"".join(inputs))
        alone_s = _shortest_s(handle, given, None)
        row = world.measure(f"infer: {name}", _static_call(address, len(data)), data, alone_s)
        found.append(row)
        if KERNEL in engine.inference_kernels():
            # All but the run takes the same.
            slower_s = _shortest_s(handle, given, KERNEL) - _shortest_s(handle, given, None)
            found.append(Row(f"  on {KERNEL}", row.time_us + max(0.0, slower_s) * 1e6, row.gas))
    return found


def _shortest_s(handle: engine.InferenceModel, given: list[bytes | None], kernel: str | None) -> float:
    times = []
    for _ in range(2 * ROUNDS):
        begin = time.perf_counter()
        handle.run(given, 1, kernel)
        times.append(time.perf_counter() - begin)
    return min(times)


def language_models(found: list[Row]) -> str:
    """The language model in bytecode, beside the decoder; a token costs either as much as a step."""
    files = [file for file in fixture_files([workload_folder()]) if "onchain-lm" in str(file.path)]
    if not files:
        raise NotMeasured(f"no language model in {workload_folder()}")
    measured = bench_file(files[0], 3)[0]
    step = next(row for row in found if row.name.startswith("infer: a decoder"))
    # Its prompt's eight tokens are steps, too.
    steps = MODEL_TOKENS + 7
    gas, time_ms = measured.gas / steps, {name: measured.minimum_ms[name] / steps for name in ("tier0", "tier1")}
    lines = [
        ("bytecode, interpreted", f"{time_ms['tier0']:.3f}", f"{gas:,.0f}", "1", "1"),
        (
            "bytecode, compiled",
            f"{time_ms['tier1']:.3f}",
            f"{gas:,.0f}",
            f"{time_ms['tier0'] / time_ms['tier1']:.1f}",
            "1",
        ),
        (
            "infer",
            f"{step.time_us / 1e3:.3f}",
            f"{step.gas:,.0f}",
            f"{time_ms['tier0'] / (step.time_us / 1e3):.0f}",
            f"{gas / step.gas:.0f}",
        ),
    ]
    return columns(("language model", "ms a token", "gas a token", "times faster", "times cheaper"), lines, left=1)


def measure(_effort: Effort) -> Measured:
    """Measure everything; there is no quicker way."""
    found = rows()
    heavy = statistics.median(row.gas_per_us for row in found if not row.name.startswith(("infer", "  on")))
    lines = [
        (row.name, f"{row.time_us:,.2f}", f"{row.gas:,.0f}", f"{row.gas_per_us:,.0f}", f"{row.gas_per_us / heavy:.2f}")
        for row in found
    ]
    table = columns(("operation", "µs", "gas", "gas/µs", "of the median"), lines, left=1)
    text = f"{block(table)}\n### A language model: bytecode and infer\n\n{block(language_models(found))}"
    return Measured(text, found)
