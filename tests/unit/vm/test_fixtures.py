"""Finding and reading fixture files: order, archives from strangers, limits."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
from pathlib import Path

import pytest

import metis.vm.fixtures as subject
from metis.types import FixtureError
from metis.vm import FixtureFile, fixture_files, read_fixture


def _archive(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w:xz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def _member(name: str, content: bytes = b"{}", kind: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = "target" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
    return member, content


def _problems(files: list[FixtureFile]) -> dict[str, str]:
    return {file.path: file.error.problem for file in files if file.error is not None}


def test_folder__nested__sorted_and_without_hidden_folders(tmp_path: Path) -> None:
    for name in ("b/2.json", "b/10.json", "a/1.json", ".meta/index.json", "a/readme.txt", "0.json.xz"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"{}")
    found = [str(Path(file.path).relative_to(tmp_path)) for file in fixture_files([tmp_path])]
    assert found == ["0.json.xz", "a/1.json", "b/10.json", "b/2.json"]


def test_archive__members__read_without_touching_the_disk(tmp_path: Path) -> None:
    archive = _archive(
        tmp_path / "tests.tar.xz",
        [_member("t", b"", tarfile.DIRTYPE), _member("t/a.json", b'{"a":1}'), _member("t/notes.txt", b"no test")],
    )
    before = sorted(os.listdir(tmp_path))  # noqa: PTH208 - names only
    files = list(fixture_files([archive]))
    assert [(file.path, read_fixture(file)) for file in files] == [("tests.tar.xz:t/a.json", b'{"a":1}')]
    assert sorted(os.listdir(tmp_path)) == before  # noqa: PTH208 - names only


@pytest.mark.parametrize("name", ["tests.tar.gz", "tests.tgz", "tests.tar"])
def test_archive__other_formats__read(tmp_path: Path, name: str) -> None:
    archive = _archive(tmp_path / name, [_member("a.json")], "w" if name.endswith(".tar") else "w:gz")
    assert [file.path for file in fixture_files([archive])] == [f"{name}:a.json"]


@pytest.mark.parametrize("name", ["/etc/passwd.json", "../up.json", "a/../../up.json", "a\\..\\up.json"])
def test_archive__name_outside_of_it__refused_and_others_read(tmp_path: Path, name: str) -> None:
    archive = _archive(tmp_path / "tests.tar.xz", [_member(name), _member("good.json")])
    files = list(fixture_files([archive]))
    assert _problems(files) == {f"tests.tar.xz:{name}": "its name points outside the archive"}
    assert [file.path for file in files if file.error is None] == ["tests.tar.xz:good.json"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_archive__member_that_is_no_file__refused(tmp_path: Path, kind: bytes) -> None:
    archive = _archive(tmp_path / "tests.tar.xz", [_member("a.json", b"", kind)])
    assert _problems(list(fixture_files([archive]))) == {"tests.tar.xz:a.json": "a link or device, not a file"}


def test_archive__member_above_the_limit__refused_and_others_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "FILE_SIZE_BYTES_MAX", 1_000)
    archive = _archive(tmp_path / "tests.tar.xz", [_member("big.json", b" " * 1_001), _member("good.json")])
    files = list(fixture_files([archive]))
    assert _problems(files) == {"tests.tar.xz:big.json": "larger than 1,000 bytes"}
    assert files[-1].content == b"{}"


def test_archive__unpacks_to_more_than_the_limit__stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A small archive of zeros: what it unpacks to counts, not its size on disk.
    archive = _archive(tmp_path / "bomb.tar.xz", [_member("notes.txt", bytes(10_000_000)), _member("a.json")])
    monkeypatch.setattr(subject, "ARCHIVE_SIZE_BYTES_MAX", 1_000_000)
    assert archive.stat().st_size < 10_000
    (file,) = fixture_files([archive])
    assert file.error is not None
    assert "unpacks to more bytes than allowed" in file.error.problem


def test_archive__too_many_members__stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "ARCHIVE_FILE_COUNT_MAX", 2)
    archive = _archive(tmp_path / "tests.tar.xz", [_member(f"{number}.json") for number in range(3)])
    files = list(fixture_files([archive]))
    assert [file.error is None for file in files] == [True, True, False]


@pytest.mark.parametrize("kept", [0, 20, 200])
def test_archive__cut_off__error_after_what_was_readable(tmp_path: Path, kept: int) -> None:
    archive = _archive(tmp_path / "tests.tar.xz", [_member("a.json", os.urandom(5_000))])
    archive.write_bytes(archive.read_bytes()[:kept])
    (file,) = fixture_files([archive])
    assert file.error is not None
    assert file.error.path == str(archive)


def test_archive__damaged__error(tmp_path: Path) -> None:
    archive = tmp_path / "tests.tar.xz"
    archive.write_bytes(b"this is not xz at all, whatever its name says")
    (file,) = fixture_files([archive])
    assert file.error is not None


def test_archive__of_several_xz_streams__read_to_the_end(tmp_path: Path) -> None:
    whole = lzma.decompress(
        _archive(tmp_path / "one.tar.xz", [_member("a.json", b"[1]"), _member("b.json")]).read_bytes()
    )
    archive = tmp_path / "two.tar.xz"
    archive.write_bytes(lzma.compress(whole[:700]) + lzma.compress(whole[700:]))
    assert [file.path for file in fixture_files([archive])] == ["two.tar.xz:a.json", "two.tar.xz:b.json"]


def test_file__packed__unpacked_when_read(tmp_path: Path) -> None:
    path = tmp_path / "test.json.xz"
    path.write_bytes(lzma.compress(b'{"a":1}'))
    (file,) = fixture_files([path])
    assert read_fixture(file) == b'{"a":1}'


def test_file__above_the_limit__refused_when_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "FILE_SIZE_BYTES_MAX", 1_000)
    plain, packed = tmp_path / "a.json", tmp_path / "b.json.xz"
    plain.write_bytes(b" " * 1_001)
    packed.write_bytes(lzma.compress(b" " * 1_000_000))
    for file in fixture_files([plain, packed]):
        with pytest.raises(FixtureError, match=r"larger than 1,000 bytes|unpacks to more"):
            read_fixture(file)


def test_path__missing_or_of_another_kind__refused(tmp_path: Path) -> None:
    other = tmp_path / "test.yaml"
    other.write_text("a: 1")
    with pytest.raises(FixtureError, match="no such file or folder"):
        list(fixture_files([tmp_path / "absent.json"]))
    with pytest.raises(FixtureError, match="not a folder"):
        list(fixture_files([other]))
