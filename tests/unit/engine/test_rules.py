"""Chain rules: forks, base fees, what the build says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from metis import engine
from metis.engine import ChainSpec
from metis.sdk import EthereumFees, Network
from metis.sdk.chain_constants import ChainConstants
from metis.sdk.genesis import genesis_document
from metis.types import GenesisError


def _document() -> dict[str, Any]:
    return genesis_document(ChainConstants(chain_id=7), EthereumFees())


def test_fork_names__are_in_order_from_frontier_to_osaka() -> None:
    names = engine.fork_names()

    assert (names[0], names[-1]) == ("Frontier", "Osaka")
    assert names.index("London") < names.index("Paris") < names.index("Shanghai") < names.index("Prague")


@pytest.mark.parametrize("fork", engine.fork_names())
def test_spec__at_a_fork__has_that_fork_from_the_start(fork: str) -> None:
    spec = ChainSpec.at_fork(fork, 5)

    assert (spec.chain_id, spec.fork_at(0, 0), spec.fork_at(10**9, 10**9)) == (5, fork, fork)


def test_spec__at_an_unknown_fork__error_lists_the_known_ones() -> None:
    with pytest.raises(GenesisError, match="Osaka") as caught:
        ChainSpec.at_fork("Atlantis")

    assert caught.value.field == "fork"


def test_spec__forks_by_block_and_time__begin_where_they_say() -> None:
    document = _document()
    document["config"] |= {"shanghaiTime": 100, "cancunTime": 200, "pragueTime": 300}
    del document["config"]["osakaTime"]

    spec = ChainSpec.from_genesis(json.dumps(document).encode())

    times = {0: "Paris", 99: "Paris", 100: "Shanghai", 199: "Shanghai", 200: "Cancun", 300: "Prague", 10**9: "Prague"}
    assert {time: spec.fork_at(1, time) for time in times} == times


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (("config", "chainId"), "seven", "config.chainId"),
        (("config", "blobSchedule", "osaka", "max"), 0, "config.blobSchedule.osaka.max"),
        (
            ("config", "blobSchedule", "atlantis"),
            {"target": 1, "max": 1, "baseFeeUpdateFraction": 1},
            "config.blobSchedule.atlantis",
        ),
        (("config", "metis"), [], "config.metis"),
        (("config", "metis", "transactionGasLimitCap"), 20_999, "config.metis.transactionGasLimitCap"),
        (("config", "metis", "transactionGasLimitCap"), "all", "config.metis.transactionGasLimitCap"),
        (("config", "metis", "baseFeeRecipient"), "0x42", "config.metis.baseFeeRecipient"),
        (("config", "metis", "colour"), "red", "config.metis.colour"),
    ],
)
def test_spec__a_genesis_with_a_bad_field__error_names_it(path: tuple[str, ...], value: object, field: str) -> None:
    document = _document()
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value

    with pytest.raises(GenesisError) as caught:
        ChainSpec.from_genesis(json.dumps(document).encode())

    assert caught.value.field == field


def test_spec__bytes_that_are_not_json__are_a_genesis_error() -> None:
    with pytest.raises(GenesisError):
        ChainSpec.from_genesis(b"{")


def test_base_fee__after_an_empty_block__falls_by_an_eighth() -> None:
    chain = Network.from_preset("hyperion").open()
    timestamp_s = chain.constants.genesis_timestamp_s + 2

    assert chain.spec.next_base_fee_wei(chain.genesis, timestamp_s) == 875_000_000
    assert chain.spec.next_excess_blob_gas(chain.genesis, timestamp_s) == 0
    assert ChainSpec.at_fork("Berlin").next_base_fee_wei(chain.genesis, timestamp_s) is None


def test_build_info__says_what_a_bug_report_needs() -> None:
    info = engine.build_info()

    assert {"version", "profile", "target", "cpu_features", "revm"} <= set(info)
    assert all(isinstance(value, str) for value in info.values())


def test_keccak256__of_nothing__is_the_known_hash() -> None:
    assert engine.keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


def test_spec__with_the_dao_forks_change_ahead__is_refused() -> None:
    document = _document()
    document["config"] |= {"daoForkBlock": 5, "daoForkSupport": True}

    with pytest.raises(GenesisError) as caught:
        ChainSpec.from_genesis(json.dumps(document).encode())

    assert caught.value.field == "config.daoForkSupport"
    # Who did not take part, or begins after it, has no such change.
    document["config"]["daoForkSupport"] = False
    ChainSpec.from_genesis(json.dumps(document).encode())
    document["config"] |= {"daoForkBlock": 0, "daoForkSupport": True}
    ChainSpec.from_genesis(json.dumps(document).encode())
