"""``metis ai verify`` and ``metis ai open``: execution receipts, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metis.cli.ai_report import require_extra
from metis.cli.output import write_json

if TYPE_CHECKING:
    from metis.ai.receipt import Expected
    from metis.types import Address

__all__ = ["address_of_text", "open_one", "verify_file"]

_Model = Annotated[Path | None, typer.Option("--model", help="The model's file. Needed for all but signatures.")]


def verify_file(
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", help="A receipt's file.")],
    model: _Model = None,
    chain_id: Annotated[int | None, typer.Option(help="The chain that it should be for.")] = None,
    contract: Annotated[str | None, typer.Option(help="The contract that it should be for.")] = None,
    worker: Annotated[str | None, typer.Option(help="Who should have signed it.")] = None,
    payer: Annotated[str | None, typer.Option(help="Who should pay.")] = None,
    nonce: Annotated[int | None, typer.Option(help="The nonce it should have.")] = None,
    signatures_only: Annotated[bool, typer.Option(help="Check price and signatures, and execute nothing.")] = False,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of each run.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """
    Check an execution receipt: fields, price, signatures, and what was run.

    With the inputs in its file the task is executed again; where the worker's trace differs, the first wrong operator
    is named. With an opened operator ("metis ai open") that one is checked, by its Merkle path and Freivalds' check.
    Exit code 1 where it is not valid.
    """
    require_extra()
    from metis.ai.file import load
    from metis.ai.verify import read_receipt_file, verify
    from metis.ai.verify.verdict import refused
    from metis.types import InvalidReceipt

    try:
        file = read_receipt_file(receipt)
    except InvalidReceipt as error:
        verdict = refused(error)
    else:
        if model is None and not signatures_only:
            raise typer.BadParameter("the model's file is needed: --model FILE, or --signatures-only")
        expected = _expected(chain_id, contract, worker, payer, nonce)
        opened = None if model is None else load(model)
        verdict = verify(file, opened, expected, signatures_only=signatures_only, threads=threads)
    if as_json:
        write_json(verdict.as_object())
    else:
        typer.echo(f"{'valid' if verdict.valid else 'NOT VALID'} ({verdict.checked})  {verdict.detail}")
        if verdict.reason is not None:
            typer.echo(f"reason    {verdict.reason}")
        if verdict.operator is not None:
            typer.echo(f"operator  {verdict.operator}")
        typer.echo(f"it does not prove: {', '.join(verdict.unproven) or '–'}")
    if not verdict.valid:
        raise typer.Exit(1)


def open_one(
    receipt: Annotated[Path, typer.Argument(metavar="RECEIPT", help="A receipt's file with its inputs.")],
    model: Annotated[Path, typer.Option("--model", help="The model's file.")],
    out: Annotated[Path, typer.Option(help="Where to write the receipt with the opened operator.")],
    run: Annotated[int, typer.Option(min=0, help="Which run of the task.")] = 0,
    point: Annotated[int | None, typer.Option(help="Which tensor of the trace; without it they are listed.")] = None,
) -> None:
    """Take one operator out of a receipt's task: it can be checked without the inputs and the rest of the run."""
    require_extra()
    from metis.ai.engine import Evaluator
    from metis.ai.file import load
    from metis.ai.trace import points_of, step_of
    from metis.ai.verify import open_operator, read_receipt_file, write_receipt_file

    opened = load(model)
    evaluator = Evaluator(opened.model)
    if point is None:
        points = points_of(evaluator.proven)
        for number in points:
            names = [opened.graph.nodes[node].operator for node in step_of(opened.graph, points, number).nodes]
            typer.echo(f"{number:>6}  {' '.join(names) or 'given'}")
        return
    write_receipt_file(open_operator(opened.model, evaluator, read_receipt_file(receipt), run, point), out)


def _expected(
    chain_id: int | None, contract: str | None, worker: str | None, payer: str | None, nonce: int | None
) -> Expected:
    from metis.ai.receipt import Domain, Expected

    if (chain_id is None) != (contract is None):
        raise typer.BadParameter("--chain-id and --contract go together")
    domain = None if chain_id is None or contract is None else Domain(chain_id, address_of_text(contract))
    return Expected(
        domain,
        payer=None if payer is None else address_of_text(payer),
        worker=None if worker is None else address_of_text(worker),
        nonce=nonce,
    )


def address_of_text(text: str) -> Address:
    """An address of 40 hexadecimal digits; a usage error where it is none."""
    from metis.types import Address

    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != 20:
        raise typer.BadParameter(f"{text} is no address")
    return Address(raw)
