"""ONNX files and data that nobody should send: each gives a typed error that names the place, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from metis.ai.quantise.onnx_file import read_onnx
from metis.ai.quantise.source import quantise_file
from metis.types import InvalidModelFile, MetisError, UnsupportedModel
from tests.ai_models.spelling import Writer

SAMPLES = np.random.default_rng(2).normal(0, 1, (4, 8)).astype(np.float32)


def refused(model: onnx.ModelProto | bytes, folder: Path, samples: np.ndarray = SAMPLES) -> MetisError:
    source, data = folder / "model.onnx", folder / "samples.npy"
    source.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    np.save(data, samples)
    with pytest.raises((InvalidModelFile, UnsupportedModel)) as caught:
        quantise_file(source, data)
    return caught.value


def writer() -> tuple[Writer, str]:
    w = Writer()
    return w, w.input("x", ["batch", 8])


def test_operator__that_is_not_supported__is_named_with_its_node(tmp_path: Path) -> None:
    w, x = writer()
    y = w.node("Relu", x)
    z = w.node("NonZero", w.node("Det", y))
    error = refused(w.model(z), tmp_path)
    assert isinstance(error, UnsupportedModel)
    assert (error.operator, error.node) == ("Det", "/Det_1")


def test_operator__of_an_unknown_domain__is_named(tmp_path: Path) -> None:
    w, x = writer()
    y = w.node("Fancy", x, domain="example.com")
    error = refused(w.model(y, extra=(helper.make_opsetid("example.com", 1),)), tmp_path)
    assert isinstance(error, UnsupportedModel)
    assert error.operator == "example.com.Fancy"


def test_nodes__in_a_circle__are_refused(tmp_path: Path) -> None:
    w, _ = writer()
    w.nodes += [helper.make_node("Add", ["x", "b"], ["a"], "first"), helper.make_node("Relu", ["a"], ["b"], "second")]
    assert "own result" in str(refused(w.model("b"), tmp_path))


def test_node__that_reads_what_nothing_gives__is_refused(tmp_path: Path) -> None:
    w, _ = writer()
    w.nodes.append(helper.make_node("Relu", ["absent"], ["y"], "n"))
    assert "'absent'" in str(refused(w.model("y"), tmp_path))


@pytest.mark.parametrize(
    "make",
    [
        lambda w, x: w.node("Expand", x, w.i(1 << 20, 1 << 20, 8)),
        lambda w, x: w.node("Add", x, w.node("ConstantOfShape", w.i(1 << 40, 8))),
        lambda w, x: w.node("Tile", x, w.i(1 << 30, 1 << 30)),
        lambda w, x: w.node("Add", x, w.node("Range", w.f(0), w.f(1e18), w.f(1))),
        lambda w, x: w.node("Pad", x, w.i(0, 1 << 40, 0, 1 << 40)),
        lambda w, x: w.node("Reshape", x, w.i(3, -1)),
        lambda w, x: w.node("MatMul", x, w.normal(9, 4)),
        lambda w, x: w.node("Concat", x, x),
        lambda w, x: w.node("Gather", x, w.i(99), axis=1),
    ],
)
def test_sizes__that_are_huge_or_do_not_fit__are_refused_at_the_node(
    tmp_path: Path, make: Callable[[Writer, str], str]
) -> None:
    w, x = writer()
    assert isinstance(refused(w.model(make(w, x)), tmp_path), UnsupportedModel)


def test_weight__with_less_data_than_its_shape__is_refused(tmp_path: Path) -> None:
    w, x = writer()
    weight = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 30, 1 << 30], raw_data=b"1234")
    w.weights.append(weight)
    assert "'w'" in str(refused(w.model(w.node("MatMul", x, "w")), tmp_path))


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "absent", "link", ""])
def test_weights__outside_the_models_folder__are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(128))
    (folder / "link").symlink_to(tmp_path / "secret")
    w, x = writer()
    weight = numpy_helper.from_array(np.zeros((8, 4), np.float32), "w")
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=location)
    w.weights.append(weight)
    error = refused(w.model(w.node("MatMul", x, "w")), folder)
    assert isinstance(error, InvalidModelFile)
    assert "'w'" in error.field


def test_weights__in_a_file_of_the_models_folder__are_read(tmp_path: Path) -> None:
    w, x = writer()
    y = w.node("MatMul", x, w.normal(8, 4))
    model, kept = w.model(y), numpy_helper.from_array(numpy_helper.to_array(w.weights[0]))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert (tmp_path / "m.data").stat().st_size >= 8 * 4 * 4
    (weights,) = read_onnx(tmp_path / "m.onnx").constants.values()
    assert weights.tolist() == numpy_helper.to_array(kept).tolist()


@pytest.mark.parametrize(
    "raw", [b"", b"\x08", b"not a model", b"\xff" * 4096, b"\x3a\xff\xff\xff\xff\x0f", b"PK\x03\x04"]
)
def test_bytes__that_are_no_model__are_refused(tmp_path: Path, raw: bytes) -> None:
    assert isinstance(refused(raw, tmp_path), InvalidModelFile)


def test_model__with_bytes_changed_at_random__is_read_or_refused_by_type(tmp_path: Path) -> None:
    w, x = writer()
    raw = w.model(w.node("Softmax", w.node("Gemm", x, w.normal(8, 4), w.normal(4)), axis=-1)).SerializeToString()
    random = np.random.default_rng(8)
    np.save(tmp_path / "samples.npy", SAMPLES)
    for _ in range(200):
        changed = bytearray(raw)
        for _ in range(int(random.integers(1, 4))):
            changed[random.integers(len(raw))] = random.integers(256)
        (tmp_path / "m.onnx").write_bytes(changed)
        try:
            quantise_file(tmp_path / "m.onnx", tmp_path / "samples.npy")
        except MetisError:
            continue


@pytest.mark.parametrize("samples", [np.zeros((4, 9)), np.zeros((0, 8)), np.asarray([["a"] * 8])])
def test_samples__that_do_not_fit__are_refused(tmp_path: Path, samples: np.ndarray) -> None:
    w, x = writer()
    assert isinstance(refused(w.model(w.node("Relu", x)), tmp_path, samples), InvalidModelFile)


def test_samples__that_are_pickled__are_not_unpickled(tmp_path: Path) -> None:
    w, x = writer()
    (tmp_path / "m.onnx").write_bytes(w.model(w.node("Relu", x)).SerializeToString())
    np.save(tmp_path / "s.npy", np.asarray([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InvalidModelFile):
        quantise_file(tmp_path / "m.onnx", tmp_path / "s.npy")
