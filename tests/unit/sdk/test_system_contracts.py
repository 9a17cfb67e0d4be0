"""The system contracts are what their EIPs' own deployment transactions create."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import rlp  # type: ignore[import-untyped]
from eth_utils.crypto import keccak

from metis import engine
from metis.sdk import MemoryStateStore
from metis.sdk.system_contracts import SYSTEM_CONTRACTS, SystemContract, system_contracts
from metis.types import Account, BlockEnvironment, Wei

# From each EIP's "Deployment" section: what runs before the code, and the signature's s. The other
# fields are the same for all: nonce 0, gas 250,000 at 1,000 gwei, v 27, r 0x539.
_COPY_CODE = {
    4788: "60618060095f395ff3",
    2935: "60538060095f395ff3",
    7002: "6101f880602d5f395ff3",
    7251: "61019e80602d5f395ff3",
}
_INHIBIT = "7f" + "ff" * 32 + "5f55"
_CONSTRUCTORS = {eip: (_INHIBIT if eip in (7002, 7251) else "") + copy for eip, copy in _COPY_CODE.items()}
_SIGNATURE_S = {
    4788: 0x1B9B6EB1F0,
    2935: 0xAA12693182426612186309F02CFE8A80A0000,
    7002: 0x5FEEB084551E4E03A3581E269BC2EA2F8D0008,
    7251: 0xC0730F92DC275B663D377A7CBB141B6600052,
}
_TRANSACTION_HASHES = {
    4788: "df52c2d3bbe38820fff7b5eaab3db1b91f8e1412b56497d88388fb5d4ea1fde0",
    2935: "67139a552b0d3fffc30c0fa7d0c20d42144138c8fe07fc5691f09c1cce632e15",
    7002: "8ded54be89448d78d4bc97782c0187b099e45380ab681742f9d3754e405c2572",
    7251: "379269d571beff3ed1d8eba3abb24076a7267b0eaf0cc66d728fb0544f5a690d",
}


@pytest.mark.parametrize("contract", SYSTEM_CONTRACTS, ids=lambda contract: f"EIP-{contract.eip}")
def test_system_contract__deployed_by_its_eips_transaction__is_what_genesis_holds(contract: SystemContract) -> None:
    init_code = bytes.fromhex(_CONSTRUCTORS[contract.eip]) + contract.account.code
    raw = rlp.encode([0, 10**12, 250_000, b"", 0, init_code, 27, 0x539, _SIGNATURE_S[contract.eip]])

    handle = engine.decode_transaction(raw)
    store = MemoryStateStore().open({handle.sender: Account(balance_wei=Wei(10**18))})  # type: ignore[dict-item]
    outcome = engine.execute_transactions(
        store, engine.ChainSpec.at_fork("Osaka"), BlockEnvironment(), [handle], commit=True
    )

    assert handle.hash == bytes.fromhex(_TRANSACTION_HASHES[contract.eip])
    assert outcome.receipts[0].contract_address == contract.address
    assert contract.address == keccak(rlp.encode([handle.sender, b""]))[12:]
    created = engine.account_state(store, contract.address)
    assert created is not None
    assert created.nonce == contract.account.nonce
    assert store.code(contract.address) == contract.account.code
    assert store.storage_of(contract.address) == contract.account.storage


def test_system_contracts__of_the_execution_api_test_chain__have_the_same_code(fixtures: Path) -> None:
    archive = fixtures / "execution-apis-tests.tar.xz"
    if not archive.is_file():
        pytest.skip(f"no {archive}")
    with tarfile.open(archive) as tar:
        member = tar.extractfile("execution-apis-tests/genesis.json")
        assert member is not None
        alloc = json.load(member)["alloc"]

    for contract in SYSTEM_CONTRACTS:
        assert alloc[contract.address.hex()]["code"] == f"0x{contract.account.code.hex()}"


def test_system_contracts__by_fork__are_those_that_it_calls() -> None:
    eips = {contract.address: contract.eip for contract in SYSTEM_CONTRACTS}

    assert [eips[address] for address in system_contracts("Shanghai")] == []
    assert [eips[address] for address in system_contracts("Cancun")] == [4788]
    assert [eips[address] for address in system_contracts("Prague")] == [4788, 2935, 7002, 7251]
    assert [eips[address] for address in system_contracts("Osaka")] == [4788, 2935, 7002, 7251]
