"""What the builder builds, everyone else accepts; and no coin appears or goes missing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from eth_account import Account as Signer
from eth_account.signers.local import LocalAccount
from hypothesis import given
from hypothesis import strategies as st

from metis import engine
from metis.engine import Store
from metis.sdk import Network
from metis.types import Account, Address, Wei
from tests.property.programs import init_codes
from tests.property.reference_trie import state_trie
from tests.story import DEVELOPMENT_MNEMONIC

GWEI = 10**9
PEOPLE_COUNT = 3
IDENTITY_PRECOMPILE = Address((4).to_bytes(20, "big"))
BENEFICIARY = Address(bytes([0xBE]) * 20)


@cache
def _signers() -> list[LocalAccount]:
    Signer.enable_unaudited_hdwallet_features()
    paths = (f"m/44'/60'/0'/0/{index}" for index in range(PEOPLE_COUNT))
    return [Signer.from_mnemonic(DEVELOPMENT_MNEMONIC, account_path=path) for path in paths]


@dataclass(frozen=True)
class Candidate:
    """
    A transaction to be.

    ``to`` counts through the known receivers, contracts of earlier blocks included. The nonce
    follows the sender's last candidate, off by ``nonce_offset``.
    """

    sender: int
    kind: int
    to: int | None
    value_wei: int
    data: bytes
    gas_limit: int
    fee_cap_gwei: int
    nonce_offset: int


_candidates = st.builds(
    Candidate,
    sender=st.integers(0, PEOPLE_COUNT - 1),
    kind=st.sampled_from([0, 1, 2]),
    to=st.none() | st.integers(0, 20),
    value_wei=st.sampled_from([0, 0, 0, 1, 10**18, 10**23]),
    data=init_codes,
    gas_limit=st.sampled_from([1_000_000, 1_000_000, 1_000_000, 200_000, 60_000, 20_000_000]),
    fee_cap_gwei=st.sampled_from([2] * 8 + [50, 1, 0]),
    nonce_offset=st.sampled_from([0] * 10 + [1, -1]),
)


def _sign(candidate: Candidate, nonce: int, chain_id: int, receivers: list[Address]) -> bytes:
    fields: dict[str, Any] = {
        "chainId": chain_id,
        "nonce": nonce,
        "value": candidate.value_wei,
        "data": candidate.data,
        "gas": candidate.gas_limit,
    }
    if candidate.to is not None:
        fields["to"] = bytes(receivers[candidate.to % len(receivers)])
    if candidate.kind == 2:
        tip = min(candidate.fee_cap_gwei, 1) * GWEI
        fields |= {"type": 2, "maxFeePerGas": candidate.fee_cap_gwei * GWEI, "maxPriorityFeePerGas": tip}
    else:
        fields["gasPrice"] = candidate.fee_cap_gwei * GWEI
    if candidate.kind == 1:
        fields |= {"type": 1, "accessList": [{"address": f"0x{receivers[-1].hex()}", "storageKeys": [f"0x{1:064x}"]}]}
    return bytes(_signers()[candidate.sender].sign_transaction(fields).raw_transaction)


def _nonce(store: Store, address: Address) -> int:
    account = engine.account_state(store, address)
    return account.nonce if account is not None else 0


def _dump(store: Store) -> dict[Address, Account]:
    """The whole state, read account by account."""
    state = {}
    for address in map(Address, store.accounts()):
        account = engine.account_state(store, address)
        assert account is not None
        storage = store.storage_of(address)
        state[address] = Account(account.nonce, Wei(account.balance_wei), store.code(address), storage)
    return state


@pytest.mark.parametrize("preset", ["ethereum", "hyperion"])
@given(blocks=st.lists(st.lists(_candidates, max_size=6), min_size=1, max_size=3))
def test_blocks__of_any_candidates__import_elsewhere_and_conserve_coins(
    preset: str, blocks: list[list[Candidate]]
) -> None:
    network = Network.from_preset(preset)
    chain, second = network.open(), network.open()
    burned_wei = 0
    coins_wei = sum(account.balance_wei for account in network.chain.accounts.values())
    people = [Address(bytes.fromhex(signer.address[2:])) for signer in _signers()]
    receivers = [*people, Address(bytes([1]) * 20), IDENTITY_PRECOMPILE]
    for candidates in blocks:
        nonces = [_nonce(chain.store, person) for person in people]
        raw = []
        for candidate in candidates:
            nonce = max(0, nonces[candidate.sender] + candidate.nonce_offset)
            raw.append(_sign(candidate, nonce, chain.spec.chain_id, receivers))
            nonces[candidate.sender] += candidate.nonce_offset == 0

        built = chain.build(engine.decode_transactions(raw), beneficiary=BENEFICIARY)
        receipts = second.import_block(engine.decode_block(built.block.rlp))

        receivers += [receipt.contract_address for receipt in receipts if receipt.contract_address is not None]
        header = engine.describe_block(built.block).header
        assert receipts == built.receipts
        assert len(built.receipts) + len(built.skipped) == len(candidates)
        assert header.gas_used == sum(receipt.gas_used for receipt in receipts)
        assert [receipt.cumulative_gas_used for receipt in receipts] == [
            sum(receipt.gas_used for receipt in receipts[: position + 1]) for position in range(len(receipts))
        ]
        if network.fee_policy.base_fee_recipient is None:
            burned_wei += header.gas_used * (header.base_fee_per_gas_wei or 0)
    state = _dump(chain.store)
    assert sum(account.balance_wei for account in state.values()) == coins_wei - burned_wei
    assert chain.store.state_root() == second.store.state_root() == state_trie(state).root
