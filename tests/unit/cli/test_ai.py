"""``metis ai``: quantise, run, info, as a user calls them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.ai_models.zoo import ZOO
from tests.unit.cli.running import Ended, run_here


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("mlp_torch", "encoder_torch", "conv1d"):
        model, inputs = ZOO[name]()
        onnx.save(model, tmp_path / f"{name}.onnx")
        arrays = inputs(12)
        if len(arrays) == 1:
            np.save(tmp_path / f"{name}.npy", next(iter(arrays.values())))
        np.savez(tmp_path / f"{name}.npz", allow_pickle=False, **arrays)
    return tmp_path


def quantised(capsys: pytest.CaptureFixture[str], folder: Path, name: str, data: str, *options: str) -> Ended:
    source, out = str(folder / f"{name}.onnx"), str(folder / f"{name}.metis")
    return run_here(capsys, "ai", "quantise", source, "--calibration", str(folder / data), "--out", out, *options)


def test_quantise__with_json__reports_accuracy_and_cost(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    report = quantised(capsys, folder, "mlp_torch", "mlp_torch.npy", "--json").object
    assert report["file_bytes"] == (folder / "mlp_torch.metis").stat().st_size
    assert report["macs"] > 20 * 64 + 64 * 5
    # docs/inference.md: the base, the work, the bytes moved, and a word of output.
    assert report["gas"] == 12_000 + -(-report["macs"] // 500) + -(-report["moved_bytes"] // 40) + 12
    assert report["accuracy"]["cosine_min"] > 0.999
    assert report["accuracy"]["top1_agreement"] == 1.0


def test_quantise_and_run__without_json__print_the_model_for_people(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    said = quantised(capsys, folder, "mlp_torch", "mlp_torch.npy")
    assert said.exit_code == 0
    assert "top-1 agreement" in said.out
    ran = run_here(capsys, "ai", "run", str(folder / "mlp_torch.metis"), "--input", str(folder / "mlp_torch.npy"))
    assert ran.exit_code == 0
    assert "output hash" in ran.out


def test_run__of_many_samples__writes_what_the_float_model_gives(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    quantised(capsys, folder, "mlp_torch", "mlp_torch.npy", "--json")
    model, data, out = (str(folder / f"mlp_torch.{end}") for end in ("metis", "npy", "out.npy"))
    report = run_here(capsys, "ai", "run", model, "--input", data, "--out", out, "--json").object
    given = np.load(out)
    assert given.shape == (12, 5)
    assert given.dtype == np.float32
    assert np.abs(given.sum(axis=1) - 1).max() < 0.01
    assert report["samples"] == len(report["output_hashes"]) == 12
    again = run_here(capsys, "ai", "run", model, "--input", str(folder / "mlp_torch.npz"), "--json").object
    assert again["output_hash"] == report["output_hash"]


def test_run__of_a_model_with_several_tensors__takes_and_writes_them_by_name(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    made = quantised(capsys, folder, "encoder_torch", "encoder_torch.npz", "--json").object
    model, data, out = str(folder / "encoder_torch.metis"), str(folder / "encoder_torch.npz"), str(folder / "y.npz")
    report = run_here(capsys, "ai", "run", model, "--input", data, "--out", out, "--json").object
    with np.load(out) as arrays:
        assert {name: arrays[name].shape for name in arrays.files} == {
            output["name"]: tuple(output["shape"]) for output in report["outputs"]
        }
    assert report["model_id"] == made["model_id"]


def test_info__of_a_model__names_what_quantise_named(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    made = quantised(capsys, folder, "encoder_torch", "encoder_torch.npz", "--json").object
    shown = run_here(capsys, "ai", "info", str(folder / "encoder_torch.metis"), "--json").object
    assert {name: made[name] for name in shown if name != "file"} == {n: v for n, v in shown.items() if n != "file"}
    assert made["model_id"] in run_here(capsys, "ai", "info", str(folder / "encoder_torch.metis")).out


def test_quantise__with_a_size_for_an_open_dimension__uses_it(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    report = quantised(capsys, folder, "conv1d", "conv1d.npy", "--dim", "batch=3", "--json").object
    assert report["inputs"][0]["shape"] == [3, 2, 40]
    model, data = str(folder / "conv1d.metis"), str(folder / "conv1d.npy")
    assert run_here(capsys, "ai", "run", model, "--input", data, "--json").object["outputs"][0]["shape"] == [12, 12]


@pytest.mark.parametrize(
    ("arguments", "slug"),
    [
        (("mlp_torch.npy", "--dim", "batch"), "usage"),
        (("mlp_torch.npy", "--activations", "int4"), "usage"),
        (("absent.npy",), "invalid-model-file"),
        (("mlp_torch.onnx",), "invalid-model-file"),
        (("encoder_torch.npz",), "invalid-model-file"),
    ],
)
def test_quantise__that_cannot_be_done__says_why(
    capsys: pytest.CaptureFixture[str], folder: Path, arguments: tuple[str, ...], slug: str
) -> None:
    ended = quantised(capsys, folder, "mlp_torch", *arguments, "--json")
    assert ended.exit_code == 2
    assert ended.object["error"]["slug"] == slug
    assert not (folder / "mlp_torch.metis").exists()


def test_quantise__with_an_operator_that_is_not_supported__names_it(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    model, _ = ZOO["mlp_torch"]()
    model.graph.node[1].op_type = "Det"
    onnx.save(model, folder / "mlp_torch.onnx")
    error = quantised(capsys, folder, "mlp_torch", "mlp_torch.npy", "--json").object["error"]
    assert (error["slug"], error["operator"], error["node"]) == ("unsupported-model", "Det", "/Relu_1")
