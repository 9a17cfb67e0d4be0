"""The file of a model: written whole, read back the same, refused when a byte is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from metis.ai import GraphBuilder, ModelFile, Session, load, save
from metis.ai.graph import DType
from metis.types import InvalidInput, InvalidModelFile, MetisError

HEADER_BYTES = 64


def made() -> ModelFile:
    builder = GraphBuilder()
    x = builder.input("x", DType.INT8, (1, 2), -100, 100)
    weights = builder.constant(DType.INT8, [[3, -4]])
    builder.output("y", builder.node("matmul", x, weights, transpose_b=1, accumulator=DType.INT32))
    return ModelFile.of(builder.model())


def test_model__saved_and_loaded__is_the_same(tmp_path: Path) -> None:
    written = save(made(), tmp_path / "model.metis")
    read = load(tmp_path / "model.metis")
    assert read.model == written.model == made().model
    assert read.description == made().description
    assert read.weights_offset % 64 == 0
    raw = (tmp_path / "model.metis").read_bytes()
    assert raw[read.weights_offset :] == read.model.weights.raw
    assert [path.name for path in tmp_path.iterdir()] == ["model.metis"]


def test_model__saved_again__has_the_same_bytes(tmp_path: Path) -> None:
    save(made(), tmp_path / "a")
    save(load(tmp_path / "a"), tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_file__with_any_byte_before_the_weights_changed__is_refused_or_another_model(tmp_path: Path) -> None:
    save(made(), tmp_path / "good")
    raw = (tmp_path / "good").read_bytes()
    offset = load(tmp_path / "good").weights_offset
    for place in range(offset):
        changed = bytearray(raw)
        changed[place] ^= 0x80
        (tmp_path / "bad").write_bytes(changed)
        try:
            found = load(tmp_path / "bad")
        except MetisError:
            continue
        described = found.description != made().description
        assert described or found.model.id != made().model.id, place


@pytest.mark.parametrize("length", [0, 7, 63, 64, 200, -1])
def test_file__cut_short__is_refused(tmp_path: Path, length: int) -> None:
    save(made(), tmp_path / "good")
    raw = (tmp_path / "good").read_bytes()
    (tmp_path / "bad").write_bytes(raw[:length])
    with pytest.raises(InvalidModelFile):
        load(tmp_path / "bad")


def test_file__with_bytes_after_its_end__is_refused(tmp_path: Path) -> None:
    save(made(), tmp_path / "good")
    (tmp_path / "bad").write_bytes((tmp_path / "good").read_bytes() + b"\0")
    with pytest.raises(InvalidModelFile) as caught:
        load(tmp_path / "bad")
    assert caught.value.field == "weights"


def test_file__whose_lengths_are_beyond_the_limits__is_refused_before_anything_is_read(tmp_path: Path) -> None:
    save(made(), tmp_path / "good")
    raw = bytearray((tmp_path / "good").read_bytes())
    raw[16:24] = (1 << 40).to_bytes(8, "little")
    (tmp_path / "bad").write_bytes(raw)
    with pytest.raises(InvalidModelFile) as caught:
        load(tmp_path / "bad")
    assert caught.value.field == "graph"


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["inputs"][0].update(scale=0.0),
        lambda document: document["inputs"][0].update(kind="text"),
        lambda document: document["inputs"][0].update(shape=[1, 3]),
        lambda document: document["outputs"][0].update(name="z"),
        lambda document: document.update(source=1),
        lambda document: document.update(extra=1),
        lambda document: document.pop("inputs"),
    ],
)
def test_description__that_does_not_fit_the_graph__is_refused(tmp_path: Path, change: object) -> None:
    save(made(), tmp_path / "good")
    raw = (tmp_path / "good").read_bytes()
    graph, description = made().graph_bytes, made().description.encode()
    document = json.loads(description)
    assert callable(change)
    change(document)
    other = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    def padded(part: bytes) -> bytes:
        return part + bytes(-len(part) % 64)

    header = raw[:24] + len(other).to_bytes(8, "little") + raw[32:HEADER_BYTES]
    (tmp_path / "bad").write_bytes(header + padded(graph) + padded(other) + made().model.weights.raw)
    with pytest.raises(InvalidModelFile) as caught:
        load(tmp_path / "bad")
    assert caught.value.field == "description"


def test_file__into_a_folder_that_is_not_there__leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidModelFile):
        save(made(), tmp_path / "absent" / "model")
    assert not list(tmp_path.iterdir())


def test_session__given_several_samples__hashes_each_and_all(tmp_path: Path) -> None:
    session = Session(save(made(), tmp_path / "model"))
    both = session.run({"x": np.asarray([[5, 6], [1, 1]])})
    assert both.outputs["y"].tolist() == [[-9], [-1]]
    assert both.hashes == tuple(session.run({"x": np.asarray([row])}).hash for row in ([5, 6], [1, 1]))
    assert both.hash not in both.hashes


def test_session__given_a_number_out_of_range__refuses_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        Session(save(made(), tmp_path / "model")).run({"x": np.asarray([[101, 0]])})
