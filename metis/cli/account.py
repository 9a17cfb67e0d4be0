"""``metis account``: the group of the commands for keys."""

from __future__ import annotations

from typing import ClassVar

from metis.cli.lazy import LazyGroup, new_group

__all__ = ["app"]


class _AccountGroup(LazyGroup):
    targets: ClassVar[dict[str, tuple[str, str]]] = {
        "new": ("metis.cli.account_commands:new", "Make a key and keep it in an encrypted file."),
        "list": ("metis.cli.account_commands:list_accounts", "List the accounts of a keystore."),
        "import": (
            "metis.cli.account_commands:import_key",
            "Keep a private key, or another key file, in the keystore.",
        ),
        "export": ("metis.cli.account_commands:export", "Write an account's key file, or its private key, to a file."),
        "sign": ("metis.cli.account_commands:sign", "Sign a message with an account's key."),
    }


app = new_group(_AccountGroup)


@app.callback(no_args_is_help=True)
def _account() -> None:
    """Make, keep and use keys in encrypted files (Web3 Secret Storage, version 3)."""
