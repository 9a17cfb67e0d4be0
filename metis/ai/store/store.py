"""Models as objects under their hashes, in a folder, a bucket, or behind a gateway."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import fsspec

from metis.ai.file import ModelFile, load, save_chunks
from metis.ai.graph import decode_graph, graph_hash
from metis.ai.graph.limits import GRAPH_BYTES_MAX
from metis.ai.graph.weights import CHUNK_BYTES, leaf_hash
from metis.ai.store.https import HttpsFiles
from metis.ai.store.manifest import MANIFEST_BYTES_MAX, Manifest
from metis.engine import keccak256
from metis.types import Hash32, InvalidModelFile, ModelStoreError, ModelUnavailable

__all__ = ["ModelStore"]

_TOKENIZER_BYTES_MAX: Final = 1 << 26
# Objects that are asked for at once.
_BATCH: Final = 64


class ModelStore:
    """
    A place for models.

    Layout: ``models/<id>.json`` is a model's manifest; ``objects/<first byte>/<hash>`` are graphs, chunks of weights
    and tokenizers under the hashes that the id is made of. Several processes may write to one store: an object has one
    content, and a manifest comes last.

    Parameters
    ----------
    url : a folder, ``https://…``, or anything fsspec knows: ``s3://bucket/models``, ``ipfs://…``. What a protocol needs
        (s3fs, ipfsspec) must be installed.
    is_trusted : whether the operator named it. Otherwise ``https`` leads to public addresses only.

    Raises
    ------
    ModelStoreError : there is no such protocol here.
    """

    def __init__(self, url: str | os.PathLike[str], *, is_trusted: bool = True) -> None:
        self.url = os.fspath(url)
        try:
            if self.url.startswith("https://"):
                self._files: Any = HttpsFiles(is_public_only=not is_trusted)
                self._root = self.url.rstrip("/")
            else:
                self._files, self._root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise ModelStoreError(self.url, str(error)) from None

    def put(self, file: ModelFile) -> Hash32:
        """
        Keep a model, and give its id.

        Raises
        ------
        ModelStoreError : it cannot be written, or the file's weights cannot be read.
        """
        manifest = Manifest.of(file)
        model_id = manifest.model_id
        objects = {manifest.graph: file.graph_bytes}
        if manifest.tokenizer is not None and file.tokenizer is not None:
            objects[manifest.tokenizer] = file.tokenizer
        chunks = zip(manifest.leaves, file.model.weights.chunks, strict=True)
        for name, content in (*objects.items(), *chunks):
            self._write(self._object(name), content)
        self._write(self._manifest(model_id), manifest.encode())
        return model_id

    def ids(self) -> tuple[Hash32, ...]:
        """The models that are here, sorted; raises :class:`metis.types.ModelStoreError`."""
        try:
            found = self._files.ls(f"{self._root}/models", detail=False, refresh=True)
        except FileNotFoundError:
            return ()
        except Exception as error:
            raise ModelStoreError(self.url, str(error)) from error
        names = (path.rsplit("/", 1)[-1] for path in found)
        stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return tuple(sorted(Hash32(bytes.fromhex(stem)) for stem in stems if _is_id(stem)))

    def fetch(
        self,
        model_id: Hash32,
        path: str | os.PathLike[str],
        progress: Callable[[int, int], None] | None = None,
        *,
        weights_bytes_max: int = 1 << 36,
    ) -> ModelFile:
        """
        Put a model's file together: whole and checked, or not at all.

        Parameters
        ----------
        path : of the file to write. progress : told how many bytes of weights are there, and how many there will be.
        weights_bytes_max : a model with more is refused before its weights are asked for.

        Raises
        ------
        ModelUnavailable : it is not in this store.
        InvalidModelFile : an object is not what its name says; the field names it.
        ModelStoreError : the store cannot be read, or the file cannot be written.
        """
        raw = self._read(self._manifest(model_id), MANIFEST_BYTES_MAX)
        if raw is None:
            raise ModelUnavailable(model_id)
        manifest = Manifest.decode(raw, model_id)
        if manifest.weights_length > weights_bytes_max:
            problem = f"{manifest.weights_length} bytes; at most {weights_bytes_max} are taken from {self.url}"
            raise InvalidModelFile("weights", problem)
        graph_bytes = self._checked("graph", manifest.graph, GRAPH_BYTES_MAX, graph_hash)
        tokenizer = None
        if manifest.tokenizer is not None:
            tokenizer = self._checked("tokenizer", manifest.tokenizer, _TOKENIZER_BYTES_MAX, keccak256)
        chunks = self._chunks(manifest, progress)
        graph, length = decode_graph(graph_bytes), manifest.weights_length
        file = ModelFile(graph, graph_bytes, manifest.description, tokenizer, None, 0, length)
        save_chunks(file, chunks, path)
        return load(path)

    def _chunks(self, manifest: Manifest, progress: Callable[[int, int], None] | None) -> Iterator[bytes]:
        there = 0
        for begin in range(0, len(manifest.leaves), _BATCH):
            leaves = manifest.leaves[begin : begin + _BATCH]
            for index, (leaf, chunk) in enumerate(zip(leaves, self._read_many(leaves), strict=True), begin):
                if chunk is None or len(chunk) != manifest.chunk_length(index) or leaf_hash(chunk) != leaf:
                    state = "missing" if chunk is None else "not what its name says"
                    raise InvalidModelFile(f"chunks[{index}]", f"object {leaf.hex()} in {self.url} is {state}")
                there += len(chunk)
                if progress:
                    progress(there, manifest.weights_length)
                yield chunk

    def _checked(self, field: str, name: Hash32, most: int, hashed: Callable[[bytes], Hash32]) -> bytes:
        content = self._read(self._object(name), most)
        if content is None or hashed(content) != name:
            state = "missing" if content is None else "not what its name says"
            raise InvalidModelFile(field, f"object {name.hex()} in {self.url} is {state}")
        return content

    def _object(self, name: bytes) -> str:
        return f"{self._root}/objects/{name[:1].hex()}/{name.hex()}"

    def _manifest(self, model_id: bytes) -> str:
        return f"{self._root}/models/{model_id.hex()}.json"

    def _read(self, path: str, most: int) -> bytes | None:
        """A file's content, None where there is none; one byte more than ``most`` at most."""
        try:
            content: bytes = self._files.cat_file(path, start=0, end=most + 1)
        except FileNotFoundError:
            return None
        except Exception as error:
            raise ModelStoreError(self.url, f"{path}: {error}") from error
        return content

    def _read_many(self, names: tuple[Hash32, ...]) -> list[bytes | None]:
        paths = [self._object(name) for name in names]
        try:
            asked = list(dict.fromkeys(paths))
            # One byte more than a chunk: enough to see that an object is too long.
            ends = [CHUNK_BYTES + 1] * len(asked)
            parts = self._files.cat_ranges(asked, [0] * len(asked), ends, on_error="return")
        except Exception as error:
            raise ModelStoreError(self.url, str(error)) from error
        found: dict[str, Any] = dict(zip(asked, parts, strict=True))
        for path, content in found.items():
            if isinstance(content, Exception) and not isinstance(content, FileNotFoundError):
                raise ModelStoreError(self.url, f"{path}: {content}") from content
        return [content if isinstance(content := found.get(path), bytes) else None for path in paths]

    def _write(self, path: str, content: bytes) -> None:
        try:
            if self._files.exists(path) and self._files.size(path) == len(content):
                return
            self._files.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            if "file" in self._files.protocol:
                _write_locally(Path(path), content)
            else:
                # Object stores show an object whole or not at all.
                self._files.pipe_file(path, content)
        except Exception as error:
            raise ModelStoreError(self.url, f"{path}: {error}") from error


def _write_locally(path: Path, content: bytes) -> None:
    """Whole or not at all, and on the disk when it is there."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    Path(out.name).replace(path)


def _is_id(text: str) -> bool:
    return len(text) == 64 and all(character in "0123456789abcdef" for character in text)
