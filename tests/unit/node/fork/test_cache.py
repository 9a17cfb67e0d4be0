"""The cache of a fork: what is believed of a file, and what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metis.node.fork.cache import ForkCache

BLOCK = {"hash": "0x" + "11" * 32, "chainId": "0x1", "number": "0x7"}
LIMIT = 1 << 20


def filled(path: Path) -> ForkCache:
    cache = ForkCache(path, LIMIT)
    cache.begin(BLOCK)
    cache.put([("slot:aa:1", "0x5"), ("account:aa", ["0x1", "0x2", "0x"])])
    cache.put([("rpc:eth_x:[]", {"a": [1, None]})])
    return cache


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "endpoint" / "7.log"


def test_cache__opened_again__has_what_was_put(path: Path) -> None:
    first = filled(path)
    again = ForkCache(path, LIMIT)
    assert again.block == BLOCK
    assert len(again) == len(first) == 4
    assert again.get("slot:aa:1") == "0x5"
    assert again.get("rpc:eth_x:[]") == {"a": [1, None]}
    assert again.get("slot:aa:2") is None
    assert [entry.name for entry in path.parent.iterdir()] == ["7.log"]


def test_cache__of_another_block_at_that_height__begins_anew(path: Path) -> None:
    filled(path)
    cache = ForkCache(path, LIMIT)
    cache.begin(BLOCK | {"hash": "0x" + "22" * 32})
    assert cache.get("slot:aa:1") is None
    assert ForkCache(path, LIMIT).get("slot:aa:1") is None


@given(data=st.data())
def test_cache__with_any_damage__believes_nothing_false(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("cache") / "e" / "7.log"
    whole = filled(path)
    good = {key: whole.get(key) for key in ("block", "slot:aa:1", "account:aa", "rpc:eth_x:[]")}
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert"]))
        if kind == "flip":
            content[at] ^= data.draw(st.integers(1, 255))
        elif kind == "cut":
            del content[at : at + data.draw(st.integers(1, 50))]
        else:
            content[at:at] = data.draw(st.binary(max_size=20))
        if not content:
            break
    path.write_bytes(content)
    cache = ForkCache(path, LIMIT)
    for key, value in good.items():
        assert cache.get(key) in (None, value)
    cache.begin(BLOCK)
    cache.put([("slot:bb:1", "0x9")])
    again = ForkCache(path, LIMIT)
    assert again.block == BLOCK
    assert again.get("slot:bb:1") == "0x9"


def test_cache__past_its_limit__stops_growing_and_answers_on(path: Path) -> None:
    cache = ForkCache(path, 2_000)
    cache.begin(BLOCK)
    cache.put((f"slot:aa:{slot:x}", "0x" + "ff" * 32) for slot in range(100))
    assert path.stat().st_size <= 2_000
    assert cache.get("slot:aa:63") == "0x" + "ff" * 32
    cache.put([("rpc:eth_x:[]", "y" * 3_000)])
    assert cache.get("rpc:eth_x:[]") is None


def test_cache__beginning_in_a_full_folder__removes_the_oldest_files(tmp_path: Path) -> None:
    import os

    for number in range(4):
        old = tmp_path / "endpoint" / f"{number}.log"
        old.parent.mkdir(exist_ok=True)
        old.write_bytes(bytes(1_000))
        os.utime(old, (number, number))
    ForkCache(tmp_path / "other" / "9.log", 2_500).begin(BLOCK)
    assert sorted(entry.name for entry in tmp_path.glob("*/*.log")) == ["2.log", "3.log", "9.log"]


def test_cache__that_cannot_be_written__is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    cache = ForkCache(tmp_path / "file" / "x" / "7.log", LIMIT)
    cache.begin(BLOCK)
    cache.put([("slot:aa:1", "0x5")])
    assert cache.get("slot:aa:1") == "0x5"
