"""
Train a small language model, quantise it, compare perplexities, and let it write.

    .venv/bin/python -m examples.decoder.make --out decoder.metis

The text is Python's own language reference, which every CPython has.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from examples.decoder.graph import step_graph
from examples.decoder.network import CONTEXT, Array, Weights, losses, trained
from metis.ai import Model, ModelFile, Session, save
from metis.ai.quantise import quantise_graph
from metis.ai.sentences import sentences
from metis.engine import keccak256

_STEPS = 600
_COMPARED = 20
_SEED_MOST = (1 << 62) - 1


def text() -> tuple[Array, str]:
    """The text as numbers of letters, and the letters."""
    joined = "\n".join(sentences(1500)).lower()
    letters = "".join(sorted(set(joined)))
    return np.asarray([letters.index(letter) for letter in joined], np.int64), letters


def runs(tokens: Array) -> list[dict[str, Array]]:
    """What a model with states is given for rows of letters: one letter a run; a row begins at place 0."""
    given = []
    for row in tokens:
        for place, token in enumerate(row):
            sample = {"token": np.asarray([token]), "place": np.asarray([place]), "seed": np.asarray([_SEED_MOST])}
            given.append({"": np.empty(0), **sample} if place == 0 else sample)
    return given


def quantised(weights: Weights, numbers: Array) -> ModelFile:
    """The integer model, its scales from the first rows of the text."""
    rows = numbers[: 4 * CONTEXT].reshape(4, CONTEXT)
    return quantise_graph(step_graph(weights), runs(rows), source="examples/decoder")


def with_letters(file: ModelFile, letters: str) -> ModelFile:
    """The model with a tokenizer in its file: each letter is a token, so that it reads and writes text."""
    vocabulary = {letter: number for number, letter in enumerate(letters)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=""))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    raw = tokenizer.to_str().encode()
    model = Model(file.graph, file.model.weights, keccak256(raw))
    return ModelFile.of(model, file.description, raw)


def perplexities(weights: Weights, file: ModelFile, rows: Array) -> tuple[float, float]:
    """Of the float and of the integer model, on rows of CONTEXT + 1 letters."""
    session = Session(file)
    found = []
    for row in rows:
        # A row begins at place 0, and from there no place behind the newest is looked at.
        given = [{name: value for name, value in run.items() if name} for run in runs(row[None, :-1])]
        scores = np.concatenate([step["scores"] for step in session.run_each(given)]).astype(np.float64)
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        found.append(-np.log(shares[np.arange(len(row) - 1), row[1:]]))
    return float(np.exp(losses(weights, rows).mean())), float(np.exp(np.mean(found)))


def written(file: ModelFile, letters: str, seed: int, length: int = CONTEXT) -> str:
    """A text that the model writes after a line's end: the same for a seed on every machine."""
    session, out, states = Session(file), "", None
    token = letters.index("\n")
    for place in range(min(length, CONTEXT)):
        given = {"token": token, "place": place, "seed": seed + place}
        results, states = session.step({name: np.asarray([value]) for name, value in given.items()}, states)
        token = int(results["next"].reshape(-1)[0])
        out += letters[token]
    return out


def main() -> None:
    """Train, quantise, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=_STEPS, help="of training")
    parser.add_argument("--out", type=Path, default=Path("decoder.metis"))
    given = parser.parse_args()
    numbers, letters = text()
    kept = numbers[: -_COMPARED * (CONTEXT + 1)]
    weights = trained(kept, len(letters), given.steps)
    file = save(with_letters(quantised(weights, kept), letters), given.out)
    rows = numbers[len(kept) :].reshape(_COMPARED, CONTEXT + 1)
    exact, integer = perplexities(weights, file, rows)
    sys.stderr.write(f"perplexity: float {exact:.4f}, integer {integer:.4f} ({integer / exact - 1:+.2%})\n")
    sys.stderr.write(f"it writes: {written(file, letters, seed=1)!r}\n")


if __name__ == "__main__":
    main()
