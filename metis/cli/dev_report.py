"""What ``metis dev`` prints when it answers: accounts, keys, endpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metis.cli.dev_chain import DevelopmentChain
    from metis.node.service import NodeService

__all__ = ["checksum_address", "started_object", "started_text"]


def checksum_address(address: bytes) -> str:
    """Write an address with its checksum in the letters' case (EIP-55)."""
    from metis.engine import keccak256

    digits = address.hex()
    digest = keccak256(digits.encode()).hex()
    return "0x" + "".join(
        letter.upper() if int(nibble, 16) >= 8 else letter for letter, nibble in zip(digits, digest, strict=False)
    )


def started_object(service: NodeService, chain: DevelopmentChain) -> dict[str, Any]:
    """What programs need to know, as one JSON object."""
    http = service.http_url
    engine = service.server.authenticated_address
    return {
        "preset": chain.name,
        "chain_id": chain.constants.chain_id,
        "fork": chain.constants.fork,
        "http": http,
        "websocket": http.replace("http:", "ws:", 1),
        "ipc": service.config.rpc.ipc_path or None,
        "engine_api": None if engine is None else f"http://{engine[0]}:{engine[1]}",
        "metrics": f"{http}/metrics",
        "mining": service.miner.mode,
        "data_dir": service.config.storage.path or None,
        "head_number": service.node.head_number,
        "forked_from": _forked_from(service),
        "mnemonic": service.config.accounts.mnemonic,
        "accounts": [
            {"address": checksum_address(key.address), "private_key": f"0x{key.private_key.hex()}"}
            for key in chain.keys
        ],
    }


def started_text(service: NodeService, chain: DevelopmentChain) -> str:
    """Write the same for a person."""
    shown = started_object(service, chain)
    coins, symbol = service.config.accounts.balance, chain.constants.coin_symbol
    lines = [f"Metis {chain.client_version.split('/')[1]}: {chain.name}, one node for development", ""]
    lines += ["Accounts", "========"]
    lines += [f"({index}) {entry['address']} ({coins:,} {symbol})" for index, entry in enumerate(shown["accounts"])]
    lines += ["", "Private keys (everyone has them: never use them on a live network)", "============"]
    lines += [f"({index}) {entry['private_key']}" for index, entry in enumerate(shown["accounts"])]
    lines += [
        "",
        "Wallet",
        "======",
        f"Mnemonic:         {shown['mnemonic']}",
        f"Derivation path:  {service.config.accounts.derivation_path}",
        "",
        "Chain",
        "=====",
        f"Chain id:         {shown['chain_id']}",
        f"Fork:             {shown['fork']}",
        f"Block gas limit:  {chain.constants.block_gas_limit:,}",
        f"Mining:           {_mining(service)}",
        f"Kept in:          {shown['data_dir'] or 'memory'}",
        f"Head:             {shown['head_number']:,}",
        "",
    ]
    if shown["forked_from"]:
        forked = shown["forked_from"]
        lines[-1:] = [f"Forked from:      {forked['endpoint']} at block {forked['block_number']:,}", ""]
    if shown["ipc"]:
        lines.append(f"IPC:              {shown['ipc']}")
    if shown["engine_api"]:
        lines.append(f"Engine API:       {shown['engine_api']}")
    lines.append(f"Listening on {shown['http']} (HTTP and WebSocket)")
    return "\n".join(lines)


def _forked_from(service: NodeService) -> dict[str, Any] | None:
    """Where a fork begins; the endpoint without the keys in its URL."""
    if service.fork is None:
        return None
    origin = service.fork.origin
    return {
        "endpoint": origin.endpoint.shown,
        "block_number": origin.block_number,
        "block_hash": f"0x{origin.block_hash.hex()}",
    }


def _mining(service: NodeService) -> str:
    block_time_s = service.config.mining.block_time_s
    return {
        "instant": "a block when transactions arrive",
        "interval": f"a block every {block_time_s:g} s",
        "mixed": f"a block when transactions arrive, and every {block_time_s:g} s",
        "manual": "only when asked",
    }[service.miner.mode]
