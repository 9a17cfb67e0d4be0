"""Fork ids against those of EIP-2124, and gas limits against the rule of headers."""

from __future__ import annotations

import pytest

from metis.node.next_block import next_gas_limit
from metis.rpc.namespaces.fork_config import fork_id

MAINNET_GENESIS_HASH = bytes.fromhex("d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3")
MAINNET = {
    "homesteadBlock": 1_150_000,
    "daoForkBlock": 1_920_000,
    "eip150Block": 2_463_000,
    "eip155Block": 2_675_000,
    "eip158Block": 2_675_000,
    "byzantiumBlock": 4_370_000,
    "constantinopleBlock": 7_280_000,
    "petersburgBlock": 7_280_000,
    "istanbulBlock": 9_069_000,
    "muirGlacierBlock": 9_200_000,
}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "fc64ec04"),
        (1_149_999, "fc64ec04"),
        (1_150_000, "97c2c34c"),
        (1_920_000, "91d1f948"),
        (2_463_000, "7a64da13"),
        (2_675_000, "3edd5b10"),
        (4_370_000, "a00bc324"),
        (7_280_000, "668db0af"),
        (9_069_000, "879d6e30"),
        (9_200_000, "e029e991"),
    ],
)
def test_fork_id__of_mainnet__is_the_eips(number: int, expected: str) -> None:
    assert fork_id(MAINNET, {"timestamp": "0x0"}, MAINNET_GENESIS_HASH, number, 0).hex() == expected


@pytest.mark.parametrize(
    ("parent", "desired", "expected"),
    [
        (200_000_000, 60_000_000, 199_804_689),
        (30_000_000, 0, 30_000_000),
        (30_000_000, 30_000_001, 30_000_001),
        (30_000_000, 60_000_000, 30_029_295),
        (5_000, 1, 5_000),
    ],
)
def test_next_gas_limit__towards_the_desired__differs_by_less_than_the_bound(
    parent: int, desired: int, expected: int
) -> None:
    assert next_gas_limit(parent, desired) == expected
    assert abs(expected - parent) < max(parent // 1_024, 1)
