"""
Accounts that run other accounts' code (EIP-7702): named scenarios and a generator of mixtures.

Every scenario is a function that returns a case; SCENARIOS lists them for the test.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random

from metis.types import AccessListEntry, Account, Address, Authorization, UnsignedTransaction, Wei
from tests.differential.assembler import assemble, call, push, store_top
from tests.differential.case import TransactionsCase
from tests.differential.wallet import (
    SECP256K1_ORDER,
    Key,
    make_key,
    recoverable_nowhere,
    sign_authorization,
    sign_transaction,
)
from tests.differential.world import SENDERS, address_of, draft, environment_at, funded, probe, signed_case

__all__ = ["AUTHORITY", "FAULTS", "SCENARIOS", "designator", "faulty_authorization", "random_case"]

AUTHORITY = make_key(100)
OTHER = make_key(101)
DELEGATE = address_of(1)
SECOND_DELEGATE = address_of(2)
CALLER = address_of(3)
# Less than there is, so that a probe can write down how its call failed.
PROBE_GAS = 200_000
NONCE_MAX = 2**64 - 1

# Writes who runs, who called and what came with it; keeps a transient counter; returns one word.
DELEGATE_CODE = assemble(
    *("ADDRESS", store_top(0), "CALLER", store_top(1), "CALLVALUE", store_top(2), "CODESIZE", store_top(3)),
    *(0, "TLOAD", 1, "ADD", "DUP1", 0, "TSTORE", store_top(4)),
    *(0xBEEF, 0, "MSTORE", 32, 0, "LOG0", 32, 0, "RETURN"),
)
SECOND_CODE = assemble(0, "SLOAD", 1, "SLOAD", "ADD", store_top(5), 0xD00D, 0, "MSTORE", 32, 0, "REVERT")


def designator(address: bytes) -> bytes:
    """The code of an account that delegates to ``address``."""
    return b"\xef\x01\x00" + address


def world(*extra: tuple[bytes, Account]) -> dict[bytes, Account]:
    return {
        DELEGATE: Account(code=DELEGATE_CODE),
        SECOND_DELEGATE: Account(code=SECOND_CODE),
        CALLER: Account(code=probe(AUTHORITY.address, gas=PROBE_GAS)),
    } | dict(extra)


def set_code(
    to: bytes, authorizations: Sequence[Authorization], nonce: int = 0, **fields: object
) -> UnsignedTransaction:
    transaction = draft(to, kind=4, nonce=nonce, authorizations=authorizations)
    return replace(transaction, **fields)  # type: ignore[arg-type]


def allow(address: bytes = DELEGATE, nonce: int = 0, chain_id: int = 1) -> Authorization:
    return sign_authorization(AUTHORITY, address, nonce, chain_id)


def case(
    name: str, *transactions: UnsignedTransaction, extra: Sequence[tuple[bytes, Account]] = ()
) -> TransactionsCase:
    return signed_case(name, "Osaka", transactions, world(*extra))


def rich(nonce: int = 0, code: bytes = b"") -> tuple[bytes, Account]:
    return AUTHORITY.address, Account(nonce=nonce, balance_wei=Wei(10**18), code=code)


# Authorizations that must be skipped, each for one reason; the transaction itself stays valid.
FAULTS: dict[str, Callable[[Authorization], Authorization]] = {
    "wrong chain id": lambda _: allow(chain_id=2),
    "huge chain id": lambda _: allow(chain_id=2**256 - 1),
    "nonce too high": lambda good: allow(nonce=good.nonce + 1),
    "nonce at its end": lambda _: allow(nonce=NONCE_MAX),
    "high s": lambda good: sign_authorization(AUTHORITY, good.address, good.nonce, high_s=True),
    "y parity of 2": lambda good: replace(good, y_parity=2),
    "y parity of 27": lambda good: replace(good, y_parity=27),
    "y parity of 255": lambda good: replace(good, y_parity=255),
    "r is zero": lambda good: replace(good, r=0),
    "s is zero": lambda good: replace(good, s=0),
    "r is the order": lambda good: replace(good, r=SECP256K1_ORDER),
    "r and s at their ends": lambda good: replace(good, r=2**256 - 1, s=2**256 - 1),
    "no key recovers": lambda good: recoverable_nowhere(good.address, good.nonce),
    "another key recovers": lambda good: replace(good, y_parity=1 - good.y_parity),
}


def faulty_authorization(fault: str) -> TransactionsCase:
    """One skipped tuple, and a call that tells by its gas whether the authority was warmed."""
    return case(f"authorization: {fault}", set_code(CALLER, [FAULTS[fault](allow())]))


def call_through(kind: str, *, static_write: bool = False) -> TransactionsCase:
    target = DELEGATE if static_write else SECOND_DELEGATE
    caller = address_of(4), Account(balance_wei=Wei(100), code=probe(AUTHORITY.address, kind=kind, gas=PROBE_GAS))
    return case(f"{kind} through a delegation", set_code(address_of(4), [allow(target)]), extra=[caller])


def look_at_code() -> TransactionsCase:
    """EXTCODESIZE, EXTCODEHASH and EXTCODECOPY see the designator, not the code it points to."""
    target = push(int.from_bytes(AUTHORITY.address, "big"), 20)
    viewer = assemble(
        *(target, "EXTCODESIZE", store_top(0), target, "EXTCODEHASH", store_top(1)),
        *(64, 0, 0, target, "EXTCODECOPY", 0, "MLOAD", store_top(2), 32, "MLOAD", store_top(3)),
    )
    return case(
        "code of a delegated account",
        set_code(CALLER, [allow()]),
        draft(address_of(4), nonce=1),
        extra=[(address_of(4), Account(code=viewer))],
    )


def chained() -> TransactionsCase:
    """A delegates to B, B to the code: only one step is followed, and the designator is no code."""
    second = sign_authorization(OTHER, DELEGATE, 0)
    return case(
        "chained delegation", set_code(CALLER, [allow(OTHER.address), second]), draft(AUTHORITY.address, nonce=1)
    )


def self_sponsored(authorization_nonce: int) -> TransactionsCase:
    """The sender's own nonce is raised before its authorization is looked at."""
    authorization = sign_authorization(SENDERS[0], DELEGATE, authorization_nonce)
    return case(
        f"self-sponsored with nonce {authorization_nonce}",
        set_code(SENDERS[0].address, [authorization]),
        draft(SENDERS[0].address, nonce=2 if authorization_nonce == 1 else 1, value_wei=5),
    )


def to_precompile(number: int) -> TransactionsCase:
    """Code of a precompile's address is empty: the call succeeds and does nothing."""
    target = number.to_bytes(20, "big")
    return case(
        f"delegation to precompile {number:#x}",
        set_code(CALLER, [allow(target)], data=b"\x01" * 64),
        draft(AUTHORITY.address, nonce=1, data=b"\x01" * 64),
    )


def access_declared(*addresses: bytes) -> TransactionsCase:
    entries = [AccessListEntry(Address(address), (0,)) for address in addresses]
    pre = rich(code=designator(DELEGATE))
    return case("declared access", draft(CALLER, kind=2, access_list=entries), extra=[pre])


def gas_edge(count: int, missing: int) -> TransactionsCase:
    """Gas for the tuples and nothing else; refused when one is missing."""
    authorizations = [sign_authorization(make_key(200 + i), DELEGATE, 0) for i in range(count)]
    # SPEC: EIP-7702 PER_EMPTY_ACCOUNT_COST = 25000 is charged for each tuple up front.
    gas_limit = 21_000 + 25_000 * count - missing
    return case(f"{count} tuples, {missing} gas short", set_code(address_of(9), authorizations, gas_limit=gas_limit))


def sender_with_code(code: bytes) -> TransactionsCase:
    return case(
        f"sender with code {code[:3].hex()}",
        set_code(CALLER, [allow()]),
        draft(CALLER, nonce=0, value_wei=1),
        extra=[(SENDERS[0].address, Account(balance_wei=Wei(10**20), code=code))],
    )


def failing_target(code: bytes, gas_limit: int) -> TransactionsCase:
    """Delegations and their refunds survive a transaction that fails."""
    transaction = set_code(address_of(4), [allow(), sign_authorization(OTHER, DELEGATE, 0)], gas_limit=gas_limit)
    return case("failing target", transaction, extra=[(address_of(4), Account(code=code)), rich()])


def creating() -> TransactionsCase:
    """A delegated account creates a contract: its nonce counts for both roles."""
    code = assemble(0, 0, 0, "CREATE", store_top(9), 5, 0, 0, 0, "CREATE2", store_top(10))
    return case(
        "creation by a delegated account",
        set_code(AUTHORITY.address, [allow(address_of(4))]),
        draft(AUTHORITY.address, nonce=1),
        extra=[(address_of(4), Account(code=code))],
    )


def dying() -> TransactionsCase:
    """SELFDESTRUCT in delegated code moves the money and leaves the account (EIP-6780)."""
    code = assemble(push(int.from_bytes(OTHER.address, "big"), 20), "SELFDESTRUCT")
    return case(
        "selfdestruct of a delegated account",
        set_code(AUTHORITY.address, [allow(address_of(4))]),
        draft(AUTHORITY.address, nonce=1, value_wei=3),
        extra=[(address_of(4), Account(code=code)), rich()],
    )


def storage_is_kept() -> TransactionsCase:
    """The storage belongs to the authority, whichever code wrote it."""
    return case(
        "storage over two delegations",
        set_code(AUTHORITY.address, [allow()], value_wei=Wei(3)),
        set_code(CALLER, [allow(SECOND_DELEGATE, nonce=1)], nonce=1),
        set_code(AUTHORITY.address, [allow(bytes(20), nonce=2)], nonce=2),
        set_code(AUTHORITY.address, [allow(nonce=3)], nonce=3),
    )


def delegated_sender_pays() -> TransactionsCase:
    """A delegated account still sends transactions, also while it is called back in them."""
    sent = [
        sign_transaction(set_code(SENDERS[1].address, [sign_authorization(SENDERS[0], CALLER, 1)]), SENDERS[0]),
        sign_transaction(draft(SENDERS[0].address, nonce=2), SENDERS[0]),
        sign_transaction(draft(SENDERS[0].address, nonce=0, value_wei=9), SENDERS[1]),
    ]
    return TransactionsCase("delegated sender", "Osaka", environment_at("Osaka"), funded(world()), tuple(sent))


def nested_calls() -> TransactionsCase:
    """Two calls into the same delegated account in one transaction: the second is warm."""
    code = b"".join(assemble(call("CALL", AUTHORITY.address), "GAS", store_top(slot), "POP") for slot in (20, 21, 22))
    return case(
        "delegated account called three times",
        set_code(address_of(4), [allow(), sign_authorization(OTHER, AUTHORITY.address, 0)]),
        draft(OTHER.address, nonce=1),
        extra=[(address_of(4), Account(code=code))],
    )


SCENARIOS: dict[str, Callable[[], TransactionsCase]] = {
    "set on a new account": lambda: case("new account", set_code(AUTHORITY.address, [allow()])),
    "set on an account with money": lambda: case("refund", set_code(CALLER, [allow()]), extra=[rich()]),
    "any chain": lambda: case("chain id 0", set_code(CALLER, [allow(chain_id=0)])),
    "replaced": lambda: case("replaced", set_code(CALLER, [allow()]), set_code(CALLER, [allow(SECOND_DELEGATE, 1)], 1)),
    "cleared": lambda: case("cleared", set_code(CALLER, [allow()]), set_code(CALLER, [allow(bytes(20), 1)], 1)),
    "cleared while unset": lambda: case("cleared while unset", set_code(CALLER, [allow(bytes(20))])),
    "chained": chained,
    "to itself": lambda: case("loop", set_code(CALLER, [allow(AUTHORITY.address)]), draft(AUTHORITY.address, nonce=1)),
    "to an account without code": lambda: case(
        "no code", set_code(AUTHORITY.address, [allow(OTHER.address)], value_wei=Wei(1))
    ),
    "self-sponsored": lambda: self_sponsored(1),
    "self-sponsored with its old nonce": lambda: self_sponsored(0),
    "authority is a contract": lambda: case("contract", set_code(CALLER, [allow()]), extra=[rich(code=DELEGATE_CODE)]),
    "authority was delegated at genesis": lambda: case(
        "before", set_code(CALLER, [allow(SECOND_DELEGATE, 7)]), extra=[rich(7, designator(DELEGATE))]
    ),
    "authority's nonce is the last but one": lambda: case(
        "last nonce", set_code(CALLER, [allow(nonce=NONCE_MAX - 1)]), extra=[rich(NONCE_MAX - 1)]
    ),
    "two tuples in a row": lambda: case("two", set_code(CALLER, [allow(), allow(SECOND_DELEGATE, 1)])),
    "the same tuple twice": lambda: case("twice", set_code(CALLER, [allow(), allow()])),
    "set and cleared": lambda: case("set and cleared", set_code(CALLER, [allow(), allow(bytes(20), 1)])),
    "good after bad": lambda: case("good after bad", set_code(CALLER, [allow(nonce=5), allow(chain_id=9), allow()])),
    "called by CALL": lambda: call_through("CALL"),
    "called by DELEGATECALL": lambda: call_through("DELEGATECALL"),
    "called by CALLCODE": lambda: call_through("CALLCODE"),
    "called by STATICCALL": lambda: call_through("STATICCALL"),
    "static write": lambda: call_through("STATICCALL", static_write=True),
    "code looked at": look_at_code,
    "called three times": nested_calls,
    "declared authority": lambda: access_declared(AUTHORITY.address),
    "declared delegate": lambda: access_declared(DELEGATE),
    "declared both": lambda: access_declared(AUTHORITY.address, DELEGATE),
    "declared none": access_declared,
    "empty list": lambda: case("empty list", set_code(CALLER, [])),
    "creation": lambda: case("creation", replace(set_code(CALLER, [allow()]), to=None)),
    "one tuple, exact gas": lambda: gas_edge(1, 0),
    "one tuple, short": lambda: gas_edge(1, 1),
    "five tuples, exact gas": lambda: gas_edge(5, 0),
    "five tuples, short": lambda: gas_edge(5, 1),
    "sender is delegated": lambda: sender_with_code(designator(DELEGATE)),
    "sender is a contract": lambda: sender_with_code(DELEGATE_CODE),
    "sender has a broken designator": lambda: sender_with_code(designator(DELEGATE)[:-1]),
    "reverting target": lambda: failing_target(assemble(0, 0, "REVERT"), 500_000),
    "halting target": lambda: failing_target(assemble("INVALID"), 500_000),
    "target out of gas": lambda: failing_target(assemble("JUMPDEST", 0, "JUMP"), 100_000),
    "creating": creating,
    "dying": dying,
    "storage": storage_is_kept,
    "delegated sender": delegated_sender_pays,
} | {f"to precompile {number:#x}": partial(to_precompile, number) for number in (1, 2, 4, 9, 0x0B, 0x11, 0x100)}


def random_authorization(
    random: Random, keys: Sequence[Key], targets: Sequence[bytes], nonces: dict[bytes, int]
) -> Authorization:
    """A tuple that is usually good for the nonce that the authority will have by then."""
    key = random.choice(keys)
    nonce = nonces.get(key.address, 0)
    good = sign_authorization(key, random.choice(targets), nonce, random.choice([0, 1, 1, 1]))
    if random.randrange(4) == 0:
        return FAULTS[random.choice(sorted(FAULTS))](good)
    nonces[key.address] = nonce + 1
    return good


def random_case(random: Random) -> TransactionsCase:
    """Up to four transactions that set, replace, clear and use delegations in a small world."""
    keys = [make_key(100 + i) for i in range(3)] + list(SENDERS[:2])
    contracts = [DELEGATE, SECOND_DELEGATE, CALLER, *(address_of(10 + i) for i in range(3))]
    targets = [*contracts, bytes(20), *(key.address for key in keys), (2).to_bytes(20, "big")]
    kinds = ("CALL", "DELEGATECALL", "STATICCALL", "CALLCODE")
    probes = [
        (
            address,
            Account(
                balance_wei=Wei(50), code=probe(random.choice(keys).address, kind=random.choice(kinds), gas=PROBE_GAS)
            ),
        )
        for address in contracts[3:]
    ]
    nonces: dict[bytes, int] = {}
    transactions = []
    for _ in range(random.randint(1, 4)):
        sender = random.choice(SENDERS[:2])
        nonce = nonces.get(sender.address, 0)
        nonces[sender.address] = nonce + 1
        count = random.randint(0, 3)
        authorizations = [random_authorization(random, keys, targets, nonces) for _ in range(count)]
        declared = [AccessListEntry(Address(random.choice(targets)), (random.randrange(3),))] * random.randrange(2)
        transaction = draft(
            random.choice([*contracts, *(key.address for key in keys)]),
            nonce=nonce,
            kind=4 if authorizations else random.choice([0, 2]),
            gas_limit=random.choice([150_000, 400_000, 1_000_000]),
            value_wei=random.choice([0, 0, 1]),
            authorizations=authorizations,
            access_list=declared,
        )
        transactions.append(sign_transaction(transaction, sender))
    return TransactionsCase(
        "random delegations", "Osaka", environment_at("Osaka"), funded(world(*probes)), tuple(transactions)
    )
