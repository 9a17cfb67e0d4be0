"""
The methods that clients call, one file per group.

In: the engine's node, and a :class:`Backend` for what needs mining or keys.
Out: handlers in a registry. Invariant: a handler converts and hands over; what holds on the chain is
decided in the engine. Cost: a read is one engine call, inline; what executes code runs on a thread.
Source: execution-apis, EIP-1474, EIP-1898; go-ethereum for words and corner cases.

    backend.py          what the methods need of the program around it: mining, keys, clock
    blocks.py           tags, numbers and hashes → blocks of this chain
    transaction_arguments.py, overrides.py, simulation.py   calls from JSON
    eth_*.py, net.py, web3.py, txpool.py, debug_raw.py       public methods
    engine_api.py, testing_api.py                            behind the token
"""

from metis.rpc.namespaces.backend import Backend, Signer
from metis.rpc.namespaces.public import public_registry

__all__ = ["Backend", "Signer", "public_registry"]
