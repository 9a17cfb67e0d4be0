"""
Artifacts on disk, so that a restarted node need not compile again.

A file is named by everything that its content depends on: code, fork, compiler, ABI, LLVM, target. It begins
with a keyed hash (BLAKE2b) over that name and the artifact, under a secret that each installation draws for
itself, so a file that was damaged, cut short or put there by somebody else is not taken. Machine code is
never trusted for any other reason. No failure of the disk is an error of the node: it compiles again.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from metis.engine import machine_target
from metis.vm.compiler.abi import ABI_VERSION

__all__ = ["ArtifactCache", "compiler_fingerprint"]

MAC_BYTES: Final = 32
KEY_BYTES: Final = 32
KEY_FILE: Final = "secret.key"
SUFFIX: Final = ".mtvm"

_logger = logging.getLogger(__name__)


def compiler_fingerprint() -> bytes:
    """Hash of the compiler's sources and of LLVM's version: what an artifact depends on besides its code."""
    digest = hashlib.blake2b(digest_size=16)
    folder = Path(__file__).parent.parent / "compiler"
    for source in sorted(folder.rglob("*.py")):
        digest.update(source.read_bytes())
    try:
        llvm = version("llvmlite")
    except PackageNotFoundError:
        llvm = ""
    digest.update(f"{llvm} {ABI_VERSION} {machine_target()}".encode())
    return digest.digest()


class ArtifactCache:
    """
    Artifacts of one folder. Safe for several threads and processes: files are only ever replaced whole.

    Parameters
    ----------
    folder : made if it is missing; where it cannot be, nothing is kept.
    size_bytes_max : beyond it the files that were used longest ago go.
    """

    def __init__(self, folder: Path, size_bytes_max: int) -> None:
        self._folder = folder
        self._size_bytes_max = size_bytes_max
        self._fingerprint = compiler_fingerprint()
        self._key = self._open()

    def load(self, code_hash: bytes, fork: str) -> bytes | None:
        """Return the artifact of a code, None where there is none that can be trusted."""
        if self._key is None:
            return None
        path = self._path(code_hash, fork)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _logger.warning("compiled code cannot be read: %s", error)
            return None
        mac, artifact = content[:MAC_BYTES], content[MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(path.name, artifact)):
            _logger.warning("compiled code in %s is damaged or not ours; it is compiled again", path)
            self._remove(path)
            return None
        try:
            os.utime(path)
        except OSError as error:
            _logger.debug("time of use not kept: %s", error)
        return artifact

    def store(self, code_hash: bytes, fork: str, artifact: bytes) -> None:
        """Keep an artifact; a full or failing disk is a warning."""
        if self._key is None:
            return
        path = self._path(code_hash, fork)
        try:
            self._make_room(len(artifact) + MAC_BYTES)
            _write_whole(path, self._mac(path.name, artifact) + artifact)
        except OSError as error:
            _logger.warning("compiled code is not kept on disk: %s", error)

    def _open(self) -> bytes | None:
        path = self._folder / KEY_FILE
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            key = path.read_bytes() if path.exists() else b""
            if len(key) != KEY_BYTES:
                key = secrets.token_bytes(KEY_BYTES)
                _write_whole(path, key)
        except OSError as error:
            _logger.warning("no cache of compiled code in %s: %s", self._folder, error)
            return None
        return key

    def _path(self, code_hash: bytes, fork: str) -> Path:
        name = hashlib.blake2b(code_hash + self._fingerprint + fork.encode(), digest_size=24).hexdigest()
        return self._folder / f"{name}{SUFFIX}"

    def _mac(self, name: str, artifact: bytes) -> bytes:
        key = self._key or b""
        return hashlib.blake2b(name.encode() + b"\0" + artifact, key=key, digest_size=MAC_BYTES).digest()

    def _make_room(self, size_bytes: int) -> None:
        files = []
        for path in self._folder.glob(f"*{SUFFIX}"):
            try:
                facts = path.stat()
            except FileNotFoundError:
                continue  # another process made room
            files.append((facts.st_mtime, facts.st_size, path))
        total = sum(size for _, size, _ in files) + size_bytes
        for _, size, path in sorted(files):
            if total <= self._size_bytes_max:
                break
            self._remove(path)
            total -= size

    @staticmethod
    def _remove(path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            _logger.warning("%s cannot be removed: %s", path, error)


def _write_whole(path: Path, content: bytes) -> None:
    """Write a file that is either all there or not at all, readable for its owner alone."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
