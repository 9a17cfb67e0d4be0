"""The node's settings: defaults, files, and errors that name the field."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from metis.node.config import NodeConfig, config_from_toml, read_config
from metis.node.errors import ConfigError


def test_config__of_an_empty_file__is_the_defaults() -> None:
    assert config_from_toml("") == NodeConfig()


def test_config__of_the_documents_file__is_the_defaults(checkout: Path) -> None:
    text = (checkout / "docs" / "node.md").read_text(encoding="utf-8")
    block = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert block is not None
    assert config_from_toml(block.group(1)) == NodeConfig()


def test_config__of_a_file__has_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "node.toml"
    file.write_text('chain_id = 5\n[rpc]\norigins = ["http://a"]\n[mining]\nmode = "mixed"\nblock_time_s = 3\n')
    config = read_config(file)
    assert (config.chain_id, config.rpc.origins) == (5, ("http://a",))
    assert (config.mining.mode, config.mining.block_time_s) == ("mixed", 3.0)
    assert config.storage == NodeConfig().storage


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("= 1", "document"),
        ("unknown = 1", "unknown"),
        ("rpc = 1", "rpc"),
        ("[rpc]\nport = true", "rpc.port"),
        ("[rpc]\nport = 70000", "rpc.port"),
        ('[rpc]\norigins = ["a", 1]', "rpc.origins[1]"),
        ('[rpc]\norigins = "a"', "rpc.origins"),
        ('[mining]\nmode = "fast"', "mining.mode"),
        ('[mining]\nblock_time_s = "2"', "mining.block_time_s"),
        ("[mining]\nblock_time_s = 0", "mining.block_time_s"),
        ("[storage]\nwhere = 1", "storage.where"),
        ("[accounts]\ncount = -1", "accounts.count"),
    ],
)
def test_config__with_a_bad_field__names_it(text: str, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config_from_toml(text)
    assert caught.value.field == field
    assert field in str(caught.value)
