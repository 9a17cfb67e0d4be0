"""
The order in which parts may import each other: written once, here.

DESIGN: a package imports only packages of earlier layers. Packages of one layer do not know each
other, except for the pairs in :data:`SAME_LAYER_IMPORTS`, which are there on purpose.
"""

from __future__ import annotations

LAYERS: tuple[tuple[str, ...], ...] = (
    ("types",),
    ("interfaces",),
    ("engine",),
    ("vm", "ai", "rpc", "sequencer"),
    # It checks the receipts of workers, which are of ai.
    ("client",),
    ("rollup", "lazai", "economy"),
    ("node", "sdk"),
    ("boa", "cli"),
)

# (importer, imported): why.
SAME_LAYER_IMPORTS: dict[tuple[str, str], str] = {}

# Packages that import nothing but the standard library and earlier layers.
WITHOUT_THIRD_PARTY = frozenset({"types", "interfaces"})

# crate: the crates that may name it in their manifest or sources.
CRATES_THAT_NAME: dict[str, frozenset[str]] = {
    "revm": frozenset({"metis-state-transition", "metis-vm"}),
    "pyo3": frozenset({"metis-python"}),
}

# What the pure state transition may not know, so that it can later be built without std.
KEPT_OUT_OF_STATE_TRANSITION = (
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time",
    "rayon",
    'extern "C"',
)


def layer_of(package: str) -> int:
    """
    Position of a package in :data:`LAYERS`.

    Raises
    ------
    KeyError : the package has no layer yet; add it to :data:`LAYERS` where the design puts it.
    """
    for position, packages in enumerate(LAYERS):
        if package in packages:
            return position
    raise KeyError(package)


def may_import(importer: str, imported: str) -> bool:
    """Whether package ``importer`` may import package ``imported``, both given below ``metis``."""
    if importer == imported or (importer, imported) in SAME_LAYER_IMPORTS:
        return True
    return layer_of(imported) < layer_of(importer)
