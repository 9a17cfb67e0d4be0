"""
MetisSDK: networks composed of parts by name.

In: part names and chain constants, or a preset file. Out: a :class:`Network`, its genesis document,
and a :class:`Chain` that builds and checks blocks in this process.
Invariant: the presets use nothing but what is public here; a copy of one is a network of your own.
Cost: opening a network builds the genesis state; after that, parts are out of the way.
Source: DESIGN §4.1, §4.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metis.lazy_names import lazy_names

if TYPE_CHECKING:
    from metis.sdk.chain import Chain
    from metis.sdk.chain_constants import BlobLimits, ChainConstants, InferenceConstants
    from metis.sdk.explanation import Explanation, Obstacle, explain, function_name
    from metis.sdk.inference import INFERENCE, MODEL_REGISTRY, VECTORS
    from metis.sdk.network import Network, preset_names
    from metis.sdk.parts import (
        CollectedFees,
        EthereumFees,
        Interpreter,
        MemoryStateStore,
        MetisDbStateStore,
        MetisVm,
        ParallelExecutor,
        SequentialExecutor,
    )
    from metis.sdk.registry import available_parts
    from metis.sdk.replay import RecordedBlock, Replay, load_recorded_block, replay_block

__all__ = [
    "INFERENCE",
    "MODEL_REGISTRY",
    "VECTORS",
    "BlobLimits",
    "Chain",
    "ChainConstants",
    "CollectedFees",
    "EthereumFees",
    "Explanation",
    "InferenceConstants",
    "Interpreter",
    "MemoryStateStore",
    "MetisDbStateStore",
    "MetisVm",
    "Network",
    "Obstacle",
    "ParallelExecutor",
    "RecordedBlock",
    "Replay",
    "SequentialExecutor",
    "available_parts",
    "explain",
    "function_name",
    "load_recorded_block",
    "preset_names",
    "replay_block",
]

__getattr__ = lazy_names(
    __name__,
    {
        "chain": ("Chain",),
        "chain_constants": ("BlobLimits", "ChainConstants", "InferenceConstants"),
        "explanation": ("Explanation", "Obstacle", "explain", "function_name"),
        "inference": ("INFERENCE", "MODEL_REGISTRY", "VECTORS"),
        "network": ("Network", "preset_names"),
        "parts": (
            "CollectedFees",
            "EthereumFees",
            "Interpreter",
            "MemoryStateStore",
            "MetisDbStateStore",
            "MetisVm",
            "ParallelExecutor",
            "SequentialExecutor",
        ),
        "registry": ("available_parts",),
        "replay": ("RecordedBlock", "Replay", "load_recorded_block", "replay_block"),
    },
)
