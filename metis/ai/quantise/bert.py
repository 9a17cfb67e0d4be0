"""Encoders of BERT's class from safetensors: BERT, RoBERTa, DistilBERT, with the pooling of sentence models."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from metis.ai.quantise.graph import Array, FloatGraph, FloatInput, FloatNode
from metis.types import InvalidModelFile, UnsupportedModel

__all__ = ["read_encoder"]

_CONFIG_BYTES_MAX: Final = 1 << 20
_LEAST: Final = float(np.finfo(np.float32).min)


@dataclasses.dataclass(frozen=True, slots=True)
class _Layout:
    """Where a kind of encoder keeps its weights; ``{}`` is the layer's number."""

    norm: str
    query: str
    key: str
    value: str
    attended: str
    attention_norm: str
    wide: str
    narrow: str
    layer_norm: str


_BERT: Final = _Layout(
    "embeddings.LayerNorm",
    "encoder.layer.{}.attention.self.query",
    "encoder.layer.{}.attention.self.key",
    "encoder.layer.{}.attention.self.value",
    "encoder.layer.{}.attention.output.dense",
    "encoder.layer.{}.attention.output.LayerNorm",
    "encoder.layer.{}.intermediate.dense",
    "encoder.layer.{}.output.dense",
    "encoder.layer.{}.output.LayerNorm",
)
_DISTILBERT: Final = _Layout(
    "embeddings.LayerNorm",
    "transformer.layer.{}.attention.q_lin",
    "transformer.layer.{}.attention.k_lin",
    "transformer.layer.{}.attention.v_lin",
    "transformer.layer.{}.attention.out_lin",
    "transformer.layer.{}.sa_layer_norm",
    "transformer.layer.{}.ffn.lin1",
    "transformer.layer.{}.ffn.lin2",
    "transformer.layer.{}.output_layer_norm",
)
_LAYOUTS: Final = {"bert": _BERT, "roberta": _BERT, "xlm-roberta": _BERT, "camembert": _BERT, "distilbert": _DISTILBERT}
_ACTIVATIONS: Final = {
    "gelu": ("Gelu", {}),
    "gelu_new": ("Gelu", {"approximate": "tanh"}),
    "gelu_pytorch_tanh": ("Gelu", {"approximate": "tanh"}),
    "relu": ("Relu", {}),
    "silu": ("Swish", {}),
}


def read_encoder(path: Path, sequence: int, *, pooling: str | None = None, normalise: bool | None = None) -> FloatGraph:
    """
    An encoder for one text of ``sequence`` tokens.

    Parameters
    ----------
    path : the safetensors file; ``config.json`` lies beside it, and for a sentence model its pooling's configuration.
    pooling : "mean" or "cls" gives one vector, "none" one for each token; None does what the files say.
    normalise : whether the vector gets the length 1; None does what the files say.

    Raises
    ------
    InvalidModelFile : a file cannot be read, or misses a weight.
    UnsupportedModel : the configuration asks for another kind of model.
    """
    config = _json(path.with_name("config.json"))
    found_pooling, found_normalise = _sentence_settings(path.parent)
    return _Encoder(_weights(path), config, sequence).graph(
        found_pooling if pooling is None else pooling,
        normalise=found_normalise if normalise is None else normalise,
    )


def _json(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            raw = file.read(_CONFIG_BYTES_MAX + 1)
        if len(raw) > _CONFIG_BYTES_MAX:
            raise InvalidModelFile(str(path), f"more than {_CONFIG_BYTES_MAX} bytes")
        return json.loads(raw)
    except OSError as error:
        raise InvalidModelFile(str(path), error.strerror or str(error)) from None
    except (ValueError, RecursionError) as error:
        raise InvalidModelFile(str(path), f"not JSON: {error}") from None


def _weights(path: Path) -> dict[str, Array]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            return {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 - it is no mapping
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise InvalidModelFile(str(path), f"not a safetensors file that numpy can read: {error}") from None


def _sentence_settings(folder: Path) -> tuple[str, bool]:
    """Pooling, and whether the vector is normalised, as sentence models say in files of their own."""
    pooling = "none"
    if (folder / "1_Pooling" / "config.json").is_file():
        settings = _json(folder / "1_Pooling" / "config.json")
        pooling = "cls" if settings.get("pooling_mode_cls_token") else "mean"
    modules = _json(folder / "modules.json") if (folder / "modules.json").is_file() else []
    return pooling, any(str(module.get("type", "")).endswith("Normalize") for module in modules)


class _Encoder:
    """One encoder being written down as nodes."""

    def __init__(self, weights: Mapping[str, Array], config: Mapping[str, Any], sequence: int) -> None:
        kind = str(config.get("model_type", ""))
        if kind not in _LAYOUTS:
            raise UnsupportedModel(kind or "model_type", "config.json", f"encoders of {sorted(_LAYOUTS)} are supported")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise UnsupportedModel("position_embedding_type", "config.json", "only absolute positions are supported")
        self._kind, self._layout, self._config = kind, _LAYOUTS[kind], config
        prefixes = ("", f"{kind}.", "bert.", "roberta.", "model.")
        self._prefix = next((p for p in prefixes if f"{p}embeddings.word_embeddings.weight" in weights), None)
        if self._prefix is None:
            raise InvalidModelFile("weights", "embeddings.word_embeddings.weight is missing")
        self._weights = weights
        self._sequence = sequence
        self._hidden = self._setting("hidden_size", "dim")
        self._heads = self._setting("num_attention_heads", "n_heads")
        self._layers = self._setting("num_hidden_layers", "n_layers")
        if self._hidden % self._heads or not 1 <= self._layers <= 128:
            raise InvalidModelFile("config.json", f"{self._hidden} wide, {self._heads} heads, {self._layers} layers")
        self._epsilon = float(config.get("layer_norm_eps", 1e-12))
        self._constants: dict[str, Array] = {}
        self._nodes: list[FloatNode] = []

    def _setting(self, *names: str) -> int:
        for name in names:
            value = self._config.get(name)
            if isinstance(value, int) and value > 0:
                return value
        raise InvalidModelFile("config.json", f"{names[0]} is missing")

    def _weight(self, name: str) -> str:
        full = f"{self._prefix}{name}"
        if full not in self._weights:
            # Older files name the two parts of a normalisation as TensorFlow does.
            full = full.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        if full not in self._weights:
            raise InvalidModelFile("weights", f"{full} is missing")
        self._constants[name] = self._weights[full].astype(np.float32)
        return name

    def _constant(self, name: str, value: Any) -> str:
        self._constants[name] = np.asarray(value)
        return name

    def _node(self, output: str, operator: str, *inputs: str, **attributes: Any) -> str:
        self._nodes.append(FloatNode(operator, inputs, (output,), attributes, output))
        return output

    def _linear(self, output: str, x: str, name: str) -> str:
        weight = self._weight(f"{name}.weight")
        self._constants[weight] = np.ascontiguousarray(self._constants[weight].T)
        return self._node(output, "MatMul", x, weight, self._weight(f"{name}.bias"))

    def _norm(self, output: str, x: str, name: str) -> str:
        parts = (self._weight(f"{name}.weight"), self._weight(f"{name}.bias"))
        return self._node(output, "LayerNormalization", x, *parts, axis=-1, epsilon=self._epsilon)

    def graph(self, pooling: str, *, normalise: bool) -> FloatGraph:
        """The whole encoder."""
        shape = (1, self._sequence)
        inputs = [FloatInput("input_ids", shape, "int64"), FloatInput("attention_mask", shape, "int64")]
        x = self._embeddings()
        hide = self._mask()
        for layer in range(self._layers):
            x = self._layer(layer, x, hide)
        output = self._pooled(x, pooling)
        if normalise and pooling != "none":
            output = self._node("sentence_embedding", "LpNormalization", output, axis=-1, p=2)
        return FloatGraph(inputs, self._constants, self._nodes, [output])

    def _embeddings(self) -> str:
        words = self._node("embeddings/words", "Gather", self._weight("embeddings.word_embeddings.weight"), "input_ids")
        positions = self._constants[self._weight("embeddings.position_embeddings.weight")]
        # RoBERTa counts positions after its padding token; texts are padded at the end, where nothing is looked at.
        first = (
            int(self._config.get("pad_token_id", 1)) + 1 if "roberta" in self._kind or self._kind == "camembert" else 0
        )
        if first + self._sequence > len(positions):
            raise InvalidModelFile(
                "sequence", f"{self._sequence} tokens; the model has {len(positions) - first} positions"
            )
        fixed = positions[first : first + self._sequence]
        if f"{self._prefix}embeddings.token_type_embeddings.weight" in self._weights:
            fixed = fixed + self._constants[self._weight("embeddings.token_type_embeddings.weight")][0]
        added = self._node("embeddings/sum", "Add", words, self._constant("embeddings/fixed", fixed[None]))
        return self._norm("embeddings", added, self._layout.norm)

    def _mask(self) -> str:
        axes = self._constant("mask/axes", np.asarray([1, 2], np.int64))
        wide = self._node("mask/wide", "Unsqueeze", "attention_mask", axes)
        real = self._node("mask/float", "Cast", wide, to=1)
        hidden = self._node("mask/hidden", "Sub", self._constant("mask/one", np.float32(1)), real)
        return self._node("mask", "Mul", hidden, self._constant("mask/least", np.float32(_LEAST)))

    def _layer(self, layer: int, x: str, hide: str) -> str:
        name, layout = f"layer{layer}", self._layout
        depth = self._hidden // self._heads
        split = self._constant("split", np.asarray([1, self._sequence, self._heads, depth], np.int64))
        turned = []
        orders = {"query": [0, 2, 1, 3], "key": [0, 2, 3, 1], "value": [0, 2, 1, 3]}
        for part, order in orders.items():
            y = self._linear(f"{name}/{part}", x, getattr(layout, part).format(layer))
            y = self._node(f"{name}/{part}/heads", "Reshape", y, split)
            turned.append(self._node(f"{name}/{part}/turned", "Transpose", y, perm=order))
        scores = self._node(f"{name}/products", "MatMul", turned[0], turned[1])
        scores = self._node(f"{name}/scores", "Mul", scores, self._constant("root", np.float32(depth**-0.5)))
        scores = self._node(f"{name}/masked", "Add", scores, hide)
        shares = self._node(f"{name}/shares", "Softmax", scores, axis=-1)
        context = self._node(f"{name}/context/heads", "MatMul", shares, turned[2])
        context = self._node(f"{name}/context/turned", "Transpose", context, perm=[0, 2, 1, 3])
        joined = self._constant("joined", np.asarray([1, self._sequence, self._hidden], np.int64))
        context = self._node(f"{name}/context", "Reshape", context, joined)
        y = self._linear(f"{name}/attended", context, layout.attended.format(layer))
        y = self._node(f"{name}/attended/sum", "Add", y, x)
        x = self._norm(f"{name}/attention", y, layout.attention_norm.format(layer))
        wide = self._linear(f"{name}/wide", x, layout.wide.format(layer))
        kind = str(self._config.get("hidden_act", self._config.get("activation", "gelu")))
        if kind not in _ACTIVATIONS:
            raise UnsupportedModel(kind, "config.json", f"hidden_act is one of {sorted(_ACTIVATIONS)}")
        operator, attributes = _ACTIVATIONS[kind]
        active = self._node(f"{name}/active", operator, wide, **attributes)
        y = self._linear(f"{name}/narrow", active, layout.narrow.format(layer))
        y = self._node(f"{name}/sum", "Add", y, x)
        return self._norm(name, y, layout.layer_norm.format(layer))

    def _pooled(self, x: str, pooling: str) -> str:
        if pooling == "none":
            return self._node("last_hidden_state", "Identity", x)
        if pooling == "cls":
            return self._node("first_token", "Gather", x, self._constant("first", np.asarray(0, np.int64)), axis=1)
        if pooling != "mean":
            raise UnsupportedModel("pooling", pooling, "mean, cls and none are supported")
        axis = self._constant("pooling/axis", np.asarray([-1], np.int64))
        real = self._node("pooling/real", "Cast", "attention_mask", to=1)
        kept = self._node("pooling/kept", "Mul", x, self._node("pooling/column", "Unsqueeze", real, axis))
        along = self._constant("pooling/along", np.asarray([1], np.int64))
        total = self._node("pooling/total", "ReduceSum", kept, along, keepdims=0)
        count = self._node("pooling/count", "ReduceSum", real, along, keepdims=1)
        least = self._constant("pooling/least", np.float32(1e-9))
        return self._node("pooled", "Div", total, self._node("pooling/divisor", "Clip", count, least))
