"""
``metis dev``: one node for development.

The arguments are read with the standard library: importing the parser of the other commands would
take longer than starting the node.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from metis.node.config import ForkSection, NodeConfig
    from metis.node.fork import ForkService
    from metis.node.service import Beginning, NodeService

__all__ = ["parser", "run_dev", "settings_of"]

EXIT_OK = 0
EXIT_ERROR = 2

CODE_SIZE_BYTES_MAX = 2**31
"""What no contract reaches: block gas is spent long before."""

_DESCRIPTION = """\
Run one node for development, with funded accounts whose keys everyone knows.

Transactions are mined when they arrive: the receipt is there when the hash comes back. Point wallets,
forge, viem, ethers or web3.py at http://127.0.0.1:8545. Metrics are on /metrics, health on /health.
Stop it with Ctrl-C. Never use the accounts' keys on a live network."""

_EPILOG = "An option goes before the same setting of --config. docs/node.md lists the settings."


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command's options; those that are not given are None or False."""
    made = argparse.ArgumentParser(
        prog="metis dev",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--host", help="address to listen on [127.0.0.1]")
    add("--port", type=int, help="port of HTTP and WebSocket; 0 takes a free one [8545]")
    add("--preset", metavar="NAME", help="hyperion or ethereum [hyperion]")
    add("--init", metavar="GENESIS.json", help="the chain of a genesis file in go-ethereum's format, not a preset's")
    add("--hardfork", metavar="NAME", help="rules of this fork, such as prague or cancun, not the preset's")
    add("--chain-id", type=int, metavar="N", help="chain id instead of the preset's")
    add("--block-time", type=float, metavar="SECONDS", help="a block so often, instead of when transactions arrive")
    add("--mixed-mining", action="store_true", help="with --block-time: blocks when transactions arrive as well")
    add("--no-mining", action="store_true", help="build no blocks by itself")
    add("--data-dir", metavar="FOLDER", help="where to keep the chain; without it the chain is in memory")
    add("--state-store", choices=("metisdb", "memory"), help="what keeps accounts, storage and code [metisdb]")
    add("--history", choices=("window", "archive"), help="whether old states are kept on the disk [window]")
    add("--checkpoint-blocks", type=int, metavar="N", help="write the state to the folder so often [1000]")
    add("--accounts", type=int, metavar="N", help="how many development accounts [10]")
    add("--balance", type=int, metavar="COINS", help="of each of them at genesis [10000]")
    add("--mnemonic", metavar="WORDS", help="what their keys are derived from [test test ... junk]")
    add("--derivation-path", metavar="PATH", help="BIP-32 path that an account's number is added to [m/44'/60'/0'/0/]")
    add("--load-state", metavar="FILE", help="load a state file, as anvil writes them, at the start")
    add("--dump-state", metavar="FILE", help="write a state file at the end")
    add("--state", metavar="FILE", help="both: load it where it exists, and write it at the end")
    add("--state-interval", type=float, metavar="SECONDS", help="write the state file so often as well")
    add("--no-control", action="store_true", help="serve no anvil_, hardhat_, evm_ and tenderly_ methods")
    add("--auto-impersonate", action="store_true", default=None, help="let any account send without its key")
    add("--code-size-limit", type=int, metavar="BYTES", help="most bytes of a contract's code [24576]")
    add("--disable-code-size-limit", action="store_true", help="no limit for a contract's code")
    add("--gas-limit", type=int, metavar="GAS", help="gas limit of blocks, at genesis too [of the preset]")
    add("--order", choices=("fees", "fifo"), help="of transactions in a block: best tip first, or as they came [fees]")
    add("--ipc", metavar="PATH", help="also serve on a Unix socket")
    add("--engine-port", type=int, metavar="PORT", help="also serve the Engine API, with a JWT")
    add("--jwt-secret", metavar="FILE", help="its secret; made where missing [jwt.hex]")
    add("--fork-url", metavar="URL", help="go on from the chain of another node")
    add("--fork-block-number", type=int, metavar="N", help="from this block instead of its newest")
    add("--fork-transaction-hash", metavar="HASH", help="from right after this transaction")
    add("--fork-header", action="append", metavar="'NAME: VALUE'", help="sent to that node; may be given again")
    add("--no-fork-cache", action="store_true", help="keep nothing of that chain on disk")
    add("--vm-mode", choices=("off", "auto", "eager"), help="which contracts become machine code [auto]")
    add("--config", metavar="FILE", help="settings in TOML")
    add("--log-level", choices=("debug", "info", "warning", "error"), help="least level of log lines [info]")
    add("--until-eof", action="store_true", help="stop when standard input ends, as it does with who started it")
    add("--silent", action="store_true", help="print nothing but errors")
    add("--json", action="store_true", help="print the start as one JSON object, and log lines as JSON")
    return made


def run_dev(arguments: Sequence[str]) -> int:
    """Run the command until it is told to stop; returns its exit code, and reports what fails."""
    try:
        given = parser().parse_args(arguments)
    except SystemExit as leaving:
        # --help, or arguments that cannot be read, with the reason already on stderr.
        return leaving.code if isinstance(leaving.code, int) else EXIT_ERROR
    try:
        _serve(settings_of(given), as_json=given.json, silent=given.silent, until_eof=given.until_eof)
    except KeyboardInterrupt:
        return EXIT_OK
    except Exception as error:  # noqa: BLE001 - this is the one place; a bug keeps its traceback
        from metis.cli.failure import report_failure

        report_failure(error, as_json=given.json)
        return EXIT_ERROR
    return EXIT_OK


def settings_of(given: argparse.Namespace) -> NodeConfig:
    """
    Put the options over the settings of the configuration file, or over the defaults.

    Raises
    ------
    ConfigError : a setting is out of range, or the file cannot be read.
    """
    from metis.node.config import NodeConfig, check_config, read_config
    from metis.node.errors import ConfigError

    try:
        base = read_config(given.config) if given.config is not None else NodeConfig()
    except OSError as problem:
        raise ConfigError("file", f"cannot be read: {problem}") from problem
    level = "error" if given.silent else given.log_level
    is_fork = bool(given.fork_url or base.fork.url)
    chosen = replace(
        base,
        **_given(preset=given.preset, chain_id=given.chain_id, genesis_path=given.init, hardfork=given.hardfork),
        rpc=replace(base.rpc, **_given(host=given.host, port=given.port, ipc_path=given.ipc)),
        engine_api=replace(
            base.engine_api,
            enabled=base.engine_api.enabled or given.engine_port is not None,
            **_given(port=given.engine_port, secret_path=given.jwt_secret),
        ),
        mining=replace(
            base.mining,
            **_given(mode=_mode(given), block_time_s=given.block_time, order=given.order, gas_limit=given.gas_limit),
        ),
        control=replace(
            base.control,
            **_given(
                enabled=False if given.no_control else None,
                load_state=given.load_state or _existing(given.state),
                dump_state=given.dump_state or given.state,
                dump_interval_s=given.state_interval,
                auto_impersonate=given.auto_impersonate,
                code_size_bytes_max=CODE_SIZE_BYTES_MAX if given.disable_code_size_limit else given.code_size_limit,
            ),
        ),
        storage=replace(
            base.storage,
            **_given(
                path=given.data_dir,
                state_store=given.state_store,
                history=given.history,
                checkpoint_block_count=given.checkpoint_blocks,
            ),
        ),
        accounts=replace(
            base.accounts,
            **_given(
                count=given.accounts,
                balance=given.balance,
                mnemonic=given.mnemonic,
                derivation_path=given.derivation_path,
            ),
        ),
        fork=replace(
            base.fork,
            **_given(
                url=given.fork_url,
                block_number=given.fork_block_number,
                transaction_hash=given.fork_transaction_hash,
                headers=tuple(given.fork_header) if given.fork_header else None,
                rules=given.preset if is_fork else None,
                cache=False if given.no_fork_cache else None,
            ),
        ),
        vm=replace(base.vm, **_given(mode=given.vm_mode)),
        log=replace(base.log, **_given(format="json" if given.json else None, level=level)),
    )
    check_config(chosen)
    if not is_fork and (chosen.fork.block_number >= 0 or chosen.fork.transaction_hash):
        raise ConfigError("fork.url", "is missing: of which chain?")
    return chosen


def _given(**options: Any) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def _existing(path: str | None) -> str | None:
    return path if path is not None and Path(path).exists() else None


def _mode(given: argparse.Namespace) -> str | None:
    if given.no_mining:
        return "manual"
    if given.mixed_mining:
        return "mixed"
    return "interval" if given.block_time is not None else None


def _serve(settings: NodeConfig, *, as_json: bool, silent: bool, until_eof: bool) -> None:
    from metis.cli.dev_chain import open_chain
    from metis.cli.dev_report import started_object, started_text
    from metis.cli.output import write_json
    from metis.cli.standard_input import call_at_its_end
    from metis.node.logs import configure_logging
    from metis.node.running import run_node
    from metis.node.service import NodeService

    configure_logging(settings.log.format, settings.log.level)
    make_fork: Callable[[], ForkService] | None = None
    if settings.fork.url:
        from metis.cli.dev_fork import open_fork

        chain, make_fork = open_fork(settings)
    else:
        chain = open_chain(settings)

    async def find_fork(section: ForkSection) -> Beginning:
        from metis.cli.dev_fork import find_beginning

        return await find_beginning(replace(settings, fork=section))

    def make() -> NodeService:
        fork = None if make_fork is None else make_fork()
        return NodeService(settings, chain.genesis, chain.accounts, chain.signer, chain.client_version, fork, find_fork)

    def on_started(service: NodeService) -> None:
        if as_json:
            write_json(started_object(service, chain))
        elif not silent:
            sys.stdout.write(started_text(service, chain) + "\n")
        sys.stdout.flush()
        # What the start made is not looked through again.
        gc.freeze()
        gc.enable()

    if settings.storage.path:
        Path(settings.storage.path).mkdir(parents=True, exist_ok=True)
    run_node(make, on_started, call_at_its_end if until_eof else None)
