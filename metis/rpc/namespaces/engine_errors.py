"""Error codes of the Engine API's own. Source: execution-apis, ``src/engine/common.md``."""

from __future__ import annotations

__all__ = ["EngineErrorCode"]


class EngineErrorCode:
    """What the Engine API adds to JSON-RPC's codes."""

    UNKNOWN_PAYLOAD = -38001
    INVALID_FORKCHOICE_STATE = -38002
    INVALID_PAYLOAD_ATTRIBUTES = -38003
    TOO_LARGE_REQUEST = -38004
    UNSUPPORTED_FORK = -38005
