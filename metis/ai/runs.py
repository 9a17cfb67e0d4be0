"""What a run is given and gives, the same for every evaluator."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from metis.ai.graph.types import Declaration, DType
from metis.engine import keccak256
from metis.types import Hash32, InvalidInput

__all__ = ["Run", "Tensor", "taken"]

Tensor = npt.NDArray[np.generic]

_OUTPUTS: Final = b"metis/ai/outputs/v1\x00"


@dataclasses.dataclass(frozen=True, slots=True)
class Run:
    """What a run gave: the outputs and the states for the next run, by name, each of its tensor's type."""

    outputs: Mapping[str, Tensor]
    states: Mapping[str, Tensor]

    @property
    def output_hash(self) -> Hash32:
        """The hash of names, types, shapes and elements of the outputs, in the graph's order; docs/ai-graph.md."""
        raw = bytearray(_OUTPUTS)
        for name, value in self.outputs.items():
            dtype = DType(value.dtype.itemsize.bit_length())
            raw += bytes([len(name)]) + name.encode("ascii") + bytes([dtype, value.ndim])
            for size in value.shape:
                raw += size.to_bytes(4, "little")
            raw += value.astype(value.dtype.newbyteorder("<"), copy=False).tobytes()
        return keccak256(bytes(raw))


def taken(
    what: str, declared: tuple[Declaration, ...], given: Mapping[str, npt.ArrayLike]
) -> list[npt.NDArray[np.int64]]:
    """
    The values of declared tensors, in order.

    Raises
    ------
    InvalidInput : one is missing, unknown, or not what is declared.
    """
    unknown = set(given) - {tensor.name for tensor in declared}
    if unknown:
        raise InvalidInput(min(unknown), f"the model's {what} are {[tensor.name for tensor in declared]}")
    values = []
    for tensor in declared:
        if tensor.name not in given:
            raise InvalidInput(tensor.name, "it is missing")
        try:
            array = np.asarray(given[tensor.name])
        except (ValueError, TypeError) as error:
            raise InvalidInput(tensor.name, f"it is no array: {error}") from None
        if array.dtype.kind != "i" or array.shape != tensor.shape:
            problem = f"{array.dtype} {array.shape} is not {tensor.dtype.name.lower()} {tensor.shape}"
            raise InvalidInput(tensor.name, problem)
        value = array.astype(np.int64)
        if value.min() < tensor.lo or value.max() > tensor.hi:
            problem = f"it has {value.min()} to {value.max()}, declared are {tensor.lo} to {tensor.hi}"
            raise InvalidInput(tensor.name, problem)
        values.append(value)
    return values
