"""Where a node may look for a model: its own stores, and what the registry names, which anybody may have written."""

from __future__ import annotations

import dataclasses
from collections.abc import Set as AbstractSet
from typing import Final

from metis.engine import Node, keccak256
from metis.types import Hash32

__all__ = ["ModelSource", "is_allowed", "registered_uri"]

# SPEC: contracts/inference/ModelRegistry.vy: `uri` is the sixth field of the struct behind the mapping in slot 0, a
# word of length and the bytes.
_URI_FIELD: Final = 5
_URI_BYTES_MAX: Final = 256
_WORD_BYTES: Final = 32


@dataclasses.dataclass(frozen=True, slots=True)
class ModelSource:
    """
    A store of models.

    Attributes
    ----------
    is_trusted : the operator named it. From another one at most ``model_bytes_max`` bytes of weights are taken, and
        only from addresses of the public Internet.
    """

    url: str
    is_trusted: bool = True
    model_bytes_max: int = 1 << 36


def is_allowed(uri: str, schemes: AbstractSet[str]) -> bool:
    """
    Whether a node follows a URI of the registry.

    One scheme, and nothing that makes fsspec chain file systems or read a name as a path of this machine.
    """
    scheme, separator, rest = uri.partition("://")
    printable = uri.isascii() and uri.isprintable() and " " not in uri
    return bool(separator and rest) and scheme in schemes and "::" not in uri and printable


def registered_uri(node: Node, registry: bytes, model_id: Hash32) -> str:
    """What a registry says of where a model is, at the newest block; "" for nothing, or no text."""
    head = node.head_number
    first = int.from_bytes(keccak256(bytes(_WORD_BYTES) + model_id), "big") + _URI_FIELD

    def word(place: int) -> int:
        return node.storage(registry, (first + place) % (1 << 256), head)

    length = word(0)
    if not 0 < length <= _URI_BYTES_MAX:
        return ""
    words = (word(1 + place).to_bytes(_WORD_BYTES, "big") for place in range(-(-length // _WORD_BYTES)))
    return b"".join(words)[:length].decode("ascii", "replace")
