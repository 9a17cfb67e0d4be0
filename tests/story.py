"""
Transactions of every type: what ten people do in three blocks.

Everything is signed with eth-account, as a wallet would, and reaches the engine as bytes. Each step says what should
become of it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import encode
from eth_account import Account
from eth_account.signers.local import LocalAccount

from metis.cli.contract_files import Contract
from metis.engine import keccak256
from metis.types import Address

__all__ = [
    "DEVELOPMENT_MNEMONIC",
    "Step",
    "Wallet",
    "allowance_block",
    "deploy_block",
    "token_balance",
    "token_balance_slot",
    "token_block",
    "token_transfer",
]

DEVELOPMENT_MNEMONIC = "test test test test test test test test test test test junk"
"""Known to everyone: whoever uses it elsewhere loses the money."""

_GWEI = 10**9
_COIN = 10**18
_FEES: dict[str, Any] = {"maxFeePerGas": 3 * _GWEI, "maxPriorityFeePerGas": _GWEI // 10}

# The commitment to a blob of zeros is the point at infinity, so its versioned hash (EIP-4844) needs
# no trusted setup: 0x01 and the end of the commitment's SHA-256.
_ZERO_BLOB_VERSIONED_HASH = b"\x01" + hashlib.sha256(b"\xc0" + bytes(47)).digest()[1:]


@dataclass(frozen=True, slots=True)
class Step:
    """
    One signed transaction of the story.

    Attributes
    ----------
    what : what the sender does, for people.
    raw : its encoding.
    expected : "success", "revert", "out-of-gas", or the reason it is refused for.
    """

    what: str
    raw: bytes
    expected: str = "success"


class Wallet:
    """
    The ten development accounts, their keys and next nonces.

    Attributes
    ----------
    addresses : 20 bytes each.
    """

    def __init__(self, chain_id: int) -> None:
        Account.enable_unaudited_hdwallet_features()
        paths = (f"m/44'/60'/0'/0/{index}" for index in range(10))
        self._signers: list[LocalAccount] = [
            Account.from_mnemonic(DEVELOPMENT_MNEMONIC, account_path=path) for path in paths
        ]
        self.addresses = tuple(Address(bytes.fromhex(signer.address[2:])) for signer in self._signers)
        self._chain_id = chain_id
        self._nonces: Counter[int] = Counter()

    def sign(self, sender: int, *, skip_nonces: int = 0, included: bool = True, **fields: Any) -> bytes:
        """
        Sign a transaction of account ``sender``; fields have the names of Ethereum's JSON-RPC.

        Parameters
        ----------
        skip_nonces : leave a gap before the nonce.
        included : whether it will be in a block, and so use up its nonce.
        """
        nonce = self._nonces[sender] + skip_nonces
        if included:
            self._nonces[sender] += 1
        transaction = {"chainId": self._chain_id, "nonce": nonce, "value": 0, **fields}
        return bytes(self._signers[sender].sign_transaction(transaction).raw_transaction)

    def authorize(self, signer: int, code: Address) -> Any:
        """
        Sign an EIP-7702 authorization for a transaction that ``signer`` sends next.

        The sender's nonce grows before authorizations are looked at, hence one more.
        """
        fields = {"chainId": self._chain_id, "address": bytes(code), "nonce": self._nonces[signer] + 1}
        return self._signers[signer].sign_authorization(fields)


def _call(function: str, types: Sequence[str], values: Sequence[Any]) -> bytes:
    selector = keccak256(f"{function}({','.join(types)})".encode())[:4]
    return selector + encode(types, values)


def token_transfer(to: Address, coins: int) -> bytes:
    """Input of the token's ``transfer``."""
    return _call("transfer", ["address", "uint256"], [to, coins * _COIN])


def token_balance(owner: Address) -> bytes:
    """Input of the token's ``balanceOf``."""
    return _call("balanceOf", ["address"], [owner])


def token_balance_slot(token: Contract, owner: Address) -> int:
    """Storage slot of a balance: Vyper keeps a map's entry at the hash of the map's slot and the key."""
    slot = token.storage_slots["balanceOf"].to_bytes(32, "big")
    return int.from_bytes(keccak256(slot + bytes(12) + owner), "big")


def deploy_block(wallet: Wallet, token: Contract, smart_account: Contract) -> list[Step]:
    """Block 1: money moves, two contracts appear, a blob is paid for."""
    supply = encode(["uint256"], [1_000_000 * _COIN])
    return [
        Step(
            "sends 5 coins",
            wallet.sign(0, to=wallet.addresses[1], value=5 * _COIN, gas=21_000, gasPrice=3 * _GWEI),
        ),
        Step(
            f"deploys {token.name}.vy",
            wallet.sign(2, type=2, data=token.bytecode + supply, gas=1_500_000, **_FEES),
        ),
        Step(
            f"deploys {smart_account.name}.vy",
            wallet.sign(3, type=2, data=smart_account.bytecode, gas=1_000_000, **_FEES),
        ),
        Step(
            "pays for a blob of zeros",
            wallet.sign(
                4,
                type=3,
                to=wallet.addresses[4],
                gas=21_000,
                maxFeePerBlobGas=_GWEI,
                blobVersionedHashes=[_ZERO_BLOB_VERSIONED_HASH],
                **_FEES,
            ),
        ),
    ]


def token_block(wallet: Wallet, token: Address, token_contract: Contract, smart_account: Address) -> list[Step]:
    """Block 2: tokens change hands, an account becomes smart, and some things go wrong."""
    owner, six = wallet.addresses[2], wallet.addresses[6]
    slots = [token_balance_slot(token_contract, holder) for holder in (owner, six)]
    access_list = [{"address": f"0x{token.hex()}", "storageKeys": [f"0x{slot:064x}" for slot in slots]}]
    payments = [(token, 0, token_transfer(wallet.addresses[to], 100)) for to in (7, 8)]
    return [
        Step(
            "sends 1,000 tokens to account 5",
            wallet.sign(2, type=2, to=token, data=token_transfer(wallet.addresses[5], 1_000), gas=100_000, **_FEES),
        ),
        Step(
            "sends 500 tokens to account 6",
            wallet.sign(
                2,
                type=1,
                to=token,
                data=token_transfer(six, 500),
                gas=100_000,
                gasPrice=3 * _GWEI,
                accessList=access_list,
            ),
        ),
        Step(
            "becomes smart, pays 7 and 8",
            wallet.sign(
                5,
                type=4,
                to=wallet.addresses[5],
                data=_call("execute", ["(address,uint256,bytes)[]"], [payments]),
                gas=300_000,
                authorizationList=[wallet.authorize(5, smart_account)],
                **_FEES,
            ),
        ),
        Step(
            "sends a token it does not have",
            wallet.sign(9, type=2, to=token, data=token_transfer(owner, 1), gas=100_000, **_FEES),
            expected="revert",
        ),
        Step(
            "sends a token with little gas",
            wallet.sign(6, type=2, to=token, data=token_transfer(owner, 1), gas=25_000, **_FEES),
            expected="out-of-gas",
        ),
        Step(
            "leaves a gap before its nonce",
            wallet.sign(0, type=2, skip_nonces=5, included=False, to=owner, gas=21_000, **_FEES),
            expected="nonce-too-high",
        ),
        Step(
            "sends a million coins",
            wallet.sign(1, type=2, included=False, to=owner, value=1_000_000 * _COIN, gas=21_000, **_FEES),
            expected="insufficient-funds",
        ),
    ]


def allowance_block(wallet: Wallet, token: Address) -> list[Step]:
    """Block 3: one account spends what another allowed."""
    seven, eight, zero = wallet.addresses[7], wallet.addresses[8], wallet.addresses[0]
    spend = _call("transferFrom", ["address", "address", "uint256"], [seven, zero, 40 * _COIN])
    allow = _call("approve", ["address", "uint256"], [eight, 40 * _COIN])
    return [
        Step(
            "lets account 8 spend 40 tokens",
            wallet.sign(7, type=2, to=token, data=allow, gas=100_000, **_FEES),
        ),
        Step("spends them, to account 0", wallet.sign(8, type=2, to=token, data=spend, gas=100_000, **_FEES)),
        Step(
            "spends them again",
            wallet.sign(8, type=2, to=token, data=spend, gas=100_000, **_FEES),
            expected="revert",
        ),
    ]
