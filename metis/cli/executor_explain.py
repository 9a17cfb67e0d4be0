"""``metis executor explain``: why a block does not run any faster on more cores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from metis.cli.output import columns, hex_text, write_json

if TYPE_CHECKING:
    from metis.engine import BlockRecord
    from metis.sdk import Explanation, Obstacle
    from metis.types import UnsignedTransaction

__all__ = ["explain_block"]

RPC_DEFAULT: Final = "http://127.0.0.1:8545"
ROW_COUNT: Final = 12
"""Rows of each table; --json has them all."""
HASH_TEXT_SIZE: Final = 66


def explain_block(
    block: Annotated[
        str, typer.Argument(help="Height, hash or tag of a block of the node, or the file of a recorded block.")
    ],
    rpc: Annotated[str, typer.Option(help="The node that has the block.")] = RPC_DEFAULT,
    fork: Annotated[
        str | None, typer.Option(help="Rules of a recorded block, such as Shanghai.", show_default=False)
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Threads for a recorded block; 0 takes one for each core.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Run a block once more in parallel, and say which transactions wait for which, on what, and what would help.

    A transaction depends on the last one before it that gave something it read another value; that follows from the
    block. Conflicts are what was found different when a transaction's turn came, so that it was run again; how many
    there are differs from run to run. "links" counts links of the longest chain, by gas: no number of cores does better
    than that chain one after the other, unless calls in it only add to slots, which need not wait.

    The node must have the state before the block. A recorded block is a file as docs/testing.md names it.
    """
    from metis.sdk import explain

    record, transactions = _recorded(block, fork, workers) if Path(block).is_file() else _of_node(block, rpc)
    explanation = explain(record, transactions)
    if as_json:
        write_json(_as_object(explanation))
    else:
        typer.echo(_as_text(explanation, transactions))


def _recorded(path: str, fork: str | None, workers: int) -> tuple[BlockRecord, tuple[UnsignedTransaction, ...]]:
    from metis.sdk import load_recorded_block, replay_block
    from metis.types import EngineFault

    if fork is None:
        raise typer.BadParameter("the rules of a recorded block must be named", param_hint="--fork")
    recorded = load_recorded_block(path)
    record = replay_block(recorded, fork=fork, workers=workers, keeps_record=True).outcome.record
    if record is None:
        raise EngineFault("no record was kept")
    return record, recorded.transactions


def _of_node(block: str, url: str) -> tuple[BlockRecord, tuple[UnsignedTransaction, ...]]:
    from metis.cli.node_client import NodeClient
    from metis.types import UpstreamError

    name = hex(int(block)) if block.isdecimal() else block
    method = "eth_getBlockByHash" if len(name) == HASH_TEXT_SIZE else "eth_getBlockByNumber"
    with NodeClient(url) as node:
        record, found = node.ask("metis_explainBlock", name), node.ask(method, name, True)
    try:
        return _record(record), tuple(_transaction(fields) for fields in found["transactions"])
    except (KeyError, TypeError, ValueError) as error:
        raise UpstreamError("answer", url, f"metis_explainBlock: {error!r}") from None


def _record(fields: dict[str, Any]) -> BlockRecord:
    from metis.engine import BlockRecord, Conflict, Dependency
    from metis.types import Address, Gas, Hash32

    def place(row: dict[str, Any]) -> tuple[Address, int | None]:
        return Address(_data(row["address"])), None if row["slot"] is None else int(row["slot"], 16)

    def position(text: str | None) -> int | None:
        return None if text is None else int(text, 16)

    return BlockRecord(
        access_list=_data(fields["accessList"]),
        access_list_hash=Hash32(_data(fields["accessListHash"])),
        transaction_count=int(fields["transactionCount"], 16),
        gas_used=Gas(int(fields["gasUsed"], 16)),
        dependencies=tuple(
            Dependency(int(row["transaction"], 16), int(row["on"], 16), *place(row)) for row in fields["dependencies"]
        ),
        chain=tuple(int(text, 16) for text in fields["chain"]),
        chain_gas=Gas(int(fields["chainGas"], 16)),
        conflicts=tuple(
            Conflict(int(row["transaction"], 16), position(row["on"]), *place(row)) for row in fields["conflicts"]
        ),
        rerun_count=int(fields["rerunCount"], 16),
    )


def _transaction(fields: dict[str, Any]) -> UnsignedTransaction:
    from metis.types import Address, Gas, UnsignedTransaction, Wei

    return UnsignedTransaction(
        sender=Address(_data(fields["from"])),
        nonce=int(fields["nonce"], 16),
        gas_limit=Gas(int(fields["gas"], 16)),
        gas_price_wei=Wei(int(fields["gasPrice"], 16)),
        to=None if fields["to"] is None else Address(_data(fields["to"])),
        value_wei=Wei(int(fields["value"], 16)),
        data=_data(fields["input"]),
    )


def _data(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def _as_object(explanation: Explanation) -> dict[str, Any]:
    record = explanation.record
    return {
        "transactions": record.transaction_count,
        "gas_used": record.gas_used,
        "dependent": explanation.dependent_count,
        "chain": record.chain,
        "chain_gas": record.chain_gas,
        "speedup_max": explanation.speedup_max,
        "reruns": record.rerun_count,
        "conflicts": [_edge(row.transaction, row.on, row.address, row.slot) for row in record.conflicts],
        "dependencies": [_edge(row.transaction, row.on, row.address, row.slot) for row in record.dependencies],
        "obstacles": [
            {
                "address": one.address,
                "slot": None if one.slot is None else hex(one.slot),
                "is_sender": one.is_sender,
                "links": one.chain_count,
                "transactions": one.transactions,
                "conflicts": one.conflict_count,
                "functions": one.functions,
            }
            for one in explanation.obstacles
        ],
        "advice": explanation.advice,
        "access_list_hash": record.access_list_hash,
    }


def _edge(transaction: int, on: int | None, address: bytes, slot: int | None) -> dict[str, Any]:
    return {"transaction": transaction, "on": on, "address": address, "slot": None if slot is None else hex(slot)}


def _exception(explanation: Explanation) -> str:
    """Say where the chain may be overstated: of a slot every value counts, also where calls only add to it."""
    is_of_slots = any(one.slot is not None and one.chain_count for one in explanation.obstacles)
    return ", or more where calls only add to slots" if is_of_slots else ""


def _as_text(explanation: Explanation, transactions: tuple[UnsignedTransaction, ...]) -> str:
    from metis.sdk import function_name

    record = explanation.record
    share = record.chain_gas / record.gas_used if record.gas_used else 0.0
    parts = [
        f"{record.transaction_count:,} transactions, {record.gas_used:,} gas; "
        f"{explanation.dependent_count:,} depend on an earlier one\n"
        f"longest chain: {len(record.chain):,} transactions, {record.chain_gas:,} gas ({share:.1%}), "
        f"so at most {explanation.speedup_max:.1f} times as fast{_exception(explanation)}\n"
        f"this time {record.rerun_count:,} were run again"
    ]
    if explanation.obstacles:
        shown = explanation.obstacles[:ROW_COUNT]
        rows = [
            (
                _place(one),
                ", ".join(one.functions[:2]) + (", …" if len(one.functions) > 2 else ""),
                f"{one.chain_count:,}",
                f"{len(one.transactions):,}",
                f"{one.conflict_count:,}",
            )
            for one in shown
        ]
        table = columns(("what they wait on", "functions", "links", "waiting", "conflicts"), rows, left=2)
        more = len(explanation.obstacles) - len(shown)
        parts.append(table + (f"\nand {more:,} more" if more else ""))
    if record.conflicts:
        conflicts = [
            (
                str(row.transaction),
                function_name(transactions[row.transaction]),
                "-" if row.on is None else str(row.on),
                f"{hex_text(row.address)}{'' if row.slot is None else f' slot {_short(row.slot)}'}",
            )
            for row in record.conflicts[:ROW_COUNT]
        ]
        more = len(record.conflicts) - len(conflicts)
        table = columns(("run again", "function", "after", "had read too early"), conflicts, left=4)
        parts.append(table + (f"\nand {more:,} more" if more else ""))
    parts.append("What would help\n" + "\n".join(f"- {text}" for text in explanation.advice))
    return "\n\n".join(parts)


def _place(one: Obstacle) -> str:
    if one.slot is not None:
        return f"{hex_text(one.address)} slot {_short(one.slot)}"
    return f"{hex_text(one.address)} {'sender' if one.is_sender else 'account'}"


def _short(slot: int) -> str:
    text = f"0x{slot:x}"
    # Slots of mappings are hashes: the beginning tells them apart.
    return text if len(text) <= 10 else f"{text[:10]}…"
