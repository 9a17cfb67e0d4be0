"""
Points for the curve precompiles: BLS12-381 G1 and G2, and P-256.

Affine arithmetic straight from the textbook: slow, short, and shared with neither side of the
comparison. Fields are integers, or pairs of integers for the quadratic extension.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

__all__ = [
    "BLS_FIELD_MODULUS",
    "BLS_ORDER",
    "G1",
    "G1_GENERATOR",
    "G2",
    "G2_GENERATOR",
    "P256",
    "Point",
    "encode_g1",
    "encode_g2",
    "outside_subgroup_g1",
    "outside_subgroup_g2",
    "sign_p256",
]

BLS_FIELD_MODULUS = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab", 16
)
BLS_ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
P256_MODULUS = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

Fp2 = tuple[int, int]
# A coordinate is an int or an Fp2, whichever the curve's field has; None is the point at infinity.
Point = tuple[Any, Any] | None


@dataclass(frozen=True)
class PrimeField:
    """Integers modulo a prime."""

    modulus: int

    def add(self, left: int, right: int) -> int:
        return (left + right) % self.modulus

    def subtract(self, left: int, right: int) -> int:
        return (left - right) % self.modulus

    def multiply(self, left: int, right: int) -> int:
        return left * right % self.modulus

    def invert(self, value: int) -> int:
        return pow(value, -1, self.modulus)

    def square_root(self, value: int) -> int | None:
        """A root, or None; for moduli that are 3 modulo 4."""
        root = pow(value, (self.modulus + 1) // 4, self.modulus)
        return root if root * root % self.modulus == value % self.modulus else None


@dataclass(frozen=True)
class QuadraticField:
    """Pairs (a, b) meaning a + b·i with i² = -1 over a prime field."""

    base: PrimeField

    def add(self, left: Fp2, right: Fp2) -> Fp2:
        return self.base.add(left[0], right[0]), self.base.add(left[1], right[1])

    def subtract(self, left: Fp2, right: Fp2) -> Fp2:
        return self.base.subtract(left[0], right[0]), self.base.subtract(left[1], right[1])

    def multiply(self, left: Fp2, right: Fp2) -> Fp2:
        p = self.base.modulus
        return (left[0] * right[0] - left[1] * right[1]) % p, (left[0] * right[1] + left[1] * right[0]) % p

    def invert(self, value: Fp2) -> Fp2:
        norm = self.base.invert((value[0] ** 2 + value[1] ** 2) % self.base.modulus)
        return self.base.multiply(value[0], norm), self.base.multiply(-value[1], norm)

    def square_root(self, value: Fp2) -> Fp2 | None:
        """A root, or None: the norm's root gives the real part, which gives the other."""
        p = self.base.modulus
        norm_root = self.base.square_root((value[0] ** 2 + value[1] ** 2) % p)
        if norm_root is None:
            return None
        half = self.base.invert(2)
        for sign in (norm_root, -norm_root):
            real = self.base.square_root((value[0] + sign) * half % p)
            if real:
                root = real, value[1] * self.base.invert(2 * real) % p
                if self.multiply(root, root) == (value[0] % p, value[1] % p):
                    return root
        return None


@dataclass(frozen=True)
class Curve:
    """y² = x³ + a·x + b; None is the point at infinity."""

    field: Any
    a: int | Fp2
    b: int | Fp2

    def add(self, left: Point, right: Point) -> Point:
        """The group law."""
        if left is None or right is None:
            return right if left is None else left
        f = self.field
        (x1, y1), (x2, y2) = left, right
        if x1 == x2:
            if f.add(y1, y2) == f.subtract(y1, y1):
                return None
            square = f.multiply(x1, x1)
            top = f.add(f.add(f.add(square, square), square), self.a)
            bottom = f.add(y1, y1)
        else:
            top, bottom = f.subtract(y2, y1), f.subtract(x2, x1)
        slope = f.multiply(top, f.invert(bottom))
        x3 = f.subtract(f.subtract(f.multiply(slope, slope), x1), x2)
        y3 = f.subtract(f.multiply(slope, f.subtract(x1, x3)), y1)
        return x3, y3

    def multiply(self, point: Point, scalar: int) -> Point:
        """Double and add."""
        result: Point = None
        while scalar:
            if scalar & 1:
                result = self.add(result, point)
            point = self.add(point, point)
            scalar >>= 1
        return result

    def lift(self, x: int | Fp2) -> Point:
        """A point with this x, if there is one."""
        f = self.field
        cube = f.multiply(f.multiply(x, x), x)
        value = f.add(f.add(cube, f.multiply(self.a, x)), self.b)
        y = f.square_root(value)
        return None if y is None else (x, y)


BLS_FIELD = PrimeField(BLS_FIELD_MODULUS)
G1: Curve = Curve(BLS_FIELD, 0, 4)
G2: Curve = Curve(QuadraticField(BLS_FIELD), (0, 0), (4, 4))
P256: Curve = Curve(
    PrimeField(P256_MODULUS), P256_MODULUS - 3, 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
)

G1_GENERATOR = (
    int("17f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb", 16),
    int("08b3f481e3aaa0f1a09e30ed741d8ae4fcf5e095d5d00af600db18cb2c04b3edd03cc744a2888ae40caa232946c5e7e1", 16),
)
G2_GENERATOR = (
    (
        int("024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8", 16),
        int("13e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e", 16),
    ),
    (
        int("0ce5d527727d6e118cc9cdc6da2e351aadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801", 16),
        int("0606c4a02ea734cc32acd2b02bc28b99cb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be", 16),
    ),
)
P256_GENERATOR = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)


def encode_field(value: int) -> bytes:
    """EIP-2537: 64 bytes, the upper 16 of them zero."""
    return value.to_bytes(64, "big")


def encode_g1(point: Point) -> bytes:
    """EIP-2537 encoding of a G1 point, 128 bytes; infinity is all zero."""
    return bytes(128) if point is None else encode_field(point[0]) + encode_field(point[1])


def encode_g2(point: Point) -> bytes:
    """EIP-2537 encoding of a G2 point, 256 bytes; infinity is all zero."""
    if point is None:
        return bytes(256)
    return b"".join(encode_field(part) for coordinate in point for part in coordinate)


@cache
def outside_subgroup_g1(start: int = 1) -> Point:
    """A point of the curve that is not in the subgroup of prime order."""
    for x in range(start, start + 100):
        point = G1.lift(x)
        if point is not None and G1.multiply(point, BLS_ORDER) is not None:
            return point
    raise AssertionError("almost every x with a point is outside of the subgroup")


@cache
def outside_subgroup_g2(start: int = 1) -> Point:
    """A point of the twist that is not in the subgroup of prime order."""
    for x in range(start, start + 100):
        point = G2.lift((x, 1))
        if point is not None and G2.multiply(point, BLS_ORDER) is not None:
            return point
    raise AssertionError("almost every x with a point is outside of the subgroup")


def sign_p256(secret: int, digest: int, ephemeral: int) -> bytes:
    """Input of the secp256r1 precompile (EIP-7951): digest, r, s, x, y; 32 bytes each."""
    key, commitment = P256.multiply(P256_GENERATOR, secret), P256.multiply(P256_GENERATOR, ephemeral)
    assert key is not None
    assert commitment is not None
    r = commitment[0] % P256_ORDER
    s = pow(ephemeral, -1, P256_ORDER) * (digest + r * secret) % P256_ORDER
    return b"".join(word.to_bytes(32, "big") for word in (digest, r, s, *key))
