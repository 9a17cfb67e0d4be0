"""
Forks: a chain that goes on from a block of another node's chain, whose state is fetched when it is asked for.

In: the settings ``[fork]``. Out: the same methods as of any node. Invariants: the engine never waits for
the network: what it misses it names, it is fetched, and the engine is asked again; no answer comes from a
run that missed something; each key is fetched once, and kept on disk; keys of the URL are never shown.
Cost: a round trip for every run that misses state; docs/node.md says what helps.
Source: execution-apis for what is asked upstream; EIP-1186, EIP-2935.

    endpoint.py   the upstream node's address, and what of it may be shown
    client.py     JSON-RPC in batches, with retries
    cache.py      what was fetched, on disk
    upstream.py   the forked state by key, and answers about older blocks
    origin.py     the block to begin at
    accounts.py   development accounts and system contracts on top of it
    replay.py     transactions to begin after
    service.py    missing state is fetched, then asked for again
    routes.py, methods.py   which node answers which question
"""

from metis.node.fork.accounts import accounts_on_top
from metis.node.fork.origin import ForkOrigin, find_origin, make_client
from metis.node.fork.service import ForkService
from metis.node.fork.upstream import Upstream

__all__ = ["ForkOrigin", "ForkService", "Upstream", "accounts_on_top", "find_origin", "make_client"]
