"""
MetisSDK's standard interfaces: the parts a network is composed of, as small Protocols.

In: :mod:`metis.types`. Out: nothing but Protocols; no implementation lives here.
Invariant: a part *configures* the engine, it never sits inside it. A part is asked once, when a
network is composed or opened, for a value or a handle that the engine then uses; no Python object
is called per state read, opcode or transaction. Hot seams are Rust traits behind those handles.
Cost: none while blocks run.
Source: DESIGN §4.1. How parts are found by name: :mod:`metis.sdk.registry`.

==================  ===========================================  ================================
Interface           decides                                      implementations (part name)
==================  ===========================================  ================================
`StateStore`        where accounts, code and storage live        ``memory``
`VirtualMachine`    what runs the code inside a call frame       ``interpreter``
`Executor`          in which order, on which threads, a block's  ``sequential``
                    transactions run
`FeePolicy`         who receives the base fee                    ``ethereum``, ``collected``
==================  ===========================================  ================================
"""

from metis.interfaces.executor import Executor
from metis.interfaces.fee_policy import FeePolicy
from metis.interfaces.state_store import StateHandle, StateStore
from metis.interfaces.virtual_machine import VirtualMachine

__all__ = ["Executor", "FeePolicy", "StateHandle", "StateStore", "VirtualMachine"]
