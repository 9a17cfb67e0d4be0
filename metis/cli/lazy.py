"""A command group that imports a command only when it is called."""

from __future__ import annotations

import importlib
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup

__all__ = ["LazyGroup", "new_group"]


class LazyGroup(TyperGroup):
    """
    A group whose commands are named in :attr:`targets`.

    Listing them prints the table's own lines; only a command that runs, or whose own ``--help`` is
    asked for, is imported.
    """

    targets: ClassVar[dict[str, tuple[str, str]]] = {}
    """Command → ("module:attribute", its line in the help). The attribute is a function or a Typer app."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the parser's signature
        """Names in the order of the help."""
        return list(self.targets)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the parser's signature
        """Import one command; None where there is none of that name."""
        if cmd_name not in self.targets:
            return None
        module, _, attribute = self.targets[cmd_name][0].partition(":")
        target = getattr(importlib.import_module(module), attribute)
        if not isinstance(target, typer.Typer):
            function, target = target, _new_app()
            target.command(cmd_name)(function)
        command = typer.main.get_command(target)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the parser's signature
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.targets.items()])


def new_group(group: type[LazyGroup]) -> typer.Typer:
    """An app whose commands are a lazy group's."""
    return _new_app(cls=group)


def _new_app(**settings: Any) -> typer.Typer:
    # Plain help and plain tracebacks: rich costs more to import than the rest of the command.
    return typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        **settings,
    )
