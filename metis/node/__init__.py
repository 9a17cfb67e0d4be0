"""
A node: the engine's hot state with servers and a builder of blocks around it.

In: a :class:`NodeConfig` and a chain (genesis document, accounts). Out: JSON-RPC on HTTP, WebSocket and
a Unix socket, the Engine API, metrics. Invariants: one block is built at a time; with instant mining a
transaction is mined when its sender hears of it. Cost: docs/node.md.

    config.py, errors.py     what a node is told
    accounts.py              development keys
    mining.py                when blocks are built
    heads.py, reorganisation.py   who hears of them
    service.py, running.py   one node, from start to stop
    logs.py, metrics.py      what operators see
    block_files.py           import of chains
    conformance.py, shapes.py     execution-apis' cases
"""

from metis.node.config import NodeConfig, config_from_toml, read_config
from metis.node.errors import ConfigError
from metis.node.service import NodeService

__all__ = ["ConfigError", "NodeConfig", "NodeService", "config_from_toml", "read_config"]
