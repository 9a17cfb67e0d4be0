"""Arrays of many samples, cut into what single runs are given, and results put together again."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metis.types import InvalidModelFile

__all__ = ["Array", "Shape", "joined", "read_arrays", "samples_of", "shown", "write_arrays"]

Array = npt.NDArray[Any]
Shape = tuple[int | str | None, ...]

_FILE_BYTES_MAX: Final = 1 << 34


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, Array]:
    """
    Arrays by input: of a .npz by their names, of a .npy for the only input.

    A .npz with one array is also taken for a model with one input, whatever its name.

    Raises
    ------
    InvalidModelFile : the file cannot be read, holds objects or other names.
    """
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise InvalidModelFile(str(path), f"more than {_FILE_BYTES_MAX} bytes")
        loaded = np.load(path, allow_pickle=False, mmap_mode="r")
        arrays = dict(loaded.items()) if isinstance(loaded, np.lib.npyio.NpzFile) else {"": np.asarray(loaded)}
    except OSError as error:
        raise InvalidModelFile(str(path), error.strerror or str(error)) from None
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError, MemoryError) as error:
        raise InvalidModelFile(str(path), f"not a .npy or .npz file of numbers: {error}") from None
    if len(names) == 1 and len(arrays) == 1:
        arrays = {names[0]: next(iter(arrays.values()))}
    if "" in arrays:
        raise InvalidModelFile(str(path), f"the model has the inputs {list(names)}: give a .npz with an array for each")
    missing = [name for name in names if name not in arrays]
    if missing:
        raise InvalidModelFile(str(path), f"it has {sorted(arrays)}; {missing} are missing")
    for name in names:
        if arrays[name].dtype.kind not in "fiub" or not arrays[name].size:
            raise InvalidModelFile(str(path), f"{name!r} is {arrays[name].dtype} of shape {arrays[name].shape}")
    return {name: arrays[name] for name in names}


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write the first array as .npy, or where the name ends in .npz, all by name; raises ``InvalidModelFile``."""
    try:
        with path.open("wb") as file:
            if path.suffix == ".npz":
                np.savez(file, allow_pickle=False, **arrays)
            else:
                np.save(file, next(iter(arrays.values())))
    except OSError as error:
        raise InvalidModelFile(str(path), error.strerror or str(error)) from None


def shown(array: Array) -> str:
    """An array for people: its ends, if it is long."""
    return np.array2string(array, threshold=16, edgeitems=3, precision=5)


def samples_of(arrays: Mapping[str, Array], shapes: Mapping[str, Shape]) -> list[dict[str, Array]]:
    """
    What each run is given.

    The first dimension counts samples. Where a tensor has as many dimensions as its input, a run takes as many as the
    input's first dimension says, one if that is open; with one dimension more, one sample is one whole input.

    Parameters
    ----------
    shapes : of the inputs; what is not a number takes any size.

    Raises
    ------
    InvalidModelFile : sizes do not fit; the field is the input.
    """
    runs = {name: _runs(name, arrays[name], shape) for name, shape in shapes.items()}
    count = max(len(run) for run in runs.values())
    for name, run in runs.items():
        if len(run) not in (1, count):
            raise InvalidModelFile(f"samples of {name!r}", f"{len(run)}, and of other inputs {count}")
    return [{name: run[place if len(run) > 1 else 0] for name, run in runs.items()} for place in range(count)]


def _runs(name: str, array: Array, shape: Shape) -> list[Array]:
    rank = len(shape)
    if (array.ndim == rank - 1 and _fits(array.shape, shape[1:]) and shape[0] in (1, None)) or (
        array.ndim == rank - 1 and rank and isinstance(shape[0], str) and _fits(array.shape, shape[1:])
    ):
        return [np.asarray(array)[None]]
    if array.ndim == rank + 1:
        return [_fitted(name, np.asarray(part), shape) for part in array]
    first = shape[0] if rank and isinstance(shape[0], int) else 1
    if rank and len(array) % first:
        # The last run is filled with its last sample.
        array = np.concatenate([array, np.repeat(array[-1:], first - len(array) % first, axis=0)])
    step = max(1, first)
    return [_fitted(name, np.asarray(array[place : place + step]), shape) for place in range(0, len(array), step)]


def _fits(sizes: Sequence[int], shape: Shape) -> bool:
    return len(sizes) == len(shape) and all(
        not isinstance(wanted, int) or wanted == size for size, wanted in zip(sizes, shape, strict=True)
    )


def _fitted(name: str, part: Array, shape: Shape) -> Array:
    """One run's tensor; a token sequence that is too short is filled with zeros."""
    if _fits(part.shape, shape):
        return part
    fixed = all(isinstance(size, int) for size in shape)
    sizes = [size for size in shape if isinstance(size, int)]
    if fixed and part.size == int(np.prod(sizes, dtype=np.int64)):
        return part.reshape(sizes)
    shorter = part.ndim == len(shape) and part.dtype.kind in "iu" and part.ndim == 2
    if shorter and isinstance(shape[1], int) and part.shape[1] < shape[1]:
        return np.pad(part, ((0, 0), (0, shape[1] - part.shape[1])))
    wanted = ", ".join(str(size) if size is not None else "?" for size in shape)
    raise InvalidModelFile(f"samples of {name!r}", f"one has the shape {part.shape}; the input's is ({wanted})")


def joined(parts: Sequence[Array], runs_batch: int | None) -> Array:
    """
    Results of all runs in one array.

    Parameters
    ----------
    runs_batch : how many samples a run took along the first dimension; None where that dimension was not its own.
    """
    if runs_batch is not None and parts[0].ndim and parts[0].shape[0] == runs_batch:
        return np.concatenate(parts)
    return np.stack(parts)
