"""Models in the exporters' spelling, imported and quantised: onnxruntime says what they should give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from metis.ai import ReferenceEvaluator, Session, load, save
from metis.ai.quantise.source import Quantised, quantise_file
from tests.ai_models.spelling import Array
from tests.ai_models.zoo import ZOO, Inputs

CALIBRATED, ASKED = 32, 16
# By activations of 8 bits; models of recurrent layers and small ones use 16 anyway.
LEAST_COSINE = {"cnn_torch": 0.999, "mlp_wide": 0.999, "vision_transformer": 0.999}


def quantised(name: str, folder: Path) -> tuple[Quantised, Path, Inputs]:
    model, inputs = ZOO[name]()
    source, samples = folder / f"{name}.onnx", folder / f"{name}.npz"
    onnx.save(model, source)
    np.savez(samples, allow_pickle=False, **inputs(CALIBRATED))
    return quantise_file(source, samples), source, inputs


def float_results(source: Path, given: dict[str, Array]) -> dict[str, Array]:
    session = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"])
    count = len(next(iter(given.values())))
    runs = [session.run(None, {name: value[i : i + 1] for name, value in given.items()}) for i in range(count)]
    names = [output.name for output in session.get_outputs()]
    return {name: np.concatenate([run[place] for run in runs]) for place, name in enumerate(names)}


@pytest.mark.parametrize("name", ZOO)
def test_quantised_model__on_samples_it_was_not_calibrated_with__is_near_onnxruntime(name: str, tmp_path: Path) -> None:
    done, source, inputs = quantised(name, tmp_path)
    unseen = {key: value[CALIBRATED:] for key, value in inputs(CALIBRATED + ASKED).items()}
    given, expected = Session(done.file).run(unseen).outputs, float_results(source, unseen)
    assert list(given) == list(expected)
    for output, value in expected.items():
        assert given[output].shape == value.shape
        if value.dtype.kind == "f":
            flat, wanted = given[output].reshape(-1).astype(np.float64), value.reshape(-1).astype(np.float64)
            cosine = flat @ wanted / np.linalg.norm(flat) / np.linalg.norm(wanted)
            assert cosine >= LEAST_COSINE.get(name, 0.9995)
        else:
            assert (given[output] == value).mean() >= 0.9


@pytest.mark.parametrize("name", ["cnn_torch", "gru", "encoder_torch", "decoder"])
def test_quantised_model__saved_and_loaded__gives_the_reference_evaluators_hash(name: str, tmp_path: Path) -> None:
    done, _, inputs = quantised(name, tmp_path)
    saved = save(done.file, tmp_path / "model")
    session = Session(load(tmp_path / "model"))
    given = {
        described.name: session.integers(described.source, inputs(1)[described.source])
        for described in saved.description.inputs
    }
    assert session.run(inputs(1)).hash == ReferenceEvaluator(saved.model).run(given).output_hash
    assert saved.model.id == done.file.model.id


@pytest.mark.parametrize("name", ["mobile_block", "encoder_torch"])
def test_quantised_model__made_twice__has_the_same_id(name: str, tmp_path: Path) -> None:
    assert quantised(name, tmp_path)[0].file.model.id == quantised(name, tmp_path)[0].file.model.id


def test_report__of_a_quantised_model__is_what_the_two_models_give(tmp_path: Path) -> None:
    done, source, inputs = quantised("mlp_torch", tmp_path)
    given, expected = Session(done.file).run(inputs(CALIBRATED)).outputs, float_results(source, inputs(CALIBRATED))
    (output,) = expected
    (accuracy,) = done.accuracy.outputs
    assert accuracy.max_error == pytest.approx(np.abs(given[output] - expected[output]).max(), abs=1e-5)
    agree = (given[output].argmax(axis=1) == expected[output].argmax(axis=1)).mean()
    assert accuracy.top1_agreement == pytest.approx(agree)


def test_layer_norm_and_gelu__in_primitives__become_one_node_each(tmp_path: Path) -> None:
    done, _, _ = quantised("encoder_torch", tmp_path)
    operators = [node.operator for node in done.file.graph.nodes]
    # Five of the model, and the normalisation of its vector; one table for each GELU.
    assert operators.count("layer_norm") == 6
    assert operators.count("lookup") == 2
