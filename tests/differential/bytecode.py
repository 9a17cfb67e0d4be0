"""
Random contracts that call, create and destroy each other, for every fork.

Code is written snippet by snippet, each with the operands it needs, so that most of it runs; a few
snippets are raw bytes or opcodes of a later fork, so that some of it does not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from metis.types import AccessListEntry, Account, Address, BlockEnvironment, UnsignedTransaction, Wei
from tests.differential.assembler import OPCODES, assemble, push, store_top
from tests.differential.case import TransactionsCase
from tests.differential.delegation import designator
from tests.differential.wallet import create_address, make_key, sign_authorization, sign_transaction
from tests.differential.world import SENDERS, address_of, draft, environment_at, funded, is_since

__all__ = ["CONTRACTS", "Writer", "random_alloc", "random_case", "random_transaction", "targets_at"]

CONTRACTS = tuple(address_of(number) for number in range(1, 5))
DELEGATED = make_key(500)
BLOB_HASHES = tuple(bytes([1]) + bytes([number]) * 31 for number in range(1, 7))

UNARY = ["ISZERO", "NOT"]
BINARY = [
    "ADD",
    "MUL",
    "SUB",
    "DIV",
    "SDIV",
    "MOD",
    "SMOD",
    "EXP",
    "SIGNEXTEND",
    "LT",
    "GT",
    "SLT",
    "SGT",
    "EQ",
    "AND",
    "OR",
    "XOR",
    "BYTE",
]
TERNARY = ["ADDMOD", "MULMOD"]
NULLARY = [
    "ADDRESS",
    "ORIGIN",
    "CALLER",
    "CALLVALUE",
    "CALLDATASIZE",
    "CODESIZE",
    "GASPRICE",
    "COINBASE",
    "TIMESTAMP",
    "NUMBER",
    "PREVRANDAO",
    "GASLIMIT",
    "PC",
    "MSIZE",
    "GAS",
]
# Opcodes and the fork that brought them.
SINCE = {
    "DELEGATECALL": "Homestead",
    **dict.fromkeys(["RETURNDATASIZE", "RETURNDATACOPY", "STATICCALL", "REVERT"], "Byzantium"),
    **dict.fromkeys(["SHL", "SHR", "SAR", "EXTCODEHASH", "CREATE2"], "Petersburg"),
    **dict.fromkeys(["CHAINID", "SELFBALANCE"], "Istanbul"),
    "BASEFEE": "London",
    "PUSH0": "Shanghai",
    **dict.fromkeys(["TLOAD", "TSTORE", "MCOPY", "BLOBHASH", "BLOBBASEFEE"], "Cancun"),
    "CLZ": "Osaka",
}


@dataclass
class Writer:
    """
    Writes random code for one fork.

    Attributes
    ----------
    targets : addresses that calls and balance look-ups go to.
    depth : how many stack items there are at this point, if all went well.
    """

    random: Random
    fork: str
    targets: tuple[bytes, ...]
    depth: int = 0

    def has(self, opcode: str) -> bool:
        """Whether the fork knows the opcode; now and then the answer is wrong on purpose."""
        return opcode not in SINCE or is_since(self.fork, SINCE[opcode]) or self.random.randrange(250) == 0

    def number(self) -> int:
        """A word: mostly small or at an edge of the range."""
        r = self.random
        kind = r.randrange(8)
        if kind < 4:
            return r.randrange(4)
        if kind == 4:
            return r.choice([31, 32, 33, 255, 256, 2**64, 2**128 - 1, 2**255, 2**256 - 1, 2**255 - 1])
        if kind == 5:
            return max(0, (1 << r.randrange(256)) + r.choice([-1, 0, 1]))
        if kind == 6:
            return int.from_bytes(r.choice(self.targets), "big")
        return r.getrandbits(256)

    def offset(self) -> int:
        """A memory offset or size: nearly always small."""
        return self.random.choice([0, 0, 1, 31, 32, 64, 100, 300]) if self.random.randrange(150) else self.number()

    def sink(self) -> bytes:
        """Use up the top of the stack, or leave it there."""
        kind = self.random.randrange(4)
        if kind == 0 or self.depth > 900:
            return assemble("POP")
        if kind == 1:
            return store_top(self.random.randrange(4))
        if kind == 2:
            return assemble(self.offset(), "MSTORE")
        self.depth += 1
        return b""

    def target(self) -> bytes:
        return push(int.from_bytes(self.random.choice(self.targets), "big"), 20)

    def arithmetic(self) -> bytes:
        r = self.random
        binary = BINARY + [name for name in ("SHL", "SHR", "SAR") if self.has(name)]
        unary = UNARY + (["CLZ"] if self.has("CLZ") else [])
        operands, names = r.choice([(1, unary), (2, binary), (2, binary), (3, TERNARY)])
        return assemble(*(self.number() for _ in range(operands)), r.choice(names)) + self.sink()

    def look_around(self) -> bytes:
        r = self.random
        extra = ["RETURNDATASIZE", "CHAINID", "SELFBALANCE", "BASEFEE", "BLOBBASEFEE", "PUSH0"]
        names = NULLARY + [name for name in extra if self.has(name)]
        kind = r.randrange(4)
        if kind == 0:
            lookups = [name for name in ("BALANCE", "EXTCODESIZE", "EXTCODEHASH") if self.has(name)]
            return self.target() + assemble(r.choice(lookups)) + self.sink()
        if kind == 1 and self.has("BLOBHASH"):
            return assemble(r.choice([r.randrange(8), self.number()]), "BLOBHASH") + self.sink()
        if kind == 2:
            return (
                assemble(r.choice([r.randrange(25), self.number()]), r.choice(["BLOCKHASH", "CALLDATALOAD"]))
                + self.sink()
            )
        return assemble(r.choice(names)) + self.sink()

    def memory(self) -> bytes:
        r = self.random
        kind = r.randrange(6)
        if kind == 0:
            return assemble(self.number(), self.offset(), r.choice(["MSTORE", "MSTORE8"]))
        if kind == 1:
            return assemble(self.offset(), "MLOAD") + self.sink()
        if kind == 2:
            return assemble(self.offset(), self.offset(), "KECCAK256") + self.sink()
        if kind == 3:
            return assemble(self.offset(), self.offset(), self.offset(), self.target(), "EXTCODECOPY")
        copies = [name for name in ("RETURNDATACOPY", "MCOPY") if self.has(name)] + ["CALLDATACOPY", "CODECOPY"]
        return assemble(self.offset(), self.offset(), self.offset(), r.choice(copies))

    def storage(self) -> bytes:
        r = self.random
        slot = r.randrange(4)
        transient = self.has("TLOAD") and r.randrange(3) == 0
        if r.randrange(3) == 0:
            return assemble(slot, "TLOAD" if transient else "SLOAD") + self.sink()
        return assemble(r.choice([0, 0, 1, 2, self.number()]), slot, "TSTORE" if transient else "SSTORE")

    def stack(self) -> bytes:
        r = self.random
        reach = min(16, self.depth)
        if reach < 2 or r.randrange(30) == 0:
            return assemble(r.choice(["POP", "DUP1", "SWAP1", "DUP16"])) if r.randrange(20) == 0 else b""
        if r.randrange(2):
            return assemble(f"SWAP{r.randint(1, reach - 1)}")
        self.depth += 1
        return assemble(f"DUP{r.randint(1, reach)}")

    def log(self) -> bytes:
        topics = self.random.randrange(5)
        return assemble(*(self.number() for _ in range(topics)), self.offset(), self.offset(), f"LOG{topics}")

    def call(self) -> bytes:
        r = self.random
        kinds = ["CALL", "CALL", "CALLCODE"] + [name for name in ("DELEGATECALL", "STATICCALL") if self.has(name)]
        kind = r.choice(kinds)
        sizes = [self.offset() for _ in range(4)]
        value = [r.choice([0, 0, 1, 5, 2**200])] if kind in {"CALL", "CALLCODE"} else []
        gas = r.choice([assemble("GAS"), push(r.choice([0, 2_300, 9_000, 30_000, 90_000])), push(2**256 - 1)])
        return assemble(*sizes, *value, self.target(), gas, kind) + self.sink()

    def create(self) -> bytes:
        """Create from one word of code in memory."""
        r = self.random
        small = Writer(r, self.fork, self.targets)
        codes = [
            assemble(0x60, 0, "MSTORE8", 1, 0, "RETURN"),
            assemble(0xEF, 0, "MSTORE8", 1, 0, "RETURN"),
            assemble("CALLER", "SELFDESTRUCT"),
            assemble(1, 1, "SSTORE"),
            assemble(0x6001, 0, "RETURN"),
            assemble(0, 0, "REVERT") if self.has("REVERT") else assemble("INVALID"),
            small.storage() + small.arithmetic(),
        ]
        code = r.choice(codes)[:32]
        prepared = assemble(push(int.from_bytes(code.ljust(32, b"\0"), "big"), 32), 0, "MSTORE")
        value = r.choice([0, 0, 1, 2**200])
        if self.has("CREATE2") and r.randrange(2):
            return prepared + assemble(r.randrange(2), len(code), 0, value, "CREATE2") + self.sink()
        return prepared + assemble(len(code), 0, value, "CREATE") + self.sink()

    def branch(self) -> bytes:
        """Jump over a snippet, or not. The target is relative: PC is added at run time."""
        depth = self.depth
        body = self.snippet()
        # What the skipped part leaves on the stack is not there if it is skipped.
        self.depth = min(depth, self.depth)
        condition = self.random.choice(
            [push(self.random.randrange(2)), assemble("CALLDATASIZE"), assemble("GAS", 1, "AND")]
        )
        head = assemble("PC", push(len(body) + 6, 2), "ADD", "JUMPI")
        return condition + head + body + assemble("JUMPDEST")

    def loop(self) -> bytes:
        """Run a snippet that leaves the stack as it was a few times."""
        body = self.random.choice([self.storage, self.log, self.memory])
        depth, code = self.depth, body()
        while self.depth != depth:
            self.depth, code = depth, body()
        count = self.random.randint(1, 4)
        start = assemble(count, "PC", "JUMPDEST")
        # Stack in the loop: count, address of PC; the JUMPDEST is one further.
        back = assemble("SWAP1", 1, "SWAP1", "SUB", "SWAP1", "DUP2", "DUP2", 1, "ADD", "JUMPI", "POP", "POP")
        return start + code + back

    def noise(self) -> bytes:
        r = self.random
        kind = r.randrange(5)
        if kind == 0:
            return r.randbytes(r.randint(1, 5))
        if kind == 1:
            return bytes([r.choice(sorted(OPCODES.values()))])
        if kind == 2:
            return assemble(self.number(), r.choice(["JUMP", "JUMPDEST"]))
        return b""

    def snippet(self) -> bytes:
        """One random snippet."""
        parts: list[Callable[[], bytes]] = [self.arithmetic, self.look_around, self.memory, self.storage, self.stack]
        parts += [self.log, self.call, self.create, self.branch, self.loop, self.noise]
        return self.random.choices(parts, [12, 10, 10, 16, 6, 4, 12, 6, 6, 2, 1])[0]()

    def ending(self) -> bytes:
        r = self.random
        endings = [b"", assemble("STOP"), assemble(self.offset(), self.offset(), "RETURN"), assemble("INVALID")]
        endings += [self.target() + assemble("SELFDESTRUCT")] * 2
        if self.has("REVERT"):
            endings.append(assemble(self.offset(), self.offset(), "REVERT"))
        return r.choices(endings, [3, 3, 3, 1, 1, 1, 2][: len(endings)])[0]

    def code(self, snippets: int) -> bytes:
        """A whole contract."""
        self.depth = 0
        return b"".join(self.snippet() for _ in range(snippets)) + self.ending()


def targets_at(fork: str) -> tuple[bytes, ...]:
    """Contracts, a sender, nobody, precompiles, a future creation, and since Prague a delegated account."""
    precompiles = [number.to_bytes(20, "big") for number in (1, 2, 3, 4, 6)]
    others = [SENDERS[3].address, address_of(99), create_address(CONTRACTS[0], 1), environment_at(fork).beneficiary]
    delegated = [DELEGATED.address] if is_since(fork, "Prague") else []
    return (*CONTRACTS, *CONTRACTS, *others, *precompiles, *delegated)


def random_transaction(random: Random, fork: str, nonce: int, targets: tuple[bytes, ...]) -> UnsignedTransaction:
    """A call or creation of any type that the fork knows."""
    kinds = [0] + [
        kind for kind, first in ((1, "Berlin"), (2, "London"), (3, "Cancun"), (4, "Prague")) if is_since(fork, first)
    ]
    kind = random.choice(kinds)
    creates = kind < 3 and random.randrange(5) == 0
    data = (
        Writer(random, fork, targets).code(random.randint(1, 8))
        if creates
        else random.randbytes(random.choice([0, 4, 36, 100]))
    )
    slots = tuple(range(random.randrange(4)))
    entries = [AccessListEntry(Address(random.choice(targets)), slots) for _ in range(random.randrange(3))]
    authorization = sign_authorization(make_key(501 + random.randrange(2)), random.choice(targets), 0)
    return draft(
        None if creates else random.choice(CONTRACTS),
        nonce=nonce,
        kind=kind,
        gas_limit=random.choice([60_000, 150_000, 400_000, 1_000_000]) + random.randrange(1000),
        data=data,
        value_wei=random.choice([0, 0, 1, 10**9]),
        access_list=entries if kind else (),
        authorizations=[authorization] if kind == 4 else (),
        blob_hashes=BLOB_HASHES[: random.randint(1, 6)] if kind == 3 else (),
        blob_fee_wei=10**9,
    )


def random_alloc(random: Random, fork: str, targets: tuple[bytes, ...]) -> dict[bytes, Account]:
    contracts: dict[bytes, Account] = {
        address: Account(
            nonce=1,
            balance_wei=Wei(random.choice([0, 7, 10**9])),
            code=Writer(random, fork, targets).code(random.randint(1, 10)),
            storage={slot: random.randint(1, 3) for slot in range(4) if random.randrange(2)},
        )
        for address in CONTRACTS
    }
    if is_since(fork, "Prague"):
        contracts[DELEGATED.address] = Account(nonce=1, code=designator(CONTRACTS[-1]))
    return contracts


def random_case(random: Random, fork: str) -> TransactionsCase:
    """Random contracts, and up to three transactions that run them."""
    targets = targets_at(fork)
    environment: BlockEnvironment = environment_at(
        fork, number=random.choice([20, 300]), excess_blob_gas=random.choice([0, 2**22, 20_000_000, 60_000_000])
    )
    alloc = funded(random_alloc(random, fork, targets))
    transactions = [random_transaction(random, fork, nonce, targets) for nonce in range(random.randint(1, 3))]
    chain_id = 1 if is_since(fork, "SpuriousDragon") else None
    legacy = [replace(item, chain_id=chain_id) if item.type == 0 else item for item in transactions]
    raws = tuple(sign_transaction(item, SENDERS[0]) for item in legacy)
    return TransactionsCase(f"random code at {fork}", fork, environment, alloc, raws)
