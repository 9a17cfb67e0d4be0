"""
Train on handwritten digits, quantise, and compare, in five folds over all 1,797 images.

    .venv/bin/python -m examples.digits.make --out digits.metis

Needs scikit-learn, which has the images.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from sklearn.datasets import load_digits

from examples.digits.network import Array, exported, scores, trained
from metis.ai import ModelFile, Session, save
from metis.ai.quantise.source import quantise_file

FOLDS = 5
_CALIBRATED = 128


def digits() -> tuple[Array, Array]:
    """The images, (1797, 1, 8, 8) from 0 to 1, and what they show, in an order that mixes the writers."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    return (images[order].reshape(-1, 1, 8, 8) / 16).astype(np.float32), labels[order]


def quantised(weights: dict[str, Array], images: Array) -> ModelFile:
    """The integer model, its scales from some of the images."""
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(exported(weights), Path(folder) / "digits.onnx")
        np.save(Path(folder) / "images.npy", images[:_CALIBRATED])
        return quantise_file(Path(folder) / "digits.onnx", Path(folder) / "images.npy").file


def cross_validated() -> list[tuple[float, float]]:
    """Of each fold the share of right answers, of the float and of the integer model, on images it never saw."""
    images, labels = digits()
    results = []
    for fold in range(FOLDS):
        tested = np.arange(len(images)) % FOLDS == fold
        weights = trained(images[~tested], labels[~tested], seed=fold)
        model = Session(quantised(weights, images[~tested]))
        answers = model.run({"image": images[tested]}).outputs["scores"].argmax(axis=1)
        float_answers = scores(weights, images[tested]).argmax(axis=1)
        results.append((float((float_answers == labels[tested]).mean()), float((answers == labels[tested]).mean())))
    return results


def main() -> None:
    """Print the folds' results and write a model that was trained on all images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("digits.metis"))
    given = parser.parse_args()
    results = cross_validated()
    for fold, (exact, integer) in enumerate(results):
        sys.stderr.write(f"fold {fold + 1}: float {exact:.2%}, integer {integer:.2%}\n")
    means = np.asarray(results).mean(axis=0)
    sys.stderr.write(f"mean:   float {means[0]:.2%}, integer {means[1]:.2%}\n")
    images, labels = digits()
    save(quantised(trained(images, labels), images), given.out)


if __name__ == "__main__":
    main()
