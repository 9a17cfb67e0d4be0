"""Blob transactions with sidecars: eth-account computes the proofs, the node checks and keeps them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest
import rlp  # type: ignore[import-untyped]
from eth_account import Account

from metis import engine
from metis.sdk import Network
from metis.sdk.genesis import genesis_accounts
from metis.types import BlockAttributes, Gas, PoolRejection, TimestampS

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
BLOB = b"".join(b"\x00" + bytes([index % 251]) * 31 for index in range(4096))
CELL_COUNT = 128
INFINITY = b"\xc0" + bytes(47)
"""The point that commits to, and proves, the blob of zeros."""


def open_node(newest_fork: str = "Osaka") -> engine.Node:
    network = Network.from_preset("ethereum")
    genesis = network.genesis()
    if newest_fork == "Prague":
        del genesis["config"]["osakaTime"]
    return engine.Node.open(json.dumps(genesis).encode(), genesis_accounts(network.chain))


@cache
def with_cell_proofs(nonce: int = 0, blob: bytes = BLOB) -> bytes:
    """Sign a blob transaction with the sidecar of EIP-7594."""
    fields = {
        "type": 3,
        "chainId": open_node().spec.chain_id,
        "nonce": nonce,
        "gas": 21_000,
        "maxFeePerGas": 10**10,
        "maxPriorityFeePerGas": 10**9,
        "maxFeePerBlobGas": 10**9,
        "to": "0x" + "22" * 20,
        "value": 0,
    }
    return bytes(Account.sign_transaction(fields, KEY, blobs=[blob]).raw_transaction)


def parts(raw: bytes) -> list[Any]:
    """Transaction, wrapper version, blobs, commitments and cell proofs."""
    found: list[Any] = rlp.decode(raw[1:])
    return found


def joined(items: list[Any]) -> bytes:
    return b"\x03" + bytes(rlp.encode(items))


def attributes(node: engine.Node) -> BlockAttributes:
    head = node.block(node.head_number)
    assert head is not None
    fields = head.header_fields()
    return BlockAttributes(timestamp_s=TimestampS(fields["timestamp_s"] + 2), gas_limit=Gas(fields["gas_limit"]))


def test_propose__with_a_blob_transaction__brings_its_blobs_and_keeps_the_chain() -> None:
    node = open_node()
    sent = node.submit(with_cell_proofs())
    head = node.head_hash
    proposal = node.propose(attributes(node))
    (blob, commitment, proofs), *rest = proposal["blobs"]
    _, _, blobs, commitments, cell_proofs = parts(with_cell_proofs())
    assert (blob, commitment, proofs, rest) == (blobs[0], commitments[0], cell_proofs, [])
    [transaction] = proposal["block"].body_fields()["transactions"]
    assert transaction.hash == sent
    assert node.head_hash == head
    assert node.pool_status() == (1, 0)


def test_blobs__of_waiting_and_mined_transactions__are_found_by_versioned_hash() -> None:
    node = open_node()
    node.submit(with_cell_proofs())
    built = node.build(attributes(node))["block"]
    [transaction] = built.body_fields()["transactions"]
    [versioned_hash] = transaction.fields()["blob_versioned_hashes"]
    [found, missing] = node.blobs([versioned_hash, bytes(32)])
    assert found is not None
    assert found[0] == BLOB
    assert missing is None
    # Mined long ago: nobody asks any more.
    for _ in range(40):
        node.build(attributes(node))
    assert node.blobs([versioned_hash]) == [None]


def test_blobs__of_a_transaction_whose_block_left_the_chain__are_proposed_again() -> None:
    node = open_node()
    before = node.head_hash
    node.submit(with_cell_proofs())
    node.build(attributes(node))
    node.set_head(before)
    assert node.pool_status() == (1, 0)
    assert len(node.propose(attributes(node))["blobs"]) == 1


def damaged(field: int, raw: bytes) -> bytes:
    """Damage the last item of a list of the sidecar, to another one that is a valid point or blob."""
    items = parts(raw)
    other = parts(with_cell_proofs(0, bytes(131_072)))
    items[field] = [*items[field][:-1], other[field][0]]
    return joined(items)


@pytest.mark.parametrize(
    ("fork", "raw", "reason"),
    [
        ("Osaka", lambda: joined(parts(with_cell_proofs())[0])[:], "sidecar-missing"),
        ("Prague", with_cell_proofs, "sidecar-version"),
        ("Osaka", lambda: damaged(2, with_cell_proofs()), "sidecar-proof"),
        ("Osaka", lambda: damaged(3, with_cell_proofs()), "sidecar-mismatch"),
        ("Osaka", lambda: damaged(4, with_cell_proofs()), "sidecar-proof"),
    ],
)
def test_submit__with_a_wrong_sidecar__is_refused(fork: str, raw: Any, reason: str) -> None:
    node = open_node(fork)
    with pytest.raises(PoolRejection) as refused:
        node.submit(raw())
    assert refused.value.reason == reason
    assert node.pool_status() == (0, 0)


def test_submit__of_a_sidecar_with_blob_proofs__is_taken_before_osaka_only() -> None:
    transaction, _, blobs, commitments, _ = parts(with_cell_proofs(0, bytes(131_072)))
    assert commitments == [INFINITY]
    raw = joined([transaction, blobs, commitments, [INFINITY]])
    node = open_node("Prague")
    node.submit(raw)
    assert [proofs for _, _, proofs in node.propose(attributes(node))["blobs"]] == [[INFINITY]]
    with pytest.raises(PoolRejection, match="EIP-7594"):
        open_node("Osaka").submit(raw)
    other = open_node("Prague")
    proof = parts(with_cell_proofs())[4][0]
    with pytest.raises(PoolRejection) as refused:
        other.submit(joined([transaction, blobs, commitments, [proof]]))
    assert refused.value.reason == "sidecar-proof"


def test_submit_many__with_a_blob_transaction__takes_it() -> None:
    node = open_node()
    [taken] = node.submit_many([with_cell_proofs()])
    assert isinstance(taken, bytes)
    assert len(parts(with_cell_proofs())[4]) == CELL_COUNT
