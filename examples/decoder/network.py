"""
A transformer decoder over bytes of text, and its training, in plain numpy.

Two layers of causal attention and a wide ReLU layer each, with root-mean-square norms before them; learned positions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["CONTEXT", "HEADS", "LAYERS", "WIDTH", "Array", "Weights", "losses", "trained"]

Array = npt.NDArray[Any]
Weights = Mapping[str, Array]

CONTEXT, WIDTH, HEADS, LAYERS, WIDE = 48, 64, 4, 2, 192
_BATCH, _RATE = 24, 4e-3
_EPSILON = 1e-5


def _norm(x: Array) -> tuple[Array, Array]:
    inverse = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + _EPSILON)
    return x * inverse, inverse


def _norm_back(gradient: Array, normed: Array, inverse: Array) -> Array:
    return np.asarray(inverse * (gradient - normed * (gradient * normed).mean(axis=-1, keepdims=True)))


def _heads(x: Array) -> Array:
    return x.reshape(*x.shape[:2], HEADS, -1).transpose(0, 2, 1, 3)


def _joined(x: Array) -> Array:
    return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)


def _forward(weights: Weights, tokens: Array) -> tuple[Array, list[Array], list[tuple[Array, ...]]]:
    """Scores of the next byte; what the gradients need."""
    x = weights["words"][tokens] + weights["places"][: tokens.shape[1]]
    hidden = np.triu(np.full((tokens.shape[1],) * 2, -1e9, np.float32), 1)
    kept: list[tuple[Array, ...]] = []
    for layer in range(LAYERS):
        a, a_inverse = _norm(x)
        q, k, v = (_heads(a @ weights[f"{name}{layer}"]) for name in "qkv")
        scores = q @ k.swapaxes(-1, -2) * (WIDTH // HEADS) ** -0.5 + hidden
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        context = _joined(shares @ v)
        x = x + context @ weights[f"o{layer}"]
        b, b_inverse = _norm(x)
        wide = np.maximum(b @ weights[f"up{layer}"], 0)
        x = x + wide @ weights[f"down{layer}"]
        kept.append((a, a_inverse, q, k, v, np.asarray(shares), context, b, b_inverse, np.asarray(wide)))
    last, inverse = _norm(x)
    return last @ weights["out"], [last, inverse], kept


def losses(weights: Weights, tokens: Array) -> Array:
    """Natural logarithms of one over the probability of each byte after the first."""
    scores = _forward(weights, tokens[:, :-1])[0]
    scores = scores - scores.max(axis=-1, keepdims=True)
    total = np.log(np.exp(scores).sum(axis=-1))
    return np.asarray(total - np.take_along_axis(scores, tokens[:, 1:, None], axis=-1)[..., 0])


def _product(x: Array, y: Array) -> Array:
    return np.asarray(x.reshape(-1, x.shape[-1]).T @ y.reshape(-1, y.shape[-1]))


def _gradients(weights: Weights, tokens: Array) -> dict[str, Array]:
    given, wanted = tokens[:, :-1], tokens[:, 1:]
    scores, (last, inverse), kept = _forward(weights, given)
    error = np.exp(scores - scores.max(axis=-1, keepdims=True))
    error /= error.sum(axis=-1, keepdims=True)
    np.put_along_axis(error, wanted[..., None], np.take_along_axis(error, wanted[..., None], -1) - 1, -1)
    error /= wanted.size
    found: dict[str, Array] = {"out": _product(last, error)}
    dx = _norm_back(error @ weights["out"].T, last, inverse)
    for layer in reversed(range(LAYERS)):
        a, a_inverse, q, k, v, shares, context, b, b_inverse, wide = kept[layer]
        found[f"down{layer}"] = _product(wide, dx)
        dwide = (dx @ weights[f"down{layer}"].T) * (wide > 0)
        found[f"up{layer}"] = _product(b, dwide)
        dx = dx + _norm_back(dwide @ weights[f"up{layer}"].T, b, b_inverse)
        found[f"o{layer}"] = _product(context, dx)
        dcontext = _heads(dx @ weights[f"o{layer}"].T)
        dshares = dcontext @ v.swapaxes(-1, -2)
        dscores = shares * (dshares - (dshares * shares).sum(axis=-1, keepdims=True)) * (WIDTH // HEADS) ** -0.5
        da = np.zeros_like(a)
        parts = {"q": dscores @ k, "k": dscores.swapaxes(-1, -2) @ q, "v": shares.swapaxes(-1, -2) @ dcontext}
        for name, gradient in parts.items():
            flat = _joined(gradient)
            found[f"{name}{layer}"] = _product(a, flat)
            da = da + flat @ weights[f"{name}{layer}"].T
        dx = dx + _norm_back(da, a, a_inverse)
    found["places"] = np.zeros_like(weights["places"])
    found["places"][: dx.shape[1]] = dx.sum(axis=0)
    found["words"] = np.zeros_like(weights["words"])
    np.add.at(found["words"], given, dx)
    return found


def trained(text: Array, letters: int, steps: int, seed: int = 0) -> dict[str, Array]:
    """
    Weights after some steps of Adam.

    Parameters
    ----------
    text : numbers of letters, each below ``letters``.
    """
    random = np.random.default_rng(seed)
    shapes = {"words": (letters, WIDTH), "places": (CONTEXT, WIDTH), "out": (WIDTH, letters)}
    for layer in range(LAYERS):
        shapes.update({f"{name}{layer}": (WIDTH, WIDTH) for name in "qkvo"})
        shapes.update({f"up{layer}": (WIDTH, WIDE), f"down{layer}": (WIDE, WIDTH)})
    weights: dict[str, Array] = {}
    for name, shape in shapes.items():
        spread = 0.3 if name in ("words", "places") else shape[0] ** -0.5
        weights[name] = random.normal(0, spread, shape).astype(np.float32)
    mean = {name: np.zeros_like(value) for name, value in weights.items()}
    square = {name: np.zeros_like(value) for name, value in weights.items()}
    for step in range(1, steps + 1):
        rate = _RATE * min(1.0, step / 50) * (1 - step / (steps + 1))
        begins = random.integers(0, len(text) - CONTEXT - 1, _BATCH)
        tokens = text[begins[:, None] + np.arange(CONTEXT + 1)]
        for name, gradient in _gradients(weights, tokens).items():
            mean[name] = 0.9 * mean[name] + 0.1 * gradient
            square[name] = 0.99 * square[name] + 0.01 * gradient * gradient
            change = mean[name] / (1 - 0.9**step) / (np.sqrt(square[name] / (1 - 0.99**step)) + 1e-8)
            weights[name] = (weights[name] - rate * change).astype(np.float32)
    return weights
