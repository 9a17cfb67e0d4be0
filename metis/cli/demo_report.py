"""The demonstration as a story for people."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metis.cli.demo_run import DemoBlock, DemoResult, Inclusion
from metis.types import Address

__all__ = ["print_demo"]

_TYPES = {0: "legacy", 1: "2930", 2: "1559", 3: "4844", 4: "7702"}
"""The EIP of each transaction type."""

_WIDTH_WITHOUT_TERMINAL = 100
_COIN = 10**18


def print_demo(result: DemoResult) -> None:
    """Print to stdout; as wide as the terminal, without colours where there is none."""
    # A file or a pipe has no width of its own, and 80 columns fold some rows.
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL, highlight=False)
    _print_network(console, result)
    for block in result.blocks:
        _print_block(console, result, block)
    _print_reexecution(console, result)
    _print_fees(console, result)
    _print_proof(console, result)
    _print_mainnet(console, result)
    console.print()
    for problem in result.problems:
        console.print(f"NOT AS EXPECTED  {problem}", style="bold red", markup=False)
    if result.passed:
        console.print("Everything is as it should be.", style="bold green")


def _heading(console: Console, text: str) -> None:
    console.print()
    console.print(text, style="bold", markup=False)


def _print_network(console: Console, result: DemoResult) -> None:
    network, chain = result.network, result.network.chain
    _heading(console, f"{network.name}: chain {chain.chain_id}, rules of {chain.fork}")
    console.print(
        f"composed of: state store {network.state_store.name}, virtual machine {network.virtual_machine.name}, "
        f"executor {network.executor.name}, fees {network.fee_policy.name}"
    )
    console.print(
        f"genesis: {len(chain.accounts)} accounts with {chain.coin_symbol}, "
        f"{result.genesis_account_count - len(chain.accounts)} system contracts"
    )
    console.print(f"  block hash  0x{result.genesis.hash.hex()}")
    console.print(f"  state root  0x{result.genesis.state_root.hex()}")


def _print_block(console: Console, result: DemoResult, block: DemoBlock) -> None:
    header = block.block.header
    _heading(
        console,
        f"Block {header.number}: {len(block.included)} transactions, {header.gas_used:,} gas, "
        f"base fee {(header.base_fee_per_gas_wei or 0) / 10**9:.3f} gwei",
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("transaction", ratio=1)
    table.add_column("result")
    table.add_column("gas", justify="right")
    table.add_column(f"fee ({result.network.chain.coin_symbol})", justify="right")
    table.add_column("logs", justify="right")
    for entry in block.included:
        table.add_row(
            _story(result, entry),
            _result(entry),
            f"{entry.receipt.gas_used:,}",
            f"{entry.fee_wei / _COIN:.6f}",
            str(len(entry.receipt.logs)),
        )
    console.print(table)
    for refusal in block.refused:
        console.print(
            f"not included: {_short(refusal.transaction.hash)}  {_label(result, refusal.transaction.sender)} "
            f"{refusal.step.what}: {refusal.error.reason}\n  {refusal.error.detail}",
            style="yellow",
            markup=False,
        )
    console.print(f"  block hash  0x{header.hash.hex()}")
    console.print(f"  state root  0x{header.state_root.hex()}")
    console.print(f"  receipts    0x{header.receipts_root.hex()}")
    console.print(
        f"  decoded and senders recovered in {block.decode_ms:.2f} ms, executed and sealed in {block.build_ms:.2f} ms",
        style="dim",
    )


def _print_reexecution(console: Console, result: DemoResult) -> None:
    agrees = not any(problem.startswith("re-execution") for problem in result.problems)
    size_bytes = sum(len(block.rlp) for block in result.blocks)
    _heading(console, "A second store executes the blocks again, from their bytes")
    console.print(
        f"{len(result.blocks)} blocks ({size_bytes:,} bytes) in {result.reexecution_ms:.2f} ms: "
        + ("the same block hashes, state roots and receipts" if agrees else "it does not agree"),
    )


def _print_fees(console: Console, result: DemoResult) -> None:
    coin_symbol = result.network.chain.coin_symbol
    _heading(console, "Where the base fees went")
    amount = f"{result.base_fees_wei / _COIN:.9f} {coin_symbol}"
    if result.collected_wei is None:
        console.print(f"{amount} were burned (EIP-1559)")
    else:
        recipient = result.network.fee_policy.base_fee_recipient or b""
        console.print(f"{amount} were paid; 0x{recipient.hex()} holds {result.collected_wei / _COIN:.9f} {coin_symbol}")


def _print_proof(console: Console, result: DemoResult) -> None:
    proof = result.proof
    node_count = len(proof.proof.nodes) + sum(len(entry.nodes) for entry in proof.proof.storage_proofs)
    _heading(console, "A proof of account 5's token balance, checked without the store")
    console.print(f"{proof.balance / _COIN:,.0f} tokens, shown by {node_count} trie nodes ({proof.size_bytes:,} bytes)")
    console.print(
        "the proof leads to the state root; a balance of one unit more is "
        + ("refused" if proof.forgery_refused else "ACCEPTED")
    )


def _print_mainnet(console: Console, result: DemoResult) -> None:
    _heading(console, "Ethereum mainnet, block 18,920,116")
    mainnet = result.mainnet
    if mainnet is None:
        console.print(
            f"left out: {result.mainnet_path} is not there (METIS_FIXTURES names the folder of recorded data)",
            markup=False,
        )
        return
    outcome = mainnet.replay.outcome
    console.print(
        f"{len(outcome.receipts)} transactions, {outcome.gas_used:,} gas in {mainnet.execute_ms:.1f} ms: "
        f"{mainnet.replay.log_count - len(mainnet.replay.differences)} of {mainnet.replay.log_count} logs "
        "are the recorded ones"
    )


def _story(result: DemoResult, entry: Inclusion) -> Text:
    transaction = entry.transaction
    sender, target = _label(result, transaction.sender), _target(result, entry)
    text = Text(f"{sender} {entry.step.what}")
    text.append(f"\n  {_short(transaction.hash)} {_TYPES[transaction.type]}, {sender} → {target}", style="dim")
    if entry.explanation:
        text.append(f"\n  says: {entry.explanation}", style="dim")
    return text


def _result(entry: Inclusion) -> Text:
    return Text(entry.result, style="green" if entry.receipt.success else "red")


def _target(result: DemoResult, entry: Inclusion) -> str:
    if entry.transaction.to is not None:
        return _label(result, entry.transaction.to)
    created = entry.receipt.contract_address
    return f"new {_label(result, created)}" if created is not None else "new contract"


def _label(result: DemoResult, address: Address) -> str:
    return result.labels.get(address, _short(address))


def _short(data: bytes) -> str:
    return f"0x{data.hex()[:8]}"
