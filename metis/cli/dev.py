"""``metis dev``: one node for development."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from metis.node.config import NodeConfig
    from metis.node.service import NodeService

__all__ = ["dev"]


def dev(
    host: Annotated[str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port of HTTP and WebSocket; 0 takes a free one.  [default: 8545]")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="hyperion or ethereum.  [default: hyperion]")] = None,
    chain_id: Annotated[int | None, typer.Option(help="Chain id instead of the preset's.")] = None,
    block_time: Annotated[
        float | None, typer.Option(help="Seconds from block to block, instead of a block when transactions arrive.")
    ] = None,
    mixed: Annotated[
        bool, typer.Option("--mixed-mining", help="With --block-time: blocks when transactions arrive as well.")
    ] = False,
    no_mining: Annotated[bool, typer.Option("--no-mining", help="Build no blocks by itself.")] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder to keep the chain in; without it the chain is in memory.")
    ] = None,
    accounts: Annotated[int | None, typer.Option(help="How many development accounts.  [default: 10]")] = None,
    balance: Annotated[int | None, typer.Option(help="Coins of each of them at genesis.  [default: 10000]")] = None,
    mnemonic: Annotated[
        str | None, typer.Option(help="Words their keys are derived from.  [default: test test ... junk]")
    ] = None,
    ipc: Annotated[Path | None, typer.Option(help="Also serve on a Unix socket at this path.")] = None,
    engine_port: Annotated[int | None, typer.Option(help="Also serve the Engine API on this port, with a JWT.")] = None,
    jwt_secret: Annotated[Path | None, typer.Option(help="File of its secret; made where missing.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="A TOML file of settings; options here go before it.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error.  [default: info]")] = None,
    silent: Annotated[bool, typer.Option("--silent", help="Print nothing but errors.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the start as one JSON object, and log lines as JSON.")
    ] = False,
) -> None:
    """
    Run one node for development, with funded accounts whose keys everyone knows.

    Transactions are mined when they arrive: the receipt is there when the hash comes back. Point wallets,
    forge, viem, ethers or web3.py at http://127.0.0.1:8545. Metrics are on /metrics, health on /health.
    Stop it with Ctrl-C. Never use the accounts' keys on a live network.
    """
    from metis.node.config import NodeConfig, read_config
    from metis.node.errors import ConfigError

    try:
        settings = read_config(config) if config is not None else NodeConfig()
    except OSError as problem:
        raise ConfigError("file", f"cannot be read: {problem}") from problem
    if block_time is not None and block_time <= 0:
        raise ConfigError("mining.block_time_s", f"must be above 0, not {block_time}")
    mode = _mode(settings.mining.mode, block_time, mixed=mixed, no_mining=no_mining)
    settings = replace(
        settings,
        preset=preset or settings.preset,
        chain_id=settings.chain_id if chain_id is None else chain_id,
        rpc=replace(
            settings.rpc,
            host=host or settings.rpc.host,
            port=settings.rpc.port if port is None else port,
            ipc_path=settings.rpc.ipc_path if ipc is None else str(ipc),
        ),
        engine_api=replace(
            settings.engine_api,
            enabled=settings.engine_api.enabled or engine_port is not None,
            port=settings.engine_api.port if engine_port is None else engine_port,
            secret_path=settings.engine_api.secret_path if jwt_secret is None else str(jwt_secret),
        ),
        mining=replace(
            settings.mining,
            mode=mode,
            block_time_s=block_time if block_time is not None else settings.mining.block_time_s,
        ),
        storage=replace(settings.storage, path=settings.storage.path if data_dir is None else str(data_dir)),
        accounts=replace(
            settings.accounts,
            count=settings.accounts.count if accounts is None else accounts,
            balance=settings.accounts.balance if balance is None else balance,
            mnemonic=settings.accounts.mnemonic if mnemonic is None else mnemonic,
        ),
        log=replace(
            settings.log,
            format="json" if as_json else settings.log.format,
            level="error" if silent else log_level or settings.log.level,
        ),
    )
    _serve(settings, as_json=as_json, silent=silent)


def _mode(configured: str, block_time: float | None, *, mixed: bool, no_mining: bool) -> str:
    if no_mining:
        return "manual"
    if block_time is not None:
        return "mixed" if mixed else "interval"
    return "mixed" if mixed else configured


def _serve(settings: NodeConfig, *, as_json: bool, silent: bool) -> None:
    from metis.cli.dev_chain import open_chain
    from metis.cli.dev_report import started_object, started_text
    from metis.cli.output import write_json
    from metis.node.logs import configure_logging
    from metis.node.running import run_node
    from metis.node.service import NodeService

    configure_logging(settings.log.format, settings.log.level)
    chain = open_chain(settings)

    def make() -> NodeService:
        return NodeService(settings, chain.genesis, chain.accounts, chain.signer, chain.client_version)

    def on_started(service: NodeService) -> None:
        import sys

        if as_json:
            write_json(started_object(service, chain))
        elif not silent:
            typer.echo(started_text(service, chain))
        sys.stdout.flush()

    run_node(make, on_started)
