"""The methods of a forked node: the same names and parameters, asked again until no state is missing."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from metis.engine import decode_transaction, describe_transaction
from metis.node.fork.routes import ROUTES, Given, Question
from metis.node.fork.service import ForkService, keys_of
from metis.node.fork.upstream import AccountKey, Key, SlotKey
from metis.rpc import MethodRegistry, Parameter
from metis.rpc.dispatch import OnPool
from metis.rpc.namespaces.backend import Backend
from metis.rpc.registry import REQUIRED, Kind, Method
from metis.types import MetisError, MissingState

__all__ = ["fork_methods"]

STATELESS = frozenset(
    {
        "eth_accounts",
        "eth_blockNumber",
        "eth_chainId",
        "eth_coinbase",
        "eth_getFilterChanges",
        "eth_mining",
        "eth_newBlockFilter",
        "eth_newFilter",
        "eth_newPendingTransactionFilter",
        "eth_syncing",
        "eth_uninstallFilter",
        "net_listening",
        "net_peerCount",
        "net_version",
        "rpc_modules",
        "web3_clientVersion",
        "web3_sha3",
    }
)
"""Methods that read no account, so that they stay as quick as they are."""

_BLOCK_START = ("000f3df6d732807ef1319fb7b8bb8522d0beac02", "0000f90827f1c53a10cb7a02335b175320002935")
_BLOCK_END = ("00000961ef480eb55e80d19ad83579a64c007002", "0000bbddc7ce488642fb579f8b00f3a590007251")
SYSTEM_KEYS: tuple[Key, ...] = (
    *(AccountKey(bytes.fromhex(address)) for address in (*_BLOCK_START, *_BLOCK_END)),
    *(SlotKey(bytes.fromhex(address), slot) for address in _BLOCK_END for slot in range(4)),
)
"""What every block reads: the contracts of EIP-4788, 2935, 7002 and 7251, and the queues of the last two."""


def fork_methods(registry: MethodRegistry, fork: ForkService, backend: Backend) -> None:
    """Replace the methods of a node that has everything itself by those of a fork."""
    for method in list(registry):
        if method.kind is Kind.SESSION or method.name in STATELESS:
            continue
        if method.kind is Kind.GROUP:
            handler = _group_asked_again(method, fork, backend)
            registry.replace(method.name, Kind.GROUP, handler, *method.parameters)
        else:
            parameters = [_kept(parameter) for parameter in method.parameters]
            registry.replace(method.name, Kind.ASYNC, _asked_again(method, fork, backend), *parameters)
    setter = registry.method("anvil_setRpcUrl")
    if setter is not None:

        async def set_rpc_url(url: Given) -> None:
            """Ask another node of the same chain from now on."""
            await fork.set_url(url.value)

        registry.replace(setter.name, Kind.ASYNC, set_rpc_url, *setter.parameters)


def _kept(parameter: Parameter) -> Parameter:
    """Have a parameter give what was sent as well: upstream is to be sent the same."""
    default = REQUIRED if parameter.default is REQUIRED else Given(None, parameter.default)
    return Parameter(parameter.name, lambda raw: Given(raw, parameter.parse(raw)), default)


def _asked_again(method: Method, fork: ForkService, backend: Backend) -> Callable[..., Any]:
    """Make the handler of a method that may miss state."""
    handler, route = method.handler, ROUTES.get(method.name)

    async def local(values: Sequence[Any]) -> Any:
        def ask() -> Any:
            if method.kind is Kind.POOL:
                return asyncio.to_thread(handler, *values)
            answer = handler(*values)
            return asyncio.to_thread(answer.run) if isinstance(answer, OnPool) else answer

        keys = list(_foreseen(method.name, values, backend))
        if keys:
            await fork.prefetch(keys)
        return await fork.until_supplied(ask)

    @functools.wraps(handler)
    async def asked_again(*arguments: Given) -> Any:
        if route is None:
            return await local([given.value for given in arguments])
        return await route(Question(method.name, arguments, fork, backend.node, local))

    return asked_again


def _group_asked_again(method: Method, fork: ForkService, backend: Backend) -> Callable[..., Any]:
    """Make the handler of a method that takes several calls at once; those that miss state are given again."""
    handler = method.handler

    @functools.wraps(handler)
    async def asked_again(calls: list[list[Any]]) -> list[Any]:
        await fork.prefetch(key for values in calls for key in _foreseen(method.name, values, backend))
        results: list[Any] = [MissingState()] * len(calls)
        while waiting := [index for index, result in enumerate(results) if isinstance(result, MissingState)]:
            for index, result in zip(waiting, await handler([calls[index] for index in waiting]), strict=True):
                results[index] = result
            missing = [result for result in results if isinstance(result, MissingState)]
            try:
                await fork.supply(key for entry in missing for key in keys_of(entry))
            except MetisError as failure:
                return [failure if isinstance(result, MissingState) else result for result in results]
        return results

    return asked_again


def _foreseen(name: str, values: Sequence[Any], backend: Backend) -> Iterator[Key]:
    """Name the state that a call will ask for, as far as its arguments tell."""
    fields = values[0] if values else None
    if name in ("eth_sendRawTransaction", "eth_sendRawTransactionSync") and isinstance(fields, bytes):
        try:
            fields = describe_transaction(decode_transaction(fields))
        except Exception:  # noqa: BLE001 - the method itself will say what is wrong
            return
        yield from (AccountKey(address) for address in (fields.sender, fields.to) if address)
        for entry in fields.access_list:
            yield AccountKey(entry.address)
            yield from (SlotKey(entry.address, slot) for slot in entry.slots)
    elif isinstance(fields, dict) and ("from" in fields or "to" in fields):
        yield from (AccountKey(fields[field]) for field in ("from", "to") if fields.get(field))
        for entry in fields.get("accessList") or ():
            yield AccountKey(entry.address)
            yield from (SlotKey(entry.address, slot) for slot in entry.slots)
    if name in ("eth_sendRawTransaction", "eth_sendRawTransactionSync", "eth_sendTransaction"):
        yield AccountKey(backend.coinbase)
        yield from SYSTEM_KEYS
