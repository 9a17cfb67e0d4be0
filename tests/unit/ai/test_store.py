"""A store gives back the model that was put, or says which object is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from metis.ai import GraphBuilder, ModelFile, ModelStore
from metis.ai.graph import CHUNK_BYTES, DType
from metis.engine import keccak256
from metis.types import Hash32, InvalidModelFile, ModelStoreError, ModelUnavailable

TOKENIZER = b'{"version": "1.0"}'


def _file(rows: int = 2 * CHUNK_BYTES // 64 + 5, tokenizer: bytes | None = TOKENIZER) -> ModelFile:
    """A model with a little more than two chunks of weights."""
    builder = GraphBuilder()
    place = builder.input("place", DType.INT32, (4,), 0, rows - 1)
    table = np.random.default_rng(7).integers(-128, 128, (rows, 64), np.int8)
    builder.output("rows", builder.node("gather", builder.constant(DType.INT8, table), place))
    model = builder.model(None if tokenizer is None else keccak256(tokenizer))
    return ModelFile.of(model, tokenizer=tokenizer)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "store")


def _objects(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "store" / "objects").rglob("*") if path.is_file())


@pytest.mark.parametrize("tokenizer", [TOKENIZER, None])
def test_fetch__of_what_was_put__is_the_same_model(store: ModelStore, tmp_path: Path, tokenizer: bytes | None) -> None:
    file = _file(tokenizer=tokenizer)

    model_id = store.put(file)
    told: list[tuple[int, int]] = []
    fetched = store.fetch(model_id, tmp_path / "fetched.model", lambda there, total: told.append((there, total)))

    assert model_id == file.model.id == fetched.model.id
    assert fetched.model.weights.raw == file.model.weights.raw
    assert (fetched.tokenizer, fetched.description) == (tokenizer, file.description)
    assert store.ids() == (model_id,)
    assert told[-1] == (file.weights_length, file.weights_length)


def test_fetch__store_in_memory__is_the_same_model(tmp_path: Path) -> None:
    store, file = ModelStore("memory://models-of-a-test"), _file()

    assert store.fetch(store.put(file), tmp_path / "fetched.model").model.id == file.model.id


def test_put__twice__writes_nothing_new(store: ModelStore, tmp_path: Path) -> None:
    store.put(_file())
    before = {path: path.stat().st_mtime_ns for path in _objects(tmp_path)}

    store.put(_file())

    assert {path: path.stat().st_mtime_ns for path in _objects(tmp_path)} == before


def test_fetch__model_that_is_not_there__says_so(store: ModelStore, tmp_path: Path) -> None:
    assert store.ids() == ()
    with pytest.raises(ModelUnavailable) as missing:
        store.fetch(Hash32(bytes(32)), tmp_path / "fetched.model")
    assert missing.value.model_id == bytes(32)


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove", "extend"])
def test_fetch__any_object_harmed__is_refused_and_leaves_no_file(store: ModelStore, tmp_path: Path, harm: str) -> None:
    model_id = store.put(_file())
    assert len(_objects(tmp_path)) == 5  # graph, tokenizer, three chunks

    for path in _objects(tmp_path):
        content = path.read_bytes()
        if harm == "remove":
            path.unlink()
        else:
            bad = {"flip": bytes([content[0] ^ 1]) + content[1:], "truncate": content[:-1], "extend": content + b"\0"}
            path.write_bytes(bad[harm])
        with pytest.raises(InvalidModelFile) as refused:
            store.fetch(model_id, tmp_path / "fetched.model")
        assert path.name in str(refused.value)
        assert not (tmp_path / "fetched.model").exists()
        path.write_bytes(content)

    assert store.fetch(model_id, tmp_path / "fetched.model").model.id == model_id


@pytest.mark.parametrize("harm", ["other", "leaves", "text", "length", "description"])
def test_fetch__manifest_harmed__is_refused(store: ModelStore, tmp_path: Path, harm: str) -> None:
    model_id, other_id = store.put(_file()), store.put(_file(tokenizer=None))
    path = tmp_path / "store" / "models" / f"{model_id.hex()}.json"
    document = json.loads(path.read_bytes())
    if harm == "other":
        document = json.loads((path.parent / f"{other_id.hex()}.json").read_bytes())
    elif harm == "leaves":
        document["leaves"].pop()
    elif harm == "length":
        document["weights_length"] = 10**30
    elif harm == "description":
        document["description"]["inputs"] = []
    path.write_bytes(b"[[[" if harm == "text" else json.dumps(document).encode())

    with pytest.raises(InvalidModelFile):
        store.fetch(model_id, tmp_path / "fetched.model")


def test_store__protocol_that_nobody_knows__is_refused() -> None:
    with pytest.raises(ModelStoreError, match="carrier-pigeon"):
        ModelStore("carrier-pigeon://models")


def test_put__folder_that_cannot_be_made__is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(ModelStoreError):
        ModelStore(tmp_path / "file" / "store").put(_file())
