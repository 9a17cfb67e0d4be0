"""
Where models are kept: content-addressed, in chunks, in any place that fsspec knows.

In: a model's file. Out: the same file, put together from objects that hash to their names, or an error that says which
one does not. Invariant: what comes out hashes to the id that was asked for, whatever lies in the store.
Cost: one object for each 64 KiB of weights; models that share chunks share objects.

    manifest    what a model consists of, by hash
    store       objects and manifests in a folder, a bucket, or behind a gateway
    https       reading what strangers name, without being led anywhere else
"""

from metis.ai.store.manifest import Manifest
from metis.ai.store.store import ModelStore

__all__ = ["Manifest", "ModelStore"]
