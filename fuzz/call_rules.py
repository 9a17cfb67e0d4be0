"""The rules of docs/inference.md once more, plainly: what a call gives and costs."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

import numpy as np

from metis.ai import GraphBuilder, Model, ReferenceEvaluator, validate_graph
from metis.ai.graph import DType
from metis.engine import keccak256
from metis.sdk import INFERENCE, InferenceConstants
from metis.types import Address, Gas, InvalidInput

__all__ = ["CONSTANTS", "FEE", "MODEL", "Expected", "expected"]

FEE: Final = 1_000
"""Price of a run, in wei."""


def _model() -> Model:
    """Two rows of three int8 times a matrix."""
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (2, 3), -100, 100)
    weights = builder.constant(DType.INT8, np.arange(-6, 6, dtype=np.int8).reshape(3, 4))
    builder.output("scores", builder.node("matmul", x, weights, transpose_b=0, accumulator=DType.INT32))
    return builder.model()


MODEL: Final = _model()
"""The model that is active."""

_COST: Final = validate_graph(MODEL.graph).cost
_EVALUATOR: Final = ReferenceEvaluator(MODEL)

CONSTANTS: Final = InferenceConstants(
    Address(bytes([7]) * 20),
    base_gas=Gas(3_000),
    word_gas=Gas(5),
    macs_per_gas=3,
    moved_bytes_per_gas=7,
    vector_macs_per_gas=2,
    # Two runs fit a transaction, three do not.
    transaction_macs_max=_COST.macs * 5 // 2,
    block_macs_max=10**9,
)


@dataclasses.dataclass(frozen=True, slots=True)
class Expected:
    """What a transaction does that calls a precompile; ``floor_gas`` is the least limit that it may have."""

    status: str
    output: bytes
    gas_used: int
    log_count: int
    floor_gas: int = dataclasses.field(default=0, compare=False)


class _OutOfGas(Exception):
    pass


class _Refused(Exception):
    def __init__(self, signature: str, *words: int | bytes) -> None:
        self.output = keccak256(signature.encode())[:4] + b"".join(_word(word) for word in words)


class _Call:
    """A call being judged: its gas, and what is left of its data."""

    def __init__(self, gas: int, data: bytes) -> None:
        self.gas, self.used, self.logs = gas, 0, 0
        self.rest = data

    def charge(self, gas: int) -> None:
        self.used += gas
        if self.used > self.gas:
            raise _OutOfGas

    def word(self) -> int:
        if len(self.rest) < 32:
            raise _Refused("MalformedCall()")
        word, self.rest = int.from_bytes(self.rest[:32], "big"), self.rest[32:]
        return word

    def offset(self, value: int) -> None:
        if self.word() != value:
            raise _Refused("MalformedCall()")

    def field(self) -> bytes:
        size = self.word()
        padded = -(-size // 32) * 32
        if padded > len(self.rest) or any(self.rest[size:padded]):
            raise _Refused("MalformedCall()")
        field, self.rest = self.rest[:size], self.rest[padded:]
        return field


def expected(to: Address, data: bytes, value_wei: int, gas_limit: int) -> Expected:
    """What the transaction does, by the rules."""
    tokens = sum(4 if byte else 1 for byte in data)
    intrinsic, floor = 21_000 + 4 * tokens, 21_000 + 10 * tokens
    call = _Call(gas_limit - intrinsic, data[4:])
    try:
        call.charge(_words(len(data)) * CONSTANTS.word_gas)
        output = (_inference if to == INFERENCE else _vectors)(call, data[:4], value_wei)
        status = "success"
    except _Refused as refused:
        status, output, call.logs = "revert", refused.output, 0
    except _OutOfGas:
        status, output, call.logs, call.used = "out-of-gas", b"", 0, call.gas
    return Expected(status, output, max(intrinsic + call.used, floor), call.logs, max(intrinsic, floor))


def _inference(call: _Call, selector: bytes, value_wei: int) -> bytes:
    if selector == _selector("infer(bytes32,bytes)"):
        model = call.word()
        call.offset(64)
        given = call.field()
        (output,) = _infer(call, model, [given], value_wei)
        return _word(32) + _padded(output)
    if selector == _selector("inferMany(bytes32,bytes[])"):
        model = call.word()
        call.offset(64)
        count = call.word()
        if 64 * count > len(call.rest):
            raise _Refused("MalformedCall()")
        offsets, fields, place = [call.word() for _ in range(count)], [], 32 * count
        for offset in offsets:
            if offset != place:
                raise _Refused("MalformedCall()")
            fields.append(call.field())
            place += 32 + _words(len(fields[-1])) * 32
        outputs = [_padded(output) for output in _infer(call, model, fields, value_wei)]
        places = [32 * count + sum(map(len, outputs[:index])) for index in range(count)]
        return b"".join([_word(32), _word(count), *map(_word, places), *outputs])
    if selector == _selector("modelInfo(bytes32)"):
        model = call.word()
        call.charge(CONSTANTS.base_gas)
        if value_wei:
            raise _Refused("WrongPayment(uint256,uint256)", 0, value_wei)
        if model != int.from_bytes(MODEL.id, "big"):
            return bytes(256)
        gas = CONSTANTS.base_gas + _run_gas()
        return b"".join(map(_word, (2, 0x22, FEE, _COST.macs, _COST.moved_bytes, 6, 32, gas)))
    raise _Refused("MalformedCall()")


def _infer(call: _Call, model: int, inputs: list[bytes], value_wei: int) -> list[bytes]:
    call.charge(CONSTANTS.base_gas * max(1, len(inputs)))
    if model != int.from_bytes(MODEL.id, "big"):
        raise _Refused("ModelNotActive(bytes32)", model)
    if value_wei != FEE * len(inputs):
        raise _Refused("WrongPayment(uint256,uint256)", FEE * len(inputs), value_wei)
    for given in inputs:
        if len(given) != 6:
            raise _Refused("WrongInputSize(uint256,uint256)", 6, len(given))
    if _COST.macs * len(inputs) > CONSTANTS.transaction_macs_max:
        raise _Refused("TooManyMacs(uint256,uint256)", _COST.macs * len(inputs), CONSTANTS.transaction_macs_max)
    call.charge(_run_gas() * len(inputs))
    outputs = []
    for index, given in enumerate(inputs):
        try:
            run = _EVALUATOR.run({"x": np.frombuffer(given, np.int8).reshape(2, 3)})
        except InvalidInput:
            raise _Refused("InputOutOfRange(uint256)", index) from None
        outputs.append(run.outputs["scores"].astype("<i4").tobytes())
        call.logs += 1
    return outputs


def _run_gas() -> int:
    macs, memory = -(-_COST.macs // CONSTANTS.macs_per_gas), -(-_COST.moved_bytes // CONSTANTS.moved_bytes_per_gas)
    return macs + memory + _words(32) * CONSTANTS.word_gas


def _vectors(call: _Call, selector: bytes, value_wei: int) -> bytes:
    if value_wei:
        raise _Refused("WrongPayment(uint256,uint256)", 0, value_wei)
    if selector == _selector("matmulInt8(uint32,uint32,uint32,bytes,bytes)"):
        m, k, n = call.word(), call.word(), call.word()
        call.offset(160)
        second = call.word()
        a = call.field()
        if second != 160 + 32 + _words(len(a)) * 32:
            raise _Refused("MalformedCall()")
        b = call.field()
        if not (m and n and 0 < k <= 131_071 and m * k == len(a) and k * n == len(b)):
            raise _Refused("MalformedCall()")
        call.charge(-(-m * k * n // CONSTANTS.vector_macs_per_gas))
        call.charge(_words(4 * m * n) * CONSTANTS.word_gas)
        product = np.frombuffer(a, np.int8).reshape(m, k).astype(np.int64) @ np.frombuffer(b, np.int8).reshape(k, n)
        return _word(32) + _padded(product.astype("<i4").tobytes())
    if selector not in (_selector("dot(uint8,bytes,bytes)"), _selector("cosine(uint8,bytes,bytes)")):
        raise _Refused("MalformedCall()")
    elements = call.word()
    if elements not in (1, 2, 3):
        raise _Refused("MalformedCall()")
    call.offset(96)
    second = call.word()
    raw = call.field()
    if second != 96 + 32 + _words(len(raw)) * 32:
        raise _Refused("MalformedCall()")
    other = call.field()
    size = 1 << (elements - 1)
    if not raw or len(raw) != len(other) or len(raw) % size:
        raise _Refused("MalformedCall()")
    x, y = ([int(value) for value in np.frombuffer(part, f"<i{size}")] for part in (raw, other))
    macs = len(x) * (1, 2, 8)[elements - 1]
    if selector == _selector("dot(uint8,bytes,bytes)"):
        call.charge(-(-macs // CONSTANTS.vector_macs_per_gas))
        return _word(_dot(x, y))
    call.charge(-(-3 * macs // CONSTANTS.vector_macs_per_gas))
    dot, squares = _dot(x, y), _dot(x, x) * _dot(y, y)
    magnitude = math.isqrt(dot**2 * 10**36 // squares) if squares else 0
    return _word(magnitude if dot >= 0 else -magnitude)


def _dot(x: list[int], y: list[int]) -> int:
    return sum(a * b for a, b in zip(x, y, strict=True))


def _selector(signature: str) -> bytes:
    return keccak256(signature.encode())[:4]


def _words(size: int) -> int:
    return -(-size // 32)


def _word(value: int | bytes) -> bytes:
    return value if isinstance(value, bytes) else (value % (1 << 256)).to_bytes(32, "big")


def _padded(content: bytes) -> bytes:
    return _word(len(content)) + content + bytes(-len(content) % 32)
