"""What of an upstream node's URL is shown and kept."""

from __future__ import annotations

import pytest

from metis.node.errors import ConfigError
from metis.node.fork.endpoint import read_endpoint


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8545", "http://127.0.0.1:8545"),
        ("https://eth-mainnet.example.com/v2/Ab12Cd34Ef56Gh78", "https://eth-mainnet.example.com"),
        ("https://user:word@RPC.example.com:443/?key=1", "https://rpc.example.com"),
        ("http://[::1]:9/x", "http://[::1]:9"),
    ],
)
def test_endpoint__shown__has_no_keys(url: str, shown: str) -> None:
    endpoint = read_endpoint(url)
    assert endpoint.shown == shown
    assert endpoint.url == url
    assert repr(endpoint) == f"Endpoint({shown!r})"


def test_endpoint__cache_name__is_the_same_for_every_key_of_a_service() -> None:
    one, other = (read_endpoint(f"https://rpc.example.com/eth/v3/{key}").cache_name for key in ("a1" * 16, "b2" * 16))
    assert one == other
    assert "a1" not in one
    assert read_endpoint("https://rpc.example.com/polygon/v3/" + "a1" * 16).cache_name != one
    assert read_endpoint("https://rpc.example.com:8443/eth/v3/" + "a1" * 16).cache_name != one


@pytest.mark.parametrize("url", ["", "ws://127.0.0.1", "127.0.0.1:8545", "http://", "http://host:99999", "file:///x"])
def test_endpoint__that_is_none__is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_endpoint(url)
    assert refused.value.field == "fork.url"
