"""Payloads of the Engine API against blocks that the engine built, and the trie root against its headers."""

from __future__ import annotations

import pytest
import rlp  # type: ignore[import-untyped]
from eth_account import Account

from metis import engine
from metis.rpc.namespaces.payloads import EMPTY_REQUESTS_HASH, execution_payload, payload_block, payload_fields
from metis.rpc.namespaces.rlp import encode_bytes, encode_list, encode_number, first_item, items_of_stream
from metis.rpc.namespaces.trie_root import list_root
from metis.sdk import Network
from metis.types import Address, BlockAttributes, DecodeError, TimestampS, Withdrawal

KEY = "0x" + "11" * 32


def built_block(transaction_count: int) -> engine.BlockHandle:
    """A block of transfers and withdrawals on a fresh chain."""
    chain = Network.from_preset("ethereum").open()
    rich = next(iter(chain.constants.accounts))
    key = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
    assert Account.from_key(key).address.lower() == f"0x{rich.hex()}"
    signed = [
        Account.sign_transaction(
            {
                "chainId": chain.constants.chain_id,
                "nonce": nonce,
                "gas": 21_000,
                "to": "0x" + "22" * 20,
                "value": nonce,
                **(
                    {"type": 2, "maxFeePerGas": 10**10, "maxPriorityFeePerGas": 1}
                    if nonce % 2
                    else {"gasPrice": 10**10}
                ),
            },
            key,
        )
        for nonce in range(transaction_count)
    ]
    attributes = BlockAttributes(
        timestamp_s=TimestampS(chain.constants.genesis_timestamp_s + 2),
        gas_limit=chain.constants.block_gas_limit,
        withdrawals=(Withdrawal(0, 1, Address(b"\x33" * 20), 7),),
    )
    handles = [engine.decode_transaction(bytes(entry.raw_transaction)) for entry in signed]
    built = engine.build_block(chain.store, chain.spec, chain.head, attributes, handles)
    assert not built.skipped
    return built.block


@pytest.mark.parametrize("transaction_count", [0, 1, 2, 17, 130])
def test_payload__of_a_built_block__becomes_the_same_block_again(transaction_count: int) -> None:
    block = built_block(transaction_count)
    assert block.header_fields()["requests_hash"] == EMPTY_REQUESTS_HASH
    fields = payload_fields(execution_payload(block))
    again = engine.decode_block(payload_block(fields, bytes(32), ()))
    assert again.rlp == block.rlp
    assert again.hash == block.hash


def test_list_root__of_transactions__is_the_headers() -> None:
    block = built_block(130)
    raw = [transaction.raw for transaction in block.body_fields()["transactions"]]
    assert list_root(raw) == block.header_fields()["transactions_root"]


def test_first_item__of_a_block__is_its_header() -> None:
    block = built_block(1)
    assert engine.keccak256(first_item(block.rlp)) == block.hash


@pytest.mark.parametrize("size_bytes", [0, 1, 2, 55, 56, 255, 256, 70_000])
def test_encoding__of_any_size__is_the_libraries(size_bytes: int) -> None:
    value = b"\x7f" * size_bytes
    assert encode_bytes(value) == rlp.encode(value)
    assert encode_list((encode_bytes(value), encode_number(size_bytes))) == rlp.encode(
        [value, size_bytes.to_bytes((size_bytes.bit_length() + 7) // 8, "big")]
    )


def test_items_of_stream__of_two_lists__are_both() -> None:
    one, two = encode_list((encode_bytes(b"a" * 60),)), encode_list(())
    assert list(items_of_stream(one + two)) == [one, two]


@pytest.mark.parametrize("content", [b"\x01", encode_list((encode_bytes(b"a" * 60),))[:-1], b"\xf9\x01", b"\xc1"])
def test_items_of_stream__of_a_broken_file__names_the_item(content: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        list(items_of_stream(encode_list(()) + content))
    assert caught.value.index == 1
