"""
The contracts that Ethereum's rules call at every block, as they are on Ethereum itself.

On mainnet each was created by a transaction that anyone could send (its signature is made up, so
the address follows from the code); a new chain has them from genesis. Nonce, code and storage here
are what those transactions leave behind; a test runs the transactions and compares.

Source: the "Deployment" sections of EIP-4788, EIP-2935, EIP-7002 and EIP-7251, checked against the
genesis of the Ethereum execution API test chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metis.engine import fork_names
from metis.types import Account, Address

__all__ = ["SYSTEM_CONTRACTS", "SystemContract", "system_contracts"]

# EIP-7002, EIP-7251: slot 0 refuses requests until the first block has called the contract.
_EXCESS_INHIBITOR: Mapping[int, int] = {0: 2**256 - 1}


@dataclass(frozen=True, slots=True)
class SystemContract:
    """A contract of the protocol: where it is, what it is, and the first fork that calls it."""

    eip: int
    address: Address
    fork: str
    account: Account


def _contract(eip: int, address: str, fork: str, code: str, storage: Mapping[int, int]) -> SystemContract:
    account = Account(nonce=1, code=bytes.fromhex(code), storage=storage)
    return SystemContract(eip, Address(bytes.fromhex(address)), fork, account)


SYSTEM_CONTRACTS: tuple[SystemContract, ...] = (
    # EIP-4788: the beacon chain's block roots, for contracts to read.
    _contract(
        4788,
        "000F3df6D732807Ef1319fB7B8bB8522d0Beac02",
        "Cancun",
        "3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff8106"
        "90815414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500",
        {},
    ),
    # EIP-2935: the last 8191 block hashes, in state.
    _contract(
        2935,
        "0000F90827F1C53a10cb7A02335B175320002935",
        "Prague",
        "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff814303"
        "11604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500",
        {},
    ),
    # EIP-7002: withdrawal requests of validators; nobody reads them on a layer 2.
    _contract(
        7002,
        "00000961Ef480Eb55e80D19ad83579A64c007002",
        "Prague",
        "3373fffffffffffffffffffffffffffffffffffffffe1460cb5760115f54807fffffffffffffffffffffffffffffffffffff"
        "ffffffffffffffffffffffffffff146101f457600182026001905f5b5f821115606857810190830284830290049160010191"
        "90604d565b909390049250505036603814608857366101f457346101f4575f5260205ff35b34106101f45760015460010160"
        "0155600354806003026004013381556001015f35815560010160203590553360601b5f5260385f601437604c5fa060010160"
        "0355005b6003546002548082038060101160df575060105b5f5b8181146101835782810160030260040181604c0281546060"
        "1b8152601401816001015481526020019060020154807fffffffffffffffffffffffffffffffff0000000000000000000000"
        "0000000000168252906010019060401c908160381c81600701538160301c81600601538160281c81600501538160201c8160"
        "0401538160181c81600301538160101c81600201538160081c81600101535360010160e1565b910180921461019557906002"
        "556101a0565b90505f6002555f6003555b5f54807fffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
        "ffffff14156101cd57505f5b6001546002828201116101e25750505f6101e8565b01600290035b5f555f600155604c025ff3"
        "5b5f5ffd",
        _EXCESS_INHIBITOR,
    ),
    # EIP-7251: consolidation requests of validators; nobody reads them on a layer 2.
    _contract(
        7251,
        "0000BBdDc7CE488642fb579F8B00f3a590007251",
        "Prague",
        "3373fffffffffffffffffffffffffffffffffffffffe1460d35760115f54807fffffffffffffffffffffffffffffffffffff"
        "ffffffffffffffffffffffffffff1461019a57600182026001905f5b5f821115606857810190830284830290049160010191"
        "90604d565b9093900492505050366060146088573661019a573461019a575f5260205ff35b341061019a5760015460010160"
        "0155600354806004026004013381556001015f358155600101602035815560010160403590553360601b5f5260605f601437"
        "60745fa0600101600355005b6003546002548082038060021160e7575060025b5f5b81811461012957828101600402600401"
        "81607402815460601b815260140181600101548152602001816002015481526020019060030154905260010160e9565b9101"
        "80921461013b5790600255610146565b90505f6002555f6003555b5f54807fffffffffffffffffffffffffffffffffffffff"
        "ffffffffffffffffffffffffff141561017357505f5b6001546001828201116101885750505f61018e565b01600190035b5f"
        "555f6001556074025ff35b5f5ffd",
        _EXCESS_INHIBITOR,
    ),
)
"""In the order in which a block calls them."""


def system_contracts(fork: str) -> dict[Address, Account]:
    """
    Accounts that a chain which starts with ``fork`` has at genesis, by address.

    Parameters
    ----------
    fork : one of :func:`metis.engine.fork_names`.
    """
    forks = fork_names()
    newest = forks.index(fork)
    return {entry.address: entry.account for entry in SYSTEM_CONTRACTS if forks.index(entry.fork) <= newest}
