"""English sentences that every CPython has: those of its own language reference."""

from __future__ import annotations

import pydoc_data.topics
import re

__all__ = ["sentences"]


def sentences(count: int) -> list[str]:
    """
    The first ``count`` plain sentences of the language reference, in the order of its topics' names.

    Raises
    ------
    ValueError : there are fewer.
    """
    found: dict[str, None] = {}
    for _, text in sorted(pydoc_data.topics.topics.items()):
        for paragraph in re.split(r"\n\s*\n", text):
            plain = " ".join(paragraph.split())
            for sentence in re.findall(r"[A-Z][^.!?]{20,240}[.!?](?= |$)", plain):
                if not re.search(r"[*|=<>\[\]{}_`\"]{2}", sentence):
                    found[sentence] = None
    if len(found) < count:
        raise ValueError(f"{len(found)} sentences, not {count}")
    chosen = list(found)
    return [chosen[place * len(chosen) // count] for place in range(count)]
