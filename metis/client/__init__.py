"""
A typed client of workers: signs requests, checks receipts. :class:`Client`, and :class:`AsyncClient` for asyncio.

In: a worker's address on the network, a payer's key, requests. Out: results with the receipt that both signed, checked
against what was asked. Invariant: nothing is returned whose receipt is not about this request, at this price, by this
worker. Source: docs/worker.md, docs/receipts.md.

    results.py       what the calls return
    signing.py       keys, nonces, headers
    async_client.py  the client; sync_client.py is derived from it (python -m tests.tidy.client_source)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metis.lazy_names import lazy_names

if TYPE_CHECKING:
    from metis.client.async_client import AsyncClient
    from metis.client.results import (
        Classification,
        Classifications,
        Completion,
        Embeddings,
        Piece,
        Progress,
        ServedModel,
        WorkerFacts,
    )
    from metis.client.signing import SignedAuth
    from metis.client.sync_client import Client

__all__ = [
    "AsyncClient",
    "Classification",
    "Classifications",
    "Client",
    "Completion",
    "Embeddings",
    "Piece",
    "Progress",
    "ServedModel",
    "SignedAuth",
    "WorkerFacts",
]

__getattr__ = lazy_names(
    __name__,
    {
        "async_client": ("AsyncClient",),
        "results": (
            "Classification",
            "Classifications",
            "Completion",
            "Embeddings",
            "Piece",
            "Progress",
            "ServedModel",
            "WorkerFacts",
        ),
        "signing": ("SignedAuth",),
        "sync_client": ("Client",),
    },
)
