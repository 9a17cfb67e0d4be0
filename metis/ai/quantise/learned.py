"""Operators of ONNX's domain for classical learning, as scikit-learn's exporter writes them, in simpler ones."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from metis.ai.quantise.expand import Expansion, Rewriter

__all__ = ["LEARNED_EXPANSIONS"]


def _attribute(rewriter: Rewriter, name: str) -> Any:
    value = rewriter.node.attributes.get(name)
    if value is None:
        raise rewriter.node.unsupported(f"the attribute {name} is missing")
    return np.asarray(value, np.float32)


def _float(rewriter: Rewriter) -> str:
    return rewriter.add("Cast", rewriter.given(0), to=1)


def _scaler(rewriter: Rewriter) -> None:
    shifted = rewriter.add("Sub", _float(rewriter), rewriter.constant(_attribute(rewriter, "offset")))
    rewriter.named(0, rewriter.add("Mul", shifted, rewriter.constant(_attribute(rewriter, "scale"))))


def _normalizer(rewriter: Rewriter) -> None:
    kind = rewriter.node.attributes.get("norm", "MAX")
    axes = rewriter.constant(np.asarray([-1], np.int64))
    x = _float(rewriter)
    if kind == "L2":
        length = rewriter.add("ReduceL2", x, axes, keepdims=1)
    else:
        size = rewriter.add("Abs", x)
        length = rewriter.add("ReduceSum" if kind == "L1" else "ReduceMax", size, axes, keepdims=1)
    rewriter.named(0, rewriter.add("Div", x, length))


def _array_feature_extractor(rewriter: Rewriter) -> None:
    """Columns of a tensor; of a row of classes, the class of each index."""
    if rewriter.given(0) in rewriter.constants:
        classes = rewriter.constants[rewriter.given(0)].reshape(-1)
        if classes.dtype.kind in "OUS":
            raise rewriter.node.unsupported("labels that are texts are not supported; give the places of the classes")
        row = rewriter.add("Gather", rewriter.constant(classes), rewriter.given(1), axis=0)
        rewriter.named(0, rewriter.add("Reshape", row, rewriter.constant(np.asarray([1, -1], np.int64))))
        return
    places = rewriter.value(1, "the columns").reshape(-1).astype(np.int64)
    rewriter.named(0, rewriter.add("Gather", rewriter.given(0), rewriter.constant(places), axis=-1))


def _scores(rewriter: Rewriter, width: int) -> str:
    coefficients = _attribute(rewriter, "coefficients").reshape(width, -1)
    bias = np.asarray(rewriter.node.attributes.get("intercepts") or np.zeros(width), np.float32)
    weights = rewriter.constant(np.ascontiguousarray(coefficients.T))
    return rewriter.add("MatMul", _float(rewriter), weights, rewriter.constant(bias))


def _transformed(rewriter: Rewriter, x: str) -> str:
    kind = rewriter.node.attributes.get("post_transform", "NONE")
    if kind == "NONE":
        return x
    if kind in ("LOGISTIC", "SOFTMAX"):
        return rewriter.add("Sigmoid", x) if kind == "LOGISTIC" else rewriter.add("Softmax", x, axis=-1)
    raise rewriter.node.unsupported(f"the transformation {kind} is not supported")


def _linear_regressor(rewriter: Rewriter) -> None:
    width = int(rewriter.node.attributes.get("targets", 1))
    rewriter.named(0, _transformed(rewriter, _scores(rewriter, width)))


def _linear_classifier(rewriter: Rewriter) -> None:
    labels = rewriter.node.attributes.get("classlabels_ints")
    if not labels:
        raise rewriter.node.unsupported("labels that are texts are not supported; train with whole numbers as labels")
    width = len(np.asarray(rewriter.node.attributes["coefficients"])) // rewriter.shape(0)[-1]
    scores = _scores(rewriter, width)
    if width == 1:
        # Of two classes only the second has a score; the first's is its opposite.
        opposite = rewriter.add("Neg", scores)
        scores = rewriter.add("Concat", opposite, scores, axis=-1)
    best = rewriter.add("ArgMax", scores, axis=-1, keepdims=0)
    rewriter.named(0, rewriter.add("Gather", rewriter.constant(np.asarray(labels, np.int64)), best, axis=0))
    rewriter.named(1, _transformed(rewriter, scores))


LEARNED_EXPANSIONS: Final[dict[str, Expansion]] = {
    "ArrayFeatureExtractor": _array_feature_extractor,
    "LinearClassifier": _linear_classifier,
    "LinearRegressor": _linear_regressor,
    "Normalizer": _normalizer,
    "Scaler": _scaler,
    "ZipMap": lambda rewriter: rewriter.named(0, rewriter.given(0)),
}
