"""A worker in this process, and payers who ask it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from examples.decoder.make import quantised, with_letters
from examples.decoder.network import CONTEXT, trained
from metis.ai import GraphBuilder
from metis.ai.file import ModelFile
from metis.ai.graph.types import DType
from metis.ai.worker import Desk, ServedModel, WorkerSettings, application
from metis.client import AsyncClient
from metis.types import Wei
from tests.unit.ai.receipt_samples import DOMAIN, PAYER_KEY, WORKER_KEY, model_file

__all__ = ["asking", "desk", "embedder", "settings", "writer"]


def embedder(tokens: int = 6) -> ModelFile:
    """Token numbers and their mask in, four numbers out."""
    builder = GraphBuilder()
    ids = builder.input("input_ids", DType.INT16, (1, tokens), 0, 99)
    mask = builder.input("attention_mask", DType.INT8, (1, tokens), 0, 1)
    masked = builder.node("multiply", ids, mask, dtype=DType.INT32)
    small = builder.node("clip", masked, lo=0, hi=127, dtype=DType.INT8)
    table = builder.constant(DType.INT8, np.arange(4 * tokens).reshape(tokens, 4) - 10)
    builder.output("vector", builder.node("matmul", small, table, transpose_b=0, accumulator=DType.INT32))
    return ModelFile.of(builder.model())


LETTERS = "abcdefghijkl"


@functools.cache
def writer() -> ModelFile:
    """A decoder that has learnt nothing, over twelve letters."""
    numbers = np.arange(6 * CONTEXT) % len(LETTERS)
    return with_letters(quantised(trained(numbers, len(LETTERS), 1), numbers), LETTERS)


def settings(folder: Path, **changes: Any) -> WorkerSettings:
    return dataclasses.replace(WorkerSettings(DOMAIN, folder, Wei(7), hold_s=0.2, batch_interval_s=3600), **changes)


def desk(folder: Path, **changes: Any) -> Desk:
    """A worker with a classifier, an embedder, and nothing else."""
    models = [ServedModel("numbers", model_file()), ServedModel("words", embedder())]
    return Desk(settings(folder, **changes), models, WORKER_KEY)


@contextlib.asynccontextmanager
async def asking(of: Desk, key: bytes = PAYER_KEY) -> AsyncIterator[AsyncClient]:
    """A client of a worker in this process."""
    transport = httpx.ASGITransport(application(of))
    client = AsyncClient("http://worker", key, transport=transport)
    try:
        async with client:
            yield client
    finally:
        of.close()
