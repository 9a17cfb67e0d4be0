"""``metis dev`` for the root command's table; :func:`metis.cli.main` goes to :mod:`metis.cli.dev` directly."""

from __future__ import annotations

import typer

__all__ = ["app"]

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command("dev", add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def dev(context: typer.Context) -> None:
    """Run one node for development."""
    from metis.cli.dev import run_dev

    raise typer.Exit(run_dev(context.args))
