"""
``python -m fuzz.calls``: calls of the precompiles of inference, well-formed and mutated, with every amount of gas.

Each call is judged twice: by the engine, and by the rules of docs/inference.md written down once more in Python
(:mod:`fuzz.call_rules`). Status, output, gas and number of logs must be the same. A difference is printed and ends the
run with exit code 1; a run without one is recorded in fuzz/RESULTS.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from random import Random

from eth_abi.abi import encode

from fuzz.call_rules import CONSTANTS, FEE, MODEL, Expected, expected
from fuzz.results import record
from metis import engine
from metis.ai import encode_graph
from metis.cli.bench.machine import commit
from metis.engine import keccak256
from metis.sdk import INFERENCE, MODEL_REGISTRY, VECTORS, ChainConstants, EthereumFees
from metis.sdk.genesis import genesis_accounts, genesis_document
from metis.types import Account, Address, BlockEnvironment, BlockNumber, Gas, UnsignedTransaction, Wei

__all__ = ["World", "judged_by_engine", "main", "new_call"]

_CALLER = Address(bytes([0x33]) * 20)
_CHAIN = ChainConstants(
    chain_id=77,
    accounts={_CALLER: Account(balance_wei=Wei(10**20))},
    transaction_gas_limit_cap=None,
    inference=CONSTANTS,
)
_BLOCK = BlockEnvironment(number=BlockNumber(100), gas_limit=Gas(10**9))
_OTHERS = [bytes(32), bytes([255]) * 32]


def main(arguments: list[str] | None = None) -> int:
    """Run, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fuzz.calls", description="Calls of the precompiles of inference.")
    parser.add_argument("--calls", type=int, default=1_000_000, help="how many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action=argparse.BooleanOptionalAction, default=True, help="write RESULTS.json")
    chosen = parser.parse_args(arguments)
    tested_commit = commit()  # before anything runs: the checkout may move on meanwhile
    world, random, verdicts = World(), Random(chosen.seed), Counter[str]()
    for _ in range(chosen.calls):
        call = new_call(random)
        found, wanted = judged_by_engine(world, call), expected(*call)
        if found != wanted:
            address, data, value_wei, gas_limit = call
            print(f"to {address.hex()}: {data.hex()} with {value_wei} wei and {gas_limit} gas")
            print(f"  engine {found}\n  rules  {wanted}")
            return 1
        verdicts[found.status if found.status != "revert" else f"revert {found.output[:4].hex()}"] += 1
    result = {
        "command": f"python -m fuzz.calls --calls {chosen.calls} --seed {chosen.seed}",
        "commit": tested_commit,
        "calls": chosen.calls,
        "differences": 0,
        "verdicts": dict(sorted(verdicts.items())),
    }
    print(json.dumps(result, indent=2))
    if chosen.record:
        record(result)
    return 0


class World:
    """A state in which the model is active, at a price."""

    def __init__(self) -> None:
        models = engine.ModelSet()
        models.add(MODEL.id, engine.InferenceModel.from_bytes(encode_graph(MODEL.graph), MODEL.weights.raw))
        document = json.dumps(genesis_document(_CHAIN, EthereumFees())).encode()
        self.spec = engine.ChainSpec.from_genesis(document, models)
        accounts = genesis_accounts(_CHAIN)
        registry = accounts[MODEL_REGISTRY]
        first = int.from_bytes(keccak256(bytes(32) + MODEL.id), "big")
        entry = {first: 0x22, first + 1: FEE, first + 2: 1}
        accounts[MODEL_REGISTRY] = Account(nonce=1, code=registry.code, storage={**registry.storage, **entry})
        self.store = engine.MemoryStore(accounts)


def judged_by_engine(world: World, call: tuple[Address, bytes, int, int]) -> Expected:
    """What the engine makes of a call."""
    to, data, value_wei, gas_limit = call
    transaction = UnsignedTransaction(
        _CALLER, 0, Gas(gas_limit), Wei(0), to=to, value_wei=Wei(value_wei), data=data, chain_id=77
    )
    outcome = engine.execute_transaction(world.store, world.spec, _BLOCK, engine.unsigned_transaction(transaction))
    status = outcome.status if outcome.status != "halt" else str(outcome.halt_reason)
    return Expected(status, outcome.output, outcome.gas_used, len(outcome.logs))


def new_call(random: Random) -> tuple[Address, bytes, int, int]:
    """Address, call data, wei and gas limit of a call: well-formed, or near it, or anything."""
    to, data = _well_formed(random)
    for _ in range(random.choice((0, 0, 1, 2))):
        data = _changed(random, data)
    if random.random() < 0.02:
        data = random.randbytes(random.randrange(300))
    value_wei = (
        random.choice((0, 0, FEE, FEE, FEE, 2 * FEE, 3 * FEE, 1)) if to == INFERENCE else random.choice((0,) * 9 + (1,))
    )
    wanted = expected(to, data, value_wei, 10**8)
    # Enough, exactly enough, one too few, or anything above what the call data alone costs.
    least = wanted.floor_gas
    gas_limit = random.choice((10**8, wanted.gas_used, wanted.gas_used - 1, random.randrange(least, 10**5)))
    return to, data, value_wei, max(gas_limit, least)


def _well_formed(random: Random) -> tuple[Address, bytes]:
    def values(size: int) -> bytes:
        return random.randbytes(size)

    kind = random.randrange(6)
    model = MODEL.id if random.random() < 0.9 else random.choice(_OTHERS)
    size = 6 if random.random() < 0.9 else random.randrange(12)
    small = bytes(random.randrange(101) for _ in range(size))
    if kind == 0:
        given = small if random.random() < 0.8 else values(size)
        return INFERENCE, _data("infer(bytes32,bytes)", model, given)
    if kind == 1:
        many = [small if random.random() < 0.9 else values(size) for _ in range(random.randrange(4))]
        return INFERENCE, _data("inferMany(bytes32,bytes[])", model, many)
    if kind == 2:
        return INFERENCE, _data("modelInfo(bytes32)", model)
    if kind == 3:
        m, k, n = (random.randrange(5) for _ in range(3))
        return VECTORS, _data("matmulInt8(uint32,uint32,uint32,bytes,bytes)", m, k, n, values(m * k), values(k * n))
    elements = random.randrange(1, 4)
    length = random.randrange(1, 9) * (1 << (elements - 1))
    a, b = values(length), values(length) if random.random() < 0.9 else bytes(length)
    return VECTORS, _data(f"{('dot', 'cosine')[kind - 4]}(uint8,bytes,bytes)", elements, a, b)


def _data(signature: str, *values: object) -> bytes:
    types = signature[signature.index("(") + 1 : -1]
    return keccak256(signature.encode())[:4] + encode(types.split(","), values)


def _changed(random: Random, data: bytes) -> bytes:
    place = random.randrange(len(data) + 1)
    match random.randrange(4):
        case 0:
            return data[:place] + random.randbytes(1) + data[place + 1 :]
        case 1:
            return data[:place]
        case 2:
            return data[:place] + bytes(random.choice((1, 31, 32))) + data[place:]
        case _:
            word = 4 + 32 * random.randrange(max(1, len(data) // 32))
            return data[:word] + random.randrange(2**16).to_bytes(32, "big") + data[word + 32 :]


if __name__ == "__main__":
    sys.exit(main())
