"""What the options of ``metis dev`` mean as settings."""

from __future__ import annotations

import pytest

from metis.cli.dev import parser, settings_of
from metis.node.config import NodeConfig, StorageConfig
from metis.node.errors import ConfigError


def storage_of(*arguments: str) -> StorageConfig:
    return settings_of(parser().parse_args(arguments)).storage


def test_settings__without_options_of_the_state__are_the_defaults() -> None:
    assert storage_of() == NodeConfig().storage


def test_settings__with_options_of_the_state__are_what_they_say() -> None:
    storage = storage_of("--state-store", "memory", "--checkpoint-blocks", "7")
    assert (storage.state_store, storage.checkpoint_block_count) == ("memory", 7)


def test_settings__with_a_checkpoint_every_zero_blocks__are_refused() -> None:
    with pytest.raises(ConfigError, match="checkpoint_block_count"):
        storage_of("--checkpoint-blocks", "0")
