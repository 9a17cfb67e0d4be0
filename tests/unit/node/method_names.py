"""Names of every public method, from the registry itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from metis.rpc import MethodRegistry
from metis.rpc.namespaces import public_registry
from metis.rpc.namespaces.happenings import Happenings


def registry_without_node() -> MethodRegistry:
    """The registry around a node that is not there: handlers cannot be called, names and parameters are right."""
    node = SimpleNamespace(spec=SimpleNamespace(chain_id=1))
    signer = SimpleNamespace(addresses=())
    backend = SimpleNamespace(
        node=node, signer=signer, happenings=Happenings(), client_version="metis/0", call_gas_max=1, genesis={}
    )
    return public_registry(cast(Any, backend))


PUBLIC_METHODS = frozenset(method.name for method in registry_without_node())
