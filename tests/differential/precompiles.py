"""
Inputs for the precompiles that the published state tests lack: BLS12-381 (EIP-2537), modular
exponentiation as priced and bounded by EIP-7883 and EIP-7823, and P-256 (EIP-7951).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from metis.types import Account
from tests.differential.assembler import assemble, call
from tests.differential.case import TransactionsCase
from tests.differential.curves import (
    BLS_FIELD_MODULUS,
    BLS_ORDER,
    G1,
    G1_GENERATOR,
    G2,
    G2_GENERATOR,
    encode_g1,
    encode_g2,
    outside_subgroup_g1,
    outside_subgroup_g2,
    sign_p256,
)
from tests.differential.world import address_of, draft, environment_at, probe, signed_case

__all__ = [
    "BLS_INPUTS",
    "G1_MSM",
    "G2_MSM",
    "MODEXP",
    "MODEXP_INPUTS",
    "P256VERIFY",
    "P256_INPUTS",
    "calling",
    "encode_modexp",
    "multi_scalar_prices",
    "random_bls_case",
    "random_modexp_case",
]

MODEXP = 0x05
G1_ADD, G1_MSM, G2_ADD, G2_MSM, PAIRING, MAP_TO_G1, MAP_TO_G2 = range(0x0B, 0x12)
P256VERIFY = 0x100

AMPLE_GAS = 10_000_000
TRANSACTION_GAS = 16_000_000


def calling(
    name: str, precompile: int, calldata: bytes, *, gas: int = AMPLE_GAS, fork: str = "Osaka"
) -> TransactionsCase:
    """A contract calls the precompile with ``gas`` and writes down what it saw (see world.probe)."""
    caller = address_of(1)
    code = probe(precompile.to_bytes(20, "big"), gas=gas)
    transaction = draft(caller, data=calldata, gas_limit=TRANSACTION_GAS)
    return signed_case(name, fork, [transaction], {caller: Account(code=code)})


def multi_scalar_prices(precompile: int, counts: Sequence[int]) -> TransactionsCase:
    """
    One transaction that calls with each of ``counts`` points at infinity and logs what the calls cost.

    In Prague, whose transactions may be as large as the block. Infinity costs the gas of any point, and little time.
    """
    size = 160 if precompile == G1_MSM else 288
    prices_at = max(counts) * size
    # Memory is paid for first, so that it is in no price.
    code = assemble(0, prices_at + 32 * len(counts), "MSTORE")
    for position, count in enumerate(counts):
        one_call = call("CALL", precompile.to_bytes(20, "big"), gas=AMPLE_GAS, arguments=(0, size * count))
        code += assemble("GAS", one_call)
        # A failed call shows as a price of zero.
        code += assemble("GAS", "SWAP1", "SWAP2", "SUB", "MUL", prices_at + 32 * position, "MSTORE")
    code += assemble(32 * len(counts), prices_at, "LOG0")
    caller = address_of(1)
    block = environment_at("Prague", gas_limit=400_000_000)
    transaction = draft(caller, gas_limit=400_000_000)
    return signed_case("multi-scalar prices", "Prague", [transaction], {caller: Account(code=code)}, environment=block)


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def g1(scalar: int) -> bytes:
    return encode_g1(G1.multiply(G1_GENERATOR, scalar))


def g2(scalar: int) -> bytes:
    return encode_g2(G2.multiply(G2_GENERATOR, scalar))


def bls_inputs() -> dict[str, tuple[int, bytes]]:
    """Name → (precompile, calldata): each rule of the EIP from both sides."""
    infinity_1, infinity_2 = bytes(128), bytes(256)
    minus_1 = encode_g1((G1_GENERATOR[0], BLS_FIELD_MODULUS - G1_GENERATOR[1]))
    stray_1, stray_2 = encode_g1(outside_subgroup_g1()), encode_g2(outside_subgroup_g2())
    off_curve_1 = encode_g1((G1_GENERATOR[0], G1_GENERATOR[1] ^ 1))
    off_curve_2 = encode_g2((G2_GENERATOR[0], (G2_GENERATOR[1][0] ^ 1, G2_GENERATOR[1][1])))
    too_large_1 = encode_g1((BLS_FIELD_MODULUS, 0))
    dirty_1 = b"\x01" + g1(1)[1:]
    one, top, modulus = word(1), word(2**256 - 1), BLS_FIELD_MODULUS
    inputs = {
        "G1 add": (G1_ADD, g1(2) + g1(3)),
        "G1 double": (G1_ADD, g1(2) + g1(2)),
        "G1 add opposite": (G1_ADD, g1(1) + minus_1),
        "G1 add infinity": (G1_ADD, g1(5) + infinity_1),
        "G1 add infinities": (G1_ADD, infinity_1 * 2),
        "G1 add outside of the subgroup": (G1_ADD, stray_1 + g1(1)),
        "G1 add off curve": (G1_ADD, off_curve_1 + g1(1)),
        "G1 add x is the modulus": (G1_ADD, too_large_1 + g1(1)),
        "G1 add upper bytes set": (G1_ADD, dirty_1 + g1(1)),
        "G1 sum of one": (G1_MSM, g1(3) + word(9)),
        "G1 sum of three": (G1_MSM, g1(3) + word(9) + g1(4) + word(BLS_ORDER - 1) + g1(5) + top),
        "G1 times zero": (G1_MSM, g1(3) + word(0)),
        "G1 times order": (G1_MSM, g1(3) + word(BLS_ORDER)),
        "G1 infinity times": (G1_MSM, infinity_1 + top),
        "G1 sum outside of the subgroup": (G1_MSM, stray_1 + one),
        "G1 sum outside times zero": (G1_MSM, stray_1 + word(0)),
        "G1 sum off curve": (G1_MSM, off_curve_1 + one),
        "G2 add": (G2_ADD, g2(2) + g2(3)),
        "G2 double": (G2_ADD, g2(2) + g2(2)),
        "G2 add infinity": (G2_ADD, infinity_2 + g2(7)),
        "G2 add outside of the subgroup": (G2_ADD, stray_2 + g2(1)),
        "G2 add off curve": (G2_ADD, off_curve_2 + g2(1)),
        "G2 sum of one": (G2_MSM, g2(3) + word(9)),
        "G2 sum of two": (G2_MSM, g2(3) + top + g2(1) + word(2)),
        "G2 times zero": (G2_MSM, g2(3) + word(0)),
        "G2 infinity times": (G2_MSM, infinity_2 + top),
        "G2 sum outside of the subgroup": (G2_MSM, stray_2 + one),
        "pairing that holds": (PAIRING, g1(2) + g2(3) + encode_g1(G1.multiply(G1_GENERATOR, BLS_ORDER - 6)) + g2(1)),
        "pairing that does not hold": (PAIRING, g1(2) + g2(3)),
        "pairing with infinity in G1": (PAIRING, infinity_1 + g2(3)),
        "pairing with infinity in G2": (PAIRING, g1(3) + infinity_2),
        "pairing outside of G1": (PAIRING, stray_1 + g2(1)),
        "pairing outside of G2": (PAIRING, g1(1) + stray_2),
        "pairing outside of G1 with infinity": (PAIRING, stray_1 + infinity_2),
        "map to G1": (MAP_TO_G1, (123).to_bytes(64, "big")),
        "map zero to G1": (MAP_TO_G1, bytes(64)),
        "map largest to G1": (MAP_TO_G1, (modulus - 1).to_bytes(64, "big")),
        "map modulus to G1": (MAP_TO_G1, modulus.to_bytes(64, "big")),
        "map dirty to G1": (MAP_TO_G1, b"\x01" + bytes(63)),
        "map to G2": (MAP_TO_G2, (5).to_bytes(64, "big") + (modulus - 6).to_bytes(64, "big")),
        "map zero to G2": (MAP_TO_G2, bytes(128)),
        "map modulus to G2": (MAP_TO_G2, bytes(64) + modulus.to_bytes(64, "big")),
    }
    sizes = {G1_ADD: 256, G1_MSM: 160, G2_ADD: 512, G2_MSM: 288, PAIRING: 384, MAP_TO_G1: 64, MAP_TO_G2: 128}
    for precompile, size in sizes.items():
        for length in (0, 1, size - 1, size + 1, 2 * size):
            inputs[f"{precompile:#x} with {length} bytes"] = (precompile, bytes(length))
    return inputs


BLS_INPUTS = bls_inputs()


def random_bls_case(random: Random) -> TransactionsCase:
    """A group operation on points that are multiples of the generator, infinity, or now and then broken."""
    precompile = random.choice([G1_ADD, G1_ADD, G1_MSM, G2_ADD, G2_MSM, MAP_TO_G1, MAP_TO_G2])
    if precompile in {MAP_TO_G1, MAP_TO_G2}:
        count = 1 if precompile == MAP_TO_G1 else 2
        calldata = b"".join(random.randrange(BLS_FIELD_MODULUS).to_bytes(64, "big") for _ in range(count))
    else:
        encode, stray = (
            (g1, encode_g1(outside_subgroup_g1(9))) if precompile < G2_ADD else (g2, encode_g2(outside_subgroup_g2(9)))
        )
        choices = [encode(random.randrange(1, 50)), bytes(len(stray)), stray]
        points = [random.choices(choices, [6, 1, 1])[0] for _ in range(2)]
        if precompile in {G1_MSM, G2_MSM}:
            points = [point + word(random.getrandbits(random.choice([8, 256]))) for point in points]
        calldata = b"".join(points)
    if random.randrange(8) == 0:
        position = random.randrange(len(calldata))
        calldata = calldata[:position] + bytes([random.randrange(256)]) + calldata[position + 1 :]
    return calling("random BLS12-381 operation", precompile, calldata)


def encode_modexp(base: bytes, exponent: bytes, modulus: bytes) -> bytes:
    """Input of the modular exponentiation precompile (EIP-198)."""
    return b"".join(word(len(part)) for part in (base, exponent, modulus)) + base + exponent + modulus


def lengths(base: int, exponent: int, modulus: int, rest: bytes = b"") -> bytes:
    return word(base) + word(exponent) + word(modulus) + rest


MODEXP_INPUTS: dict[str, bytes] = {
    "empty": b"",
    "lengths only": lengths(1, 1, 1),
    "all zero lengths": lengths(0, 0, 0),
    "3^5 mod 7": encode_modexp(b"\x03", b"\x05", b"\x07"),
    "modulus zero": encode_modexp(b"\x03", b"\x05", b"\x00"),
    "modulus one": encode_modexp(b"\x03", b"\x05", b"\x01"),
    "exponent zero": encode_modexp(b"\x03", b"\x00", b"\x07"),
    "0^0": encode_modexp(b"\x00", b"\x00", b"\x07"),
    "no modulus": lengths(4, 4, 0, b"\xff" * 8),
    "no base": lengths(0, 4, 4, b"\xff" * 8),
    "no exponent": lengths(4, 0, 4, b"\xff" * 8),
    "32-byte operands": encode_modexp(b"\xfe" * 32, b"\xfd" * 32, b"\xfb" * 32),
    "33-byte operands": encode_modexp(b"\xfe" * 33, b"\xfd" * 33, b"\xfb" * 33),
    "31-byte operands": encode_modexp(b"\xfe" * 31, b"\xfd" * 31, b"\xfb" * 31),
    "exponent of 33 bytes, leading zeros": encode_modexp(b"\x02", bytes(32) + b"\x01", b"\x0d"),
    "exponent of 64 bytes": encode_modexp(b"\x02", b"\x80" + bytes(63), b"\x0d"),
    "even modulus": encode_modexp(b"\x03" * 40, b"\x11" * 5, b"\x10" * 40),
    "128-byte operands": encode_modexp(b"\xfe" * 128, b"\x01\x00\x01", b"\xfb" * 128),
    "1024-byte base": encode_modexp(b"\xfe" * 1024, b"\x03", b"\xfb" * 16),
    "1025-byte base": encode_modexp(b"\xfe" * 1025, b"\x03", b"\xfb" * 16),
    "1024-byte modulus": encode_modexp(b"\x05", b"\x03", b"\xfb" * 1024),
    "1025-byte modulus": encode_modexp(b"\x05", b"\x03", b"\xfb" * 1025),
    "1024-byte exponent": encode_modexp(b"\x05", bytes(1022) + b"\x01\x01", b"\xfb" * 16),
    "1025-byte exponent": encode_modexp(b"\x05", bytes(1023) + b"\x01\x01", b"\xfb" * 16),
    "base length of 1025 without modulus": lengths(1025, 1, 0),
    "exponent length of 1025, all else empty": lengths(0, 1025, 0),
    "base length of 2^64": lengths(2**64, 1, 1),
    "exponent length of 2^255": lengths(1, 2**255, 1),
    "modulus length of 2^256 - 1": lengths(0, 0, 2**256 - 1),
    "data shorter than lengths": lengths(8, 8, 8, b"\x07" * 9),
    "data longer than lengths": encode_modexp(b"\x03", b"\x05", b"\x07") + b"\xff" * 40,
}


def random_modexp_case(random: Random) -> TransactionsCase:
    """Operand sizes around the steps of the price formula: 0, 1, 8, 31 to 33, 64, 1024."""
    sizes = [0, 1, 2, 7, 8, 9, 16, 31, 32, 33, 40, 63, 64, 65, 200]
    parts = []
    for _ in range(3):
        size = random.choice(sizes)
        zeros = min(size, random.choice([0, 0, 1, 30, 200]))
        parts.append(bytes(zeros) + random.randbytes(size - zeros))
    calldata = encode_modexp(*parts)
    if random.randrange(4) == 0:
        calldata = calldata[: random.randrange(len(calldata) + 1)]
    fork = random.choice(["Byzantium", "Istanbul", "Berlin", "Prague", "Osaka", "Osaka", "Osaka"])
    return calling("random modular exponentiation", MODEXP, calldata, fork=fork)


def p256_inputs() -> dict[str, bytes]:
    good = sign_p256(secret=0xA11CE, digest=2**255 + 12345, ephemeral=0xB0B)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    r, s = int.from_bytes(good[32:64], "big"), int.from_bytes(good[64:96], "big")
    return {
        "good": good,
        "the other s": good[:64] + word(order - s) + good[96:],
        "digest above the order": sign_p256(7, 2**256 - 1, 11),
        "another digest": word(1) + good[32:],
        "r is zero": good[:32] + word(0) + good[64:],
        "r is the order": good[:32] + word(order) + good[64:],
        "r plus the order": good[:32] + word((r + order) % 2**256) + good[64:],
        "s is zero": good[:64] + word(0) + good[96:],
        "s is the order": good[:64] + word(order) + good[96:],
        "key off curve": good[:159] + bytes([good[159] ^ 1]),
        "key at infinity": good[:96] + bytes(64),
        "x above the modulus": good[:96] + b"\xff" * 32 + good[128:],
        "159 bytes": good[:-1],
        "161 bytes": good + b"\x00",
        "no bytes": b"",
    }


P256_INPUTS = p256_inputs()
