"""Artifacts on disk: what is not provably ours is not taken, and a bad disk is no error."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest

from metis.vm.tiering.cache import KEY_FILE, ArtifactCache

CODE_HASH = bytes(range(32))
ARTIFACT = b"machine code" * 100
SIZE_MAX = 1 << 20


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.mtvm")
    return path


@pytest.fixture
def cache(tmp_path: Path) -> ArtifactCache:
    cache = ArtifactCache(tmp_path, SIZE_MAX)
    cache.store(CODE_HASH, "Osaka", ARTIFACT)
    return cache


def test_cache__what_was_stored__is_loaded_again_by_another_process(cache: ArtifactCache, tmp_path: Path) -> None:
    assert cache.load(CODE_HASH, "Osaka") == ARTIFACT
    assert ArtifactCache(tmp_path, SIZE_MAX).load(CODE_HASH, "Osaka") == ARTIFACT


def test_cache__another_fork_or_code__is_not_there(cache: ArtifactCache) -> None:
    assert cache.load(CODE_HASH, "Cancun") is None
    assert cache.load(bytes(32), "Osaka") is None


@pytest.mark.parametrize("position", [0, 31, 32, 500, -1])
def test_cache__a_flipped_bit__is_noticed_warned_of_and_removed(
    cache: ArtifactCache, tmp_path: Path, position: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = only_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert cache.load(CODE_HASH, "Osaka") is None
    assert "damaged or not ours" in caplog.text
    assert not path.exists()
    cache.store(CODE_HASH, "Osaka", ARTIFACT)
    assert cache.load(CODE_HASH, "Osaka") == ARTIFACT


@pytest.mark.parametrize("size", [0, 10, 32, 33, 600])
def test_cache__a_file_cut_short__is_not_taken(cache: ArtifactCache, tmp_path: Path, size: int) -> None:
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    assert cache.load(CODE_HASH, "Osaka") is None


def test_cache__a_file_of_another_installation__is_not_taken(tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ArtifactCache(theirs, SIZE_MAX).store(CODE_HASH, "Osaka", ARTIFACT)
    cache = ArtifactCache(ours, SIZE_MAX)
    foreign = only_file(theirs)
    (ours / foreign.name).write_bytes(foreign.read_bytes())
    assert cache.load(CODE_HASH, "Osaka") is None


def test_cache__a_file_under_the_name_of_another_code__is_not_taken(cache: ArtifactCache, tmp_path: Path) -> None:
    ours = only_file(tmp_path)
    cache.store(bytes(32), "Osaka", b"other")
    (other,) = set(tmp_path.glob("*.mtvm")) - {ours}
    other.write_bytes(ours.read_bytes())
    assert cache.load(bytes(32), "Osaka") is None


def test_cache__full__what_was_used_longest_ago_goes(tmp_path: Path) -> None:
    cache = ArtifactCache(tmp_path, 3000)
    for number in range(4):
        cache.store(bytes([number]) * 32, "Osaka", bytes(1000))
    assert sum(path.stat().st_size for path in tmp_path.glob("*.mtvm")) <= 3000
    assert cache.load(bytes([3]) * 32, "Osaka") == bytes(1000)


def test_cache__a_disk_that_refuses_writes__is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cache = ArtifactCache(tmp_path, SIZE_MAX)

    def no_space(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("metis.vm.tiering.cache._write_whole", no_space)
    with caplog.at_level(logging.WARNING):
        cache.store(CODE_HASH, "Osaka", ARTIFACT)
    assert "No space left" in caplog.text
    assert cache.load(CODE_HASH, "Osaka") is None


def test_cache__a_disk_full_in_the_middle_of_a_file__keeps_nothing_of_it(tmp_path: Path) -> None:
    """The system itself refuses: a process whose files may not grow beyond less than the artifact."""
    code = f"""
import logging, resource
from pathlib import Path
from metis.vm.tiering.cache import KEY_FILE, ArtifactCache
cache = ArtifactCache(Path({str(tmp_path)!r}), {SIZE_MAX})
resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))
cache.store({CODE_HASH!r}, "Osaka", {ARTIFACT!r})
assert cache.load({CODE_HASH!r}, "Osaka") is None
"""
    child = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "compiled code is not kept on disk" in child.stderr
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_cache__a_folder_that_cannot_be_made__keeps_nothing_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    with caplog.at_level(logging.WARNING):
        cache = ArtifactCache(blocker / "cache", SIZE_MAX)
        cache.store(CODE_HASH, "Osaka", ARTIFACT)
    assert cache.load(CODE_HASH, "Osaka") is None
    assert "no cache of compiled code" in caplog.text


def test_cache__its_key_and_files__are_for_the_owner_alone(cache: ArtifactCache, tmp_path: Path) -> None:
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}
