"""
One fuzz case: contracts, a transaction, gas limits; run in tier 0 and in tier 1, compared in everything.

What is compared: status, reason of a halt, gas used and refunded, output, logs, and the state root, so every
change of every account.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from fuzz.programs import random_program
from metis import engine
from metis.types import Account, Address, BlockEnvironment, Gas, TransactionOutcome, UnsignedTransaction, Wei
from metis.vm.compiler.options import Options
from metis.vm.compiler.pipeline import Refusal, compile_code

__all__ = ["Case", "Comparison", "Difference", "random_case", "run_case"]

SENDER = Address(b"\x5e" * 20)
CONTRACTS = tuple(Address(bytes([0xC0 + index]) * 20) for index in range(3))
INTRINSIC_GAS = 21_000
CALLDATA_BYTE_GAS = 68
"""The dearest a byte of call data ever was; the transaction's own cost stays below it in every fork."""
GAS_ENOUGH = 400_000
LOOK_ROUNDS_MAX = 4


@dataclass(frozen=True, slots=True)
class Case:
    """Codes of the contracts (the first is called), call data, and the fork."""

    fork: str
    codes: tuple[bytes, ...]
    calldata: bytes


@dataclass(frozen=True, slots=True)
class Difference:
    """A gas limit at which the tiers differ, and how."""

    gas_limit: int
    expected: TransactionOutcome
    actual: TransactionOutcome


@dataclass(slots=True)
class Comparison:
    """What running a case showed."""

    executions: int = 0
    refused: int = 0
    frames_compiled: int = 0
    frames_interpreted: int = 0
    deoptimisations: dict[str, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)


def random_case(random: Random) -> Case:
    """Make a case."""
    forks = engine.fork_names()
    fork = forks[-1] if random.randrange(3) else random.choice(forks)
    callees = tuple(bytes(address) for address in CONTRACTS)
    codes = tuple(random_program(random, callees) for _ in range(random.choice((1, 2, 3))))
    return Case(fork, codes, random.randbytes(random.choice((0, 4, 36, 68))))


def run_case(case: Case, gas_limits_max: int, random: Random) -> Comparison:
    """Run a case under many gas limits, from none to enough, in both tiers."""
    comparison = Comparison()
    registry = engine.CodeRegistry("eager")
    subject = _Subject(case)
    enough = subject.run(GAS_ENOUGH, None)
    used = int(enough.gas_used) + int(enough.gas_refunded) - INTRINSIC_GAS
    limits = list(_gas_limits(max(used, 1), gas_limits_max, random))
    expected = {limit: subject.run(limit, None) for limit in limits}
    for _ in range(LOOK_ROUNDS_MAX):
        # Running shows which codes there are: created contracts and init code too.
        for limit in (GAS_ENOUGH, *limits[:: max(1, len(limits) // 8)]):
            subject.run(limit, registry)
        if not _compile_met(registry, comparison):
            break
    for limit in limits:
        actual = subject.run(limit, registry)
        comparison.executions += 1
        if actual != expected[limit]:
            comparison.differences.append(Difference(limit, expected[limit], actual))
    for row in registry.report():
        comparison.frames_compiled += row["frames_compiled"]
        comparison.frames_interpreted += row["frames_interpreted"]
        for cause, count in row["deoptimisations"].items():
            comparison.deoptimisations[cause] = comparison.deoptimisations.get(cause, 0) + count
    return comparison


def _compile_met(registry: engine.CodeRegistry, comparison: Comparison) -> int:
    hot = registry.take_hot(0, 1 << 16)
    for code_hash, fork, code in hot:
        result = compile_code(code, fork, Options(level=0))
        if isinstance(result, Refusal):
            registry.refuse(code_hash, fork, result.reason)
            comparison.refused += 1
        else:
            registry.install(result.data)
    return len(hot)


def _gas_limits(used: int, count_max: int, random: Random) -> Iterator[int]:
    """Gas for the call: all amounts up to what is used where that is little, else a spread of them."""
    if used + 3 <= count_max:
        yield from range(used + 3)
        return
    chosen = {0, 1, used - 1, used, used + 1, GAS_ENOUGH - INTRINSIC_GAS}
    # Out-of-gas is decided by single units, so neighbours are tried, not only a grid.
    while len(chosen) < count_max:
        at = random.randrange(used)
        chosen.update(range(at, min(at + 8, used)))
    yield from sorted(chosen)


class _Subject:
    """A case's world, in which its transaction runs again and again."""

    def __init__(self, case: Case) -> None:
        accounts = {SENDER: Account(balance_wei=Wei(1 << 100))}
        for address, code in zip(CONTRACTS, case.codes, strict=False):
            accounts[address] = Account(balance_wei=Wei(1000), code=code, nonce=1)
        self.store = engine.MemoryStore(accounts)
        self.spec = engine.ChainSpec.at_fork(case.fork).without_transaction_gas_limit_cap()
        self.case = case
        self.environment = _environment(case.fork)

    def run(self, gas: int, registry: engine.CodeRegistry | None) -> TransactionOutcome:
        transaction = UnsignedTransaction(
            sender=SENDER,
            nonce=0,
            gas_limit=Gas(INTRINSIC_GAS + CALLDATA_BYTE_GAS * len(self.case.calldata) + gas),
            gas_price_wei=Wei(10),
            to=CONTRACTS[0],
            data=self.case.calldata,
        )
        return engine.execute_transaction(
            self.store, self.spec, self.environment, engine.unsigned_transaction(transaction), registry=registry
        )


def _environment(fork: str) -> BlockEnvironment:
    names = engine.fork_names()
    has_base_fee, has_blobs = (names.index(fork) >= names.index(name) for name in ("London", "Cancun"))
    return BlockEnvironment(
        gas_limit=Gas(1 << 40),
        beneficiary=Address(b"\xbe" * 20),
        base_fee_per_gas_wei=Wei(7) if has_base_fee else Wei(0),
        excess_blob_gas=Gas(0) if has_blobs else None,
    )
