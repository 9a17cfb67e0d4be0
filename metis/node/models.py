"""
The models that contracts on a node's chain can call: found, checked and given to the engine.

In: the registry's logs, stores of models, and :class:`metis.types.ModelUnavailable` from an engine call, which had no
effect. Out: models in the engine before calls of them are executed, or an error that names the one that is nowhere.
Invariant: nothing is executed without a model that the chain says is active; what is given to the engine hashes to the
id. Cost: numpy and the rest of :mod:`metis.ai` are imported when the first model is loaded, not before.
Source: docs/inference.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from metis.engine import ModelSet, Node
from metis.node.model_sources import ModelSource, is_allowed, registered_uri
from metis.node.user_folders import user_cache, user_data
from metis.types import Hash32, LimitExceeded, MetisError, ModelUnavailable

if TYPE_CHECKING:
    from metis.node.config import ModelsConfig
    from metis.node.heads import Heads

__all__ = ["ModelService", "default_store"]

log = logging.getLogger("metis.node.models")

T = TypeVar("T")

ACTIVATION_SCHEDULED: Final = bytes.fromhex("88a694ab3714ed2c71eed40719ee3358c118688e072ff43b40b51a458426d9a3")
"""``ActivationScheduled(bytes32,uint256,uint256)``"""
RETRY_INTERVAL_S: Final = 2.0
MODELS_PER_CALL_MAX: Final = 64
SCAN_BLOCK_COUNT: Final = 100_000
SCAN_LOG_COUNT_MAX: Final = 10_000


def default_store() -> str:
    """The folder of models of this user: ``METIS_MODELS``, or one in the user's data folder."""
    return os.environ.get("METIS_MODELS") or str(user_data("models"))


class ModelService:
    """
    Loads models for one node.

    Parameters
    ----------
    settings : where models are looked for, and where they are put together.
    genesis : of the chain; one without inference needs no models, and then nothing is done.
    """

    def __init__(self, settings: ModelsConfig, genesis: Mapping[str, Any]) -> None:
        self.models = ModelSet()
        steps = genesis.get("config", {}).get("metis", {}).get("inference", [])
        self._registries = sorted({bytes.fromhex(step["registry"].removeprefix("0x")) for step in steps})
        self._stores = tuple(settings.stores) or (default_store(),)
        self._folder = Path(settings.path or user_cache("models"))
        self._schemes = frozenset(settings.uri_schemes)
        self._model_bytes_max = settings.model_bytes_max
        self._node: Node | None = None
        self._lock = threading.Lock()
        self._locks: dict[Hash32, threading.Lock] = {}
        self._wanted: set[Hash32] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_needed(self) -> bool:
        """Whether the chain has inference."""
        return bool(self._registries)

    def ask(self, work: Callable[[], T]) -> T:
        """
        Run what asks the engine, again each time a model was missing and has been loaded.

        Raises
        ------
        ModelUnavailable : a model is in none of the stores; nothing was executed.
        """
        for _ in range(MODELS_PER_CALL_MAX):
            try:
                return work()
            except ModelUnavailable as missing:
                self._wanted.add(Hash32(missing.model_id))
                self.load(Hash32(missing.model_id))
        raise LimitExceeded(
            "models", MODELS_PER_CALL_MAX, f"one block calls more than {MODELS_PER_CALL_MAX} new models"
        )

    def around(self, handler: Callable[..., T]) -> Callable[..., T]:
        """A handler that is asked as :meth:`ask` does; on a thread that may wait."""

        @functools.wraps(handler)
        def asked(*arguments: Any) -> T:
            return self.ask(lambda: handler(*arguments))

        return asked

    def load(self, model_id: Hash32) -> None:
        """
        Give a model to the engine, from this node's folder, else from the first store that has it, else from where the
        registry says that it is.

        Raises
        ------
        ModelUnavailable : nobody has it, or nobody who can be read; the log says what each one answered.
        """
        with self._lock:
            lock = self._locks.setdefault(model_id, threading.Lock())
        # Another model is not waited for: whoever has it may answer slowly.
        with lock:
            if model_id in self.models.ids():
                return
            try:
                from metis.node.model_files import opened_model
            except ImportError as error:
                log.error("a model is needed; install metis-stack[ai]: %s", error)
                raise ModelUnavailable(model_id) from error
            path = self._folder / f"{model_id.hex()}.model"
            self.models.add(model_id, opened_model(model_id, path, self._sources(model_id)))
            self._wanted.discard(model_id)
            log.info("model loaded", extra={"model": f"0x{model_id.hex()}"})

    def _sources(self, model_id: Hash32) -> Iterator[ModelSource]:
        """Where to look, nearest first."""
        for store in self._stores:
            yield ModelSource(store)
        if self._node is None:
            return
        for registry in self._registries:
            uri = registered_uri(self._node, registry, model_id)
            if not uri:
                continue
            if is_allowed(uri, self._schemes):
                yield ModelSource(uri, is_trusted=False, model_bytes_max=self._model_bytes_max)
            else:
                log.warning("models are not fetched from where the registry says: %s", uri, extra={"models": "uri"})

    def start(self, node: Node, heads: Heads) -> None:
        """Follow the registry, on the running event loop."""
        self._node = node
        if self._registries:
            self._task = asyncio.create_task(self._follow(node, heads))

    async def stop(self) -> None:
        """End with what is being loaded."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self, node: Node, heads: Heads) -> None:
        scanned, removed_count = -1, heads.removed_count
        while True:
            if heads.removed_count != removed_count or node.head_number < scanned:
                # Blocks were replaced: which ones does not matter, the logs of models are few.
                scanned, removed_count = -1, heads.removed_count
            head = node.head_number
            is_behind = False
            try:
                if head > scanned:
                    self._wanted |= await asyncio.to_thread(self._scheduled, node, scanned + 1, head)
                    scanned = head
                await asyncio.to_thread(self._load_wanted)
            except MetisError:
                # A block that calls a model will say it again; until then it is looked for at the next block.
                log.exception("the registry of models could not be followed")
                is_behind = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_INTERVAL_S if self._wanted or is_behind else None):
                    await heads.next_change()

    def _scheduled(self, node: Node, first: int, last: int) -> set[Hash32]:
        """Models whose activation was decided in a range of blocks, but those that are here."""
        found: set[Hash32] = set()
        for begin in range(first, last + 1, SCAN_BLOCK_COUNT):
            end = min(last, begin + SCAN_BLOCK_COUNT - 1)
            raw = node.logs_json(begin, end, self._registries, [[ACTIVATION_SCHEDULED]], SCAN_LOG_COUNT_MAX)
            found |= {Hash32(bytes.fromhex(entry["topics"][1][2:])) for entry in orjson.loads(raw)}
        return found - {Hash32(model_id) for model_id in self.models.ids()}

    def _load_wanted(self) -> None:
        for model_id in sorted(self._wanted):
            # The log has it; a block that calls the model will say it again.
            with contextlib.suppress(MetisError, OSError):
                self.load(model_id)
