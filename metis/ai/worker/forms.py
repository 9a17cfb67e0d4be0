"""What OpenAI's clients send and expect: which runs a body asks for, and the response that they become."""

from __future__ import annotations

import base64
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from metis.ai.runs import Tensor
from metis.ai.worker.models import Kind, Runs, ServedModel, Stop
from metis.ai.worker.requests import field
from metis.types import RequestRefused

__all__ = ["KIND_OF_PATH", "Plan", "error_object", "plan_of"]

KIND_OF_PATH: Final[dict[str, Kind]] = {
    "/v1/embeddings": "embeddings",
    "/v1/classifications": "classifications",
    "/v1/completions": "completions",
}

_TOKENS_DEFAULT: Final = 16

# Called with each piece of text that is written.
OnText = Callable[[str], None]


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """
    A body that was understood.

    Attributes
    ----------
    runs_max : how many runs it takes at most.
    execute : runs it: given the runs to add to, when to stop, whom to tell, and the task; returns the response.
    is_stream : whether the answer is sent piece by piece.
    """

    model: ServedModel
    runs_max: int
    execute: Callable[[Runs, Stop, OnText, str], dict[str, Any]]
    is_stream: bool = False


def plan_of(path: str, model: ServedModel, document: dict[str, Any]) -> Plan:
    """
    What a body asks a model for.

    Raises
    ------
    RequestRefused : the model is of another kind, or a field does not fit.
    """
    kind = KIND_OF_PATH[path]
    if model.kind != kind:
        raise RequestRefused("model", f"{model.name} is for {model.kind}, not for {kind}")
    makers = {"embeddings": _embeddings, "classifications": _classifications, "completions": _completions}
    return makers[kind](model, document)


def error_object(status: int, reason: str, message: str) -> dict[str, Any]:
    """An error in OpenAI's form."""
    kinds = {401: "authentication_error", 402: "insufficient_quota", 429: "rate_limit_error"}
    kind = kinds.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": reason}}


def _is_tokens(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(type(token) is int and token >= 0 for token in value)


def _texts(value: Any) -> list[str | list[int]]:
    """One text or many, or their tokens."""
    if isinstance(value, str) or _is_tokens(value):
        return [value]
    if isinstance(value, list) and value and all(isinstance(text, str) or _is_tokens(text) for text in value):
        return value
    raise RequestRefused("input", "it is neither a text, nor tokens, nor a list of one of them")


def _embeddings(model: ServedModel, document: dict[str, Any]) -> Plan:
    encoding = field(document, "encoding_format", lambda v: v in ("float", "base64"), '"float" or "base64"', "float")
    field(document, "dimensions", lambda _: False, "supported: a model's embeddings have one length")
    texts = [model.tokens_of(text) for text in _texts(document.get("input"))]
    given = [model.embedding_inputs(tokens) for tokens in texts]
    used = sum(map(len, texts))

    def execute(runs: Runs, stop: Stop, _: OnText, __: str) -> dict[str, Any]:
        data = []
        for index, found in enumerate(_each(model, runs, given, stop)):
            vector = np.asarray(next(iter(found.values())), np.float32).reshape(-1)
            value: Any = vector.tolist()
            if encoding == "base64":
                value = base64.b64encode(vector.astype("<f4").tobytes()).decode()
            data.append({"object": "embedding", "index": index, "embedding": value})
        usage = {"prompt_tokens": used, "total_tokens": used}
        return {"object": "list", "data": data, "model": model.name, "usage": usage}

    return Plan(model, len(given), execute)


def _classifications(model: ServedModel, document: dict[str, Any]) -> Plan:
    value = document.get("input")
    if not isinstance(value, list) or not value:
        raise RequestRefused("input", "it is no list of numbers, or of such lists")
    many = value if isinstance(value[0], list) else [value]
    given = [model.classification_inputs(numbers) for numbers in many]

    def execute(runs: Runs, stop: Stop, _: OnText, __: str) -> dict[str, Any]:
        data = []
        for index, found in enumerate(_each(model, runs, given, stop)):
            scores = np.asarray(next(iter(found.values()))).reshape(-1)
            label = int(np.argmax(scores))
            data.append({"object": "classification", "index": index, "label": label, "scores": scores.tolist()})
        usage = {"prompt_tokens": len(given), "total_tokens": len(given)}
        return {"object": "list", "data": data, "model": model.name, "usage": usage}

    return Plan(model, len(given), execute)


def _completions(model: ServedModel, document: dict[str, Any]) -> Plan:
    prompts = _texts(document.get("prompt"))
    field(document, "n", lambda v: v == 1, "1: a task writes one completion")
    if len(prompts) != 1:
        raise RequestRefused("prompt", "a task has one prompt")
    prompt = model.tokens_of(prompts[0])
    count = field(document, "max_tokens", lambda v: type(v) is int and v > 0, "a number above 0", _TOKENS_DEFAULT)
    if len(prompt) + count - 1 > model.context_length:
        problem = f"{len(prompt)} and {count} tokens; the model's context is {model.context_length}"
        raise RequestRefused("context_length_exceeded", problem)
    seed = field(document, "seed", lambda v: type(v) is int and 0 <= v < 1 << 62, "a number from 0 to 2^62 - 1", 0)
    is_stream = bool(field(document, "stream", lambda v: isinstance(v, bool), "true or false"))

    def execute(runs: Runs, stop: Stop, on_text: OnText, task: str) -> dict[str, Any]:
        tokens: list[int] = []
        told = ""

        def tell(token: int) -> None:
            nonlocal told
            tokens.append(token)
            text = model.text_of(tokens)
            on_text(text[len(told) :])
            told = text

        model.write(runs, prompt, count, seed, stop, tell)
        reason = "length" if len(tokens) == count else "cancelled"
        usage = {"prompt_tokens": len(prompt), "completion_tokens": len(tokens)}
        usage["total_tokens"] = sum(usage.values())
        choice = {"index": 0, "text": model.text_of(tokens), "logprobs": None, "finish_reason": reason}
        return {**completion_head(model.name, task), "choices": [choice], "usage": usage}

    return Plan(model, len(prompt) + count - 1, execute, is_stream)


def completion_head(model: str, task: str) -> dict[str, Any]:
    """What every piece of a completion begins with."""
    return {"id": f"cmpl-{task[2:34]}", "object": "text_completion", "created": int(time.time()), "model": model}


def _each(model: ServedModel, runs: Runs, given: Sequence[dict[str, Tensor]], stop: Stop) -> list[dict[str, Any]]:
    found = []
    for inputs in given:
        if stop():
            break
        found.append(model.run(runs, inputs))
    return found
