"""``metis worker``: models over HTTP, paid by signed requests, answered with receipts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from metis.cli.account_commands import DEFAULT_FOLDER, key_of_account, secret_of
from metis.cli.ai_report import require_extra
from metis.cli.output import write_json

__all__ = ["worker"]


def worker(
    models: Annotated[
        list[str],
        typer.Option("--model", metavar="NAME=FILE", help="A model and the name it is served by; repeatable."),
    ],
    chain_id: Annotated[int, typer.Option(help="The chain that its receipts are for.")],
    contract: Annotated[str, typer.Option(help="The contract that its receipts are for.")],
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the ledger and the receipts are kept.")],
    account: Annotated[str, typer.Option(help="The account that signs receipts, in the keystore.")] = "",
    folder: Annotated[Path, typer.Option("--keystore", metavar="FOLDER", help="Where key files are.")] = DEFAULT_FOLDER,
    password_file: Annotated[
        str, typer.Option(metavar="FILE", help='Read the account\'s password from there; "-" is stdin.')
    ] = "",
    key_file: Annotated[
        str, typer.Option(metavar="FILE", help='Read the private key from there instead; "-" is stdin.')
    ] = "",
    price_wei: Annotated[int, typer.Option(min=0, help="Of one unit (docs/receipts.md).")] = 0,
    credit_wei: Annotated[int | None, typer.Option(min=0, help="What a payer may owe at most.")] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8550,
    runners: Annotated[int, typer.Option(min=1, max=256, help="Tasks that run at a time.")] = 2,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads of each run.")] = 1,
    queue: Annotated[int, typer.Option(min=0, help="Tasks that may wait; more are refused.")] = 4096,
    open_bodies: Annotated[bool, typer.Option(help="Take requests whose body the payer has not signed.")] = True,
    batch_size: Annotated[int, typer.Option(min=1, help="Receipts of a batch.")] = 256,
    until_eof: Annotated[
        bool, typer.Option("--until-eof", help="Stop when standard input ends, as it does with who started it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object when it is ready to start.")] = False,
) -> None:
    """
    Serve models behind an HTTP interface like OpenAI's.

    Each request is signed by its payer for a price, and answered with an execution receipt that anyone checks with
    "metis ai verify". The key is read from a file or the keystore, never from arguments. docs/worker.md says more.
    """
    require_extra()
    if any(importlib.util.find_spec(name) is None for name in ("granian", "starlette")):
        raise typer.BadParameter("a worker needs the extra `ai`: pip install 'metis-stack[ai]'")
    from metis.ai.receipt import Domain
    from metis.ai.worker import Desk, ServedModel, WorkerSettings
    from metis.ai.worker.server import serve
    from metis.cli.ai_verify import address_of_text
    from metis.cli.standard_input import call_at_its_end
    from metis.types import Wei

    if bool(account) == bool(key_file):
        raise typer.BadParameter("either --account or --key-file is needed")
    if until_eof and "-" in (key_file, password_file):
        raise typer.BadParameter("--until-eof needs standard input, which the key or the password is read from")
    served = [ServedModel.open(name, path, threads) for name, path in map(_named, models)]
    if len({model.name for model in served}) != len(served):
        raise typer.BadParameter("two models have one name")
    if key_file:
        from metis.node.keystore import private_key_of_text

        key = private_key_of_text(secret_of(key_file, "Private key"))
    else:
        key = key_of_account(account, folder, password_file)
    settings = WorkerSettings(
        Domain(chain_id, address_of_text(contract)),
        data.expanduser(),
        Wei(price_wei),
        credit_wei,
        runners=runners,
        threads=threads,
        queue_max=queue,
        open_bodies=open_bodies,
        batch_size=batch_size,
    )
    desk = Desk(settings, served, key)
    report = {
        "url": f"http://{host}:{port}/v1",
        "worker": "0x" + desk.worker.hex(),
        "models": {model.name: "0x" + model.id.hex() for model in served},
    }
    if as_json:
        write_json(report)
    else:
        typer.echo(f"worker {report['worker']} at {report['url']}")
        for model in served:
            typer.echo(f"  {model.name}  {model.kind}, {model.units * price_wei} wei a run  0x{model.id.hex()}")
    serve(desk, host, port, call_at_its_end if until_eof else None)


def _named(text: str) -> tuple[str, Path]:
    name, sign, file = text.partition("=")
    if not name or not sign or not file:
        raise typer.BadParameter(f"{text!r} is not NAME=FILE")
    return name, Path(file)
